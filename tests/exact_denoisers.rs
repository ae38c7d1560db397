//! The closed-form denoisers against independent formulas, in every process, dimension, shape and precision.

mod common;

use std::f64::consts::TAU;
use std::sync::Arc;

use common::{DOUBLE, FLOAT, Process, distance, processes, rows};
use ornstein::rng::{Purpose, Stream};
use ornstein::score::exact::{Exact, Law};
use ornstein::score::{Denoiser, Eval, Model};
use ornstein::sde::{Edm, Kernel, Sde};
use ornstein::tensor::{normals, to_rows};
use tch::{Kind, Tensor};

/// A mixture as plain numbers, with its own naive arithmetic.
struct Mixture {
    weights: Vec<f64>,
    means: Vec<Vec<f64>>,
    covariances: Vec<Vec<Vec<f64>>>,
}

impl Mixture {
    /// K components in D dimensions from a fixed seed: unequal weights, means a few units apart, full covariances.
    fn random(seed: u64, k: usize, d: usize) -> Self {
        let draw = |draw: u32, count: usize| {
            let mut z = vec![0.0; count];
            Stream::new(seed, Purpose::Data).normals(0, draw, count, &mut z);
            z
        };
        let weights: Vec<f64> = draw(0, k).into_iter().map(|z| (0.5 * z).exp()).collect();
        let total: f64 = weights.iter().sum();
        let means = draw(1, k * d).chunks(d).map(|m| m.iter().map(|z| 1.5 * z).collect()).collect();
        let covariances = (0..k as u32).map(|i| covariance(&draw(2 + i, d * d), d)).collect();
        Mixture { weights: weights.into_iter().map(|w| w / total).collect(), means, covariances }
    }

    fn law(&self) -> Law {
        Law::mixture(&self.weights, &self.means, &self.covariances).expect("covariances A Aᵀ + c I")
    }

    /// ln p_t(x) and D(x, t) from determinants and inverses, one component after the other.
    fn naive(&self, x: &[f64], kernel: Kernel) -> (f64, Vec<f64>) {
        let Kernel { alpha, sigma } = kernel;
        let d = x.len();
        let mut terms = Vec::new();
        for ((w, mean), cov) in self.weights.iter().zip(&self.means).zip(&self.covariances) {
            let c: Vec<Vec<f64>> = (0..d)
                .map(|i| (0..d).map(|j| alpha * alpha * cov[i][j] + identity(i, j) * sigma * sigma).collect())
                .collect();
            let residual: Vec<f64> = x.iter().zip(mean).map(|(x, m)| x - alpha * m).collect();
            let (whitened, log_det) = solve(c, &residual);
            let log_density = -0.5 * (dot(&residual, &whitened) + log_det + d as f64 * TAU.ln());
            let x0: Vec<f64> = (0..d).map(|i| mean[i] + alpha * dot(&cov[i], &whitened)).collect();
            terms.push((w.ln() + log_density, x0));
        }
        let top = terms.iter().fold(f64::NEG_INFINITY, |m, (l, _)| m.max(*l));
        let total: f64 = terms.iter().map(|(l, _)| (l - top).exp()).sum();
        let x0 = (0..d).map(|i| terms.iter().map(|(l, x0)| (l - top).exp() / total * x0[i]).sum()).collect();
        (top + total.ln(), x0)
    }
}

/// A Aᵀ/D + 0.05 I from D² numbers.
fn covariance(a: &[f64], d: usize) -> Vec<Vec<f64>> {
    let row = |i: usize| &a[i * d..(i + 1) * d];
    (0..d).map(|i| (0..d).map(|j| dot(row(i), row(j)) / d as f64 + 0.05 * identity(i, j)).collect()).collect()
}

