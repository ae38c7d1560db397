//! What a network may be told beside x and the noise level.

use tch::Tensor;

/// A sequence to attend to, such as an encoded caption.
#[derive(Debug)]
pub struct Tokens {
    /// `[B, L, E]`
    pub embeddings: Tensor,
    /// `[B, L]`, 1 where there is a token and 0 where there is padding.
    pub mask: Tensor,
}

/// All that a network may be told beside x and the noise level; nothing by default.
///
/// Conditions are bound to a model before a solver sees it, so that solvers know nothing of them.
#[derive(Debug, Default)]
pub struct Condition {
    /// Class indices `[B]`.
    pub label: Option<Tensor>,
    /// An image at the resolution of x `[B, C, H, W]`.
    pub image: Option<Tensor>,
    /// A sequence to attend to.
    pub tokens: Option<Tokens>,
    /// Any other numbers `[B, E]`.
    pub vector: Option<Tensor>,
}

impl Condition {
    /// Whether the network is told nothing.
    pub fn is_empty(&self) -> bool {
        self.label.is_none() && self.image.is_none() && self.tokens.is_none() && self.vector.is_none()
    }

    /// The conditions of the samples `first..first + count`; those beyond the last begin again with the first.
    pub fn narrow(&self, first: i64, count: i64) -> Condition {
        self.map(|x| match first + count <= x.size()[0] {
            true => x.narrow(0, first, count),
            false => rows(x, first..first + count),
        })
    }

    /// The conditions of some samples; those beyond the last begin again with the first.
    pub fn select(&self, samples: &[usize]) -> Condition {
        self.map(|x| rows(x, samples.iter().map(|&i| i as i64)))
    }

    /// Both batches of conditions, one after the other.
    ///
    /// # Panics
    /// When one tells what the other does not.
    pub fn cat(&self, other: &Condition) -> Condition {
        let pair = |a: &Option<Tensor>, b: &Option<Tensor>| match (a, b) {
            (None, None) => None,
            (Some(a), Some(b)) => Some(Tensor::cat(&[a, b], 0)),
            _ => panic!("conditions with different fields cannot be concatenated"),
        };
        let tokens = match (&self.tokens, &other.tokens) {
            (None, None) => None,
            (Some(a), Some(b)) => Some(Tokens {
                embeddings: Tensor::cat(&[&a.embeddings, &b.embeddings], 0),
                mask: Tensor::cat(&[&a.mask, &b.mask], 0),
            }),
            _ => panic!("conditions with and without tokens cannot be concatenated"),
        };
        Condition {
            label: pair(&self.label, &other.label),
            image: pair(&self.image, &other.image),
            tokens,
            vector: pair(&self.vector, &other.vector),
        }
    }

    fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Condition {
        Condition {
            label: self.label.as_ref().map(&f),
            image: self.image.as_ref().map(&f),
            tokens: self.tokens.as_ref().map(|t| Tokens { embeddings: f(&t.embeddings), mask: f(&t.mask) }),
            vector: self.vector.as_ref().map(&f),
        }
    }
}

/// Rows of x, over and over again.
fn rows(x: &Tensor, samples: impl Iterator<Item = i64>) -> Tensor {
    let index: Vec<i64> = samples.map(|i| i % x.size()[0].max(1)).collect();
    x.index_select(0, &Tensor::from_slice(&index).to_device(x.device()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_put_together_are_the_whole() {
        let whole = Condition {
            label: Some(Tensor::from_slice(&[1i64, 2, 3])),
            tokens: Some(Tokens {
                embeddings: Tensor::arange(12, tch::kind::FLOAT_CPU).reshape([3, 2, 2]),
                mask: Tensor::ones([3, 2], tch::kind::FLOAT_CPU),
            }),
            ..Condition::default()
        };
        let again = whole.narrow(0, 1).cat(&whole.narrow(1, 2));
        assert_eq!(again.label, whole.label);
        assert_eq!(whole.select(&[2, 0]).label, Some(Tensor::from_slice(&[3i64, 1])));
        assert_eq!(whole.narrow(1, 4).label, Some(Tensor::from_slice(&[2i64, 3, 1, 2])));
        assert!(again.image.is_none() && again.vector.is_none());
        assert!(!whole.is_empty() && Condition::default().is_empty());
        assert_eq!(again.tokens.map(|t| t.embeddings), whole.tokens.map(|t| t.embeddings));
    }
}
