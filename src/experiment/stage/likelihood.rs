//! The likelihood of data under the model of an experiment.

use std::path::Path;
use std::sync::Arc;

use tch::{Kind, Tensor};

use super::ledger::{Ledger, Likelihood, Tolerances};
use super::tick;
use crate::data::{Bins, Examples, Part, Scale};
use crate::error::{Error, Fault, Result};
use crate::experiment::choices::{BoundSpec, DivergenceSpec};
use crate::experiment::likelihood_spec::LikelihoodSpec;
use crate::experiment::observer::{Nobody, Observer};
use crate::experiment::{Choice, Plan, RunDir, Spec};
use crate::likelihood::{Divergence, Lift, Lifted, LogDensity, bound_terms, log_density};
use crate::model::Condition;
use crate::rng::{Purpose, Stream};
use crate::score::{Model, parts};
use crate::solve::{NoiseSource, Sampler, Schedule, Tolerance};
use crate::tensor;

/// In so many dimensions the divergence is taken exactly where nothing is asked for.
const FEW: i64 = 32;

/// The data whose likelihood is computed.
#[derive(Debug)]
pub struct Observed {
    /// Samples `[N, …]`, float64, with what is known of each.
    examples: Examples,
}

impl Observed {
    /// Those of a file, where one is given, else held-out ones.
    ///
    /// # Errors
    /// Those of both.
    pub fn of(plan: &Plan, spec: &LikelihoodSpec, file: Option<&Path>) -> Result<Self> {
        file.map_or_else(|| Self::held_out(plan, spec), |path| Self::read(plan, path))
    }

    /// As many samples as the settings say, of those that are held out.
    ///
    /// # Errors
    /// Data of which no example is known.
    pub fn held_out(plan: &Plan, spec: &LikelihoodSpec) -> Result<Self> {
        plan.needs_examples("a likelihood")?;
        let stream = Stream::new(plan.spec.seed, Purpose::Reference);
        Ok(Observed { examples: plan.data().labelled(Part::HeldOut, stream, 0, spec.count) })
    }

    /// The samples of a `.npy` file, in the units of the data.
    ///
    /// # Errors
    /// A file that cannot be read, an array of another shape, values that such data cannot have, a network that has to be
    /// told more than the file says.
    fn read(plan: &Plan, path: &Path) -> Result<Self> {
        let array = super::pictures::read_bytes(path).map(|bytes| bytes.mapv(f64::from));
        let array = array.or_else(|_| super::sample::read_npy(path))?;
        let like = plan
            .data()
            .restore(&Tensor::zeros([&[1], plan.data().shape().as_slice()].concat(), (Kind::Double, tch::Device::Cpu)));
        super::sample::fits(path, &array, &like.size()[1..])?;
        if plan.told() != Default::default() {
            let problem = "the network is told classes or augmentations, and the file has none";
            return Err(Error::file(path, problem, "leave the file away, for data that are labelled"));
        }
        let v = tensor::from_array(&array, (Kind::Double, tch::Device::Cpu));
        let x = plan.data().admit(&v).map_err(|fault| Error::file(path, fault.problem, fault.remedy))?;
        Ok(Observed { examples: Examples::plain(x) })
    }

    /// What a network is told of them.
    pub fn condition(&self, plan: &Plan) -> Condition {
        plan.told().of(&self.examples, plan.compute.device)
    }

    /// What it is told of `frames` states between each of the first half and one of the second: the same as of the first.
    pub fn condition_between(&self, plan: &Plan, frames: usize) -> Condition {
        let pairs = self.examples.x.size()[0] as usize / 2;
        let firsts: Vec<usize> = (0..pairs).flat_map(|pair| vec![pair; frames]).collect();
        self.condition(plan).select(&firsts)
    }

    /// The samples `[N, …]`, float64, where the model is.
    pub(super) fn states(&self, plan: &Plan) -> Tensor {
        self.examples.x.to_kind(tensor::finest(plan.compute.device)).to_device(plan.compute.device)
    }
}

