//! The update of the flat buffers after each step: clipping, AdamW, and moving averages.

use rayon::prelude::*;
use tch::{Device, Tensor};

use super::{AdamWStep, Moments};
use crate::tensor;
use crate::threads::Workers;

/// What an update reads and writes; each buffer is `[P]`, and no two share memory.
#[derive(Debug)]
pub struct Buffers<'a> {
    /// θ.
    pub theta: &'a mut Tensor,
    /// ∂loss/∂θ.
    pub gradient: &'a mut Tensor,
    /// m and v.
    pub moments: &'a mut Moments,
    /// The moving averages θ̄.
    pub averages: &'a mut [Tensor],
}

/// The numbers of an update: a step of AdamW on a scaled gradient, and then θ̄ ← θ̄ + w (θ − θ̄) for each moving average.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// What the gradient is multiplied by, to clip it.
    pub scale: f64,
    /// The optimizer's step.
    pub adamw: AdamWStep,
    /// w = 1 − β of each average.
    pub weights: Vec<f64>,
}

/// Numbers of a buffer that one thread works on at a time; those of all buffers fit into its cache.
const PART: usize = 1 << 13;

impl Update {
    /// Updates the buffers in place.
    ///
    /// On the CPU this is one pass over memory, in parts on the workers; elsewhere it is a handful of operators.
    pub fn apply(&self, buffers: Buffers, workers: &Workers) {
        assert_eq!(self.weights.len(), buffers.averages.len(), "one weight for each average");
        if buffers.theta.device() == Device::Cpu {
            self.in_parts(buffers, workers);
        } else {
            tch::no_grad(|| self.by_operators(buffers));
        }
    }

    fn by_operators(&self, buffers: Buffers) {
        let Buffers { theta, gradient, moments, averages } = buffers;
        let AdamWStep { first, second, debias, eps, rate, shrink } = self.adamw;
        if self.scale != 1.0 {
            *gradient *= self.scale;
        }
        // lerp(a, b, w) = a + w (b − a).
        let _ = moments.first.lerp_(gradient, first);
        let _ = moments.second.lerp_(&gradient.square(), second);
        let root = (&moments.second * debias).sqrt_() + eps;
        if shrink > 0.0 {
            *theta *= 1.0 - shrink;
        }
        *theta -= &moments.first / root * rate;
        for (average, &weight) in averages.iter_mut().zip(&self.weights) {
            let _ = average.lerp_(theta, weight);
        }
    }

    fn in_parts(&self, buffers: Buffers, workers: &Workers) {
        let Buffers { theta, gradient, moments, averages } = buffers;
        // SAFETY: no two buffers share memory, and no network computes during an update.
        let [theta, gradient, first, second] =
            [theta, gradient, &mut moments.first, &mut moments.second].map(|x| unsafe { tensor::floats_mut(x) });
        // SAFETY: as above.
        let averages = averages.iter_mut().map(|average| unsafe { tensor::floats_mut(average) });
        let mut averages: Vec<_> = averages.map(|average| average.chunks_mut(PART)).collect();
        let moments = first.chunks_mut(PART).zip(second.chunks_mut(PART));
        let parts = theta.chunks_mut(PART).zip(gradient.chunks(PART)).zip(moments);
        let parts: Vec<_> = parts
            .map(|((theta, gradient), (first, second))| Part {
                theta,
                gradient,
                first,
                second,
                averages: averages.iter_mut().filter_map(Iterator::next).collect(),
            })
            .collect();
        workers.install(|| parts.into_par_iter().for_each(|part| self.of_part(part)));
    }

    fn of_part(&self, part: Part) {
        let Part { theta, gradient, first, second, averages } = part;
        adamw(theta, gradient, (first, second), self.scale as f32, &self.adamw);
        for (average, &weight) in averages.into_iter().zip(&self.weights) {
            lerp(average, theta, weight as f32);
        }
    }
}

