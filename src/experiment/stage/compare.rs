//! Solvers × budgets × repeats: how far each solver's samples are from the data for what it costs.

use std::path::Path;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::tick;
use crate::data::Part;
use crate::error::{Error, Result};
use crate::experiment::choices::MetricSpec;
use crate::experiment::observer::Observer;
use crate::experiment::plan::{Choice, Plan};
use crate::experiment::spec::{CompareSpec, FLOOR};
use crate::experiment::truth::{flow, laws, truth};
use crate::file::write_whole;
use crate::metric::{Diagonal, Metric, Need, Question, Start, Target, Truth};
use crate::score::Model;
use crate::solve::{Sampler, Schedule, Tolerance, prior};
use crate::tensor;

/// One measured distance: a line of `compare.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The label of the solver, or `data` for fresh data against the reference: the noise floor.
    pub entry: String,
    /// The budget of evaluations; none for solvers that choose their own steps.
    pub budget: Option<usize>,
    /// Steps; none for solvers that choose their own.
    pub steps: Option<usize>,
    /// The repeat, from 0. All solvers of a repeat share x_T, noise and reference data.
    pub repeat: usize,
    /// Evaluations of the denoiser per sample, measured.
    pub nfe: f64,
    /// Wall-clock seconds of the sampling run.
    pub seconds: f64,
    /// The name of the metric.
    pub metric: String,
    /// Its value; NaN where the run diverged.
    pub value: f64,
    /// The metric's own standard error.
    pub standard_error: f64,
}

/// All cells of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// In the order in which they were measured.
    pub cells: Vec<Cell>,
}

/// One sampling run to make.
struct Job<'a> {
    label: String,
    choice: Choice<'a>,
    budget: Option<usize>,
    steps: Option<usize>,
}

/// What all repeats share.
pub(in crate::experiment) struct Subject<'a> {
    plan: &'a Plan,
    model: &'a dyn Model,
    metrics: Vec<Box<dyn Metric>>,
    truth: Truth,
    /// The tolerance of the probability flow, if a metric needs it.
    tolerance: Option<Tolerance>,
    /// Which laws to compare, if a metric needs them.
    laws: Option<(Start, Target)>,
    count: usize,
    observer: &'a dyn Observer,
}

impl<'a> Subject<'a> {
    /// What some metrics need to know.
    pub(in crate::experiment) fn new(
        plan: &'a Plan,
        model: &'a dyn Model,
        metrics: &[MetricSpec],
        count: usize,
        observer: &'a dyn Observer,
    ) -> Self {
        let metrics: Vec<Box<dyn Metric>> = metrics.iter().map(|metric| metric.build()).collect();
        let tolerance = metrics.iter().find_map(|metric| match metric.needs() {
            Some(Need::Flow { tolerance }) => Some(Tolerance { rtol: tolerance, atol: tolerance }),
            _ => None,
        });
        let laws = metrics.iter().find_map(|metric| match metric.needs() {
            Some(Need::Laws { start, target }) => Some((start, target)),
            _ => None,
        });
        let truth = truth(plan.data());
        Subject { plan, model, metrics, truth, tolerance, laws, count, observer }
    }
}

/// Runs the comparison that the experiment asks for.
///
/// # Errors
/// An interrupt, a tolerance that cannot be met. A run that diverges is recorded as NaN.
pub fn compare(plan: &Plan, spec: &CompareSpec, model: &dyn Model, observer: &dyn Observer) -> Result<Comparison> {
    let count = spec.count.unwrap_or(plan.spec.sample.count);
    let subject = Subject::new(plan, model, &spec.metrics, count, observer);
    let jobs = jobs(plan, spec, observer);
    let total: usize = jobs.iter().map(|job| job.steps.unwrap_or(1)).sum();
    observer.begin("comparing", (total * count * spec.repeats) as u64);
    let outcome = (0..spec.repeats).try_fold(Comparison::default(), |mut comparison, repeat| {
        let mut measure = Measure::new(&subject, repeat);
        comparison.cells.extend(measure.floor());
        for job in &jobs {
            observer.note(&job.label);
            let cells = measure.job(job)?;
            for Cell { entry, nfe, seconds, metric, value, .. } in &cells {
                observer.detail(&format!("{entry}, {nfe} evaluations in {seconds:.3} s: {metric} {value:.5}"));
            }
            comparison.cells.extend(cells);
        }
        Ok(comparison)
    });
    observer.end();
    outcome
}

/// Each entry at each budget that it can meet; solvers that choose their own steps run once.
fn jobs<'a>(plan: &'a Plan, spec: &'a CompareSpec, observer: &dyn Observer) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for entry in &spec.entries {
        let label = entry.label();
        let choice = plan.choice(entry);
        if entry.solver.chosen().tolerance().is_some() {
            jobs.push(Job { label, choice, budget: None, steps: None });
            continue;
        }
        for &budget in spec.budgets(entry) {
            match plan.steps_within(&choice, budget) {
                Some(steps) => {
                    jobs.push(Job { label: label.clone(), choice, budget: Some(budget), steps: Some(steps) })
                }
                None => observer.say(&format!("{label} needs more than {budget} evaluations; left out at that budget")),
            }
        }
    }
    jobs
}

