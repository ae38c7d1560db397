//! The search for grids, and their trial on seeds that it has not seen.

use std::sync::Mutex;
use std::time::Instant;

use serde::Serialize;
use tch::Kind;

use super::choices::{GridMethodSpec, GridSpec, MetricSpec, SolverSpec};
use super::observer::Observer;
use super::plan::{Choice, Plan};
use super::spec::{CompareSpec, Entry};
use super::stage::{self, Only, Repeat, Store, Subject};
use super::truth::truth;
use crate::error::{Error, Result};
use crate::grids::{Along, Criterion, Distance, Dp, Judged, Spectral, Spectrum, equal, levels, times};
use crate::metric::Need;
use crate::order::Axes;
use crate::rng::{Purpose, Stream};
use crate::score::Model;
use crate::solve::{Grid, Karras, Method, Rectified, Tabulated, prior};
use crate::statistics::{Paired, mean};
use crate::tensor;

/// What to find grids for.
#[derive(Debug)]
pub struct GridSearch<'a> {
    /// The experiment.
    pub plan: &'a Plan,
    /// Its model.
    pub model: &'a dyn Model,
    /// How to find them.
    pub method: &'a GridMethodSpec,
    /// The solver, with the grid that it has by default.
    pub choice: Choice<'a>,
    /// The budgets of evaluations.
    pub nfe: &'a [usize],
    /// By which error to judge.
    pub error: &'a MetricSpec,
    /// On how many held-out seeds, and how many samples of each.
    pub trial: (usize, usize),
}

/// A grid that was found for a budget, and what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GridFound {
    /// The budget of evaluations.
    pub budget: usize,
    /// The steps.
    pub steps: usize,
    /// The times.
    pub times: Vec<f64>,
    /// The seconds of the search.
    pub seconds: f64,
    /// The mean error on held-out seeds with the default grid.
    pub before: f64,
    /// The mean error on the same seeds with this one.
    pub after: f64,
    /// Their difference, after − before.
    pub held_out: Paired,
    /// Whether the trial is of exact errors, which no other seeds would change.
    pub exact: bool,
    /// Whether this grid beats the default beyond chance.
    pub recommended: bool,
}

/// The level of the test of all budgets together.
const LEVEL: f64 = 0.05;

/// Parts in which a search reports how far it is.
const PARTS: f64 = 1000.0;

