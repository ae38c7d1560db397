//! The exact output law of every linear sampler on Gaussian data, against recursions coded here from the papers.
//!
//! No Monte Carlo: the production integrator is pushed over unit vectors (`order::AffineMap`), so that means and
//! covariances must agree to round-off. The references are scalar recursions in their papers' own variables.

mod common;

use std::sync::Arc;

use common::{
    DETERMINISTIC, DOUBLE, Gaussian, Process, STOCHASTIC, distance, integrate, log_snr, output_law, processes, rows,
};
use ndarray::{Array1, Array2, array};
use ornstein::score::Denoiser;
use ornstein::score::exact::{Exact, Law};
use ornstein::sde::{Edm, Sde, Ve, Vp};
use ornstein::solve::{
    Ancestral, AnnealedLangevin, Bosh3, Ddim, Dopri5, Dpmpp2m, EdmHeun, Euler, EulerMaruyama, Fresh, Grid, Heun,
    Karras, Method, Recipe, ReverseDiffusion, Rk4, UniformGrid, Variance,
};
use tch::Tensor;

/// Mean and variance of the data in one dimension.
const MU: f64 = 0.7;
const LAMBDA: f64 = 0.25;

fn data() -> Gaussian {
    Gaussian::scalar(MU, LAMBDA)
}

/// The law after `times` against a scalar recursion (mean, variance) ↦ (mean, variance) over the pairs of times.
fn assert_recursion(
    label: &str,
    sde: &Arc<dyn Sde>,
    method: &Method,
    times: &[f64],
    step: impl Fn((f64, f64), &[f64]) -> (f64, f64),
) {
    let start = data().at(&**sde, times[0]);
    let (mean, variance) = times.windows(2).fold((start.mean[0], start.cov[[0, 0]]), step);
    let error = output_law(&data(), sde, method, times).distance(&Gaussian::scalar(mean, variance));
    assert!(error < 1e-10, "{label}: {error:e}");
}

/// The grid σ = c tan φ with φ uniform, between σ_max and σ_min.
fn tangent_grid(c: f64, steps: usize) -> Vec<f64> {
    let (high, low) = ((80.0f64 / c).atan(), (0.002f64 / c).atan());
    (0..=steps).map(|i| c * (high + (low - high) * i as f64 / steps as f64).tan()).collect()
}

/// DDIM in EDM coordinates shrinks by ∏ (λ + st)/(λ + s²); on the tangent grid with c² = λ the standard deviation falls
/// short of the exact one by cosⁿ of the angle of a step.
#[test]
fn ddim_on_the_tangent_grid_loses_the_cosine_of_each_step() {
    let sde: Arc<dyn Sde> = Arc::new(Edm::default());
    let c = LAMBDA.sqrt();
    for (steps, published) in [(5, 0.780680), (10, 0.884916), (20, 0.940875)] {
        let times = tangent_grid(c, steps);
        let law = output_law(&data(), &sde, &Ddim::default().into(), &times);
        let factor: f64 = times.windows(2).map(|w| (LAMBDA + w[0] * w[1]) / (LAMBDA + w[0] * w[0])).product();
        let expected = Gaussian::scalar(MU, factor * factor * (LAMBDA + 80.0 * 80.0));
        assert!(law.distance(&expected) < 1e-10, "{steps} steps: {:e}", law.distance(&expected));
        let ratio = (law.cov[[0, 0]] / (LAMBDA + 0.002f64.powi(2))).sqrt();
        let angle = ((80.0 / c).atan() - (0.002 / c).atan()) / steps as f64;
        assert!((ratio / angle.cos().powi(steps as i32) - 1.0).abs() < 1e-10, "{steps} steps: {ratio}");
        assert!((ratio - published).abs() < 5e-7, "{steps} steps: {ratio} against the published {published}");
    }
}

/// Stochastic DDIM (η = 1) in EDM coordinates: the mean is exact, a step from the exact law loses the variance
/// λ (s² − t²)²/(s² (λ + s²)), and errors shrink by ((λ + t²)/(λ + s²))².
#[test]
fn stochastic_ddim_has_its_variance_deficit() {
    let sde: Arc<dyn Sde> = Arc::new(Edm::default());
    for times in [vec![2.0, 0.5], Karras::default().times(&*sde, 30)] {
        assert_recursion("ddim η = 1", &sde, &Ddim { eta: 1.0 }.into(), &times, |(_, v), w| {
            let (s2, t2) = (w[0] * w[0], w[1] * w[1]);
            let deficit = LAMBDA * (s2 - t2).powi(2) / (s2 * (LAMBDA + s2));
            (MU, ((LAMBDA + t2) / (LAMBDA + s2)).powi(2) * (v - LAMBDA - s2) + LAMBDA + t2 - deficit)
        });
    }
}