/// What is known of a run beside its samples.
#[derive(Default)]
struct Solution {
    /// Which of the probability flows it approximates.
    flow: Option<usize>,
    laws: Option<[Diagonal; 2]>,
}

/// What all runs of one repeat share: x_T, the seed of the noise, and what to compare with.
pub(in crate::experiment) struct Measure<'a> {
    subject: &'a Subject<'a>,
    repeat: usize,
    seed: u64,
    init: Tensor,
    reference: Array2<f64>,
    /// The ends of the probability flow from x_T, for each way that a solver took.
    flows: Vec<(Schedule, Array2<f64>)>,
}

impl<'a> Measure<'a> {
    fn new(subject: &'a Subject<'a>, repeat: usize) -> Self {
        // A seed for each repeat, away from that of `sample`.
        let seed = subject.plan.spec.seed.wrapping_add(1 + repeat as u64);
        Measure { repeat, ..Self::of(subject, seed, (repeat * subject.count) as u64) }
    }

    /// With x_T and noise of a seed, and the reference data from a place in their stream on.
    pub(in crate::experiment) fn of(subject: &'a Subject<'a>, seed: u64, first: u64) -> Self {
        let (plan, count) = (subject.plan, subject.count);
        let init = prior(&*plan.sde, seed, count, &plan.data().shape(), plan.options());
        let reference = tensor::to_rows(&plan.reference(first, count));
        Measure { subject, repeat: 0, seed, init, reference, flows: Vec::new() }
    }

    /// How bad a solver's steps are by the first of the metrics; NaN if the run diverges.
    pub(in crate::experiment) fn error(&mut self, choice: Choice, steps: usize) -> Result<f64> {
        let Subject { plan, metrics, laws, .. } = self.subject;
        let metric = &metrics[0];
        if laws.is_some() {
            // No samples are needed where the laws are known.
            let sampler = plan.sampler(&choice, steps, self.seed).expect("the experiment was checked");
            let laws = self.laws(&sampler)?;
            let nothing = Array2::zeros((1, 1));
            let laws = laws.as_ref().map(|laws| laws.each_ref());
            let question = Question { laws, ..Question::new(nothing.view(), nothing.view()) };
            return Ok(if laws.is_some() { metric.measure(&question).value } else { f64::NAN });
        }
        let cells = self.job(&Job { label: String::new(), choice, budget: None, steps: Some(steps) })?;
        Ok(cells.first().map_or(f64::NAN, |cell| metric.best().loss(cell.value)))
    }

    /// Fresh data (of finite data, the rows of training) against the reference data of this repeat; without metrics of
    /// single runs.
    fn floor(&self) -> Vec<Cell> {
        let Subject { plan, count, .. } = self.subject;
        // Far behind the references of all repeats in the same stream.
        let first = (1 << 40) + (self.repeat * count) as u64;
        let other = plan.measured(Part::Training, first, *count);
        let floor = Cell {
            entry: FLOOR.into(),
            budget: None,
            steps: None,
            repeat: self.repeat,
            nfe: 0.0,
            seconds: 0.0,
            metric: String::new(),
            value: f64::NAN,
            standard_error: f64::NAN,
        };
        self.cells(&floor, Some(&other), &Solution::default())
    }

    fn job(&mut self, job: &Job) -> Result<Vec<Cell>> {
        let Subject { plan, model, observer, .. } = *self.subject;
        let steps = job.steps.unwrap_or(1);
        let sampler = plan.sampler(&job.choice, steps, self.seed).expect("the experiment was checked");
        let solution = Solution { flow: self.flow(&sampler)?, laws: self.laws(&sampler)? };
        let run = sampler.run(model, &self.init, &plan.compute.workers, &tick(observer));
        let mut cell = Cell {
            entry: job.label.clone(),
            budget: job.budget,
            steps: job.steps,
            repeat: self.repeat,
            nfe: job.budget.unwrap_or(0) as f64,
            seconds: f64::NAN,
            metric: String::new(),
            value: f64::NAN,
            standard_error: f64::NAN,
        };
        match run {
            Ok(run) => {
                (cell.nfe, cell.seconds) = (run.nfe, run.seconds);
                Ok(self.cells(&cell, Some(&run.x), &solution))
            }
            Err(error @ Error::NonFinite { .. }) => {
                observer.say(&format!("{}: {error}", job.label));
                Ok(self.cells(&cell, None, &solution))
            }
            Err(error) => Err(error),
        }
    }

