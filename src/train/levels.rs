//! The denoising loss of each noise level.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::time::{log_ratios, time_of_log_ratio};
use crate::error::Result;
use crate::rng::Stream;
use crate::score::{Model, parts};
use crate::statistics::mean;
use crate::tensor;
use crate::threads::Workers;

/// E‖D(x_t, t) − x₀‖²/d at one noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// t.
    pub t: f64,
    /// κ = σ/α.
    pub ratio: f64,
    /// The loss of the model.
    pub loss: Mean,
    /// The loss of the exact denoiser on the same x₀ and ε: the least that there is.
    pub optimum: Option<Mean>,
    /// What the model's loss has above the optimum, by differences of single examples.
    pub excess: Option<Mean>,
    /// E‖D − D*‖²/d, how far the model is from the exact denoiser D*. In the limit of many examples it is the excess, of which
    /// it has far less noise.
    pub distance: Option<Mean>,
    /// The slope of the regression of x₀ on D, about the mean of D over all coordinates: 1 if E[x₀ | D] = D, as for the exact
    /// denoiser; less if D varies more than it should, as of a model that fits noise, and more if it varies too little.
    pub calibration: Mean,
}

/// A mean over examples and its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
}

impl Mean {
    /// Of two or more values.
    pub fn of(values: &[f64]) -> Self {
        let (value, standard_error) = mean(values);
        Mean { value, standard_error }
    }

    /// Of so many times these values, which may be a negative number.
    pub fn times(self, factor: f64) -> Self {
        Mean { value: self.value * factor, standard_error: self.standard_error * factor.abs() }
    }
}

/// Examples of one part of the work, on one thread.
const PART: i64 = 512;

/// The losses of `model`, and of `exact` where it is given, on data x₀ `[N, …]` at `count` noise levels between t_train
/// and t_max, at equal distances in λ. `tick` is called after each level.
///
/// All levels and both models see the same x₀ and ε, so that their curves are smooth and their difference is paired.
///
/// # Errors
/// Those of `tick`.
pub fn losses_by_level(
    (model, exact): (&dyn Model, Option<&dyn Model>),
    x0: &Tensor,
    perturbations: Stream,
    count: usize,
    workers: &Workers,
    tick: &mut dyn FnMut() -> Result<()>,
) -> Result<Vec<Level>> {
    let sde = model.sde();
    let (least, greatest) = log_ratios(sde);
    let epsilon = tensor::normals(perturbations, 0, 0, x0);
    let level = |i: usize| {
        let log_ratio = least + (greatest - least) * i as f64 / (count.max(2) - 1) as f64;
        let t = time_of_log_ratio(sde, log_ratio);
        let k = sde.kernel(t);
        let x = x0 * k.alpha + &epsilon * k.sigma;
        let answer = |model: &dyn Model| denoised(model, &x, t, workers);
        let (of_model, of_exact) = (answer(model), exact.map(answer));
        let losses = squares(&(&of_model - x0));
        let of_optimum = of_exact.as_ref().map(|exact| squares(&(exact - x0)));
        let excess: Option<Vec<f64>> =
            of_optimum.as_ref().map(|optimum| losses.iter().zip(optimum).map(|(a, b)| a - b).collect());
        Level {
            t,
            ratio: k.ratio(),
            loss: Mean::of(&losses),
            optimum: of_optimum.as_deref().map(Mean::of),
            excess: excess.as_deref().map(Mean::of),
            distance: of_exact.as_ref().map(|exact| Mean::of(&squares(&(&of_model - exact)))),
            calibration: slope(x0, &of_model),
        }
    };
    (0..count)
        .map(|i| {
            let level = level(i);
            tick().map(|()| level)
        })
        .collect()
}

/// D(x, t), in parts side by side.
fn denoised(model: &dyn Model, x: &Tensor, t: f64, workers: &Workers) -> Tensor {
    let parts: Vec<_> = parts(model, x, PART).collect();
    let work = |(_, model, x): (i64, Box<dyn Model>, Tensor)| tch::no_grad(|| model.denoise(&x, t));
    let parts: Vec<Tensor> = workers.install(|| parts.into_par_iter().map(work).collect());
    Tensor::cat(&parts, 0)
}

/// ‖y‖²/d of each example.
fn squares(y: &Tensor) -> Vec<f64> {
    tensor::to_array(&y.square().flatten(1, -1).mean_dim(1, false, Kind::Double)).into_iter().collect()
}

/// Σ⟨x₀ − m, D − m⟩/Σ‖D − m‖² with the mean m of D over the examples, and its standard error by the delta method.
fn slope(x0: &Tensor, denoised: &Tensor) -> Mean {
    let mean = denoised.mean_dim(0, true, Kind::Double);
    let [x0, denoised] = [x0, denoised].map(|x| (x.to_kind(Kind::Double) - &mean).flatten(1, -1));
    let rows = |products: Tensor| -> Vec<f64> {
        tensor::to_array(&products.sum_dim_intlist(1, false, Kind::Double)).into_iter().collect()
    };
    let (together, alone) = (rows(&x0 * &denoised), rows(denoised.square()));
    let total: f64 = alone.iter().sum();
    let value = together.iter().sum::<f64>() / total;
    let squares: f64 = together.iter().zip(&alone).map(|(a, b)| (a - value * b).powi(2)).sum();
    Mean { value, standard_error: squares.sqrt() / total }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    /// Of x₀ = D/2 + noise the slope is ½.
    #[test]
    fn a_model_that_varies_too_much_has_a_small_slope() {
        let normals = |seed| {
            let like = Tensor::zeros([20_000, 2], (Kind::Float, Device::Cpu));
            tensor::normals(Stream::new(seed, crate::rng::Purpose::Levels), 0, 0, &like)
        };
        let denoised: Tensor = normals(1) + 3.0;
        let x0: Tensor = (&denoised - 3.0) * 0.5 + 3.0 + normals(2);
        let Mean { value, standard_error } = slope(&x0, &denoised);
        assert!((value - 0.5).abs() < 4.0 * standard_error, "{value} ± {standard_error}");
        // Var(noise · D)/Var(D)² of 40,000 coordinates.
        assert!((standard_error - 0.005).abs() < 0.0005, "{standard_error}");
    }
}
