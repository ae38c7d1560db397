//! Data as latents of the probability flow, and back.

use std::path::Path;

use ndarray::ArrayD;
use serde::Serialize;
use tch::{Kind, Tensor};

use super::likelihood::Observed;
use super::sample::{fits, read_npy, write_npy};
use super::tick;
use crate::error::{Error, Result};
use crate::experiment::Plan;
use crate::experiment::likelihood_spec::LikelihoodSpec;
use crate::experiment::observer::Observer;
use crate::likelihood::encode as upwards;
use crate::score::Model;
use crate::statistics::Normality;
use crate::tensor;

/// The way up and down again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoundTrip {
    /// The tolerance; none on a grid.
    pub tolerance: Option<f64>,
    /// Evaluations for each sample, up and down.
    pub nfe: f64,
    /// The root mean square of what comes back less what went up, of all coordinates in units of the model.
    pub rms: f64,
}

/// Latents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Encoded {
    /// How many samples.
    pub count: usize,
    /// Evaluations for each sample on the way up.
    pub nfe: f64,
    /// Whether latents, over the standard deviation of the prior, are standard normal.
    pub latents: Normality,
    /// What comes back, at the solver's own settings, then at each of the tolerances of `likelihood`.
    pub round_trips: Vec<RoundTrip>,
}

/// Everything that a way needs beside the states.
pub(super) struct Way<'a> {
    plan: &'a Plan,
    spec: &'a LikelihoodSpec,
    model: Box<dyn Model>,
    observer: &'a dyn Observer,
}

impl<'a> Way<'a> {
    /// With the solver of `likelihood`, and states in float64.
    pub(super) fn new(
        plan: &'a Plan,
        spec: &'a LikelihoodSpec,
        model: &dyn Model,
        count: usize,
        observer: &'a dyn Observer,
    ) -> Self {
        Way { plan, spec, model: plan.finest(model, count as i64), observer }
    }

    /// The latents of data x₀ `[N, …]`, and the evaluations for each.
    pub(super) fn up(&self, x0: &Tensor, tolerance: Option<f64>) -> Result<(Tensor, f64)> {
        let Plan { sde, compute, .. } = self.plan;
        let alpha = sde.kernel(sde.span().t_min).alpha;
        let sampler = self.spec.sampler(self.plan, x0.size()[0] as usize, tolerance);
        let run = upwards((&*self.model, sde), &(x0 * alpha), sampler, &compute.workers, &tick(self.observer))?;
        Ok((run.x, run.nfe))
    }

    /// The data of latents x_T `[N, …]`, and the evaluations for each.
    pub(super) fn down(&self, latent: &Tensor, tolerance: Option<f64>) -> Result<(Tensor, f64)> {
        let Plan { sde, compute, .. } = self.plan;
        let alpha = sde.kernel(sde.span().t_min).alpha;
        let sampler = self.spec.sampler(self.plan, latent.size()[0] as usize, tolerance);
        let run = sampler.run(&*self.model, latent, &compute.workers, &tick(self.observer))?;
        Ok((run.x / alpha, run.nfe))
    }

    /// The ticks of one way.
    fn ticks(&self, count: usize, tolerance: Option<f64>) -> u64 {
        (count * self.spec.sampler(self.plan, count, tolerance).schedule.ticks()) as u64
    }
}

/// Takes data to their latents, which are written to a `.npy` file, and back again to see what is lost.
///
/// # Errors
/// A state that is not finite, a tolerance that cannot be met, a disk that is full, an interrupt.
pub fn encode(
    plan: &Plan,
    spec: &LikelihoodSpec,
    (model, observed): (&dyn Model, &Observed),
    output: &Path,
    observer: &dyn Observer,
) -> Result<Encoded> {
    let x0 = observed.states(plan);
    let count = x0.size()[0] as usize;
    let way = Way::new(plan, spec, model, count, observer);
    let tolerances: Vec<Option<f64>> = std::iter::once(None).chain(spec.tolerances.iter().copied().map(Some)).collect();
    observer.begin("encoding", tolerances.iter().map(|&tolerance| 2 * way.ticks(count, tolerance)).sum());
    let there_and_back = |&tolerance: &Option<f64>| {
        let (latent, up) = way.up(&x0, tolerance)?;
        let (back, down) = way.down(&latent, tolerance)?;
        let rms = (back - &x0).square().mean(Kind::Double).sqrt().double_value(&[]);
        let own = spec.solver.chosen().tolerance().map(|tolerance| tolerance.rtol);
        Ok((latent, up, RoundTrip { tolerance: tolerance.or(own), nfe: up + down, rms }))
    };
    let ways = tolerances.iter().map(there_and_back).collect::<Result<Vec<_>>>();
    observer.end();
    let ways = ways?;
    let (latent, nfe, _) = &ways[0];
    write_npy(output, &latent.to_kind(plan.compute.kind))?;
    let unit = tensor::to_rows(&(latent / plan.sde.span().prior_std));
    let round_trips = ways.iter().map(|(.., trip)| trip.clone()).collect();
    Ok(Encoded { count, nfe: *nfe, latents: Normality::of(unit.view()), round_trips })
}

