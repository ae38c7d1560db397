//! One repeat of a comparison: what all its runs share, and the measurement of one of them.

use std::sync::{Arc, Mutex};

use ndarray::Array2;
use serde_json::json;
use tch::{Device, Tensor};

use super::images::{Exhibits, Gallery, References};
use super::store::Known;
use super::{Job, tick};
use crate::data::Part;
use crate::error::{Error, Result};
use crate::experiment::choices::MetricSpec;
use crate::experiment::observer::Observer;
use crate::experiment::plan::{Choice, Plan};
use crate::experiment::truth::{flow, laws, truth};
use crate::feature::Features;
use crate::metric::{Diagonal, Metric, Need, Question, Start, Target, Truth};
use crate::score::Model;
use crate::solve::{Sampler, Schedule, Tolerance, prior};
use crate::tensor;
use crate::threads::Workers;

/// What all repeats share.
pub(in crate::experiment) struct Subject<'a> {
    pub(super) plan: &'a Plan,
    pub(super) observer: &'a dyn Observer,
    /// How many samples.
    pub(super) count: usize,
    /// The name of each metric, and the metric with its settings as JSON.
    pub(super) names: Vec<(String, String)>,
    metrics: Vec<Box<dyn Metric>>,
    truth: Truth,
    /// The tolerance of the probability flow, if a metric needs it.
    tolerance: Option<Tolerance>,
    /// Which laws to compare, if a metric needs them.
    which: Option<(Start, Target)>,
    /// Who looks at images, if a metric needs it.
    gallery: Option<Gallery<'a>>,
    /// The laws of what has run, for they are the same in every repeat.
    laws: Mutex<Vec<(LawKey, Laws)>>,
}

/// A solver at a budget: its label and its steps.
type LawKey = (String, Option<usize>);

/// The law of what a run makes, and that of what it should make; none of a sampler that is not linear.
type Laws = Option<Arc<[Diagonal; 2]>>;

impl<'a> Subject<'a> {
    /// What some metrics need to know.
    pub(in crate::experiment) fn new(
        plan: &'a Plan,
        specs: &[MetricSpec],
        count: usize,
        observer: &'a dyn Observer,
    ) -> Self {
        let metrics: Vec<Box<dyn Metric>> = specs.iter().map(|metric| metric.build()).collect();
        let (mut tolerance, mut which) = (None, None);
        for need in metrics.iter().filter_map(|metric| metric.needs()) {
            match need {
                Need::Flow { tolerance: both } => tolerance = Some(Tolerance { rtol: both, atol: both }),
                Need::Laws { start, target } => which = Some((start, target)),
                _ => {}
            }
        }
        let json = |metric: &MetricSpec| serde_json::to_string(metric).expect("settings are plain data");
        let names = metrics.iter().zip(specs).map(|(metric, spec)| (metric.name().into(), json(spec)));
        Subject {
            plan,
            observer,
            count,
            names: names.collect(),
            metrics,
            truth: truth(plan.data()),
            tolerance,
            which,
            gallery: None,
            laws: Mutex::default(),
        }
    }

    /// Whether a metric needs features of images.
    pub(super) fn needs_features(&self) -> bool {
        self.metrics.iter().any(|metric| is_of_images(&**metric))
    }

    /// With what computes features of images.
    pub(super) fn with_features(mut self, features: Box<dyn Features>) -> Self {
        for (metric, (_, key)) in self.metrics.iter().zip(&mut self.names) {
            if is_of_images(&**metric) {
                *key += &format!(" of {}", features.hash());
            }
        }
        let gallery = Gallery::new(self.plan, &self.metrics, features, self.observer);
        Subject { gallery: Some(gallery), ..self }
    }

    /// Points `[N, D]` as rows; none where every metric looks at features instead, for images have many numbers.
    fn rows(&self, x: &Tensor) -> Array2<f64> {
        match self.metrics.iter().all(|metric| is_of_images(&**metric)) {
            true => Array2::zeros((0, 0)),
            false => tensor::to_rows(x),
        }
    }

