//! What may be known of the law of the data: its moments, its modes, its density.

use std::fmt;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use super::matrix::gram;

/// ln p at each of the points `[N, D]`, `[N]`; −∞ where there are no data.
pub type Density = Box<dyn Fn(ArrayView2<f64>) -> Array1<f64> + Send + Sync>;

/// What is known of the law of the data. Whoever knows the law fills it in; metrics know no laws.
#[derive(Default)]
pub struct Truth {
    /// The mean and the covariance.
    pub moments: Option<Moments>,
    /// The modes, two or more.
    pub modes: Option<Vec<Mode>>,
    /// The density.
    pub density: Option<Density>,
}

impl Truth {
    /// Nothing is known.
    pub const NOTHING: Truth = Truth { moments: None, modes: None, density: None };

    /// What is known of the Gaussian mixture of `components`, one or more: its moments, and its modes if it has two or
    /// more and none is flat.
    pub fn mixture(components: Vec<Mode>) -> Self {
        let moments = Some(Moments::of_mixture(&components));
        let regular = components.iter().all(|mode| mode.deviations.iter().all(|&deviation| deviation > 0.0));
        Truth { moments, modes: (components.len() > 1 && regular).then_some(components), density: None }
    }
}

impl fmt::Debug for Truth {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let density = self.density.as_ref().map(|_| "ln p");
        let Truth { moments, modes, .. } = self;
        f.debug_struct("Truth").field("moments", moments).field("modes", modes).field("density", &density).finish()
    }
}

/// The first two moments of a law.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// The mean `[D]`.
    pub mean: Array1<f64>,
    /// The covariance `[D, D]`.
    pub covariance: Array2<f64>,
}

impl Moments {
    /// The mean and the unbiased covariance of `points` `[N, D]`, N ≥ 2.
    pub fn of_points(points: ArrayView2<f64>) -> Self {
        let mean = points.mean_axis(Axis(0)).expect("there are points");
        let centred = &points - &mean;
        Moments { mean, covariance: gram(centred.view()) / (points.nrows() as f64 - 1.0) }
    }

    /// m = Σ_k w_k μ_k and Σ_k w_k (Σ_k + (μ_k − m)(μ_k − m)ᵀ) of a Gaussian mixture.
    fn of_mixture(components: &[Mode]) -> Self {
        let dim = components[0].mean.len();
        let mean = components.iter().fold(Array1::zeros(dim), |sum, mode| sum + &mode.mean * mode.weight);
        let mut covariance = Array2::zeros((dim, dim));
        for mode in components {
            let scaled = &mode.axes * &mode.deviations.view().insert_axis(Axis(1));
            let shift = (&mode.mean - &mean).insert_axis(Axis(1));
            covariance += &((scaled.t().dot(&scaled) + shift.dot(&shift.t())) * mode.weight);
        }
        Moments { mean, covariance }
    }
}

/// A Gaussian component of the law of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Mode {
    /// Its share of the data, w.
    pub weight: f64,
    /// Its mean μ `[D]`.
    pub mean: Array1<f64>,
    /// The unit vectors of its principal axes `[D, D]`, one in each row.
    pub axes: Array2<f64>,
    /// The standard deviation along each axis `[D]`.
    pub deviations: Array1<f64>,
}

impl Mode {
    /// The squared Mahalanobis distance (x − μ)ᵀ Σ⁻¹ (x − μ) of a point `[D]`.
    pub fn squared_distance(&self, x: ArrayView1<f64>) -> f64 {
        let along = self.axes.dot(&(&x - &self.mean)) / &self.deviations;
        along.dot(&along)
    }

    /// ln (w N(x; μ, Σ)) for a squared Mahalanobis distance, up to −(D/2) ln 2π.
    fn log_joint(&self, squared_distance: f64) -> f64 {
        self.weight.ln() - self.deviations.mapv(f64::ln).sum() - 0.5 * squared_distance
    }
}

/// Where a point lies among modes: for each, how far, and how probable that it comes from there.
pub(super) struct Place {
    /// The squared Mahalanobis distances `[K]`.
    pub(super) squared_distances: Vec<f64>,
    /// The posterior probabilities `[K]`, w_k N(x; μ_k, Σ_k) / p(x).
    pub(super) posterior: Vec<f64>,
}

impl Place {
    pub(super) fn new(modes: &[Mode], x: ArrayView1<f64>) -> Self {
        let squared_distances: Vec<f64> = modes.iter().map(|mode| mode.squared_distance(x)).collect();
        let joint: Vec<f64> = modes.iter().zip(&squared_distances).map(|(mode, &d)| mode.log_joint(d)).collect();
        // Relative to the largest, so that far from all modes nothing vanishes.
        let largest = joint.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let relative: Vec<f64> = joint.iter().map(|joint| (joint - largest).exp()).collect();
        let sum: f64 = relative.iter().sum();
        Place { squared_distances, posterior: relative.iter().map(|share| share / sum).collect() }
    }

