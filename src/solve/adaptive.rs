//! The loop in which each sample goes at its own pace.

use tch::{Kind, Tensor};

use super::integrator::lacking;
use super::{Embedded, Medium, Motion, Rejected, Scale, Tolerance, Variable};
use crate::error::{Error, Result};
use crate::score::{Denoiser, Evals};
use crate::sde::Sde;
use crate::tensor::per_sample;

/// More tries than any sensible tolerance needs.
const MOST_TRIES: usize = 100_000;

/// The most by which κ grows in the first step from data to noise, by e to the power of it.
const FIRST: f64 = 0.2;

/// The reverse process under error control: an iterator over rounds, in each of which every sample that is not at its end
/// tries one step.
///
/// Each sample has its own time and step, and its own verdict: e = RMS(error/scale) over its coordinates (see [`Scale`]), or
/// the larger of two such means where some are another quantity ([`Denoiser::apart`]).
/// So it does not depend on its neighbours. Samples at their ends leave the batch, so that none is evaluated in vain; the
/// evaluation from which a step was rejected serves again. A last step to σ = 0 is x = α D(x, t).
#[derive(Debug)]
pub struct AdaptiveIntegrator<'a> {
    denoiser: &'a dyn Denoiser,
    pair: &'a dyn Embedded,
    tolerance: Tolerance,
    /// Where the steps end.
    t_min: f64,
    /// The time of a last step to σ = 0.
    finish: Option<f64>,
    motion: Motion,
    /// Those on the way, in the order of their rows below.
    on_the_way: Vec<Traveller>,
    /// Their states `[n, …]`.
    x: Tensor,
    /// The results of lower order of the steps that led there.
    low: Tensor,
    /// x̂₀ at these states, of those of whom it is known.
    x0: Tensor,
    ends: Ends,
    failed: bool,
}

/// A sample on its way.
#[derive(Clone, Copy, Debug)]
struct Traveller {
    /// Its place in the batch.
    sample: usize,
    t: f64,
    /// The end of the step that it tries next.
    s: f64,
    tries: usize,
    /// Whether the try before this failed.
    again: bool,
    /// Whether x̂₀ at its state is known.
    evaluated: bool,
}

/// What has come to its end.
#[derive(Debug)]
struct Ends {
    /// The states of the whole batch, of those at their ends.
    x: Tensor,
    /// The samples at t_min that have still to be evaluated for the step to σ = 0.
    unevaluated: Vec<usize>,
}

/// What one round has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// How many steps were accepted.
    pub accepted: usize,
    /// How many samples have come to their ends.
    pub finished: usize,
}

/// A denoiser and noise for some of the samples, each at its own time.
struct Own<'a> {
    denoiser: &'a dyn Denoiser,
    motion: &'a mut Motion,
    samples: &'a [usize],
}

impl Medium for Own<'_> {
    fn sde(&self) -> &dyn Sde {
        self.denoiser.sde()
    }

    fn eval(&mut self, x: Tensor, t: Vec<f64>) -> Evals {
        let x0 = self.denoiser.denoise_each(&x, self.samples, &t);
        Evals { t, x, x0 }
    }

    fn brownian(&mut self, like: &Tensor, t: &[f64], s: &[f64]) -> Tensor {
        self.motion.increments(like, self.samples, t, s)
    }
}

