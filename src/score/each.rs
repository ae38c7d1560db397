//! Samples that each have a time of their own: evaluations, and the algebra on them.

use tch::Tensor;

use super::{Denoiser, velocity_gains};
use crate::sde::Sde;
use crate::tensor::each;

/// One evaluation of a denoiser whose samples may have times of their own, as error control gives them.
#[derive(Debug)]
pub struct Evals {
    /// The time of each sample `[B]`, or one time `[1]` for all.
    pub t: Vec<f64>,
    /// The states `[B, …]`.
    pub x: Tensor,
    /// x̂₀ = D(x_i, t_i) `[B, …]`.
    pub x0: Tensor,
}

impl Evals {
    /// a(t) x + b(t) x̂₀, with a and b for each sample.
    pub fn combine(&self, gains: impl Fn(f64) -> (f64, f64)) -> Tensor {
        let (a, b): (Vec<f64>, Vec<f64>) = self.t.iter().map(|&t| gains(t)).unzip();
        let mut out = &self.x * each(&a, &self.x);
        out += &self.x0 * each(&b, &self.x);
        out
    }

    /// ε̂ = (x − α x̂₀)/σ.
    pub fn noise(&self, sde: &dyn Sde) -> Tensor {
        self.combine(|t| {
            let k = sde.kernel(t);
            (1.0 / k.sigma, -k.alpha / k.sigma)
        })
    }

    /// The velocity of the probability-flow ODE, f x − ½ g² ∇ log p_t(x).
    pub fn velocity(&self, sde: &dyn Sde) -> Tensor {
        self.combine(|t| velocity_gains(sde, t))
    }

    /// The drift of the reverse SDE, f x − g² ∇ log p_t(x) = (f + g²/σ²) x − (g²/σ²) α x̂₀.
    pub fn reverse_drift(&self, sde: &dyn Sde) -> Tensor {
        self.combine(|t| {
            let rate = -2.0 * sde.lambda_rate(t);
            (sde.drift(t) + rate, -rate * sde.kernel(t).alpha)
        })
    }
}

/// What any denoiser can do: one call for the samples that share a time.
pub(super) fn grouped(denoiser: &(impl Denoiser + ?Sized), x: &Tensor, t: &[f64]) -> Tensor {
    let x0 = x.zeros_like();
    let mut done = vec![false; t.len()];
    for (first, &time) in t.iter().enumerate() {
        if done[first] {
            continue;
        }
        let rows: Vec<usize> = (first..t.len()).filter(|&i| t[i] == time).collect();
        if rows.len() == t.len() {
            return denoiser.denoise(x, time);
        }
        let index: Vec<i64> = rows.iter().map(|&i| i as i64).collect();
        let index = Tensor::from_slice(&index).to_device(x.device());
        let part = denoiser.denoise(&x.index_select(0, &index), time);
        let _ = x0.shallow_clone().index_copy_(0, &index, &part);
        rows.into_iter().for_each(|i| done[i] = true);
    }
    x0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tch::{Device, Kind};

    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::score::Eval;
    use crate::score::exact::{Exact, Law};
    use crate::sde::tests::processes;
    use crate::sde::{Flow, SubVp, Vp};
    use crate::tensor::normals;

    const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

    fn states(shape: &[i64]) -> Tensor {
        normals(Stream::new(3, Purpose::Data), 0, 0, &Tensor::empty(shape, DOUBLE))
    }

    /// One call for each sample, by itself and at its time.
    fn one_by_one(denoiser: &dyn Denoiser, x: &Tensor, t: &[f64]) -> Tensor {
        let one = |(i, &t): (i64, &f64)| denoiser.denoise(&x.narrow(0, i, 1), t);
        Tensor::cat(&(0..).zip(t).map(one).collect::<Vec<_>>(), 0)
    }

    /// A denoiser with what any has.
    #[derive(Debug)]
    struct Plain(Exact);

    impl Denoiser for Plain {
        fn sde(&self) -> &dyn Sde {
            self.0.sde()
        }

        fn denoise(&self, x: &Tensor, t: f64) -> Tensor {
            self.0.denoise(x, t)
        }
    }

    #[test]
    fn each_sample_has_its_own_time() {
        let correlated = || vec![vec![0.5, 0.2], vec![0.2, 0.3]];
        let means = [vec![-1.0, 0.5], vec![0.8, 0.0]];
        let laws = [
            Law::spectrum(&[0.5, -1.0], &[0.2, 0.0]),
            Law::gaussian(&[0.5, -1.0], &correlated()).unwrap(),
            Law::mixture(&[0.3, 0.7], &means, &[correlated(), correlated()]).unwrap(),
            Law::isotropic(&states(&[5, 2]), 0.01),
        ];
        let sdes: [Arc<dyn Sde>; 3] = [Arc::new(Vp::default()), Arc::new(SubVp::default()), Arc::new(Flow::default())];
        let (x, samples) = (states(&[6, 1, 2, 1]), [0, 1, 2, 3, 4, 5]);
        for (law, sde) in laws.iter().flat_map(|law| sdes.iter().map(move |sde| (law, sde))) {
            let exact = Exact::new(law, sde.clone(), DOUBLE);
            for t in [[0.9, 0.5, 0.01, 0.5, 0.2, 0.9], [0.3; 6]] {
                let expected = one_by_one(&exact, &x, &t);
                let found = exact.denoise_each(&x, &samples, &t);
                assert_eq!(found.size(), x.size());
                assert!((found - &expected).abs().max().double_value(&[]) < 1e-12, "{sde:?}");
                let plain = Plain(Exact::new(law, sde.clone(), DOUBLE)).denoise_each(&x, &samples, &t);
                assert!((plain - &expected).abs().max().double_value(&[]) < 1e-12, "{sde:?}");
            }
        }
    }

    #[test]
    fn algebra_is_that_of_one_evaluation() {
        for sde in processes() {
            let span = sde.span();
            let t: Vec<f64> = (1..=4).map(|i| span.t_min + (span.t_max - span.t_min) * f64::from(i) / 5.0).collect();
            let (x, x0) = (states(&[4, 3]), states(&[4, 3]) * 0.3);
            let all = Evals { t: t.clone(), x: x.shallow_clone(), x0: x0.shallow_clone() };
            for (i, &t) in (0..).zip(&t) {
                let (x, x0) = (x.narrow(0, i, 1), x0.narrow(0, i, 1));
                let one = Eval { t, kernel: sde.kernel(t), x, x0 };
                let reverse = one.velocity(&*sde) - one.score() * (0.5 * sde.diffusion_sq(t));
                let pairs = [
                    (all.noise(&*sde), one.noise()),
                    (all.velocity(&*sde), one.velocity(&*sde)),
                    (all.reverse_drift(&*sde), reverse),
                ];
                for (all, one) in pairs {
                    let gap = (all.narrow(0, i, 1) - &one).abs().max().double_value(&[]);
                    assert!(gap < 1e-12 * (1.0 + one.abs().max().double_value(&[])), "{sde:?}: {gap}");
                }
            }
        }
    }
}