/// Partial η in the variables of the DDIM paper (ᾱ, σ_τ of its eq. 12 and 16) on VP.
#[test]
fn ddim_with_partial_noise_follows_equation_twelve() {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let times = log_snr(&*sde, 25);
    for eta in [0.3, 1.0] {
        assert_recursion("ddim on vp", &sde, &Ddim { eta }.into(), &times, |(m, v), w| {
            let [a, a_prev] = [w[0], w[1]].map(|t| sde.kernel(t).alpha.powi(2));
            let spread = eta * ((1.0 - a_prev) / (1.0 - a) * (1.0 - a / a_prev)).sqrt();
            // x₀ = (x − √(1−ᾱ) ε)/√ᾱ with ε = √(1−ᾱ) (x − √ᾱ μ)/(ᾱλ + 1 − ᾱ), as functions of x: slope and value at m.
            let slope_noise = (1.0 - a).sqrt() / (a * LAMBDA + 1.0 - a);
            let noise = slope_noise * (m - a.sqrt() * MU);
            let slope_x0 = (1.0 - (1.0 - a).sqrt() * slope_noise) / a.sqrt();
            let x0 = (m - (1.0 - a).sqrt() * noise) / a.sqrt();
            let direction = (1.0 - a_prev - spread * spread).sqrt();
            let gain = a_prev.sqrt() * slope_x0 + direction * slope_noise;
            (a_prev.sqrt() * x0 + direction * noise, gain * gain * v + spread * spread)
        });
    }
}

/// Euler–Maruyama on VP: v ← (1 + ½ h β (1 − 2/v_t))² v + h β with v_t = α² λ + σ².
#[test]
fn euler_maruyama_on_vp_follows_its_recursion() {
    let vp = Vp::default();
    let sde: Arc<dyn Sde> = Arc::new(vp);
    for times in [UniformGrid {}.times(&*sde, 200), log_snr(&*sde, 80)] {
        assert_recursion("euler_maruyama", &sde, &EulerMaruyama::default().into(), &times, |(m, v), w| {
            let (h, t) = (w[0] - w[1], w[0]);
            let beta = vp.beta_min + t * (vp.beta_max - vp.beta_min);
            let alpha = (-0.25 * t * t * (vp.beta_max - vp.beta_min) - 0.5 * t * vp.beta_min).exp();
            let exact = alpha * alpha * LAMBDA + 1.0 - alpha * alpha;
            let gain = 1.0 + 0.5 * h * beta * (1.0 - 2.0 / exact);
            (m + h * beta * (0.5 * m - (m - alpha * MU) / exact), gain * gain * v + h * beta)
        });
    }
}

/// EDM's Heun step multiplies z − μ by 1 + ½ (t − s) [s/(λ + s²) + t/(λ + t²) · (λ + st)/(λ + s²)].
#[test]
fn edm_heun_has_its_factor() {
    let sde: Arc<dyn Sde> = Arc::new(Edm::default());
    for times in [Karras::default().times(&*sde, 18), log_snr(&*sde, 60)] {
        assert_recursion("edm_heun", &sde, &EdmHeun::default().into(), &times, |(m, v), w| {
            let gain = heun_gain(w[0], w[1]);
            (MU + gain * (m - MU), gain * gain * v)
        });
    }
}

fn heun_gain(s: f64, t: f64) -> f64 {
    let slope = |k: f64| k / (LAMBDA + k * k);
    1.0 + 0.5 * (t - s) * (slope(s) + slope(t) * (LAMBDA + s * t) / (LAMBDA + s * s))
}