impl<'a> AdaptiveIntegrator<'a> {
    /// Integrates `x` `[B, …]` from `t_max` to `t_min`, then, if `finish` is a time, in one step to it.
    pub fn new(
        denoiser: &'a dyn Denoiser,
        (pair, tolerance): (&'a dyn Embedded, Tolerance),
        ((t_max, t_min), finish): ((f64, f64), Option<f64>),
        motion: Motion,
        x: Tensor,
    ) -> Self {
        let (sde, variable) = (denoiser.sde(), pair.variable());
        // Where noise grows, what is finest comes first, and a step that leaps over it does not see it.
        let rate = sde.lambda_rate(t_max);
        let most = if rate > 0.0 { FIRST / rate } else { f64::INFINITY };
        let first = pair.first(variable.length(sde, t_max, t_min)).min(most);
        let s = variable.advance(sde, t_max, first).max(t_min);
        let start = |sample| Traveller { sample, t: t_max, s, tries: 0, again: false, evaluated: false };
        let on_the_way = (0..x.size()[0] as usize).map(start).collect();
        let (low, x0, ends) = (x.shallow_clone(), x.zeros_like(), Ends { x: x.zeros_like(), unevaluated: Vec::new() });
        AdaptiveIntegrator {
            denoiser,
            pair,
            tolerance,
            t_min,
            finish,
            motion,
            on_the_way,
            x,
            low,
            x0,
            ends,
            failed: false,
        }
    }

    /// Integrates to the end; `watch` sees each round and may stop the run.
    ///
    /// # Errors
    /// A tolerance that cannot be met, noise that runs out, whatever `watch` returns.
    pub fn run(mut self, mut watch: impl FnMut(&Self, Advance) -> Result<()>) -> Result<Tensor> {
        while let Some(advance) = self.next() {
            watch(&self, advance?)?;
        }
        Ok(self.ends.x)
    }

    /// The time and the state of every sample.
    pub fn state(&self) -> (Vec<f64>, Tensor) {
        let x = self.ends.x.copy();
        let mut t = vec![self.finish.unwrap_or(self.t_min); x.size()[0] as usize];
        self.on_the_way.iter().for_each(|traveller| t[traveller.sample] = traveller.t);
        // Until they have been evaluated, at the end of all, the last step is still before these.
        self.ends.unevaluated.iter().for_each(|&sample| t[sample] = self.t_min);
        let rows: Vec<usize> = self.on_the_way.iter().map(|traveller| traveller.sample).collect();
        put(&x, &rows, &self.x);
        (t, x)
    }

    /// Evaluates the samples of whom x̂₀ is not known.
    fn evaluate(&mut self) {
        let rows: Vec<usize> = (0..self.on_the_way.len()).filter(|&i| !self.on_the_way[i].evaluated).collect();
        if rows.is_empty() {
            return;
        }
        let samples: Vec<usize> = rows.iter().map(|&i| self.on_the_way[i].sample).collect();
        let t: Vec<f64> = rows.iter().map(|&i| self.on_the_way[i].t).collect();
        if rows.len() == self.on_the_way.len() {
            self.x0 = self.denoiser.denoise_each(&self.x, &samples, &t);
        } else {
            let x0 = self.denoiser.denoise_each(&take(&self.x, &rows), &samples, &t);
            put(&self.x0, &rows, &x0);
        }
        self.on_the_way.iter_mut().for_each(|traveller| traveller.evaluated = true);
    }

    /// e of each sample, on the host.
    fn errors(&self, error: &Tensor, low: &Tensor) -> Vec<f64> {
        let Tolerance { rtol, atol } = self.tolerance;
        let largest = low.abs().maximum(&self.low.abs()) * rtol;
        let scale = match self.pair.scale() {
            Scale::Sum => largest + atol,
            Scale::Larger => largest.clamp_min(atol),
        };
        let squares = (error / scale).square().reshape([error.size()[0], -1]);
        let (width, apart) = (squares.size()[1], self.denoiser.apart());
        let mean = |first: i64, count: i64| {
            squares.narrow(1, first, count).mean_dim([1i64].as_slice(), false, Kind::Double).sqrt()
        };
        let all = match apart {
            0 => mean(0, width),
            _ => mean(0, width - apart).maximum(&mean(width - apart, apart)),
        };
        Vec::try_from(all.to_device(tch::Device::Cpu)).expect("one number for each sample")
    }

    fn advance(&mut self) -> Result<Advance> {
        self.evaluate();
        let samples: Vec<usize> = self.on_the_way.iter().map(|traveller| traveller.sample).collect();
        let t = self.on_the_way.iter().map(|traveller| traveller.t).collect();
        let s: Vec<f64> = self.on_the_way.iter().map(|traveller| traveller.s).collect();
        let now = Evals { t, x: self.x.shallow_clone(), x0: self.x0.shallow_clone() };
        let mut own = Own { denoiser: self.denoiser, motion: &mut self.motion, samples: &samples };
        let attempt = self.pair.attempt(&mut own, &now, &s);
        if let Some(problem) = self.motion.fault() {
            return Err(lacking(problem));
        }
        let errors = self.errors(&attempt.error, &attempt.low);
        let stands: Vec<bool> = errors.iter().map(|&e| self.pair.stands(e)).collect();
        for ((traveller, &e), &stands) in self.on_the_way.iter_mut().zip(&errors).zip(&stands) {
            let judge = Judge { sde: self.denoiser.sde(), pair: self.pair, t_min: self.t_min };
            judge.apply(traveller, e, stands)?;
            traveller.evaluated = !stands || attempt.next.is_some();
            if !stands && self.pair.rejected() == Rejected::Redrawn {
                self.motion.forget(traveller.sample);
            }
        }
        let accepted = stands.iter().filter(|&&stands| stands).count();
        if accepted > 0 {
            let mask = per_sample(&stands.iter().map(|&stands| f64::from(stands)).collect::<Vec<_>>(), &self.x).gt(0.5);
            self.x = attempt.x.where_self(&mask, &self.x);
            self.low = attempt.low.where_self(&mask, &self.low);
            if let Some(next) = attempt.next {
                self.x0 = next.where_self(&mask, &self.x0);
            }
        }
        let finished = self.dismiss();
        Ok(Advance { accepted, finished })
    }

    /// Takes those who have come to `t_min` out of the batch; how many they were.
    fn dismiss(&mut self) -> usize {
        let arrived = |traveller: &Traveller| traveller.t <= self.t_min;
        let (done, left): (Vec<usize>, Vec<usize>) =
            (0..self.on_the_way.len()).partition(|&i| arrived(&self.on_the_way[i]));
        if !done.is_empty() {
            let samples: Vec<usize> = done.iter().map(|&i| self.on_the_way[i].sample).collect();
            // Of one step that stood, all samples know x̂₀ at its end or none does.
            match self.finish {
                Some(end) if self.on_the_way[done[0]].evaluated => {
                    let x = take(&self.x0, &done) * self.denoiser.sde().kernel(end).alpha;
                    put(&self.ends.x, &samples, &x);
                }
                Some(_) => {
                    put(&self.ends.x, &samples, &take(&self.x, &done));
                    self.ends.unevaluated.extend(samples);
                }
                None => put(&self.ends.x, &samples, &take(&self.x, &done)),
            }
            [&mut self.x, &mut self.low, &mut self.x0].into_iter().for_each(|x| *x = take(x, &left));
            self.on_the_way = left.iter().map(|&i| self.on_the_way[i]).collect();
        }
        if let (Some(end), true, false) = (self.finish, self.on_the_way.is_empty(), self.ends.unevaluated.is_empty()) {
            // All of them together, which is one call.
            let samples = std::mem::take(&mut self.ends.unevaluated);
            let t = vec![self.t_min; samples.len()];
            let x0 = self.denoiser.denoise_each(&take(&self.ends.x, &samples), &samples, &t);
            put(&self.ends.x, &samples, &(x0 * self.denoiser.sde().kernel(end).alpha));
        }
        done.len()
    }
}

impl Iterator for AdaptiveIntegrator<'_> {
    type Item = Result<Advance>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.on_the_way.is_empty() {
            return None;
        }
        let advance = tch::no_grad(|| self.advance());
        self.failed = advance.is_err();
        Some(advance)
    }
}

