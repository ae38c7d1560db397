//! What a classifier of the data says of samples: whether they are what they should be, how often each class comes, and how
//! sure and how varied it finds them.

use ndarray::{Array1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::{Best, Classified, Estimate, Metric, Need, Question};
use crate::error::Settings;
use crate::statistics::{Interval, wilson};

/// A share of independent trials, with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// How many hit.
    pub hits: usize,
    /// Of how many.
    pub count: usize,
    /// hits/count.
    pub value: f64,
    /// Where the probability of a hit lies ([`wilson`]).
    pub interval: Interval,
}

impl Share {
    /// `hits` of `count` ≥ 1 trials.
    pub fn of(hits: usize, count: usize) -> Self {
        Share { hits, count, value: hits as f64 / count as f64, interval: wilson(hits, count) }
    }
}

/// The share of class-conditional samples that a classifier of the data takes for the class that they were asked to be of:
/// [`class_accuracy`]. Samples can only be as right as the classifier: what held-out data have is what to reach.
///
/// The standard error is that of Wilson's interval. Time O(N K), memory O(N).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClassAccuracy {}

impl Settings for ClassAccuracy {}

impl Metric for ClassAccuracy {
    fn name(&self) -> &'static str {
        "class_accuracy"
    }

    fn label(&self) -> &'static str {
        "Class accuracy"
    }

    fn best(&self) -> Best {
        Best::Most
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Asked)
    }

    fn least(&self) -> usize {
        1
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let Classified { samples, asked, .. } =
            question.classified.expect("a question that holds what a classifier says");
        let Share { value, interval, .. } =
            class_accuracy(&predicted(samples), asked.expect("samples that were asked"));
        Estimate::within(value, interval)
    }
}

/// The total variation ½ Σ |p_k − q_k| of the shares of the classes among samples, p, and among data, q, both as a classifier
/// sees them: the share of samples that would have to change class ([`ClassShares`]).
///
/// It is biased upwards by about Σ √(v_k/2π), v_k = q_k (1 − q_k) (1/N + 1/M), when p is close to q. The standard error is
/// the delta method's, along the gradient of the divergence in p and q; there it is somewhat too large.
///
/// Time O((N + M) K), memory O(N + M + K).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClassBalance {}

impl Settings for ClassBalance {}

impl Metric for ClassBalance {
    fn name(&self) -> &'static str {
        "class_balance"
    }

    fn label(&self) -> &'static str {
        "Class balance, total variation"
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Logits)
    }

    fn least(&self) -> usize {
        2
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let Classified { samples, data, .. } =
            question.classified.expect("a question that holds what a classifier says");
        let [samples, data] = [samples, data].map(|logits| (predicted(logits), logits.ncols()));
        let shares = ClassShares::of(&samples.0, &data.0, samples.1);
        let side: Vec<f64> =
            shares.samples.iter().zip(&shares.data).map(|(p, q)| if p > q { 0.5 } else { -0.5 }).collect();
        let error = |classes: &[usize]| Estimate::mean(&classes.iter().map(|&k| side[k]).collect()).standard_error;
        Estimate { value: shares.total_variation, standard_error: error(&samples.0).hypot(error(&data.0)) }
    }
}

/// e^I with the mutual information I between image and class, in the mean of ten parts of the samples: the Inception Score
/// where the classifier is Inception-v3 (Salimans et al. 2016). It never sees the data: what data have is what to reach.
///
/// Time and memory O(N K).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InceptionScore {}

/// As papers have it.
const SPLITS: usize = 10;

impl Settings for InceptionScore {}

impl Metric for InceptionScore {
    fn name(&self) -> &'static str {
        "inception_score"
    }

    fn label(&self) -> &'static str {
        "Inception score (of this classifier)"
    }

    fn best(&self) -> Best {
        Best::Most
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Logits)
    }

    fn least(&self) -> usize {
        SPLITS
    }

    fn estimate(&self, question: &Question) -> Estimate {
        let classified = question.classified.expect("a question that holds what a classifier says");
        inception_score(classified.samples, SPLITS)
    }
}