impl Plan {
    /// How data become states at t_min, and the coordinates that they have.
    ///
    /// # Errors
    /// Data without a density, and a lift that is not for such data.
    pub fn lift(&self, spec: &LikelihoodSpec) -> Result<(Lift, Scale), Fault> {
        let name = self.spec.data.name();
        let scale = self.data().scale().map_err(|fault| fault.under(&format!("data.{name}")))?;
        let lift = spec.lift.unwrap_or(Lift::fitting(&scale));
        let wrong = |problem: String, remedy: &str| Err(Fault::new("likelihood.lift", problem, remedy));
        match (lift, scale.bins) {
            (Lift::Density, Some(Bins { .. })) => wrong(
                format!("{name} is discrete, and discrete data have no density"),
                "write uniform or truncated_normal to dequantise them, or decoder",
            ),
            (Lift::Uniform | Lift::TruncatedNormal, None) => {
                wrong(format!("{name} is continuous: there is nothing to dequantise"), "write density or decoder")
            }
            _ => Ok((lift, scale)),
        }
    }
}

impl LikelihoodSpec {
    /// The flow, as `count` samples would follow it, under the tolerance of its solver or another one, or on its grid.
    pub(in crate::experiment) fn sampler(&self, plan: &Plan, count: usize, tolerance: Option<f64>) -> Sampler {
        let choice = Choice { solver: &self.solver, grid: &self.grid, denoise: false };
        let own = plan.sampler(&choice, self.steps, plan.spec.seed).expect("the experiment was checked");
        let controlled =
            |tolerance| own.schedule.controlled(&*plan.sde, Tolerance { rtol: tolerance, atol: tolerance });
        let schedule = tolerance.map_or(own.schedule.clone(), controlled);
        // Several parts for each thread, so that one sees how the work goes on.
        let chunk = count.div_ceil(4 * plan.compute.workers.count()).clamp(1, plan.grain() as usize);
        Sampler { schedule, noise: NoiseSource::Fresh, chunk, ..own }
    }
}

/// Everything that a computation needs beside the model.
struct Work<'a> {
    plan: &'a Plan,
    spec: &'a LikelihoodSpec,
    /// x₀ `[N, …]`, float64, on the device of the model.
    x0: Tensor,
    scale: Scale,
    lift: Lift,
    /// The name of the way in which the divergence is taken.
    way: &'static str,
    divergence: Arc<dyn Divergence>,
    observer: &'a dyn Observer,
}

/// Computes the likelihood of data as the experiment's `likelihood` says, and writes `likelihood.csv`, a line a sample, and
/// `likelihood.json` into the run.
///
/// # Errors
/// Data without a density, a state that is not finite, a tolerance that cannot be met, a disk that is full, an interrupt.
pub fn likelihood(
    plan: &Plan,
    spec: &LikelihoodSpec,
    (model, observed): (&dyn Model, &Observed),
    run: &RunDir,
    observer: &dyn Observer,
) -> Result<Likelihood> {
    let work = Work::new((plan, spec), observed, observer)?;
    let model = &*plan.finest(model, work.x0.size()[0]);
    let mut ledger = work.ledger(model, observed)?;
    if let Some(bound) = &spec.bound {
        work.bound(model, bound, &mut ledger)?;
    }
    if let Some(density) = plan.data().log_density(&work.x0.to_device(tch::Device::Cpu)) {
        ledger.put("known", &(density - work.scale.log_volume));
    }
    let tolerances = work.tolerances(model)?;
    ledger.write(run)?;
    tolerances.write(run)?;
    let likelihood = Likelihood::new(work.about(), &ledger);
    likelihood.write(run)?;
    Ok(likelihood)
}