    /// The most probable mode.
    pub(super) fn mode(&self) -> usize {
        let best = (0..self.posterior.len()).max_by(|&a, &b| self.posterior[a].total_cmp(&self.posterior[b]));
        best.expect("there are modes")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::f64::consts::{FRAC_PI_4, TAU};

    use approx::assert_relative_eq;
    use ndarray::{arr1, arr2};
    use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

    use super::super::tests::gaussian;
    use super::*;

    /// Moments in the plane.
    pub(in super::super) fn moments(mean: [f64; 2], covariance: [[f64; 2]; 2]) -> Moments {
        Moments { mean: arr1(&mean), covariance: arr2(&covariance) }
    }

    /// A round mode in the plane.
    pub(in super::super) fn round(weight: f64, mean: [f64; 2], deviation: f64) -> Mode {
        Mode { weight, mean: arr1(&mean), axes: Array2::eye(2), deviations: arr1(&[deviation; 2]) }
    }

    /// `n` points of a mixture of round modes in the plane.
    pub(in super::super) fn mixture(seed: u64, n: usize, modes: &[Mode]) -> Array2<f64> {
        let mut points = gaussian(seed, n, &[0.0; 2], 1.0);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(!seed);
        for mut point in points.rows_mut() {
            let mut u = rng.random::<f64>();
            let mode = modes.iter().find(|mode| {
                u -= mode.weight;
                u < 0.0
            });
            let mode = mode.unwrap_or(&modes[0]);
            point *= &mode.deviations;
            point += &mode.mean;
        }
        points
    }

    #[test]
    fn a_mode_knows_its_density() {
        // Σ = R diag(4, 1/4) Rᵀ with R a turn by 45°.
        let (s, c) = FRAC_PI_4.sin_cos();
        let axes = arr2(&[[c, s], [-s, c]]);
        let mode = Mode { weight: 1.0, mean: arr1(&[1.0, 2.0]), axes, deviations: arr1(&[2.0, 0.5]) };
        let truth = Truth::mixture(vec![mode.clone()]);
        let Moments { mean, covariance } = truth.moments.unwrap();
        assert!(truth.modes.is_none(), "one component is no choice");
        assert!((covariance - arr2(&[[2.125, 1.875], [1.875, 2.125]])).iter().all(|gap| gap.abs() < 1e-14));
        assert_eq!(mean, arr1(&[1.0, 2.0]));
        // Along the first axis by one deviation.
        let d = mode.squared_distance(arr1(&[1.0 + 2.0 * c, 2.0 + 2.0 * s]).view());
        assert_relative_eq!(d, 1.0, max_relative = 1e-12);
        assert_relative_eq!(mode.log_joint(d), -0.5, max_relative = 1e-12);
    }

    #[test]
    fn moments_of_a_mixture_are_those_of_its_points() {
        let modes = vec![round(0.2, [1.0, 0.0], 0.5), round(0.5, [-1.0, 1.0], 0.2), round(0.3, [0.0, -2.0], 1.0)];
        let points = Moments::of_points(mixture(1, 200_000, &modes).view());
        let exact = Truth::mixture(modes).moments.unwrap();
        // Five standard errors of entries of order one.
        assert!((points.mean - exact.mean).iter().all(|gap| gap.abs() < 0.02));
        assert!((points.covariance - exact.covariance).iter().all(|gap| gap.abs() < 0.03));
    }

    #[test]
    fn flat_components_are_no_modes() {
        let truth = Truth::mixture(vec![round(0.5, [0.0; 2], 0.0), round(0.5, [1.0; 2], 1.0)]);
        assert!(truth.modes.is_none() && truth.moments.is_some());
    }

    #[test]
    fn the_posterior_is_that_of_bayes() {
        let modes = [round(0.25, [0.0, 0.0], 1.0), round(0.75, [1.0, 0.0], 0.5)];
        let x = arr1(&[0.4, 0.3]);
        let density = |mode: &Mode| {
            let s = mode.deviations[0];
            let gap = &x - &mode.mean;
            mode.weight * (-gap.dot(&gap) / (2.0 * s * s)).exp() / (TAU * s * s)
        };
        let place = Place::new(&modes, x.view());
        let sum: f64 = modes.iter().map(density).sum();
        assert_relative_eq!(place.posterior[0], density(&modes[0]) / sum, max_relative = 1e-12);
        assert_eq!(place.mode(), 1);
        // Far away both densities underflow.
        let far = Place::new(&modes, arr1(&[1e3, 0.0]).view());
        assert_relative_eq!(far.posterior.iter().sum::<f64>(), 1.0, max_relative = 1e-12);
    }
}