/// The class with the greatest logit in each row of `[N, K]`; of equal ones the first.
pub fn predicted(logits: ArrayView2<f64>) -> Vec<usize> {
    let best = |row: ndarray::ArrayView1<f64>| {
        (0..row.len())
            .reduce(|best, class| if row[class] > row[best] { class } else { best })
            .expect("there are classes")
    };
    logits.rows().into_iter().map(best).collect()
}

/// The classification accuracy score of class-conditional samples: the share that a classifier of the data takes for the
/// class that they were asked to be of (as Ravuri & Vinyals, 2019, the other way round: theirs trains on samples). A perfect
/// sampler has the classifier's accuracy on held-out data, not 1.
///
/// # Panics
/// If there are none, or not as many predicted classes as intended ones.
pub fn class_accuracy(predicted: &[usize], intended: &[usize]) -> Share {
    assert_eq!(predicted.len(), intended.len(), "one intended class for each sample");
    Share::of(predicted.iter().zip(intended).filter(|(a, b)| a == b).count(), predicted.len())
}

/// How far the shares of the classes among samples are from those among data, both as a classifier sees them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassShares {
    /// The shares among samples, p `[K]`.
    pub samples: Vec<f64>,
    /// The shares among data, q `[K]`.
    pub data: Vec<f64>,
    /// The total variation ½ Σ |p_k − q_k|.
    pub total_variation: f64,
    /// What the total variation is on average if the laws agree, from the sizes of both: ½ Σ √(2 v_k/π) with
    /// v_k = r_k (1 − r_k) (1/N + 1/M) and r the shares of both together.
    pub total_variation_floor: f64,
    /// KL(p ‖ q) = Σ p_k ln(p_k/q_k) in nats; infinite where samples have a class that data have not.
    pub kl: f64,
    /// What KL is on average if the laws agree: (K − 1)/2 · (1/N + 1/M), over the K classes that occur.
    pub kl_floor: f64,
    /// The probability of counts at least as unlike if the laws agree: Pearson's χ² of the two rows of counts (1900).
    pub p: f64,
}

impl ClassShares {
    /// Of the classes of N samples and M data points, each below `classes`.
    ///
    /// # Panics
    /// If there are no samples or no data, or a class is not below `classes`.
    pub fn of(samples: &[usize], data: &[usize], classes: usize) -> Self {
        assert!(!samples.is_empty() && !data.is_empty(), "no samples or no data");
        let count = |labels: &[usize]| {
            let mut counts = Array1::<f64>::zeros(classes);
            labels.iter().for_each(|&label| counts[label] += 1.0);
            counts
        };
        let (n, m) = (samples.len() as f64, data.len() as f64);
        let (of_samples, of_data) = (count(samples), count(data));
        let (p, q, r) = (&of_samples / n, &of_data / m, (&of_samples + &of_data) / (n + m));
        let noise = 1.0 / n + 1.0 / m;
        let occurring = r.iter().filter(|&&share| share > 0.0).count();
        let freedom = occurring as f64 - 1.0;
        let terms = p.iter().zip(&q).filter(|(p, _)| **p > 0.0);
        let squares: f64 =
            p.iter().zip(&q).zip(&r).filter(|(_, r)| **r > 0.0).map(|((p, q), r)| (p - q).powi(2) / r).sum();
        ClassShares {
            total_variation: 0.5 * p.iter().zip(&q).map(|(p, q)| (p - q).abs()).sum::<f64>(),
            total_variation_floor: r
                .iter()
                .map(|r| 0.5 * (std::f64::consts::FRAC_2_PI * r * (1.0 - r) * noise).sqrt())
                .sum(),
            kl: terms.map(|(p, q)| p * (p / q).ln()).sum::<f64>(),
            kl_floor: 0.5 * freedom * noise,
            p: match occurring {
                1 => 1.0,
                _ => ChiSquared::new(freedom).expect("some freedom").sf(squares / noise),
            },
            samples: p.to_vec(),
            data: q.to_vec(),
        }
    }
}