fn identity(i: usize, j: usize) -> f64 {
    f64::from(u8::from(i == j))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// C⁻¹ b and ln det C by Gaussian elimination (C is positive definite, so no pivoting).
fn solve(mut c: Vec<Vec<f64>>, b: &[f64]) -> (Vec<f64>, f64) {
    let (d, mut b) = (b.len(), b.to_vec());
    for i in 0..d {
        let pivot = c[i].clone();
        for j in i + 1..d {
            let factor = c[j][i] / pivot[i];
            c[j].iter_mut().zip(&pivot).for_each(|(c, p)| *c -= factor * p);
            b[j] -= factor * b[i];
        }
    }
    let log_det = (0..d).map(|i| c[i][i].ln()).sum();
    for i in (0..d).rev() {
        b[i] = (b[i] - dot(&c[i][i + 1..], &b[i + 1..])) / c[i][i];
    }
    (b, log_det)
}

/// Times over the span, ends included.
fn times(sde: &dyn Sde) -> Vec<f64> {
    let span = sde.span();
    [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0].map(|u| span.t_min + u * (span.t_max - span.t_min)).to_vec()
}

/// Draws from p_t, and points further out, so that tails are covered too.
fn states(law: &Law, kernel: Kernel, count: usize) -> Tensor {
    let x0 = law.draw(Stream::new(1, Purpose::Data), 0, count);
    let noise = normals(Stream::new(1, Purpose::Perturbation), 0, 0, &x0);
    let x = x0 * kernel.alpha + &noise * kernel.sigma;
    Tensor::cat(&[&x, &(&x * 3.0)], 0)
}

/// Denoiser and density of mixtures in 1, 2 and 16 dimensions, one to five components, match the naive formulas: in
/// particular D = μ + α Σ (α² Σ + σ² I)⁻¹ (x − α μ) for one component, and log-density for all.
#[test]
fn mixtures_match_naive_arithmetic() {
    for Process { name, sde } in processes() {
        for (seed, k, d) in [(1, 1, 1), (2, 3, 1), (3, 1, 2), (4, 3, 2), (5, 1, 16), (6, 5, 16)] {
            let mixture = Mixture::random(seed, k, d);
            let law = mixture.law();
            let exact = Exact::new(&law, sde.clone(), DOUBLE);
            for t in times(&*sde) {
                let x = states(&law, sde.kernel(t), 10);
                let (x0, log_density) = (to_rows(&exact.denoise(&x, t)), exact.log_density(&x, t));
                for (i, row) in to_rows(&x).outer_iter().enumerate() {
                    let (log_p, reference) = mixture.naive(&row.to_vec(), sde.kernel(t));
                    let log_p_error = (log_density.double_value(&[i as i64]) - log_p).abs() / (1.0 + log_p.abs());
                    let error = x0.row(i).iter().zip(&reference).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
                    assert!(log_p_error < 1e-10, "{name}, {k} in {d}-D at {t}: ln p off by {log_p_error:e}");
                    assert!(error < 1e-9, "{name}, {k} in {d}-D at {t}: D off by {error:e}");
                }
            }
        }
    }
}

/// A spectrum is the Gaussian with that diagonal covariance; a mixture of one component, or of equal ones, is it too.
#[test]
fn all_forms_of_one_gaussian_agree() {
    let (mean, spectrum) = ([0.5, -1.0, 2.0], [0.3, 0.0, 4.0]);
    let diagonal: Vec<Vec<f64>> = (0..3).map(|i| (0..3).map(|j| identity(i, j) * spectrum[i]).collect()).collect();
    let laws = [
        Law::spectrum(&mean, &spectrum),
        Law::gaussian(&mean, &diagonal).unwrap(),
        Law::mixture(&[1.0], &[mean.to_vec()], std::slice::from_ref(&diagonal)).unwrap(),
        Law::mixture(&[0.3, 0.7], &[mean.to_vec(), mean.to_vec()], &[diagonal.clone(), diagonal]).unwrap(),
    ];
    for Process { name, sde } in processes() {
        for t in times(&*sde) {
            let x = states(&laws[0], sde.kernel(t), 20);
            let [first, others @ ..] = laws.each_ref().map(|law| {
                let exact = Exact::new(law, sde.clone(), DOUBLE);
                (exact.denoise(&x, t), exact.log_density(&x, t))
            });
            for (i, other) in others.iter().enumerate() {
                let error = distance(&other.0, &first.0).max(distance(&other.1, &first.1));
                assert!(error < 1e-12, "{name} at {t}, form {}: {error:e}", i + 1);
            }
        }
    }
}

/// Tweedie: the score that follows from D is the gradient of the log-density (central differences of order 4).
#[test]
fn the_score_is_the_gradient_of_the_log_density() {
    for Process { name, sde } in processes() {
        for (seed, k, d) in [(2, 3, 1), (4, 3, 2), (6, 5, 16)] {
            let law = Mixture::random(seed, k, d).law();
            let exact = Exact::new(&law, sde.clone(), DOUBLE);
            for t in times(&*sde) {
                let x = states(&law, sde.kernel(t), 10);
                let score = Eval::new(&exact, x.shallow_clone(), t).score();
                // The finest spread of p_t: covariances have eigenvalues of at least 0.05.
                let Kernel { alpha, sigma } = sde.kernel(t);
                let scale = (0.05 * alpha * alpha + sigma * sigma).sqrt();
                let h = 1e-3 * scale;
                for j in 0..d as i64 {
                    let shifted = |steps: f64| {
                        let moved = x.copy();
                        let _ = moved.narrow(1, j, 1).g_add_scalar_(steps * h);
                        exact.log_density(&moved, t)
                    };
                    let gradient = (shifted(1.0) - shifted(-1.0)) * (2.0 / 3.0 / h)
                        - (shifted(2.0) - shifted(-2.0)) * (1.0 / 12.0 / h);
                    // Relative to the score of one standard deviation; αD − x cancels to ε |x|/σ² where there is little noise.
                    let error = distance(&(score.select(1, j) * scale), &(gradient * scale));
                    assert!(
                        error < 1e-8 + 100.0 * f64::EPSILON * scale / (sigma * sigma),
                        "{name}, {d}-D at {t}: {error:e}"
                    );
                }
            }
        }
    }
}

/// In one dimension p_t integrates to one (trapezoidal rule: exponentially accurate for smooth tails).
#[test]
fn densities_integrate_to_one() {
    let law = Law::mixture(&[0.2, 0.8], &[vec![-1.0], vec![0.5]], &[vec![vec![0.04]], vec![vec![0.3]]]).unwrap();
    for Process { name, sde } in processes() {
        let exact = Exact::new(&law, sde.clone(), DOUBLE);
        for t in times(&*sde) {
            let Kernel { alpha, sigma } = sde.kernel(t);
            let reach = 12.0 * (alpha * alpha + sigma * sigma).sqrt();
            let n = 20_000;
            let x = Tensor::linspace(-reach, reach, n + 1, DOUBLE).unsqueeze(1);
            let integral = exact.log_density(&x, t).exp().sum(Kind::Double) * (2.0 * reach / n as f64);
            assert!((integral.double_value(&[]) - 1.0).abs() < 1e-10, "{name} at {t}: {integral}");
        }
    }
}

/// States of any rank: an image `[B, C, H, W]` is denoised as the row of its pixels.
#[test]
fn images_are_rows_of_pixels() {
    let law = Mixture::random(8, 3, 12).law();
    for Process { name, sde } in processes() {
        let (exact, t) = (Exact::new(&law, sde.clone(), DOUBLE), 0.4);
        let x = states(&law, sde.kernel(t), 4);
        let image = x.reshape([-1, 3, 2, 2]);
        let denoised = exact.denoise(&image, t);
        assert_eq!(denoised.size(), image.size(), "{name}");
        assert_eq!(denoised.reshape([-1, 12]), exact.denoise(&x, t), "{name}");
        assert_eq!(exact.log_density(&image, t), exact.log_density(&x, t), "{name}");
    }
}

/// float32 gives the float64 values to its own precision, in its own kind; a second handle gives the same numbers.
#[test]
fn float32_agrees_with_float64() {
    for Process { name, sde } in processes() {
        for (seed, k, d) in [(3, 1, 2), (4, 3, 2), (6, 5, 16)] {
            let law = Mixture::random(seed, k, d).law();
            let [single, double] = [FLOAT, DOUBLE].map(|options| Exact::new(&law, sde.clone(), options));
            for t in times(&*sde) {
                let x = states(&law, sde.kernel(t), 50).to_kind(Kind::Float);
                let low = single.denoise(&x, t);
                assert_eq!(low.kind(), Kind::Float);
                let error = distance(&low, &double.denoise(&x.to_kind(Kind::Double), t));
                assert!(error < 3e-5, "{name}, {k} in {d}-D at {t}: {error:e}");
                assert_eq!(single.part(0, 1).denoise(&x, t), low);
            }
        }
    }
}

/// A coordinate without spread stays at its mean; without noise D(x) = x/α where there is spread, and μ where there is not.
#[test]
fn degenerate_laws_have_their_limits() {
    let law = Law::spectrum(&[1.0, -2.0], &[0.5, 0.0]);
    let x = rows(&[[0.3, 0.1], [4.0, -3.0]]);
    for Process { name, sde } in processes() {
        let exact = Exact::new(&law, sde.clone(), DOUBLE);
        for t in times(&*sde) {
            let second = exact.denoise(&x, t).select(1, 1);
            assert_eq!(second, Tensor::from_slice(&[-2.0, -2.0]), "{name} at {t}");
        }
        let clean = exact.denoise(&x, sde.time_of_data());
        assert!(distance(&clean, &rows(&[[0.3, -2.0], [4.0, -2.0]])) < 1e-15, "{name}: {clean}");
    }
    // A rotated point mass, through the full-covariance code: Σ = v vᵀ has one zero eigenvalue.
    let law = Law::gaussian(&[0.0, 0.0], &[vec![1.0, 2.0], vec![2.0, 4.0]]).unwrap();
    let exact = Exact::new(&law, Arc::new(Edm::default()), DOUBLE);
    let projected = exact.denoise(&rows(&[[1.0, 2.0], [2.0, -1.0]]), 1e-6);
    assert!(distance(&projected, &rows(&[[1.0, 2.0], [0.0, 0.0]])) < 1e-10, "{projected}");
    // Two point masses: far from both boundaries the nearer one wins.
    let zero = vec![vec![0.0]];
    let law = Law::mixture(&[0.5, 0.5], &[vec![-1.0], vec![1.0]], &[zero.clone(), zero]).unwrap();
    let exact = Exact::new(&law, Arc::new(Edm::default()), DOUBLE);
    assert_eq!(exact.denoise(&rows(&[[-0.4], [0.6]]), 0.002), rows(&[[-1.0], [1.0]]));
    // And between them D = tanh(x/σ²).
    let between = exact.denoise(&rows(&[[0.3]]), 0.7).double_value(&[0, 0]);
    assert!((between - (0.3f64 / 0.49).tanh()).abs() < 1e-14);
}

/// Mean and covariance of 200,000 draws of a mixture, and the share of each component, within 4.5 standard errors.
#[test]
fn draws_follow_the_law() {
    let mixture = Mixture::random(4, 3, 2);
    let (n, d) = (200_000, 2);
    let x = to_rows(&mixture.law().draw(Stream::new(11, Purpose::Reference), 0, n));
    let moment = |f: &dyn Fn(&[f64]) -> f64| {
        let values: Vec<f64> = x.outer_iter().map(|row| f(row.as_slice().expect("rows are contiguous"))).collect();
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        (mean, (variance / n as f64).sqrt())
    };
    let expect = |f: &dyn Fn(usize) -> f64| mixture.weights.iter().enumerate().map(|(k, w)| w * f(k)).sum::<f64>();
    for i in 0..d {
        let (mean, error) = moment(&|x| x[i]);
        let exact = expect(&|k| mixture.means[k][i]);
        assert!((mean - exact).abs() < 4.5 * error, "mean {i}: {mean} ± {error} against {exact}");
        for j in 0..=i {
            let (second, error) = moment(&|x| x[i] * x[j]);
            let exact = expect(&|k| mixture.covariances[k][i][j] + mixture.means[k][i] * mixture.means[k][j]);
            assert!((second - exact).abs() < 4.5 * error, "moment {i}{j}: {second} ± {error} against {exact}");
        }
    }
    // Third moments tell components apart, where the first two would forgive a wrong assignment of covariances.
    let (third, error) = moment(&|x| x[0].powi(3));
    let exact = expect(&|k| mixture.means[k][0].powi(3) + 3.0 * mixture.means[k][0] * mixture.covariances[k][0][0]);
    assert!((third - exact).abs() < 4.5 * error, "third moment: {third} ± {error} against {exact}");
}

/// A draw is a function of the stream and its index: any split gives the same numbers.
#[test]
fn draws_do_not_depend_on_the_split() {
    let law = Law::mixture(&[0.4, 0.6], &[vec![0.0; 2], vec![3.0; 2]], &vec![vec![vec![1.0, 0.2], vec![0.2, 0.5]]; 2]);
    let (law, stream) = (law.unwrap(), Stream::new(3, Purpose::Data));
    let whole = law.draw(stream, 0, 1000);
    let parts = [law.draw(stream, 0, 137), law.draw(stream, 137, 863)];
    assert!(distance(&Tensor::cat(&parts, 0), &whole) < 1e-15);
    let diagonal = Law::spectrum(&[0.0, 1.0], &[1.0, 4.0]);
    assert_eq!(diagonal.draw(stream, 400, 100), diagonal.draw(stream, 0, 1000).narrow(0, 400, 100));
}

/// A matrix that is no covariance is refused by name; one that is only just one, up to round-off, is not.
#[test]
fn a_negative_eigenvalue_is_refused() {
    let bad = vec![vec![1.0, 2.0], vec![2.0, 1.0]];
    let fault = Law::gaussian(&[0.0, 0.0], &bad).unwrap_err();
    assert_eq!(fault.key, "covariance");
    assert_eq!(fault.problem, "the matrix has the negative eigenvalue -1.000e0");
    let good = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
    let fault = Law::mixture(&[0.5, 0.5], &[vec![0.0; 2], vec![0.0; 2]], &[good, bad]).unwrap_err();
    assert_eq!(fault.key, "covariances[1]");
    let thirds = vec![vec![1.0 / 3.0, 1.0, 2.0], vec![1.0, 3.0, 6.0], vec![2.0, 6.0, 12.0]];
    assert!(Law::gaussian(&[0.0; 3], &thirds).is_ok(), "rank one, with eigenvalues zero up to round-off");
}

/// ε̂, score and velocity are algebra on one evaluation: the velocity is f x − ½ g² score.
#[test]
fn noise_score_and_velocity_are_consistent() {
    let law = Mixture::random(4, 3, 2).law();
    for Process { name, sde } in processes() {
        let exact = Exact::new(&law, sde.clone(), DOUBLE);
        for t in times(&*sde) {
            let Kernel { alpha, sigma } = sde.kernel(t);
            let eval = Eval::new(&exact, states(&law, sde.kernel(t), 10), t);
            // Where there is little noise, x and α D nearly cancel.
            let round_off = 100.0 * f64::EPSILON;
            assert!(distance(&(&eval.x0 * alpha + eval.noise() * sigma), &eval.x) < 1e-12, "{name} at {t}");
            let error = distance(&(eval.score() * (-sigma)), &eval.noise());
            assert!(error < round_off * (1.0 + 1.0 / sigma), "{name} at {t}: {error:e}");
            let velocity = &eval.x * sde.drift(t) - eval.score() * (0.5 * sde.diffusion_sq(t));
            let error = distance(&eval.velocity(&*sde), &velocity);
            let gain = sde.lambda_rate(t).abs();
            assert!(error < round_off * (1.0 + gain), "{name} at {t}: {error:e}");
        }
    }
}