/// DPM-Solver++(2M) in EDM coordinates: z_t = (t/s) z + (1 − t/s) [D + (D − D₋₁)/(2r)], r = ln(s₋₁/s)/ln(s/t).
#[test]
fn dpmpp_2m_follows_its_recursion() {
    let sde: Arc<dyn Sde> = Arc::new(Edm::default());
    for times in [Karras::default().times(&*sde, 18), log_snr(&*sde, 60)] {
        // A trajectory from z = a + b ξ stays affine in ξ: carry (a, b).
        let denoise = |(a, b): (f64, f64), s: f64| {
            let gain = LAMBDA / (LAMBDA + s * s);
            (MU + gain * (a - MU), gain * b)
        };
        let (mut z, mut past) = ((MU, (LAMBDA + times[0] * times[0]).sqrt()), None::<((f64, f64), f64)>);
        for w in times.windows(2) {
            let (s, t) = (w[0], w[1]);
            let d = denoise(z, s);
            let extrapolated = past.map_or(d, |(before, s_before)| {
                let r = (s_before / s).ln() / (s / t).ln();
                (d.0 + (d.0 - before.0) / (2.0 * r), d.1 + (d.1 - before.1) / (2.0 * r))
            });
            let (keep, gain) = (t / s, 1.0 - t / s);
            z = (keep * z.0 + gain * extrapolated.0, keep * z.1 + gain * extrapolated.1);
            past = Some((d, s));
        }
        let law = output_law(&data(), &sde, &Dpmpp2m::default().into(), &times);
        let error = law.distance(&Gaussian::scalar(z.0, z.1 * z.1));
        assert!(error < 1e-10, "{error:e}");
    }
}

/// Data at one point under VE makes the flow x′ = ln(σ_max/σ_min) x, linear with constant coefficient: each step
/// multiplies by the method's stability polynomial, as the textbooks print it.
#[test]
fn runge_kutta_methods_have_their_stability_polynomials() {
    let ve = Ve::default();
    let sde: Arc<dyn Sde> = Arc::new(ve);
    let times = UniformGrid {}.times(&*sde, 12);
    let exact = Exact::new(&Law::spectrum(&[0.0], &[0.0]), sde.clone(), DOUBLE);
    let polynomials: [(Method, &[f64]); 5] = [
        (Euler {}.into(), &[1.0, 1.0]),
        (Heun {}.into(), &[1.0, 1.0, 1.0 / 2.0]),
        (Bosh3::default().into(), &[1.0, 1.0, 1.0 / 2.0, 1.0 / 6.0]),
        (Rk4 {}.into(), &[1.0, 1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0]),
        // Hairer, Nørsett & Wanner II.5: DOPRI5 has z⁶/600.
        (Dopri5::default().into(), &[1.0, 1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 600.0]),
    ];
    for (method, coefficients) in polynomials {
        let factor: f64 = times
            .windows(2)
            .map(|w| {
                let z = (w[1] - w[0]) * (ve.sigma_max / ve.sigma_min).ln();
                coefficients.iter().rev().fold(0.0, |sum, c| sum * z + c)
            })
            .product();
        let out = common::integrate_ode(&exact, &method, &times, &rows(&[[1.0]])).double_value(&[0, 0]);
        assert!((out / factor - 1.0).abs() < 1e-10, "{method:?}: {out} against {factor}");
    }
}

/// Heun and RK4 in t on the flow's velocity a(t) x + b(t), stage by stage, where a and b come from v = α² λ + σ².
#[test]
fn runge_kutta_in_time_follows_the_linear_flow() {
    for Process { name, sde } in processes() {
        let times = log_snr(&*sde, 40);
        // dx/dt = α′/α x + ½ g² (x − α μ)/v.
        let velocity = |x: f64, t: f64, mu: f64| {
            let k = sde.kernel(t);
            let variance = k.alpha * k.alpha * LAMBDA + k.sigma * k.sigma;
            sde.drift(t) * x + 0.5 * sde.diffusion_sq(t) * (x - k.alpha * mu) / variance
        };
        let heun = |x: f64, w: &[f64], mu: f64| {
            let h = w[1] - w[0];
            let k1 = velocity(x, w[0], mu);
            x + 0.5 * h * (k1 + velocity(x + h * k1, w[1], mu))
        };
        let rk4 = |x: f64, w: &[f64], mu: f64| {
            let (h, mid) = (w[1] - w[0], 0.5 * (w[0] + w[1]));
            let k1 = velocity(x, w[0], mu);
            let k2 = velocity(x + 0.5 * h * k1, mid, mu);
            let k3 = velocity(x + 0.5 * h * k2, mid, mu);
            let k4 = velocity(x + h * k3, w[1], mu);
            x + h * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0
        };
        // The mean follows the flow with μ, the deviation from it the flow without; its gain is that of x = 1.
        assert_recursion(&format!("heun on {name}"), &sde, &Heun {}.into(), &times, |(m, v), w| {
            (heun(m, w, MU), v * heun(1.0, w, 0.0).powi(2))
        });
        assert_recursion(&format!("rk4 on {name}"), &sde, &Rk4 {}.into(), &times, |(m, v), w| {
            (rk4(m, w, MU), v * rk4(1.0, w, 0.0).powi(2))
        });
    }
}