/// exp(E KL(p(k given x) ‖ p(k))) of the probabilities that a classifier gives samples: the Inception Score where that is
/// Inception-v3 (Salimans et al., 2016). From 1, all samples alike or none clear, to K, all clear and all classes equally
/// frequent. It never sees the data.
///
/// The value is the mean over `splits` consecutive parts of `logits` `[N, K]`, as is usual (10), and depends on their size:
/// p(k) is the mean within a part. The standard error is that of this mean; the spread that papers give is √splits times
/// as large.
///
/// # Panics
/// If there are fewer than two splits, or fewer samples than splits.
pub fn inception_score(logits: ArrayView2<f64>, splits: usize) -> Estimate {
    let n = logits.nrows();
    assert!(splits >= 2 && n >= splits, "{n} samples in {splits} parts");
    let score = |part: usize| {
        let rows = logits.slice(ndarray::s![part * n / splits..(part + 1) * n / splits, ..]);
        let mut probabilities = rows.to_owned();
        for mut row in probabilities.rows_mut() {
            let most = row.fold(f64::NEG_INFINITY, |most, &value| most.max(value));
            row.mapv_inplace(|value| (value - most).exp());
            let sum = row.sum();
            row /= sum;
        }
        // E KL = H(mean) − mean H, with 0 ln 0 = 0.
        let entropy = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
        let of_mean = probabilities.mean_axis(Axis(0)).expect("there are rows").mapv(entropy).sum();
        (of_mean - probabilities.mapv(entropy).sum() / probabilities.nrows() as f64).exp()
    };
    Estimate::mean(&(0..splits).map(score).collect())
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{Array2, arr2};
    use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

    use super::super::tests::Calibration;
    use super::*;

    #[test]
    fn the_best_class_is_predicted() {
        let logits = arr2(&[[0.0, 2.0, 1.0], [5.0, 5.0, -1.0], [-3.0, -2.0, -1.0]]);
        assert_eq!(predicted(logits.view()), [1, 0, 2]);
        let share = class_accuracy(&[1, 0, 2], &[1, 1, 2]);
        assert_eq!((share.hits, share.count), (2, 3));
        assert!(share.interval.low < 2.0 / 3.0 && 2.0 / 3.0 < share.interval.high);
    }

    #[test]
    fn distances_of_shares_follow_their_formulas() {
        let shares = ClassShares::of(&[0, 0, 0, 1], &[0, 0, 1, 1], 3);
        assert_eq!((&shares.samples[..], &shares.data[..]), (&[0.75, 0.25, 0.0][..], &[0.5, 0.5, 0.0][..]));
        assert_relative_eq!(shares.total_variation, 0.25);
        assert_relative_eq!(shares.kl, 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln());
        // χ² = Σ (observed − expected)²/expected of [[3, 1], [2, 2]] is 8/15.
        assert_relative_eq!(shares.p, ChiSquared::new(1.0).unwrap().sf(8.0 / 15.0), max_relative = 1e-12);
        let missing = ClassShares::of(&[0, 1], &[0, 0], 2);
        assert!(missing.kl.is_infinite() && missing.total_variation == 0.5);
        assert_eq!(ClassShares::of(&[1, 1], &[1], 2).p, 1.0);
    }

    /// Under equal laws, the floors are what is found on average, and p is below 5 % one time in twenty.
    #[test]
    fn floors_are_what_chance_makes() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut draw =
            |n: usize| -> Vec<usize> { (0..n).map(|_| (rng.random::<f64>().powi(2) * 10.0) as usize).collect() };
        let repeats = 2_000;
        let all: Vec<ClassShares> = (0..repeats).map(|_| ClassShares::of(&draw(1_000), &draw(3_000), 10)).collect();
        let mean = |f: fn(&ClassShares) -> f64| all.iter().map(f).sum::<f64>() / repeats as f64;
        assert_relative_eq!(mean(|s| s.total_variation), mean(|s| s.total_variation_floor), max_relative = 0.02);
        assert_relative_eq!(mean(|s| s.kl), mean(|s| s.kl_floor), max_relative = 0.05);
        let rejected = mean(|s| f64::from(u8::from(s.p < 0.05)));
        assert!((rejected - 0.05).abs() < 0.015, "{rejected}");
    }

    /// Logits that are sure of a class.
    fn sure(classes: &[usize]) -> Array2<f64> {
        Array2::from_shape_fn((classes.len(), 10), |(i, k)| if classes[i] == k { 9.0 } else { 0.0 })
    }

    fn told<'a>(samples: &'a Array2<f64>, data: &'a Array2<f64>, asked: Option<&'a [usize]>) -> Question<'a> {
        let classified = Classified { samples: samples.view(), data: data.view(), asked };
        Question { classified: Some(classified), ..Question::new(samples.view(), data.view()) }
    }

    #[test]
    fn metrics_read_what_the_classifier_says() {
        let (samples, data) = (sure(&[3, 4, 4, 5]), sure(&[3, 4, 5, 6]));
        let asked = [3, 4, 5, 5];
        let accuracy = ClassAccuracy {}.measure(&told(&samples, &data, Some(&asked)));
        assert_eq!(accuracy.value, 0.75);
        // All right: the interval still has a width.
        let right = ClassAccuracy {}.measure(&told(&samples, &data, Some(&[3, 4, 4, 5])));
        assert!(right.value == 1.0 && right.standard_error > 0.1 && ClassAccuracy {}.best() == Best::Most);
        assert_eq!(ClassBalance {}.measure(&told(&samples, &data, None)).value, 0.25);
        let many = sure(&(0..40).map(|i| i % 4).collect::<Vec<_>>());
        let score = InceptionScore {}.measure(&told(&many, &many, None));
        assert!((3.5..4.0).contains(&score.value), "{score:?}");
        let [asked, unasked] = [Some(&asked[..]), None].map(|asked| told(&samples, &data, asked));
        assert!(asked.has(Need::Asked) && !unasked.has(Need::Asked) && unasked.has(Need::Logits));
    }

    /// Of laws that differ the error is that of repeats, of equal ones too large by less than a factor of two.
    #[test]
    fn the_error_of_class_balance_is_that_of_repeats() {
        let of = |power: i32| {
            Calibration::of(300, |seed| {
                let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
                let mut draw = |n: usize, power: i32| -> Vec<usize> {
                    (0..n).map(|_| (rng.random::<f64>().powi(power) * 10.0) as usize).collect()
                };
                let (samples, data) = (sure(&draw(300, power)), sure(&draw(500, 1)));
                ClassBalance {}.measure(&told(&samples, &data, None))
            })
        };
        let (same, apart) = (of(1), of(3));
        let ratio = |c: &Calibration| c.reported / c.deviation;
        println!("same {:.2}, apart {:.2}", ratio(&same), ratio(&apart));
        same.assert_calibrated(1.0..2.0);
        apart.assert_calibrated(0.9..1.15);
        // ½ Σ |P(⌊10 U³⌋ = k) − 1/10|, whose bias is small here.
        let edge = |k: f64| (k / 10.0).cbrt();
        let truth: f64 = (0..10).map(|k| 0.5 * (edge(f64::from(k) + 1.0) - edge(f64::from(k)) - 0.1).abs()).sum();
        assert!((apart.mean - truth).abs() < 0.01, "{} {truth}", apart.mean);
    }

    #[test]
    fn scores_lie_between_one_and_the_number_of_classes() {
        // Each of four classes surely, one after the other.
        let clear = Array2::from_shape_fn((400, 4), |(i, k)| if i % 4 == k { 50.0 } else { 0.0 });
        let score = inception_score(clear.view(), 10);
        assert_relative_eq!(score.value, 4.0, max_relative = 1e-9);
        assert!(score.standard_error < 1e-9);
        assert_relative_eq!(inception_score(Array2::zeros((20, 4)).view(), 2).value, 1.0, max_relative = 1e-12);
        // p = (0.9, 0.1) or (0.1, 0.9): exp(ln 2 − H(0.1)).
        let logit = 9f64.ln();
        let pairs = Array2::from_shape_fn((40, 2), |(i, k)| if i % 2 == k { logit } else { 0.0 });
        let entropy = -(0.9f64 * 0.9f64.ln() + 0.1 * 0.1f64.ln());
        assert_relative_eq!(inception_score(pairs.view(), 10).value, (2f64.ln() - entropy).exp(), max_relative = 1e-12);
    }
}
