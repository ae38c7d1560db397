//! Solvers × budgets × repeats: how far each solver's samples are from the data for what it costs.
//!
//! All solvers of a repeat share x_T, the stream of the noise and the reference data, so that their differences are far
//! less noisy than their values. Runs are made side by side, a processor each, and what was measured is kept: a
//! comparison that was stopped goes on, and one that has changed measures what is new.

mod cell;
mod clouds;
mod images;
mod only;
mod repeat;
mod sources;
mod store;
mod verdict;

use std::sync::Mutex;

use tch::Device;

pub(super) use cell::distinct;
pub use cell::{Cell, Comparison, Summary};
pub(super) use clouds::{Cloud, clouds};
pub use only::Only;
pub use sources::{Sources, sources};
pub use store::Store;
pub use verdict::{Contest, Standings};
pub(super) use verdict::{best, metric};

use self::repeat::{Outcome, flow_of};
pub(in crate::experiment) use self::repeat::{Repeat, Subject};
use self::store::{Known, subject};
use super::features::wanted_features;
use super::tick;
use crate::error::{Error, Result};
use crate::experiment::observer::Observer;
use crate::experiment::plan::{Choice, Plan};
use crate::experiment::spec::{CompareSpec, FLOOR};
use crate::score::Model;
use crate::threads::Workers;

/// One sampling run to make, in each repeat.
#[derive(Clone, Debug)]
struct Job<'a> {
    label: String,
    /// None for the noise floor.
    choice: Option<Choice<'a>>,
    budget: Option<usize>,
    steps: Option<usize>,
}

/// A job in one of the repeats.
struct Task<'a> {
    job: &'a Job<'a>,
    /// Its place in the result.
    place: usize,
    /// Under which its outcome is kept.
    key: String,
    /// Which of the probability flows of the repeat it approximates.
    flow: Option<usize>,
}

/// Runs the comparison that the experiment asks for, or the part of it that `only` admits. What `store` has of it is not
/// measured again.
///
/// # Errors
/// An interrupt, a tolerance that cannot be met, a store that cannot be written. A run that diverges is recorded as NaN.
pub fn compare(
    plan: &Plan,
    spec: &CompareSpec,
    model: &dyn Model,
    (store, only): (&Store, &Only),
    observer: &dyn Observer,
) -> Result<Comparison> {
    let (jobs, left_out) = jobs(plan, spec, only);
    left_out.iter().for_each(|line| observer.say(line));
    let mut subject = Subject::new(plan, &spec.metrics, spec.count(plan.spec.sample.count), observer);
    if subject.needs_features() {
        subject = subject.with_features(wanted_features(plan, spec, observer)?);
    }
    let mut outcomes: Vec<Vec<Known>> = vec![Vec::new(); jobs.len() * spec.repeats];
    let missing = missing(&subject, model, &jobs, store, &mut outcomes);
    let (all, left) = (outcomes.len(), missing.iter().map(Vec::len).sum::<usize>());
    if left < all {
        observer.say(&format!("{} of {all} cells were measured before", all - left));
    }
    let ticks =
        |task: &Task| task.job.choice.map_or(0, |choice| subject.sampler(&choice, task.job, 0).schedule.ticks());
    let total: usize = missing.iter().flatten().map(ticks).sum();
    observer.begin("comparing", (total * subject.count) as u64);
    let done = Mutex::new(&mut outcomes);
    let mut outcome = Ok(());
    for (repeat, tasks) in missing.into_iter().enumerate().filter(|(_, tasks)| !tasks.is_empty()) {
        outcome = measure(&subject, model, repeat, tasks, &|task: Task, (known, points): Outcome| {
            store.keep(&task.key, &known)?;
            points.map_or(Ok(()), |points| store.keep_points(&task.key, &points))?;
            done.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[task.place] = known;
            Ok(())
        });
        if outcome.is_err() {
            break;
        }
    }
    observer.end();
    let kept = outcomes.iter().filter(|known| !known.is_empty()).count();
    outcome.map_err(|error| match error {
        Error::Interrupted { .. } => Error::Interrupted {
            remedy: format!("{kept} of {all} cells are measured and kept; the same command measures the rest"),
        },
        other => other,
    })?;
    Ok(Comparison { cells: cells(&subject, &jobs, spec.repeats, &outcomes) })
}