/// Takes the first steps of the likelihood of `count` samples, which cost what others do; two of a grid, or its only one. Evaluations for each sample, and seconds.
///
/// # Errors
/// Those of [`likelihood`].
pub(in crate::experiment) fn rehearse(
    plan: &Plan,
    spec: &LikelihoodSpec,
    model: &dyn Model,
    count: usize,
) -> Result<(f64, f64)> {
    let few = LikelihoodSpec { count, ..spec.clone() };
    let work = Work::new((plan, &few), &Observed::held_out(plan, &few)?, &Nobody)?;
    let model = &*plan.finest(model, count as i64);
    let mut sampler = work.sampler(None);
    match &mut sampler.schedule {
        // The way back begins where samples end.
        Schedule::Times(times) => *times = times.split_off(times.len().saturating_sub(3)),
        Schedule::Adaptive { between: (t_max, t_min), .. } => {
            *t_max = plan.sde.time_of_ratio(1.2 * plan.sde.kernel(*t_min).ratio());
        }
    }
    let run = work.solve(model, &work.lifted(model, 0).x, sampler)?.run;
    Ok((run.nfe, run.seconds))
}

impl<'a> Work<'a> {
    fn new(
        (plan, spec): (&'a Plan, &'a LikelihoodSpec),
        observed: &Observed,
        observer: &'a dyn Observer,
    ) -> Result<Self> {
        let (lift, scale) = plan.lift(spec).map_err(|fault| Error::argument(fault.key, fault.problem, fault.remedy))?;
        let dim: i64 = plan.data().shape().iter().product();
        let way = spec.divergence.clone().unwrap_or(match dim {
            ..=FEW => DivergenceSpec::Exact(Default::default()),
            _ => DivergenceSpec::Hutchinson(Default::default()),
        });
        let x0 = observed.states(plan);
        Ok(Work { plan, spec, x0, scale, lift, way: way.name(), divergence: way.build(), observer })
    }

    fn count(&self) -> usize {
        self.x0.size()[0] as usize
    }

    fn sampler(&self, tolerance: Option<f64>) -> Sampler {
        self.spec.sampler(self.plan, self.count(), tolerance)
    }

    /// Draw `draw` of the lift of the data.
    fn lifted(&self, model: &dyn Model, draw: u32) -> Lifted {
        let (sde, stream) = (&*self.plan.sde, Stream::new(self.plan.spec.seed, Purpose::Lift));
        let t = sde.span().t_min;
        let denoise = |x: &Tensor| {
            let part = |(_, model, x): (i64, Box<dyn Model>, Tensor)| tch::no_grad(|| model.denoise(&x, t));
            Tensor::cat(&parts(model, x, self.plan.grain()).map(part).collect::<Vec<_>>(), 0)
        };
        self.lift.of(&self.x0, &self.scale, sde.kernel(t), (stream, 0, draw), denoise)
    }

    fn solve(&self, model: &dyn Model, x: &Tensor, sampler: Sampler) -> Result<LogDensity> {
        let workers = &self.plan.compute.workers;
        log_density((model, &self.plan.sde), (x, 0), &self.divergence, sampler, workers, &tick(self.observer))
    }

    /// The number of ticks of one solution.
    fn ticks(&self, tolerance: Option<f64>) -> u64 {
        (self.count() * self.sampler(tolerance).schedule.ticks()) as u64
    }