    /// Everything that determines the outcome of a job in a repeat but the metrics, as one line.
    pub(super) fn key(&self, common: &serde_json::Value, job: &Job, repeat: usize) -> String {
        let run = job.choice.map(|choice| {
            let sampler = self.sampler(&choice, job, seed(self.plan, repeat));
            json!({
                "solver": choice.solver,
                "steps": job.steps,
                "schedule": format!("{:?}", sampler.schedule),
                "noise": self.plan.spec.sample.noise,
            })
        });
        json!({ "subject": common, "repeat": repeat, "run": run }).to_string()
    }

    /// Whether what is known of a run answers every metric.
    pub(super) fn is_answered(&self, known: &[Known]) -> bool {
        self.names.iter().all(|(_, key)| known.iter().any(|known| known.metric == *key))
    }

    pub(super) fn sampler(&self, choice: &Choice, job: &Job, seed: u64) -> Sampler {
        self.plan.sampler(choice, job.steps.unwrap_or(1), seed).expect("the experiment was checked")
    }
}

fn is_of_images(metric: &dyn Metric) -> bool {
    metric.needs().is_some_and(Need::is_of_images)
}

/// The seed of x_T and of the noise: one for each repeat, away from that of `sample`.
pub(super) fn seed(plan: &Plan, repeat: usize) -> u64 {
    plan.spec.seed.wrapping_add(1 + repeat as u64)
}

/// What all runs of one repeat share: x_T, the seed of the noise, and what to compare with.
pub(in crate::experiment) struct Repeat<'a> {
    subject: &'a Subject<'a>,
    number: usize,
    seed: u64,
    /// A tensor may go from thread to thread, but two may not look at it at once.
    init: Mutex<Tensor>,
    reference: Array2<f64>,
    /// What is seen of the reference data, if a metric needs it.
    references: Option<References>,
    /// The ends of the probability flow from x_T, for each way that a solver takes.
    flows: Vec<(Schedule, Array2<f64>)>,
}

/// Where among the flows of a repeat the probability flow stands that a job approximates, which is computed if it is new:
/// none if no metric asks, or if the solver draws noise and so approximates something else.
pub(super) fn flow_of(repeat: &mut Repeat, model: &dyn Model, job: &Job) -> Result<Option<usize>> {
    let Subject { plan, tolerance, observer, .. } = *repeat.subject;
    let (Some(tolerance), Some(choice)) = (tolerance, job.choice) else { return Ok(None) };
    let sampler = repeat.subject.sampler(&choice, job, repeat.seed);
    if plan.draws_noise(&sampler) {
        return Ok(None);
    }
    let schedule = sampler.schedule.controlled(&*plan.sde, tolerance);
    let (init, tick) = (repeat.init(), tick(observer));
    let end = |schedule: &Schedule| flow(plan, model, &init, schedule.clone(), &|_| tick(0));
    place_of(&mut repeat.flows, schedule, end).map(Some)
}

/// The place of what is known of a schedule, which is made if it is new.
pub(super) fn place_of<T>(
    known: &mut Vec<(Schedule, T)>,
    schedule: Schedule,
    make: impl FnOnce(&Schedule) -> Result<T>,
) -> Result<usize> {
    if let Some(place) = known.iter().position(|(known, _)| *known == schedule) {
        return Ok(place);
    }
    let made = make(&schedule)?;
    known.push((schedule, made));
    Ok(known.len() - 1)
}

/// What is known of a run, and samples of it to look at.
pub(super) type Outcome = (Vec<Known>, Option<Tensor>);

/// So many samples of a run are kept, and so many numbers at most.
const SHOWN: i64 = 500;
const NUMBERS: i64 = 1 << 17;

fn shown(x: &Tensor) -> i64 {
    let (batch, numbers) = (x.size()[0], x.numel() as i64);
    batch.min(SHOWN).min((NUMBERS * batch / numbers.max(1)).max(1))
}

