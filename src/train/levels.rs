//! The denoising loss of each noise level.

use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::time::{log_ratios, time_of_log_ratio};
use crate::error::Result;
use crate::rng::Stream;
use crate::score::Model;
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
}

/// A mean over examples and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
}

impl Mean {
    /// Of two or more values.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let value = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - value).powi(2)).sum::<f64>() / (n - 1.0);
        Mean { value, standard_error: (variance / n).sqrt() }
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
        let losses = |model: &dyn Model| squared_errors(model, &x, x0, t, workers);
        let of_model = losses(model);
        let of_exact = exact.map(losses);
        let excess: Option<Vec<f64>> =
            of_exact.as_ref().map(|exact| of_model.iter().zip(exact).map(|(a, b)| a - b).collect());
        Level {
            t,
            ratio: k.ratio(),
            loss: Mean::of(&of_model),
            optimum: of_exact.as_deref().map(Mean::of),
            excess: excess.as_deref().map(Mean::of),
        }
    };
    (0..count)
        .map(|i| {
            let level = level(i);
            tick().map(|()| level)
        })
        .collect()
}

/// ‖D(x, t) − x₀‖²/d of each example.
fn squared_errors(model: &dyn Model, x: &Tensor, x0: &Tensor, t: f64, workers: &Workers) -> Vec<f64> {
    let batch = x.size()[0];
    let parts: Vec<_> = (0..batch)
        .step_by(PART as usize)
        .map(|first| {
            let count = PART.min(batch - first);
            (model.part(first, count), x.narrow(0, first, count), x0.narrow(0, first, count))
        })
        .collect();
    let work = |(model, x, x0): (Box<dyn Model>, Tensor, Tensor)| {
        let error =
            tch::no_grad(|| (model.denoise(&x, t) - x0).square().flatten(1, -1).mean_dim(1, false, Kind::Double));
        tensor::to_array(&error).into_iter().collect::<Vec<f64>>()
    };
    let errors: Vec<Vec<f64>> = workers.install(|| parts.into_par_iter().map(work).collect());
    errors.concat()
}