    /// Where among `flows` the probability flow stands that a run approximates: none if no metric asks, or if the
    /// solver draws noise and so approximates something else.
    fn flow(&mut self, sampler: &Sampler) -> Result<Option<usize>> {
        let Subject { plan, model, tolerance, observer, .. } = *self.subject;
        let Some(tolerance) = tolerance.filter(|_| !plan.draws_noise(sampler)) else { return Ok(None) };
        let schedule = sampler.schedule.controlled(&*plan.sde, tolerance);
        if let Some(known) = self.flows.iter().position(|(known, _)| *known == schedule) {
            return Ok(Some(known));
        }
        let tick = tick(observer);
        let end = flow(plan, model, &self.init, schedule.clone(), &|_| tick(0))?;
        self.flows.push((schedule, end));
        Ok(Some(self.flows.len() - 1))
    }

    /// The laws of what a run makes and of what it should, if a metric asks.
    fn laws(&self, sampler: &Sampler) -> Result<Option<[Diagonal; 2]>> {
        let Subject { plan, laws: Some(which), observer, .. } = *self.subject else { return Ok(None) };
        let tick = tick(observer);
        plan.compute.workers.install(|| laws(plan, sampler, which, &|| tick(0)))
    }

    /// A copy of `cell` for each metric that can be told what it needs, with what it says of the samples `x`; NaN where
    /// there are none.
    fn cells(&self, cell: &Cell, x: Option<&Tensor>, solution: &Solution) -> Vec<Cell> {
        let Subject { plan, metrics, truth, .. } = self.subject;
        let samples = x.map_or(Array2::zeros((0, 0)), tensor::to_rows);
        let flow = solution.flow.map(|flow| self.flows[flow].1.view());
        let laws = solution.laws.as_ref().map(|laws| laws.each_ref());
        let question = Question { x: samples.view(), data: self.reference.view(), truth, flow, laws };
        let answered = metrics.iter().filter(|metric| metric.needs().is_none_or(|need| question.has(need)));
        let named = |metric: &dyn Metric| {
            let mut cell = Cell { metric: metric.name().into(), ..cell.clone() };
            if x.is_some() {
                let estimate = plan.compute.workers.install(|| metric.measure(&question));
                (cell.value, cell.standard_error) = (estimate.value, estimate.standard_error);
            }
            cell
        };
        answered.map(|metric| named(&**metric)).collect()
    }
}

/// Repeats of one (solver, budget, metric) put together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The label of the solver.
    pub entry: String,
    /// The budget.
    pub budget: Option<usize>,
    /// Steps.
    pub steps: Option<usize>,
    /// The name of the metric.
    pub metric: String,
    /// Evaluations, measured; the mean over repeats.
    pub nfe: f64,
    /// Seconds; the median over repeats, which a busy machine disturbs least.
    pub seconds: f64,
    /// The mean distance.
    pub value: f64,
    /// Its standard error: over repeats, or the metric's own where there is one repeat.
    pub standard_error: f64,
}

impl Comparison {
    /// Reads `compare.csv`.
    ///
    /// # Errors
    /// When it is missing or not what this program writes.
    pub fn read(path: &Path) -> Result<Self> {
        let remedy = "run `ornstein compare` again";
        let problem = |e: csv::Error| Error::file(path, e.to_string(), remedy);
        let mut reader = csv::Reader::from_path(path).map_err(problem)?;
        Ok(Comparison { cells: reader.deserialize().collect::<Result<_, _>>().map_err(problem)? })
    }

    /// Writes `compare.csv`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for cell in &self.cells {
            writer.serialize(cell).expect("a cell is a flat record");
        }
        write_whole(path, &writer.into_inner().expect("writing to memory does not fail"))
    }

    /// The repeats put together, in the order of the experiment.
    pub fn summaries(&self) -> Vec<Summary> {
        let mut summaries: Vec<Summary> = Vec::new();
        for cell in &self.cells {
            let same = |s: &Summary| s.entry == cell.entry && s.budget == cell.budget && s.metric == cell.metric;
            if summaries.iter().any(same) {
                continue;
            }
            let of_this = |c: &&Cell| c.entry == cell.entry && c.budget == cell.budget && c.metric == cell.metric;
            let cells: Vec<&Cell> = self.cells.iter().filter(of_this).collect();
            let n = cells.len() as f64;
            let mean = |of: fn(&Cell) -> f64| cells.iter().map(|c| of(c)).sum::<f64>() / n;
            let value = mean(|c| c.value);
            let spread = cells.iter().map(|c| (c.value - value).powi(2)).sum::<f64>() / (n - 1.0) / n;
            let mut seconds: Vec<f64> = cells.iter().map(|c| c.seconds).collect();
            seconds.sort_by(f64::total_cmp);
            summaries.push(Summary {
                entry: cell.entry.clone(),
                budget: cell.budget,
                steps: cell.steps,
                metric: cell.metric.clone(),
                nfe: mean(|c| c.nfe),
                seconds: seconds[seconds.len() / 2],
                value,
                standard_error: if cells.len() > 1 { spread.sqrt() } else { cell.standard_error },
            });
        }
        summaries
    }
}