/// So many samples are drawn before the first run on a thread, whose memory and tables would else be on its bill.
const WARM: i64 = 64;

impl<'a> Repeat<'a> {
    pub(super) fn new(subject: &'a Subject<'a>, number: usize) -> Result<Self> {
        let seed = seed(subject.plan, number);
        Ok(Repeat { number, ..Repeat::of(subject, seed, (number * subject.count) as u64)? })
    }

    /// With x_T and noise of a seed, and the reference data from a place in their stream on.
    ///
    /// # Errors
    /// Features that cannot be computed, an interrupt.
    pub(in crate::experiment) fn of(subject: &'a Subject<'a>, seed: u64, first: u64) -> Result<Self> {
        let Subject { plan, count, .. } = *subject;
        let init = prior(&*plan.sde, seed, count, &plan.data().shape(), plan.options());
        let data = plan.reference(first, count);
        let reference = subject.rows(&data);
        let seen = |gallery: &Gallery| gallery.references(&data, &plan.compute.workers);
        let references = subject.gallery.as_ref().map(seen).transpose()?;
        Ok(Repeat { subject, number: 0, seed, init: Mutex::new(init), reference, references, flows: Vec::new() })
    }

    /// How bad a solver's steps are by the first of the metrics; NaN if the run diverges.
    pub(in crate::experiment) fn error(&mut self, model: &dyn Model, choice: Choice, steps: usize) -> Result<f64> {
        let Subject { plan, metrics, which, .. } = self.subject;
        let (metric, workers) = (&metrics[0], &plan.compute.workers);
        let job = Job { label: String::new(), choice: Some(choice), budget: None, steps: Some(steps) };
        if which.is_some() {
            // No samples are needed where the laws are known, and none of two grids may be taken for the other.
            let laws = self.new_laws(&self.subject.sampler(&choice, &job, self.seed), workers)?;
            let nothing = Array2::zeros((1, 1));
            let laws = laws.as_ref().map(|laws| laws.each_ref());
            let question = Question { laws, ..Question::new(nothing.view(), nothing.view()) };
            return Ok(if laws.is_some() { metric.measure(&question).value } else { f64::NAN });
        }
        let flow = flow_of(self, model, &job)?;
        let (known, _) = self.measure(&job, flow, model, workers, &mut true)?;
        Ok(known.first().and_then(|known| known.value).map_or(f64::NAN, |value| metric.best().loss(value)))
    }

