//! Where the error of a solver comes from, for data whose exact denoiser is known.
//!
//! A sample x of a solver with a learned denoiser D, from x_T = s ε with the prior's standard deviation s, is led to the
//! ideal sample in four steps. All start from the same ε:
//!
//! | from | to | the step is |
//! |---|---|---|
//! | the solver's x, with D | the probability flow of D from x_T, solved to a tight tolerance | discretisation |
//! | that | the flow of the exact D* from x_T to the same end | the error of the score |
//! | that | the flow of D* on to σ → 0 | truncation at t_min |
//! | that | the flow of D* from α_T x₀ + σ_T ε, which is drawn from p_T itself, with x₀ from the data | the mismatch of the prior |
//!
//! Each is the root mean square of ‖Δx‖ over samples; the total, from the first to the last, is at most their sum. The
//! mismatch of the prior before it flows is known in closed form: E‖α_T x₀ + (σ_T − s) ε‖² = α_T² E‖x₀‖² + (σ_T − s)² d.
//!
//! Solvers that draw noise follow no flow, and are left out.

use std::path::Path;

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::{Kind, Tensor};

use super::cell::{csv_of, read_csv};
use super::only::Only;
use super::repeat::{Subject, place_of, seed};
use super::store::{Known, Store, subject};
use super::{Job, jobs, tick};
use crate::error::{Error, Result};
use crate::experiment::observer::Observer;
use crate::experiment::plan::Plan;
use crate::experiment::spec::CompareSpec;
use crate::experiment::truth::{exact_flow, flow};
use crate::file::write_whole;
use crate::rng::{Purpose, Stream};
use crate::score::Model;
use crate::solve::{Sampler, Schedule, Tolerance, prior};
use crate::tensor;

/// The parts of the error of one solver at one budget, each a root mean square.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    /// The label of the solver.
    pub entry: String,
    /// The budget; none for solvers that choose their own steps.
    pub budget: Option<usize>,
    /// Evaluations, measured.
    pub nfe: f64,
    /// From the solver's samples to the ideal ones.
    pub total: f64,
    /// Of steps that are not small.
    pub discretisation: f64,
    /// Of a denoiser that is not exact.
    pub score: f64,
    /// Of ending at t_min.
    pub truncation: f64,
    /// Of starting from the prior instead of p_T.
    pub prior: f64,
    /// The same before it flows, in closed form.
    pub prior_at_start: f64,
}

/// More samples are not needed for two digits.
const MOST: usize = 2000;

/// The tolerance of the flows.
const TOLERANCE: Tolerance = Tolerance { rtol: 1e-6, atol: 1e-6 };

/// Below this fraction of the least noise level of the process nothing is left to truncate.
const NOTHING: f64 = 1e-4;

/// The parts in the order in which they are kept.
const PARTS: [&str; 6] = ["total", "discretisation", "score", "truncation", "prior", "prior_at_start"];

/// The parts of the error of each solver at each budget that `only` admits; nothing where the data have no exact denoiser.
///
/// # Errors
/// An interrupt, a tolerance that cannot be met, a store that cannot be written.
pub fn sources(
    plan: &Plan,
    spec: &CompareSpec,
    model: &dyn Model,
    (store, only): (&Store, &Only),
    observer: &dyn Observer,
) -> Result<Vec<Sources>> {
    if plan.data().law().is_none() {
        return Ok(Vec::new());
    }
    let comparison = Subject::new(plan, &spec.metrics, spec.count(plan.spec.sample.count), observer);
    let count = comparison.count.min(MOST);
    let common = json!({ "sources": subject(plan, model, count) });
    // Those that choose their own steps among them; the floor is no solver.
    let (jobs, _) = jobs(plan, spec, only);
    let mut found = Vec::new();
    let mut ends: Option<Ends> = None;
    observer.begin("sources of error", jobs.len() as u64);
    let mut measure = |job: &Job| -> Result<Option<Sources>> {
        let Some(choice) = job.choice else { return Ok(None) };
        let sampler = comparison.sampler(&choice, job, seed(plan, 0));
        if plan.draws_noise(&sampler) {
            return Ok(None);
        }
        let key = comparison.key(&common, job, 0);
        let known = store.find(&key);
        if let Some(known) = read(job, &known) {
            return Ok(Some(known));
        }
        let ends = match &mut ends {
            Some(ends) => ends,
            none => none.insert(Ends::new(plan, count, observer)?),
        };
        let Some(sources) = ends.measure(job, &sampler, model)? else { return Ok(None) };
        store.keep(&key, &lines(&sources))?;
        Ok(Some(sources))
    };
    let outcome = jobs.iter().try_for_each(|job| {
        observer.note(&job.label);
        found.extend(measure(job)?);
        observer.advance(1);
        tick(observer)(0)
    });
    observer.end();
    outcome.map(|()| found)
}

impl Sources {
    /// Reads `sources.csv`.
    ///
    /// # Errors
    /// When it is not what this program writes.
    pub fn read(path: &Path) -> Result<Vec<Sources>> {
        read_csv(path)
    }