impl GridSearch<'_> {
    /// Finds a grid for each budget that one step or more can meet, and tries it on held-out seeds: those of
    /// [`stage::compare`], which the search does not use. Both grids share x_T, noise and reference data.
    ///
    /// A grid is recommended if its error is smaller at the level 5 %, shared out over the budgets (Bonferroni).
    ///
    /// # Errors
    /// A method that is not made for the solver or the data, an interrupt, whatever the search returns.
    pub fn run(&self, observer: &dyn Observer) -> Result<Vec<GridFound>> {
        self.check()?;
        let mut found = Vec::new();
        observer.begin("searching", PARTS as u64 * self.nfe.len() as u64);
        let outcome: Result<()> = self.nfe.iter().try_for_each(|&budget| {
            let Some(steps) = self.plan.steps_within(&self.choice, budget) else {
                let name = self.choice.solver.name();
                observer.say(&format!("{name} needs more than {budget} evaluations; left out at that budget"));
                return Ok(());
            };
            observer.note(&format!("{budget} evaluations"));
            let start = Instant::now();
            let levels = self.find(steps, observer)?;
            found.push((budget, steps, times(&*self.plan.sde, &levels), start.elapsed().as_secs_f64()));
            Ok(())
        });
        observer.end();
        outcome?;
        if found.is_empty() {
            let problem = format!("{} needs more than {:?} evaluations", self.choice.solver.name(), self.nfe);
            return Err(Error::argument("--nfe", problem, "allow more"));
        }
        self.judge(found, observer)
    }

    /// Whether the method can do this at all.
    fn check(&self) -> Result<()> {
        self.plan.needs_examples("a search for grids")?;
        let name = self.choice.solver.name();
        if self.choice.solver.chosen().tolerance().is_some() {
            let problem = format!("{name} is under error control, which chooses its steps: there is no grid");
            return Err(Error::argument("--solver", problem, "leave out its tolerances, or choose dpmpp_2m"));
        }
        if self.draws_noise() && matches!(self.error, MetricSpec::TrajectoryError(_)) {
            let problem = format!("{name} draws noise, so that the probability flow is not what it approximates");
            return Err(Error::argument("--error trajectory_error", problem, "write --error sliced_wasserstein"));
        }
        if matches!(self.method, GridMethodSpec::Dp(_)) && !self.is_followed() {
            let problem = format!("dp follows solvers of the ODE, and {name} draws noise");
            let remedy = "choose direct or klub, or a solver of the ODE";
            return Err(Error::argument("--method dp", problem, remedy));
        }
        if matches!(self.method, GridMethodSpec::Spectral(_)) {
            let dim = self.dim();
            if self.plan.data().law().and_then(Axes::of_data).is_none() && dim > MOST_DIMENSIONS {
                let problem = format!("data of {dim} coordinates have no known eigenvalues");
                return Err(Error::argument("--method spectral", problem, "choose klub, cost or direct"));
            }
        }
        self.check_error()
    }

    /// The metric is told what it needs.
    fn check_error(&self) -> Result<()> {
        let wrong = |problem: &str| {
            let remedy = "write --error trajectory_error, or --error sliced_wasserstein";
            Err(Error::argument(format!("--error {}", self.error.name()), problem, remedy))
        };
        let metric = self.error.build();
        let truth = truth(self.plan.data());
        match metric.needs() {
            Some(Need::Density) if truth.density.is_none() => wrong("the data have no density in closed form"),
            Some(Need::Modes) if truth.modes.is_none() => wrong("the data have no modes in closed form"),
            Some(Need::Laws { .. }) if self.plan.exact().is_none() || self.gaussian().is_none() => {
                wrong("it needs data of one Gaussian")
            }
            Some(Need::Laws { .. }) if self.plan.spec.model != super::ModelSpec::Exact => {
                wrong("it needs the exact score, `model: exact`")
            }
            Some(need) if need.is_of_images() => wrong("grids are searched without features of images"),
            _ => Ok(()),
        }
    }

    fn gaussian(&self) -> Option<Axes> {
        self.plan.data().law().and_then(Axes::of_data)
    }

    fn dim(&self) -> usize {
        self.plan.data().shape().iter().product::<i64>() as usize
    }

    fn method_of(&self, steps: usize) -> Method {
        self.choice.solver.chosen().method(steps)
    }

    /// Whether the solver is one of the ODE with nothing around it, which dynamic programming can follow.
    fn is_followed(&self) -> bool {
        let Method { corrector, churn, .. } = self.method_of(2);
        !self.draws_noise() && corrector.is_none() && churn.is_none()
    }

    fn draws_noise(&self) -> bool {
        let sampler = self.plan.sampler(&self.choice, 4, 0).expect("the experiment was checked");
        self.plan.draws_noise(&sampler)
    }

    /// The seed of what the search sees: before that of `sample`, while held-out seeds follow it.
    fn seed(&self) -> u64 {
        self.plan.spec.seed.wrapping_sub(1)
    }

    /// The levels of a grid of so many steps.
    fn find(&self, steps: usize, observer: &dyn Observer) -> Result<Vec<f64>> {
        let (plan, model, workers) = (self.plan, self.model, &*self.plan.compute.workers);
        let done = Mutex::new(0.0);
        let tick = |part: f64| {
            let mut done = done.lock().expect("a panic of another worker ends the search");
            let before = *done as u64;
            *done = (*done + part * PARTS).min(PARTS);
            observer.advance(*done as u64 - before);
            observer.go_on("nothing was written; give the same command again")
        };
        let init = |count: usize| prior(&*plan.sde, self.seed(), count, &plan.data().shape(), plan.options());
        match self.method {
            GridMethodSpec::Dp(dp) => {
                dp.find(model, &*self.method_of(steps).solver, &init(dp.trajectories), steps, workers, &tick)
            }
            GridMethodSpec::Klub(klub) => {
                let data = plan.data().draw(Stream::new(self.seed(), Purpose::Data), 0, klub.samples);
                let (kind, device) = plan.options();
                klub.find(model, &data.to_device(device).to_kind(kind), self.seed(), steps, workers, &tick)
            }
            GridMethodSpec::Analytic(analytic) => Ok(analytic.find(&*plan.sde, steps)),
            GridMethodSpec::Spectral(spectral) => {
                let spectrum = Spectrum::new(&self.axes());
                let (sde, method) = (&plan.sde, self.method_of(steps));
                workers.install(|| spectral.find(&spectrum, sde, &method, steps, &tick))
            }
            GridMethodSpec::Cost(cost) => {
                let order = self.method_of(steps).solver.order().claimed();
                cost.find(model, &init(cost.trajectories), order, steps, &tick)
            }
            GridMethodSpec::Direct(direct) => {
                let starts = self.starts(steps, observer)?;
                let unseen = Unseen(observer);
                let metrics = std::slice::from_ref(self.error);
                let few = Subject::new(plan, metrics, direct.samples, &unseen);
                let many = Subject::new(plan, metrics, direct.validation, &unseen);
                let mut seen = Repeat::of(&few, self.seed(), SEARCHED)?;
                let mut further = Repeat::of(&many, self.seed().wrapping_sub(1), 2 * SEARCHED)?;
                let measured = |repeat: &mut Repeat, levels: &[f64]| {
                    let grid = GridSpec::Tabulated(Tabulated(vec![times(&*plan.sde, levels)]));
                    repeat.error(model, Choice { grid: &grid, ..self.choice }, steps)
                };
                let part = 1.0 / (starts.len() * direct.evaluations) as f64;
                let mut error = |levels: &[f64]| {
                    tick(part)?;
                    measured(&mut seen, levels)
                };
                let mut validate = |levels: &[f64]| measured(&mut further, levels);
                direct.find(&starts, self.difference(), &mut error, &mut validate)
            }
        }
    }

    /// Grids from which to search: the default, three by hand, that of dynamic programming for a solver of the ODE, and that of
    /// the spectrum for data of one Gaussian.
    fn starts(&self, steps: usize, observer: &dyn Observer) -> Result<Vec<Vec<f64>>> {
        let sde = &*self.plan.sde;
        let unseen = Unseen(observer);
        let dp = match self.is_followed() && self.dim() <= FEW_DIMENSIONS {
            true => Some(GridSearch { method: &GridMethodSpec::Dp(START), ..*self }.find(steps, &unseen)?),
            false => None,
        };
        let own = self.choice.grid.times(sde, steps).map(|times| levels(sde, &times));
        let by_hand = [&Karras::default() as &dyn Grid, &Rectified {}].map(|grid| levels(sde, &grid.times(sde, steps)));
        let mut starts: Vec<Vec<f64>> = Vec::new();
        let spectral = match self.gaussian() {
            // A solver that is not linear has none.
            Some(_) => GridSearch { method: &GridMethodSpec::Spectral(SPECTRAL), ..*self }.find(steps, &unseen).ok(),
            None => None,
        };
        for start in own.into_iter().chain([equal(sde, steps)]).chain(by_hand).chain(dp).chain(spectral) {
            let reaches = start.iter().all(|level| level.is_finite());
            let new = |other: &Vec<f64>| other.iter().zip(&start).any(|(a, b)| (a - b).abs() > 1e-9);
            if reaches && starts.iter().all(new) {
                starts.push(start);
            }
        }
        Ok(starts)
    }

    /// How long differences have to be to stand out from round-off.
    fn difference(&self) -> f64 {
        let rounded = self.plan.compute.kind != Kind::Double || self.plan.untrained().is_none();
        if rounded { 2e-3 } else { 1e-5 }
    }

    /// The data in the axes of their covariance.
    fn axes(&self) -> Axes {
        if let Some(axes) = self.gaussian() {
            return axes;
        }
        let count = POINTS.max(2 * self.dim());
        let points = self.plan.data().draw(Stream::new(self.seed(), Purpose::Data), 0, count);
        let rows = points.reshape([points.size()[0], -1]).to_kind(Kind::Double);
        let mean = rows.mean_dim([0i64].as_slice(), true, Kind::Double);
        let centred = &rows - &mean;
        let covariance = centred.tr().matmul(&centred) / (rows.size()[0] - 1) as f64;
        let (eigenvalues, basis) = covariance.linalg_eigh("L");
        let row = |x: tch::Tensor| tensor::to_rows(&x.reshape([1, -1])).row(0).to_owned();
        Axes { mean: row(mean.matmul(&basis)), deviation: row(eigenvalues.clamp_min(0.0).sqrt()) }
    }

    /// Tries grids on held-out seeds, against the default.
    fn judge(&self, found: Vec<(usize, usize, Vec<f64>, f64)>, observer: &dyn Observer) -> Result<Vec<GridFound>> {
        let exact = matches!(self.error.build().needs(), Some(Need::Laws { .. }));
        let (seeds, count) = if exact { (1, self.error.build().least().max(4)) } else { self.trial };
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for (_, _, times, _) in &found {
            if rows.iter().all(|row| row.len() != times.len()) {
                rows.push(times.clone());
            }
        }
        let entry = |grid: GridSpec, label: &str| Entry {
            solver: self.choice.solver.clone(),
            grid: Some(grid),
            label: Some(label.to_owned()),
            denoise: Some(self.choice.denoise),
            nfe: None,
        };
        let spec = CompareSpec {
            entries: vec![
                entry(self.choice.grid.clone(), "before"),
                entry(GridSpec::Tabulated(Tabulated(rows)), "after"),
            ],
            nfe: found.iter().map(|&(budget, ..)| budget).collect(),
            metrics: vec![self.error.clone()],
            features: None,
            repeats: seeds,
            count: Some(count),
        };
        let comparison = stage::compare(self.plan, &spec, self.model, (&Store::nowhere(), &Only::default()), observer)?;
        let best = self.error.build().best();
        let errors = |entry: &str, budget: usize| -> Vec<f64> {
            let of_this = comparison.cells.iter().filter(|cell| cell.entry == entry && cell.budget == Some(budget));
            of_this.map(|cell| best.loss(cell.value)).collect()
        };
        let level = LEVEL / found.len() as f64;
        let judged = found.into_iter().map(|(budget, steps, times, seconds)| {
            let (before, after) = (errors("before", budget), errors("after", budget));
            let held_out = if exact { Paired::exact(&after, &before) } else { Paired::sampled(&after, &before) };
            let all = |of: &[f64]| of.iter().all(|error| error.is_finite());
            // A default that diverges is beaten by whatever does not.
            let recommended = all(&after) && (!all(&before) || held_out.less() <= level);
            let (before, after) = (mean(&before).0, mean(&after).0);
            GridFound { budget, steps, times, seconds, before, after, held_out, exact, recommended }
        });
        Ok(judged.collect())
    }
}

