//! The loop over given times.

use std::fmt::Debug;

use tch::{Device, Tensor};

use super::{Churn, Context, Corrector, Noise, Solver, Step};
use crate::error::{Error, Result};
use crate::score::{Denoiser, Eval};
use crate::tensor::combine;

/// A solver with what may surround it: a corrector before each step, churn before each step.
#[derive(Debug)]
pub struct Method {
    /// Makes the steps.
    pub solver: Box<dyn Solver>,
    /// Runs at the start of each step.
    pub corrector: Option<Box<dyn Corrector>>,
    /// Runs before the corrector.
    pub churn: Option<Churn>,
}

impl<S: Solver + 'static> From<S> for Method {
    fn from(solver: S) -> Self {
        Method { solver: Box::new(solver), corrector: None, churn: None }
    }
}

/// A point that the integration has reached.
#[derive(Debug)]
pub struct Point {
    /// The number of the step that led here, from 1.
    pub step: usize,
    /// Time.
    pub t: f64,
    /// The state `[B, …]`.
    pub x: Tensor,
}

/// The reverse process from a state at the first of given times to the last: an iterator over the points that it
/// reaches, so that the caller's `for` is the callback.
///
/// Each step: churn, correction, evaluation, the solver's step. A step to σ = 0 is x = α D(x, t) for every
/// solver, the only thing defined there. A step upwards in time, as grids with restarts have, is the forward process
/// itself, x_s = (α_s/α) x + α_s √(κ_s² − κ²) ξ, at no evaluation. Whatever moves the state off the solver's trajectory
/// clears the history.
#[derive(Debug)]
pub struct Integrator<'a> {
    denoiser: &'a dyn Denoiser,
    method: &'a Method,
    /// The times from the end of the current step on.
    ahead: &'a [f64],
    noise: &'a mut dyn Noise,
    x: Tensor,
    t: f64,
    /// The evaluation at (x, t), once made.
    now: Option<Eval>,
    past: Vec<Eval>,
    step: usize,
    failed: bool,
    watch: Watch,
}

impl<'a> Integrator<'a> {
    /// Integrates from `x` `[B, …]` at the first of `times`; a time above the one before is a jump back, by the forward
    /// process.
    ///
    /// # Panics
    /// Unless the times are at least two and none is as the one before.
    pub fn new(
        denoiser: &'a dyn Denoiser,
        method: &'a Method,
        times: &'a [f64],
        noise: &'a mut dyn Noise,
        x: Tensor,
    ) -> Self {
        assert!(times.len() >= 2 && times.windows(2).all(|w| w[0] != w[1]), "a step of no length: {times:?}");
        let (t, ahead, now, past, watch) = (times[0], &times[1..], None, Vec::new(), Watch::default());
        Integrator { denoiser, method, ahead, noise, x, t, now, past, step: 0, failed: false, watch }
    }

    /// Integrates to the end; `watch` sees each point and may stop the run.
    ///
    /// # Errors
    /// A state that is not finite, noise that runs out, whatever `watch` returns.
    pub fn run(mut self, mut watch: impl FnMut(&Point) -> Result<()>) -> Result<Tensor> {
        for point in &mut self {
            watch(&point?)?;
        }
        Ok(self.x)
    }

    fn context(&mut self) -> Context<'_> {
        let left = self.ahead.len() - 1;
        Context { denoiser: self.denoiser, noise: self.noise, past: &self.past, made: self.step, left }
    }

    /// Churn, correction and evaluation at the current point.
    fn arrive(&mut self) -> Eval {
        let (mut x, mut t, mut moved) = (self.x.shallow_clone(), self.t, false);
        let method = self.method;
        let mut cx = self.context();
        if let Some(churned) = method.churn.and_then(|churn| churn.apply(&mut cx, &x, t)) {
            ((x, t), moved) = (churned, true);
        }
        if let Some(corrector) = &method.corrector {
            (x, moved) = (corrector.correct(&mut cx, &x, t), true);
        }
        if moved {
            (self.x, self.t, self.now) = (x, t, None);
            self.past.clear();
        }
        self.now.take().unwrap_or_else(|| Eval::new(self.denoiser, self.x.shallow_clone(), self.t))
    }

    /// The step from `now` down to time s.
    fn descend(&mut self, now: &Eval, s: f64) -> Step {
        let end = self.denoiser.sde().kernel(s);
        if end.sigma == 0.0 {
            return (&now.x0 * end.alpha).into();
        }
        let method = self.method;
        method.solver.step(&mut self.context(), now, s)
    }

    /// The forward process up to time s.
    fn rise(&mut self, s: f64) -> Tensor {
        let sde = self.denoiser.sde();
        let (k, ks) = (sde.kernel(self.t), sde.kernel(s));
        let spread = ks.alpha * ((ks.ratio() - k.ratio()) * (ks.ratio() + k.ratio())).sqrt();
        let x = combine(ks.alpha / k.alpha, &self.x, spread, &self.noise.normal(&self.x));
        self.past.clear();
        x
    }

    /// Files the evaluation that led to a point.
    fn file(&mut self, now: Eval) {
        if self.method.solver.memory() > 0 {
            self.past.insert(0, now);
            self.past.truncate(self.method.solver.memory());
        }
    }

    fn advance(&mut self, s: f64) -> Result<Point> {
        let step = if s < self.t {
            let now = self.arrive();
            let step = self.descend(&now, s);
            self.file(now);
            step
        } else {
            self.rise(s).into()
        };
        self.noise.fault().map_or(Ok(()), |problem| Err(lacking(problem)))?;
        (self.x, self.t, self.now) = (step.x, s, step.next);
        self.step += 1;
        self.ahead = &self.ahead[1..];
        self.watch.record(&self.x, self.step, s);
        self.watch.check(self.ahead.is_empty())?;
        Ok(Point { step: self.step, t: s, x: self.x.shallow_clone() })
    }
}

/// The error of given noise that is not enough.
pub(super) fn lacking(problem: String) -> Error {
    Error::argument("--noise", problem, "give one array of normals for each draw of the solver")
}

impl Iterator for Integrator<'_> {
    type Item = Result<Point>;

    fn next(&mut self) -> Option<Self::Item> {
        let s = *self.ahead.first().filter(|_| !self.failed)?;
        let point = tch::no_grad(|| self.advance(s));
        self.failed = point.is_err();
        Some(point)
    }
}

/// Looks for numbers that are not finite without waiting for a GPU at every step: sums of 0·x stay on the device and
/// are read now and then.
#[derive(Debug, Default)]
struct Watch {
    pending: Vec<(usize, f64, Tensor)>,
}

/// How many steps a GPU may run ahead of the check.
const LAG: usize = 16;

impl Watch {
    fn record(&mut self, x: &Tensor, step: usize, t: f64) {
        self.pending.push((step, t, (x * 0.0).sum(x.kind())));
    }

    fn check(&mut self, last: bool) -> Result<()> {
        let on_host = self.pending.last().is_some_and(|(_, _, sum)| sum.device() == Device::Cpu);
        if !last && !on_host && self.pending.len() < LAG {
            return Ok(());
        }
        for (step, t, sum) in self.pending.drain(..) {
            if !sum.double_value(&[]).is_finite() {
                let remedy = "take more steps, end at a larger t_min, or use --precision float64".to_owned();
                return Err(Error::NonFinite { what: "the state".into(), step, t, remedy });
            }
        }
        Ok(())
    }
}