    fn init(&self) -> Tensor {
        self.init.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).shallow_clone()
    }

    /// Makes the run of a job on some threads, and asks every metric about it. In the first repeat its first samples come
    /// too.
    pub(super) fn measure(
        &self,
        job: &Job,
        flow: Option<usize>,
        model: &dyn Model,
        workers: &Workers,
        warm: &mut bool,
    ) -> Result<Outcome> {
        let Subject { plan, count, observer, .. } = *self.subject;
        let Some(choice) = job.choice else {
            // Fresh data (of finite data, the rows of training), far behind the references of all repeats in their stream.
            let first = (1 << 40) + (self.number * count) as u64;
            let other = plan.measured(Part::Training, first, count);
            let seen = |gallery: &Gallery| gallery.data(&other, first, workers);
            let seen = self.subject.gallery.as_ref().map(seen).transpose()?;
            return Ok((self.answers((0.0, 0.0), Some((&other, seen)), (None, None), workers), None));
        };
        let sampler = self.subject.sampler(&choice, job, self.seed);
        let laws = self.laws(&sampler, job, workers)?;
        let init = self.init();
        if !std::mem::replace(warm, true) {
            let _ = sampler.run(model, &init.narrow(0, 0, WARM.min(init.size()[0])), workers, &|_| Ok(()));
        }
        match sampler.run(model, &init, workers, &tick(observer)) {
            Ok(run) => {
                let seconds = if init.device() == Device::Cpu { run.cpu_seconds } else { run.seconds };
                let seen = |gallery: &Gallery| gallery.samples(&run.x, workers);
                let seen = self.subject.gallery.as_ref().map(seen).transpose()?;
                let known = self.answers((run.nfe, seconds), Some((&run.x, seen)), (flow, laws.as_deref()), workers);
                for (value, (name, _)) in known.iter().map(|known| known.value).zip(&self.subject.names) {
                    let value = value.map_or("not defined".into(), |value| format!("{value:.5}"));
                    let (label, nfe) = (&job.label, run.nfe);
                    observer.detail(&format!("{label}, {nfe} evaluations in {seconds:.3} s: {name} {value}"));
                }
                let points = run.x.narrow(0, 0, shown(&run.x)).flatten(1, -1);
                Ok((known, (self.number == 0).then_some(points)))
            }
            Err(error @ Error::NonFinite { .. }) => {
                observer.say(&format!("{}: {error}", job.label));
                let cost = (job.budget.unwrap_or(0) as f64, f64::NAN);
                Ok((self.answers(cost, None, (flow, laws.as_deref()), workers), None))
            }
            Err(error) => Err(error),
        }
    }

    /// The laws of what a run makes and of what it should, if a metric asks.
    fn laws(&self, sampler: &Sampler, job: &Job, workers: &Workers) -> Result<Laws> {
        let Subject { which: Some(_), laws: known, .. } = self.subject else { return Ok(None) };
        let known = || known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let key = (job.label.clone(), job.steps);
        if let Some((_, laws)) = known().iter().find(|(known, _)| *known == key) {
            return Ok(laws.clone());
        }
        let laws = self.new_laws(sampler, workers)?.map(Arc::new);
        known().push((key, laws.clone()));
        Ok(laws)
    }

    fn new_laws(&self, sampler: &Sampler, workers: &Workers) -> Result<Option<[Diagonal; 2]>> {
        let Subject { plan, which: Some(which), observer, .. } = *self.subject else { return Ok(None) };
        let tick = tick(observer);
        workers.install(|| laws(plan, sampler, which, &|| tick(0)))
    }

    /// What each metric says of samples, and of what is seen of them: NaN where there are none, nothing where it lacks what
    /// it needs.
    fn answers(
        &self,
        (nfe, seconds): (f64, f64),
        samples: Option<(&Tensor, Option<Exhibits>)>,
        (flow, laws): (Option<usize>, Option<&[Diagonal; 2]>),
        workers: &Workers,
    ) -> Vec<Known> {
        let Subject { metrics, names, truth, gallery, .. } = self.subject;
        let x = samples.as_ref().map_or(Array2::zeros((0, 0)), |(x, _)| self.subject.rows(x));
        let exhibits = samples.as_ref().and_then(|(_, exhibits)| exhibits.as_ref());
        let flow = flow.map(|flow| self.flows[flow].1.view());
        let laws = laws.map(|laws| laws.each_ref());
        let plain = Question { truth, flow, laws, ..Question::new(x.view(), self.reference.view()) };
        let of_images = |need| Some(gallery.as_ref()?.question(need, exhibits?, self.references.as_ref()?));
        let answer = |metric: &dyn Metric, key: &str| {
            let (question, told) = match metric.needs() {
                // Who looks at images was asked beforehand whether it can tell.
                Some(need) if need.is_of_images() => (of_images(need), true),
                need => (samples.as_ref().map(|_| plain), need.is_none_or(|need| plain.has(need))),
            };
            let question = question.filter(|_| told);
            let estimate = question.map(|question| workers.install(|| metric.measure(&question)));
            let value = told.then(|| estimate.map_or(f64::NAN, |estimate| estimate.value));
            let standard_error = estimate.map_or(f64::NAN, |estimate| estimate.standard_error);
            Known { metric: key.to_owned(), nfe, seconds, value, standard_error }
        };
        metrics.iter().zip(names).map(|(metric, (_, key))| answer(&**metric, key)).collect()
    }
}