/// Reverse diffusion: (2 − √(1−β)) x + β score + √β ξ on VP, x + (σ_i² − σ_{i−1}²) score + √(…) ξ on VE.
#[test]
fn reverse_diffusion_follows_the_published_chains() {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let times = log_snr(&*sde, 50);
    assert_recursion("reverse_diffusion on vp", &sde, &ReverseDiffusion {}.into(), &times, |(m, v), w| {
        let (beta, score) = vp_chain(&*sde, w);
        let gain = 2.0 - (1.0 - beta).sqrt() + beta * score.0;
        ((2.0 - (1.0 - beta).sqrt()) * m + beta * (score.0 * m + score.1), gain * gain * v + beta)
    });
    let sde: Arc<dyn Sde> = Arc::new(Ve::default());
    let times = log_snr(&*sde, 50);
    assert_recursion("reverse_diffusion on ve", &sde, &ReverseDiffusion {}.into(), &times, |(m, v), w| {
        let [high, low] = [w[0], w[1]].map(|t| sde.kernel(t).sigma.powi(2));
        let gain = 1.0 - (high - low) / (LAMBDA + high);
        (MU + gain * (m - MU), gain * gain * v + high - low)
    });
}

/// β_i of a step of the VP chain, and the score as slope and offset: score = slope x + offset.
fn vp_chain(sde: &dyn Sde, w: &[f64]) -> (f64, (f64, f64)) {
    let [a, a_prev] = [w[0], w[1]].map(|t| sde.kernel(t).alpha.powi(2));
    let variance = a * LAMBDA + 1.0 - a;
    (1.0 - a / a_prev, (-1.0 / variance, a.sqrt() * MU / variance))
}

/// Ancestral sampling with the forward variance, score_sde's form on VP: (x + β score)/√(1−β) + √β ξ.
#[test]
fn ancestral_with_forward_variance_follows_the_published_chain() {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let method: Method = Ancestral { variance: Variance::Forward, ..Default::default() }.into();
    let times = log_snr(&*sde, 50);
    assert_recursion("ancestral forward on vp", &sde, &method, &times, |(m, v), w| {
        let (beta, score) = vp_chain(&*sde, w);
        let gain = (1.0 + beta * score.0) / (1.0 - beta).sqrt();
        (gain * m + beta * score.1 / (1.0 - beta).sqrt(), gain * gain * v + beta)
    });
    // Ho et al. 2020, section 3.2: exact for data N(0, I), whatever the steps.
    let unit = Gaussian::scalar(0.0, 1.0);
    let law = output_law(&unit, &sde, &method, &[1.0, 0.6, 0.5, 1e-3]);
    assert!((law.cov[[0, 0]] - 1.0).abs() < 1e-10, "{law:?}");
}

/// DDPM's posterior (Ho et al. 2020, eq. 7) on VP, and the VE form (Song et al. 2021, Appendix F), which the same solver is.
#[test]
fn ancestral_with_posterior_variance_follows_the_published_chains() {
    let method = || Method::from(Ancestral::default());
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let times = log_snr(&*sde, 50);
    assert_recursion("ddpm on vp", &sde, &method(), &times, |(m, v), w| {
        let [a, a_prev] = [w[0], w[1]].map(|t| sde.kernel(t).alpha.powi(2));
        let beta = 1.0 - a / a_prev;
        let slope = a.sqrt() * LAMBDA / (a * LAMBDA + 1.0 - a);
        let of_x0 = a_prev.sqrt() * beta / (1.0 - a);
        let of_x = (a / a_prev).sqrt() * (1.0 - a_prev) / (1.0 - a);
        let gain = of_x0 * slope + of_x;
        let mean = of_x0 * (MU + slope * (m - a.sqrt() * MU)) + of_x * m;
        (mean, gain * gain * v + (1.0 - a_prev) / (1.0 - a) * beta)
    });
    let sde: Arc<dyn Sde> = Arc::new(Ve::default());
    let times = log_snr(&*sde, 50);
    assert_recursion("ancestral on ve", &sde, &method(), &times, |(m, v), w| {
        let [high, low] = [w[0], w[1]].map(|t| sde.kernel(t).sigma.powi(2));
        let gain = 1.0 - (high - low) / (LAMBDA + high);
        (MU + gain * (m - MU), gain * gain * v + low * (high - low) / high)
    });
}