    /// ln p of each sample with its terms, in nats.
    fn ledger(&self, model: &dyn Model, observed: &Observed) -> Result<Ledger> {
        let draws = self.spec.draws;
        self.observer.begin("likelihood", self.ticks(None) * draws as u64);
        let solved = (0..draws as u32).map(|draw| {
            let lifted = self.lifted(model, draw);
            let found = self.solve(model, &lifted.x, self.sampler(None))?;
            Ok((lifted, found))
        });
        let solved = solved.collect::<Result<Vec<_>>>();
        self.observer.end();
        let solved = solved?;
        let mut ledger = Ledger::new(self.count(), self.x0.numel() / self.count());
        if let Some(class) = &observed.examples.class {
            ledger.put("class", class);
        }
        let over = |of: &dyn Fn(&(Lifted, LogDensity)) -> Tensor| {
            let all: Vec<Tensor> = solved.iter().map(|one| of(one).to_kind(Kind::Double)).collect();
            Tensor::stack(&all, 0)
        };
        let average = |x: &Tensor| x.mean_dim([0i64].as_slice(), false, Kind::Double);
        let totals = over(&|(lifted, found)| found.total() + lifted.log_weight());
        let bound = average(&totals);
        let tightened = totals.logsumexp([0i64].as_slice(), false) - (draws as f64).ln();
        ledger.put("log_p", &tightened);
        ledger.term("prior", &average(&over(&|(_, found)| found.prior.shallow_clone())));
        let integral = |found: &LogDensity| found.total() - &found.prior;
        ledger.term("divergence", &average(&over(&|(_, found)| integral(found))));
        for (i, (name, _)) in solved[0].0.terms.iter().enumerate() {
            ledger.term(name, &average(&over(&|(lifted, _)| lifted.terms[i].1.shallow_clone())));
        }
        if draws > 1 {
            ledger.term("importance", &(tightened - bound));
        }
        if self.divergence.estimates() > 1 {
            let error = over(&|(_, found)| {
                found.divergence.std_dim([1i64].as_slice(), true, false) / (self.divergence.estimates() as f64).sqrt()
            });
            // All draws of the lift share the probes of their sample, and so the error that comes with them.
            ledger.put("probe_error", &average(&error));
        }
        ledger.nfe = solved.iter().map(|(_, found)| found.run.nfe).sum::<f64>() / draws as f64;
        ledger.seconds = solved.iter().map(|(_, found)| found.run.seconds).sum();
        Ok(ledger)
    }

    /// The terms of a variational bound, which count as −ln p.
    fn bound(&self, model: &dyn Model, spec: &BoundSpec, ledger: &mut Ledger) -> Result<()> {
        let Plan { sde, compute, spec: Spec { seed, .. }, .. } = self.plan;
        let bound = spec.build(&**sde, *seed);
        self.observer.begin("variational bound", (self.count() * (bound.terms() + 1)) as u64);
        let draws = (Stream::new(*seed, Purpose::Perturbation), 2 * self.plan.grain());
        let tick = tick(self.observer);
        let terms = bound_terms(&*bound, model, (&self.x0, &self.scale), draws, &compute.workers, &tick);
        self.observer.end();
        let terms = terms?;
        ledger.put("bound", &terms.total());
        ledger.put("bound_prior", &terms.prior);
        ledger.put("bound_diffusion", &terms.diffusion);
        ledger.put("bound_reconstruction", &terms.reconstruction);
        Ok(())
    }

    /// ln p of each sample, by the first draw of the lift, at each of the tolerances.
    fn tolerances(&self, model: &dyn Model) -> Result<Tolerances> {
        let mut found = Tolerances::new(self.x0.numel() / self.count());
        if self.spec.tolerances.is_empty() {
            return Ok(found);
        }
        let lifted = self.lifted(model, 0);
        let total: u64 = self.spec.tolerances.iter().map(|&tolerance| self.ticks(Some(tolerance))).sum();
        self.observer.begin("tolerances", total);
        let solve = |&tolerance: &f64| {
            let solved = self.solve(model, &lifted.x, self.sampler(Some(tolerance)))?;
            found.put(tolerance, solved.run.nfe, &(solved.total() + lifted.log_weight()));
            Ok(())
        };
        let done: Result<()> = self.spec.tolerances.iter().try_for_each(solve);
        self.observer.end();
        done.map(|()| found)
    }

    /// What was done, in words.
    fn about(&self) -> String {
        let k = self.plan.sde.kernel(self.plan.sde.span().t_min);
        let solver = self.spec.solver.name();
        let lift = match self.lift {
            Lift::Density => "the density of data with noise of the standard deviation κ₀",
            Lift::Uniform => "a bound on the probability of the discrete data, by uniform dequantisation",
            Lift::TruncatedNormal => {
                "a bound on the probability of the discrete data, by truncated normal dequantisation"
            }
            Lift::Decoder => "a bound for data that the decoder at κ₀ makes of states",
        };
        format!("{lift}; κ₀ = {:.2e}, {solver}, divergence {}", k.ratio(), self.way)
    }
}