/// The same range of all buffers.
struct Part<'a> {
    theta: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    averages: Vec<&'a mut [f32]>,
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn adamw(theta: &mut [f32], gradient: &[f32], moments: (&mut [f32], &mut [f32]), scale: f32, step: &AdamWStep) {
    let AdamWStep { first, second, debias, eps, rate, shrink } = *step;
    let [first, second, debias, eps, rate, keep] =
        [first, second, debias, eps, rate, 1.0 - shrink].map(|number| number as f32);
    // Slices of one length, so that the loop has no checks and becomes vector instructions.
    let n = theta.len();
    let (gradient, m, v) = (&gradient[..n], &mut moments.0[..n], &mut moments.1[..n]);
    for i in 0..n {
        let g = scale * gradient[i];
        m[i] += first * (g - m[i]);
        v[i] += second * (g * g - v[i]);
        theta[i] = keep * theta[i] - rate * m[i] / ((debias * v[i]).sqrt() + eps);
    }
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn lerp(from: &mut [f32], to: &[f32], weight: f32) {
    from.iter_mut().zip(to).for_each(|(from, to)| *from += weight * (to - *from));
}

/// ‖x‖ of a vector, which nothing else uses meanwhile; on the CPU in parts on the workers, and the same for any number of
/// them.
pub fn norm(x: &mut Tensor, workers: &Workers) -> f64 {
    if x.device() != Device::Cpu {
        return x.norm().double_value(&[]);
    }
    // SAFETY: the caller lends the vector.
    let x = unsafe { tensor::floats_mut(x) };
    let squares: Vec<f64> = workers.install(|| x.par_chunks(8 * PART).map(sum_of_squares).collect());
    squares.into_iter().sum::<f64>().sqrt()
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn sum_of_squares(x: &[f32]) -> f64 {
    // As many sums side by side as a few vector registers hold.
    let mut sums = [0.0; 32];
    let (blocks, rest) = x.as_chunks::<32>();
    for block in blocks {
        for (sum, &x) in sums.iter_mut().zip(block) {
            *sum += f64::from(x) * f64::from(x);
        }
    }
    let rest = rest.iter().map(|&x| f64::from(x) * f64::from(x));
    sums.into_iter().chain(rest).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::train::AdamW;
    use tch::Kind;

    const ADAMW: AdamW = AdamW { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01 };
    const WEIGHTS: [f64; 2] = [0.1, 0.003];

    /// θ, m, v and two averages after 20 updates with gradients 2 θ + z, which `apply` is to make, told the step.
    fn trained(count: i64, kind: Kind, apply: impl Fn(i32, &Update, Buffers)) -> Vec<Tensor> {
        let like = Tensor::zeros([1, count], (kind, Device::Cpu));
        let normal = |draw| tensor::normals(Stream::new(0, Purpose::Init), 0, draw, &like).squeeze_dim(0);
        let mut theta = normal(0);
        let mut moments = Moments { first: theta.zeros_like(), second: theta.zeros_like() };
        let mut averages = WEIGHTS.map(|_| theta.copy());
        for k in 1..=20 {
            let mut gradient = &theta * 2.0 + normal(k);
            let update = Update { scale: 0.7, adamw: ADAMW.at(k as usize, 0.5), weights: WEIGHTS.to_vec() };
            let (gradient, averages) = (&mut gradient, &mut averages[..]);
            apply(k as i32, &update, Buffers { theta: &mut theta, gradient, moments: &mut moments, averages });
        }
        [theta, moments.first, moments.second].into_iter().chain(averages).collect()
    }

    /// Both ways against the update of each number written out in f64.
    #[test]
    fn updates_follow_the_algorithm() {
        let count = 2 * PART as i64 + 77;
        let expected = trained(count, Kind::Double, |k, _, buffers| {
            let numbers = |x: &Tensor| Vec::<f64>::try_from(x).expect("a vector");
            let (mut p, g) = (numbers(buffers.theta), numbers(buffers.gradient));
            let (mut m, mut v) = (numbers(&buffers.moments.first), numbers(&buffers.moments.second));
            let mut averages: Vec<Vec<f64>> = buffers.averages.iter().map(numbers).collect();
            for i in 0..p.len() {
                let g = 0.7 * g[i];
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let (mh, vh) = (m[i] / (1.0 - 0.9f64.powi(k)), v[i] / (1.0 - 0.999f64.powi(k)));
                p[i] -= 0.05 * (mh / (vh.sqrt() + 1e-8) + 0.01 * p[i]);
                for (average, weight) in averages.iter_mut().zip(WEIGHTS) {
                    average[i] = (1.0 - weight) * average[i] + weight * p[i];
                }
            }
            buffers.theta.copy_(&Tensor::from_slice(&p));
            buffers.moments.first.copy_(&Tensor::from_slice(&m));
            buffers.moments.second.copy_(&Tensor::from_slice(&v));
            for (to, from) in buffers.averages.iter_mut().zip(&averages) {
                to.copy_(&Tensor::from_slice(from));
            }
        });
        let off = |found: &[Tensor]| {
            let off = |(a, b): (&Tensor, &Tensor)| (a.to_kind(Kind::Double) - b).abs().max().double_value(&[]);
            found.iter().zip(&expected).map(off).fold(0.0, f64::max)
        };
        let exact = off(&trained(count, Kind::Double, |_, update, buffers| update.by_operators(buffers)));
        assert!(exact < 1e-12, "operators in float64: {exact:.1e}");
        let rounded = off(&trained(count, Kind::Float, |_, update, buffers| update.by_operators(buffers)));
        let workers = [1, 3].map(|threads| Workers::new(threads).expect("threads"));
        let [one, three] =
            [0, 1].map(|i| trained(count, Kind::Float, |_, update, buffers| update.apply(buffers, &workers[i])));
        let passed = off(&one);
        println!("largest errors in float32: operators {rounded:.1e}, one pass {passed:.1e}");
        assert!(rounded < 1e-4 && passed < 1e-4, "operators {rounded:.1e}, one pass {passed:.1e}");
        assert_eq!(one, three, "the number of threads changes nothing");
    }

    #[test]
    fn norms_do_not_depend_on_the_number_of_threads() {
        let like = Tensor::zeros([1, 20 * PART as i64 + 5], (Kind::Float, Device::Cpu));
        let x = tensor::normals(Stream::new(1, Purpose::Init), 0, 0, &like).squeeze_dim(0);
        let [one, three] = [1, 3].map(|threads| norm(&mut x.copy(), &Workers::new(threads).expect("threads")));
        assert_eq!(one, three);
        let exact = x.to_kind(Kind::Double).norm().double_value(&[]);
        assert!((one / exact - 1.0).abs() < 1e-12, "{one} {exact}");
    }
}