/// DDPM's posterior is DDIM with η = 1 on every process, but for round-off.
#[test]
fn the_posterior_is_ddim_with_full_noise() {
    for Process { name, sde } in processes() {
        let exact = data().denoiser(&sde);
        let (x, times) = (rows(&[[1.0], [-2.0]]), log_snr(&*sde, 20));
        let [a, b] = [Ancestral::default().into(), Ddim { eta: 1.0 }.into()]
            .map(|method: Method| integrate(&exact, &method, &times, &mut Fresh::new(5, 0), &x));
        let gap = (a - b).abs().max().double_value(&[]);
        assert!(gap < 1e-12, "{name}: {gap:e}");
    }
}

/// Solvers that work in z = x/α and κ give the same law of z on every process with the same κ.
#[test]
fn solvers_in_the_ratio_do_not_depend_on_the_process() {
    let ratios = [20.0, 8.0, 3.0, 1.0, 0.4, 0.1, 0.03];
    let edm: Arc<dyn Sde> = Arc::new(Edm::default());
    let makers = DETERMINISTIC.iter().chain(&STOCHASTIC);
    for (solver, make) in makers.filter(|(s, _)| matches!(*s, "ddim" | "edm_heun" | "dpmpp_2m" | "ddim eta=1")) {
        let reference = output_law(&data(), &edm, &make(), &ratios);
        for Process { name, sde } in processes() {
            let times: Vec<f64> = ratios.iter().map(|&ratio| sde.time_of_ratio(ratio)).collect();
            let law = output_law(&data(), &sde, &make(), &times);
            let alpha = sde.kernel(times[6]).alpha;
            let z = Gaussian { mean: law.mean / alpha, cov: law.cov / (alpha * alpha) };
            assert!(z.distance(&reference) < 1e-10, "{solver} on {name}: {:e}", z.distance(&reference));
        }
    }
}

/// A rotated Gaussian in two dimensions: the law is the per-eigenvalue law in one dimension, rotated, for every solver
/// on every process.
#[test]
fn a_full_covariance_is_its_eigenvalues_rotated() {
    let (sin, cos) = 0.6f64.sin_cos();
    let turn: Array2<f64> = array![[cos, -sin], [sin, cos]];
    let (centre, eigenvalues): (Array1<f64>, _) = (array![0.7, -1.2], [0.04, 1.5]);
    let cov = turn.dot(&Array2::from_diag(&Array1::from(eigenvalues.to_vec()))).dot(&turn.t());
    let data = Gaussian { mean: turn.dot(&centre), cov };
    for Process { name, sde } in processes() {
        let times = log_snr(&*sde, 60);
        for (solver, make) in DETERMINISTIC.iter().chain(&STOCHASTIC) {
            let law = output_law(&data, &sde, &make(), &times);
            let parts: Vec<Gaussian> = centre
                .iter()
                .zip(eigenvalues)
                .map(|(&m, v)| output_law(&Gaussian::scalar(m, v), &sde, &make(), &times))
                .collect();
            let mean = turn.dot(&Array1::from_iter(parts.iter().map(|p| p.mean[0])));
            let diagonal = Array2::from_diag(&Array1::from_iter(parts.iter().map(|p| p.cov[[0, 0]])));
            let error = law.distance(&Gaussian { mean, cov: turn.dot(&diagonal).dot(&turn.t()) });
            assert!(error < 1e-10, "{solver} on {name}: {error:e}");
        }
    }
}