/// The noise floor, and each entry at each budget that it can meet; solvers that choose their own steps run once. And a line
/// for each budget that an entry cannot meet.
fn jobs<'a>(plan: &'a Plan, spec: &'a CompareSpec, only: &Only) -> (Vec<Job<'a>>, Vec<String>) {
    let mut jobs = vec![Job { label: FLOOR.into(), choice: None, budget: None, steps: None }];
    let mut left_out = Vec::new();
    for entry in &spec.entries {
        let (label, name, choice) = (entry.label(), entry.solver.name(), plan.choice(entry));
        let mut add = |budget, steps| {
            jobs.push(Job { label: label.clone(), choice: Some(choice), budget, steps });
        };
        if entry.solver.chosen().tolerance().is_some() && only.admits(name, &label, None) {
            add(None, None);
        }
        for &budget in spec.budgets(entry).iter().filter(|&&budget| only.admits(name, &label, Some(budget))) {
            match plan.steps_within(&choice, budget) {
                Some(steps) => add(Some(budget), Some(steps)),
                None => left_out.push(format!("{label} needs more than {budget} evaluations; left out at that budget")),
            }
        }
    }
    (jobs, left_out)
}

/// For each repeat what is not in the store, the longest runs first; what is there goes into `outcomes`.
fn missing<'a>(
    comparison: &Subject,
    model: &dyn Model,
    jobs: &'a [Job<'a>],
    store: &Store,
    outcomes: &mut [Vec<Known>],
) -> Vec<Vec<Task<'a>>> {
    let common = subject(comparison.plan, model, comparison.count);
    let repeats = outcomes.len() / jobs.len();
    let of_repeat = |repeat: usize| {
        let mut tasks = Vec::new();
        for (number, job) in jobs.iter().enumerate() {
            let (key, place) = (comparison.key(&common, job, repeat), number * repeats + repeat);
            let known = store.find(&key);
            match comparison.is_answered(&known) {
                true => outcomes[place] = known,
                false => tasks.push(Task { job, place, key, flow: None }),
            }
        }
        tasks.sort_by_key(|task| std::cmp::Reverse(task.job.budget.unwrap_or(usize::MAX)));
        tasks
    };
    (0..repeats).map(of_repeat).collect()
}