/// Takes the latents of a `.npy` file `[N, …]` to data, which are written to another, in their own units; how many, and the
/// evaluations for each.
///
/// # Errors
/// A file that cannot be read or does not fit, and those of [`encode`].
pub fn decode(
    plan: &Plan,
    spec: &LikelihoodSpec,
    model: &dyn Model,
    (input, output): (&Path, &Path),
    observer: &dyn Observer,
) -> Result<(usize, f64)> {
    let array: ArrayD<f64> = read_npy(input)?;
    fits(input, &array, &plan.data().shape())?;
    let latent = tensor::from_array(&array, (tensor::finest(plan.compute.device), plan.compute.device));
    let count = latent.size()[0] as usize;
    let way = Way::new(plan, spec, model, count, observer);
    observer.begin("decoding", way.ticks(count, None));
    let found = way.down(&latent, None);
    observer.end();
    let (x, nfe) = found?;
    write_npy(output, &plan.data().restore(&x.to_kind(plan.compute.kind)))?;
    Ok((count, nfe))
}

/// Points on the great circle from each latent of the first half to that of the second, `frames` of them, the ends included,
/// decoded: `[N/2, frames, …]`, in units of the model (Shoemake 1985, slerp; Song et al. 2021, appendix D.3). The first model
/// is told what the samples are, the second what stands between them ([`Observed::condition_between`]).
///
/// # Errors
/// Fewer samples than two, and those of [`encode`].
pub fn interpolate(
    plan: &Plan,
    spec: &LikelihoodSpec,
    (up, down): (&dyn Model, &dyn Model),
    (observed, frames): (&Observed, usize),
    observer: &dyn Observer,
) -> Result<Tensor> {
    let x0 = observed.states(plan);
    let pairs = x0.size()[0] as usize / 2;
    if pairs == 0 {
        return Err(Error::argument("--input", "there are not two samples to go between", "give two at least"));
    }
    let (up, down) =
        (Way::new(plan, spec, up, 2 * pairs, observer), Way::new(plan, spec, down, pairs * frames, observer));
    observer.begin("interpolation", up.ticks(2 * pairs, None) + down.ticks(pairs * frames, None));
    let decoded = up.up(&x0.narrow(0, 0, 2 * pairs as i64), None).and_then(|(latent, _)| {
        let ends = [0, pairs].map(|first| latent.narrow(0, first as i64, pairs as i64));
        let at = |i: usize| slerp(&ends, i as f64 / (frames - 1).max(1) as f64);
        let points = Tensor::stack(&(0..frames).map(at).collect::<Vec<_>>(), 1);
        down.down(&points.flatten(0, 1), None)
    });
    observer.end();
    let shape: Vec<i64> = [pairs as i64, frames as i64].into_iter().chain(plan.data().shape()).collect();
    Ok(decoded?.0.reshape(shape))
}

/// The point at `u` on the great circle between two states `[N, …]`, of a length between theirs.
fn slerp([from, to]: &[Tensor; 2], u: f64) -> Tensor {
    let rows = |x: &Tensor| x.flatten(1, -1);
    let over = |x: &Tensor| x.sum_dim_intlist([1i64].as_slice(), true, Kind::Double);
    let (a, b) = (rows(from), rows(to));
    let cosine = over(&(&a * &b)) / (over(&a.square()) * over(&b.square())).sqrt();
    let angle = cosine.clamp(-1.0, 1.0).acos();
    // Between parallel states the great circle is the line.
    let sine = angle.sin().clamp_min(1e-12);
    let straight = angle.lt(1e-6);
    let weight = |share: f64| {
        let on_circle = (&angle * share).sin() / &sine;
        on_circle.full_like(share).where_self(&straight, &on_circle)
    };
    (a * weight(1.0 - u) + b * weight(u)).view_as(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_great_circle_keeps_the_length() {
        let ends = [Tensor::from_slice(&[3.0, 0.0, 1.0, 1.0]), Tensor::from_slice(&[0.0, 3.0, 1.0, 1.0])];
        let ends = ends.map(|x| x.view([2, 2]));
        let middle = slerp(&ends, 0.5);
        let half = 3.0 * 0.5f64.sqrt();
        let wanted = Tensor::from_slice(&[half, half, 1.0, 1.0]).view([2, 2]);
        assert!((middle - wanted).abs().max().double_value(&[]) < 1e-9);
        for (u, end) in [(0.0, 0), (1.0, 1)] {
            assert!((slerp(&ends, u) - &ends[end]).abs().max().double_value(&[]) < 1e-9);
        }
    }
}