/// Churn with S_noise = 1 adds κ̂² − κ² to the variance between S_min and S_max, then Heun steps from κ̂.
#[test]
fn churn_follows_its_recursion() {
    let sde: Arc<dyn Sde> = Arc::new(Edm::default());
    let times = Karras::default().times(&*sde, 32);
    for (s_churn, s_noise) in [(10.0, 1.0), (40.0, 1.0), (40.0, 1.007)] {
        let solver = EdmHeun { alpha: 1.0, s_churn, s_min: 0.05, s_max: 50.0, s_noise };
        let method = solver.method(32);
        let gamma = (s_churn / 32.0f64).min(2f64.sqrt() - 1.0);
        assert_recursion("churn", &sde, &method, &times, |(m, v), w| {
            let churned = (0.05..=50.0).contains(&w[0]);
            let raised = if churned { w[0] * (1.0 + gamma) } else { w[0] };
            let gain = heun_gain(raised, w[1]);
            let added = s_noise * s_noise * (raised * raised - w[0] * w[0]);
            (MU + gain * (m - MU), gain * gain * (v + added))
        });
    }
}

/// Annealed Langevin before each DDIM step: v ← (1 − ϵ/v_t)² v + 2ϵ with ϵ = 2 (r σ)², n times.
#[test]
fn annealed_langevin_follows_its_recursion() {
    for Process { name, sde } in processes() {
        let (times, snr) = (log_snr(&*sde, 30), 0.16);
        let corrector = AnnealedLangevin { snr, steps: 3 };
        let method = Method { corrector: Some(Box::new(corrector)), ..Ddim::default().into() };
        assert_recursion(name, &sde, &method, &times, |(mut m, mut v), w| {
            let [k, ks] = [sde.kernel(w[0]), sde.kernel(w[1])];
            let exact = k.alpha * k.alpha * LAMBDA + k.sigma * k.sigma;
            let step = 2.0 * (snr * k.sigma).powi(2);
            for _ in 0..3 {
                m -= step * (m - k.alpha * MU) / exact;
                v = (1.0 - step / exact).powi(2) * v + 2.0 * step;
            }
            let (high, low) = (k.ratio(), ks.ratio());
            let gain = ks.alpha / k.alpha * (LAMBDA + high * low) / (LAMBDA + high * high);
            (ks.alpha * MU + gain * (m - k.alpha * MU), gain * gain * v)
        });
    }
}

/// A last step to σ = 0 gives D(x, t) itself, bit for bit, for every solver on every process.
#[test]
fn the_step_to_no_noise_is_the_denoiser() {
    for Process { name, sde } in processes() {
        let exact = data().denoiser(&sde);
        let times = log_snr(&*sde, 8);
        let to_the_end: Vec<f64> = times.iter().copied().chain([sde.time_of_data()]).collect();
        let x: Tensor = rows(&[[1.0], [-2.0], [0.3]]) * sde.span().prior_std;
        for (solver, make) in DETERMINISTIC.iter().chain(&STOCHASTIC) {
            let run = |times: &[f64]| integrate(&exact, &make(), times, &mut Fresh::new(1, 0), &x);
            let last = *times.last().unwrap();
            assert_eq!(run(&to_the_end), exact.denoise(&run(&times), last), "{solver} on {name}");
            assert!(
                distance(&run(&to_the_end), &run(&times)) > 0.0,
                "{solver} on {name}: the last step does something"
            );
        }
    }
}

/// score_sde's steps of 1/N on its grid of N points, the last without noise: the variance on N(0, ¼) is 1.289 and 1.026
/// times the exact one at N = 10 and 50, by the recursion of the paper's code run elsewhere.
#[test]
fn published_euler_maruyama_has_the_variance_of_its_code() {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let solver = EulerMaruyama { variant: ornstein::solve::Variant::Published };
    let data = Gaussian::scalar(0.0, LAMBDA);
    for (steps, published) in [(10, 1.2888), (50, 1.0263)] {
        let times = Recipe::times(&solver, &*sde, UniformGrid {}.times(&*sde, steps));
        let map = common::AffineMap::of(&data.denoiser(&sde), &solver.into(), &times, 1).expect("a linear map");
        let ratio = map.push(&Gaussian::scalar(0.0, 1.0)).cov[[0, 0]] / LAMBDA;
        assert!((ratio - published).abs() < 5e-5, "{steps}: {ratio}");
    }
}