/// Measures what one repeat lacks, and hands on each outcome as it comes.
fn measure<'a>(
    subject: &Subject,
    model: &dyn Model,
    repeat: usize,
    mut tasks: Vec<Task<'a>>,
    keep: &(dyn Fn(Task<'a>, Outcome) -> Result<()> + Sync),
) -> Result<()> {
    let Subject { plan, observer, count, .. } = *subject;
    let mut repeat = Repeat::new(subject, repeat)?;
    for task in &mut tasks {
        task.flow = flow_of(&mut repeat, model, task.job)?;
    }
    let lanes: Vec<(Workers, Box<dyn Model>)> = lanes(plan.compute.workers.count(), plan.compute.device, &tasks)
        .map(|threads| Ok((Workers::new(threads)?, model.part(0, count as i64))))
        .collect::<Result<_>>()?;
    let (queue, failure) = (Mutex::new(tasks.into_iter()), Mutex::new(None));
    let next = || queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
    let failed = || failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    std::thread::scope(|scope| {
        for (workers, model) in lanes {
            let (repeat, next, failed) = (&repeat, &next, &failed);
            scope.spawn(move || {
                let mut warm = false;
                while let Some(task) = next().filter(|_| failed().is_none()) {
                    observer.note(&task.job.label);
                    let measured = repeat.measure(task.job, task.flow, &*model, &workers, &mut warm);
                    if let Err(error) = measured.and_then(|outcome| keep(task, outcome)) {
                        failed().get_or_insert(error);
                    }
                }
            });
        }
    });
    let failure = failed().take();
    failure.map_or_else(|| tick(observer)(0), Err)
}

/// The threads of each lane of runs: a processor for each run, or several where there are fewer runs. A GPU makes one after
/// the other.
fn lanes(threads: usize, device: Device, tasks: &[Task]) -> impl Iterator<Item = usize> + use<> {
    // The noise floor evaluates no network, so it needs no lane of its own.
    let runs = tasks.iter().filter(|task| task.job.choice.is_some()).count();
    let lanes = if device == Device::Cpu { threads.min(runs).max(1) } else { 1 };
    (0..lanes).map(move |lane| (threads + lane) / lanes)
}

/// The outcomes in the order of the experiment, a line a metric.
fn cells(subject: &Subject, jobs: &[Job], repeats: usize, outcomes: &[Vec<Known>]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (number, job) in jobs.iter().enumerate() {
        for repeat in 0..repeats {
            let known = &outcomes[number * repeats + repeat];
            for (name, key) in &subject.names {
                let Some(known) = known.iter().find(|known| known.metric == *key) else { continue };
                let Some(value) = known.value else { continue };
                cells.push(Cell {
                    entry: job.label.clone(),
                    budget: job.budget,
                    steps: job.steps,
                    repeat,
                    nfe: known.nfe,
                    seconds: known.seconds,
                    metric: name.clone(),
                    value,
                    standard_error: known.standard_error,
                });
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use tch::Kind;

    use super::*;
    use crate::data::Library;
    use crate::experiment::spec::SampleSpec;
    use crate::experiment::{Compute, Spec};

    /// What is left of the work that was announced.
    #[derive(Default)]
    struct Left(AtomicI64);

    impl Observer for Left {
        fn begin(&self, _: &str, total: u64) {
            self.0.fetch_add(total as i64, Ordering::Relaxed);
        }

        fn advance(&self, done: u64) {
            self.0.fetch_sub(done as i64, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_work_done_is_the_work_announced() {
        let text = "{name: x, data: eight_gaussians, sde: edm, model: exact, sample: {count: 40, solver: heun, grid: karras, \
                    steps: 4, denoise: true, chunk: 16}, compare: {entries: [{solver: heun}, {solver: dpmpp_2m}, \
                    {solver: restart}, {solver: dopri5}], nfe: [4, 40], metrics: [energy_distance], repeats: 2}}";
        let compute = Compute { device: Device::Cpu, kind: Kind::Double, workers: Arc::new(Workers::new(2).unwrap()) };
        let plan = Plan::new(Spec::parse(text, "x", &[]).unwrap(), compute, &Library::new(None)).unwrap();
        let (model, left) = (plan.untrained().expect("a model"), Left::default());
        let spec = plan.spec.compare.as_ref().expect("a comparison");
        compare(&plan, spec, &*model, (&Store::nowhere(), &Only::default()), &left).expect("cells");
        assert_eq!(left.0.into_inner(), 0);
    }

    #[test]
    fn processors_are_shared_among_the_runs_that_cost() {
        let SampleSpec { solver, grid, .. } = &SampleSpec::default();
        let run = Job {
            label: "a".into(),
            choice: Some(Choice { solver, grid, denoise: true }),
            budget: Some(5),
            steps: Some(5),
        };
        let floor = Job { label: FLOOR.into(), choice: None, budget: None, steps: None };
        let shares = |threads, device, jobs: &[&Job]| {
            let tasks: Vec<Task> =
                jobs.iter().map(|job| Task { job, place: 0, key: String::new(), flow: None }).collect();
            lanes(threads, device, &tasks).collect::<Vec<_>>()
        };
        assert_eq!(shares(2, Device::Cpu, &[&floor, &run]), [2]);
        assert_eq!(shares(2, Device::Cpu, &[&floor, &run, &run, &run]), [1, 1]);
        assert_eq!(shares(8, Device::Cpu, &[&run, &floor, &run, &run]), [2, 3, 3]);
        assert_eq!(shares(2, Device::Cpu, &[&floor]), [2]);
        assert_eq!(shares(2, Device::Cuda(0), &[&run, &run]), [2]);
    }
}