/// Where in the stream of reference data the search has its own, far from those of the trial.
const SEARCHED: u64 = 1 << 44;

/// The dynamic programming whose grid `direct` starts from.
const START: Dp = Dp {
    teacher_steps: 60,
    trajectories: 64,
    along: Along::Student,
    distance: Distance::Carried,
    step: Judged::Solver,
    gamma: 1.0,
    beam: 2,
};

/// The search for the grid of the spectrum that `direct` starts from.
const SPECTRAL: Spectral = Spectral { criterion: Criterion::Kl, resolution: 0.5, evaluations: 1000 };

/// In more dimensions than this, dynamic programming for a start takes longer than to do without it.
const FEW_DIMENSIONS: usize = 256;

/// Points from which eigenvalues are estimated, and the most coordinates of which they are.
const POINTS: usize = 10_000;
const MOST_DIMENSIONS: usize = 2048;

/// Sampling runs within a search, which are no progress of their own.
struct Unseen<'a>(&'a dyn Observer);

impl Observer for Unseen<'_> {
    fn stopped(&self) -> bool {
        self.0.stopped()
    }
}

/// The default of `--error`: what a solver of the ODE approximates is known for every model.
pub fn default_error(plan: &Plan, solver: &SolverSpec) -> MetricSpec {
    let choice = Choice { solver, grid: &plan.spec.sample.grid, denoise: false };
    let steps = plan.spec.sample.steps();
    let draws = plan.sampler(&choice, steps, 0).is_ok_and(|sampler| plan.draws_noise(&sampler));
    match draws {
        false => MetricSpec::TrajectoryError(Default::default()),
        true => MetricSpec::SlicedWasserstein(Default::default()),
    }
}