    /// Writes `sources.csv`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(sources: &[Sources], path: &Path) -> Result<()> {
        write_whole(path, &csv_of(sources))
    }
}

/// What is kept of a run: a line for each part.
fn lines(sources: &Sources) -> Vec<Known> {
    let Sources { total, discretisation, score, truncation, prior, prior_at_start, nfe, .. } = *sources;
    let values = [total, discretisation, score, truncation, prior, prior_at_start];
    let line = |(name, value): (&str, f64)| Known {
        metric: name.into(),
        nfe,
        seconds: f64::NAN,
        value: Some(value),
        standard_error: f64::NAN,
    };
    PARTS.into_iter().zip(values).map(line).collect()
}

fn read(job: &Job, known: &[Known]) -> Option<Sources> {
    let value = |name: &str| known.iter().find(|known| known.metric == name)?.value;
    let [total, discretisation, score, truncation, prior, prior_at_start] = PARTS.map(value);
    Some(Sources {
        entry: job.label.clone(),
        budget: job.budget,
        nfe: known.first()?.nfe,
        total: total?,
        discretisation: discretisation?,
        score: score?,
        truncation: truncation?,
        prior: prior?,
        prior_at_start: prior_at_start?,
    })
}

/// The ends of all flows that solvers approximate.
struct Ends<'a> {
    plan: &'a Plan,
    observer: &'a dyn Observer,
    init: Tensor,
    /// Of the exact denoiser, from the prior and from p_T, on to σ → 0.
    from_prior: Array2<f64>,
    from_marginal: Array2<f64>,
    prior_at_start: f64,
    /// Of the model and of the exact denoiser, for each way that a solver takes.
    flows: Vec<(Schedule, [Array2<f64>; 2])>,
}

impl<'a> Ends<'a> {
    fn new(plan: &'a Plan, count: usize, observer: &'a dyn Observer) -> Result<Self> {
        let (sde, shape) = (&*plan.sde, plan.data().shape());
        let init = prior(sde, seed(plan, 0), count, &shape, plan.options());
        let span = sde.span();
        let start = sde.kernel(span.t_max);
        let x0 = plan.data().draw(Stream::new(seed(plan, 0), Purpose::Reference), 0, count);
        let x0 = x0.to_kind(Kind::Double).to_device(init.device());
        let noise = init.to_kind(Kind::Double) / span.prior_std;
        let marginal = &x0 * start.alpha + &noise * start.sigma;
        let least = sde.time_of_ratio(NOTHING * sde.kernel(span.t_min).ratio());
        let whole =
            Schedule::Adaptive { tolerance: TOLERANCE, between: (span.t_max, least), finish: Some(sde.time_of_data()) };
        let tick = tick(observer);
        let tick = |_| tick(0);
        let square = plan.data().law().expect("data with an exact denoiser").second_moment();
        let dim = shape.iter().product::<i64>() as f64;
        Ok(Ends {
            plan,
            observer,
            from_prior: exact_flow(plan, &init, whole.clone(), &tick)?,
            from_marginal: exact_flow(plan, &marginal, whole, &tick)?,
            init,
            prior_at_start: (start.alpha.powi(2) * square + (start.sigma - span.prior_std).powi(2) * dim).sqrt(),
            flows: Vec::new(),
        })
    }

    /// None of a run that diverges.
    fn measure(&mut self, job: &Job, sampler: &Sampler, model: &dyn Model) -> Result<Option<Sources>> {
        let plan = self.plan;
        let tick = tick(self.observer);
        let tick = |_| tick(0);
        let run = match sampler.run(model, &self.init, &plan.compute.workers, &tick) {
            Err(Error::NonFinite { .. }) => return Ok(None),
            run => run?,
        };
        let schedule = sampler.schedule.controlled(&*plan.sde, TOLERANCE);
        let ends = |schedule: &Schedule| {
            let of_model = flow(plan, model, &self.init, schedule.clone(), &tick)?;
            Ok([of_model, exact_flow(plan, &self.init, schedule.clone(), &tick)?])
        };
        let place = place_of(&mut self.flows, schedule, ends)?;
        let [of_model, of_exact] = &self.flows[place].1;
        let x = tensor::to_rows(&run.x);
        Ok(Some(Sources {
            entry: job.label.clone(),
            budget: job.budget,
            nfe: run.nfe,
            total: distance(&x, &self.from_marginal),
            discretisation: distance(&x, of_model),
            score: distance(of_model, of_exact),
            truncation: distance(of_exact, &self.from_prior),
            prior: distance(&self.from_prior, &self.from_marginal),
            prior_at_start: self.prior_at_start,
        }))
    }
}

/// The root mean square of ‖a − b‖ over rows.
fn distance(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    (a - b).mapv(|gap| gap * gap).sum_axis(Axis(1)).mean().unwrap_or(f64::NAN).sqrt()
}
