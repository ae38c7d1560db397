//! The density of a point on a circle or a sphere with Gaussian noise.
//!
//! Let u be uniform on the unit sphere of an m-dimensional subspace of ℝ^D, and x = R u + s z with z ~ N(0, I). With ρ the
//! norm of the projection of x on the subspace and h its distance from the subspace,
//!
//! p(x) = (2π s²)^(−D/2) exp(−(h² + ρ² + R²)/(2 s²)) A(ρ R/s²), A(z) = E exp(z u₁),
//!
//! where A is the Bessel function I₀ for the circle (m = 2; ρ then has the law of Rice 1945) and sinh(z)/z for the
//! sphere (m = 3).

use std::f64::consts::TAU;

use tch::Tensor;

/// A circle or a sphere.
pub(super) struct Sphere {
    /// ln A(z) − z, which stays finite for large z.
    scaled: fn(&Tensor) -> Tensor,
}

/// m = 2.
pub(super) const CIRCLE: Sphere = Sphere { scaled: |z| z.special_i0e().log() };

/// m = 3.
pub(super) const SPHERE: Sphere = Sphere {
    scaled: |z| {
        // (1 − e^{−2z})/(2z), which is 1 at z = 0.
        let twice = (z * 2.0).clamp_min(f64::MIN_POSITIVE);
        (-(-&twice).expm1() / twice).log()
    },
};

impl Sphere {
    /// ln p `[N]` in nats, for the radius R, the noise s, ρ `[N]`, h² `[N]` and D; none without noise, for then there is
    /// no density.
    pub(super) fn log_density(
        &self,
        radius: f64,
        noise: f64,
        projected: &Tensor,
        beyond_sq: &Tensor,
        dim: usize,
    ) -> Option<Tensor> {
        let variance = noise * noise;
        // With the exponential growth of A taken out, −(ρ² + R²)/(2s²) becomes −(ρ − R)²/(2s²).
        let bell = (beyond_sq + (projected - radius).square()) * (-0.5 / variance);
        let peak = -0.5 * dim as f64 * (TAU * variance).ln();
        (variance > 0.0).then(|| bell + (self.scaled)(&(projected * (radius / variance))) + peak)
    }
}