/// What follows from the error of a step.
struct Judge<'a> {
    sde: &'a dyn Sde,
    pair: &'a dyn Embedded,
    t_min: f64,
}

impl Judge<'_> {
    /// Moves a sample on if its step stands, and proposes the next.
    fn apply(&self, traveller: &mut Traveller, e: f64, stands: bool) -> Result<()> {
        let Traveller { t, s, .. } = *traveller;
        let fail = |problem: &str| {
            let remedy = "loosen rtol and atol, or use --precision float64".to_owned();
            Err(Error::Tolerance { t, problem: problem.into(), remedy })
        };
        traveller.tries += 1;
        if !e.is_finite() {
            return fail("the error estimate is not finite");
        }
        if traveller.tries > MOST_TRIES {
            return fail("100,000 steps were not enough");
        }
        let variable: Variable = self.pair.variable();
        let h = variable.length(self.sde, t, s) * self.pair.growth(e, traveller.again);
        traveller.again = !stands;
        if stands {
            traveller.t = s;
        }
        traveller.s = variable.advance(self.sde, traveller.t, h).max(self.t_min);
        if !stands && (t - traveller.s).abs() < 1e-14 * t.abs().max(1e-300) {
            return fail("the step size fell below round-off");
        }
        Ok(())
    }
}

/// Row numbers as an index on the device of `like`.
fn index(rows: &[usize], like: &Tensor) -> Tensor {
    let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    Tensor::from_slice(&rows).to_device(like.device())
}

/// Some rows of x.
fn take(x: &Tensor, rows: &[usize]) -> Tensor {
    x.index_select(0, &index(rows, x))
}

/// Writes `values` into some rows of x.
fn put(x: &Tensor, rows: &[usize], values: &Tensor) {
    let _ = x.shallow_clone().index_copy_(0, &index(rows, x), values);
}
