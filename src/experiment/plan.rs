//! The plan: an experiment with everything built and cross-checked, ready to run.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::ArrayD;
use tch::{Device, Kind, Tensor};

use super::build::bins;
use super::choices::{GridSpec, SolverSpec};
use super::hash::digest;
use super::model_spec::ModelSpec;
use super::spec::{Entry, Noise, Spec};
use super::train_spec::TrainSpec;
use super::truth::told_of_images;
use crate::data::{Dataset, Library};
use crate::error::{Error, Fault, Result};
use crate::model::{Builder, Condition, Interface, Network, Parameters, Trained};
use crate::rng::{Purpose, Stream};
use crate::score::empirical::Empirical;
use crate::score::exact::{Exact, Law};
use crate::score::{Counted, Model};
use crate::sde::Sde;
use crate::solve::{self, Fresh, Integrator, Motion, NoiseSource, Replay, Sampler, Schedule};
use crate::tensor;
use crate::threads::Workers;

/// Where and how the arithmetic is done.
#[derive(Debug)]
pub struct Compute {
    /// The device of networks and states.
    pub device: Device,
    /// The kind of sampling states; networks compute in float32.
    pub kind: Kind,
    /// The threads for chunks of a batch.
    pub workers: Arc<Workers>,
}

/// An experiment, built and cross-checked.
#[derive(Debug)]
pub struct Plan {
    /// What was asked for, with all defaults.
    pub spec: Spec,
    /// The process.
    pub sde: Arc<dyn Sde>,
    /// Where the arithmetic is done.
    pub compute: Compute,
    /// The data set.
    data: Arc<dyn Dataset>,
    /// The samples that one thread should compute at a time.
    grain: i64,
    /// The number of parameters of the network; none of an exact model.
    parameters: usize,
}

/// The samples that suit a thread where there is no network to say it.
const GRAIN: i64 = 512;

impl Plan {
    /// Builds a checked experiment, with its data from the library.
    ///
    /// # Errors
    /// Data that are missing, cannot be used, are too few to compare with, or are not what the network is made for.
    pub fn new(spec: Spec, compute: Compute, library: &Library) -> Result<Self, Fault> {
        let key = format!("data.{}", spec.data.name());
        let data = spec.data.build(library).map_err(|fault| fault.under(&key))?;
        let mut plan = Plan { sde: spec.sde.build(), spec, compute, data, grain: GRAIN, parameters: 0 };
        if matches!(plan.spec.model, ModelSpec::Learned(_)) {
            // No values are made, so that a network may be larger than the memory.
            let (network, builder) = plan.build_network(Builder::without_values(plan.compute.device))?;
            plan.grain = network.grain();
            plan.parameters = builder.count();
            plan.check_classes()?;
        }
        plan.check_examples()?;
        if let Some(likelihood) = &plan.spec.likelihood {
            plan.lift(likelihood)?;
        }
        told_of_images(&plan)?;
        Ok(plan)
    }

    /// The hash of the resolved experiment, which names its run directories.
    pub fn hash(&self) -> String {
        digest(&self.spec.to_yaml())
    }

    /// The hash of everything that determines the trained parameters at a given step, so that a checkpoint knows its
    /// experiment.
    pub fn training_hash(&self) -> String {
        match self.data.digest() {
            // The two apart, so that a checkpoint can tell changed settings from changed files.
            Some(files) => format!("{}-{}", self.spec.training_hash(), &files[..12]),
            None => self.spec.training_hash(),
        }
    }

    /// The kind and the device of sampling states.
    pub fn options(&self) -> (Kind, Device) {
        (self.compute.kind, self.compute.device)
    }

    /// The data set.
    pub fn data(&self) -> &Arc<dyn Dataset> {
        &self.data
    }

    /// The samples that one thread should compute at a time.
    pub fn grain(&self) -> i64 {
        self.grain
    }

    /// The samples that are drawn at once: as asked for, or twice what suits training, which keeps more of each.
    pub fn chunk(&self) -> usize {
        self.spec.sample.chunk.unwrap_or(2 * self.grain as usize)
    }

    /// The exact denoiser, where the data have one.
    pub fn exact(&self) -> Option<Exact> {
        self.exact_in(self.compute.kind)
    }

    /// The same for states of a kind.
    pub fn exact_in(&self, kind: Kind) -> Option<Exact> {
        self.data().law().map(|law| Exact::new(law, self.sde.clone(), (kind, self.compute.device)))
    }

    /// A model of this experiment on `count` states in the finest kind: a closed form is computed in it too, and a network
    /// casts inside itself.
    pub fn finest(&self, model: &dyn Model, count: i64) -> Box<dyn Model> {
        match self.exact_in(tensor::finest(self.compute.device)) {
            Some(exact) if self.spec.model == ModelSpec::Exact => Box::new(exact),
            _ => model.part(0, count),
        }
    }

    /// The model that needs no training: the exact denoiser of the data, or of points of them; none for a network.
    pub fn untrained(&self) -> Option<Box<dyn Model>> {
        match &self.spec.model {
            ModelSpec::Exact => Some(Box::new(self.exact().expect("the experiment was checked"))),
            ModelSpec::Empirical(model) => {
                let points = self.data().draw(Stream::new(self.spec.seed, Purpose::Data), 0, model.points);
                Some(Box::new(Empirical::new(&points, self.sde.clone(), self.compute.device)))
            }
            ModelSpec::Learned(_) => None,
        }
    }

    /// The network at its initial parameters.
    pub fn network(&self) -> (Box<dyn Network>, Parameters) {
        let (network, builder) = self.initial_network();
        (network, builder.finish())
    }

    /// The number of parameters of the network; none of an exact model.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// The network at its initial parameters, to which more may be added.
    pub(super) fn initial_network(&self) -> (Box<dyn Network>, Builder) {
        let builder = Builder::new(self.spec.seed, self.compute.device);
        self.build_network(builder).expect("the network was built when the plan was made")
    }

    fn build_network(&self, mut builder: Builder) -> Result<(Box<dyn Network>, Builder), Fault> {
        let ModelSpec::Learned(model) = &self.spec.model else { panic!("an exact model has no network") };
        let data = self.data();
        let augmentations = if model.network.is_told_augmentations() { data.augmentations() } else { 0 };
        let shape = data.shape();
        let features = model.fourier_features.channels(shape[0] as usize);
        if features > 0 && bins(&**data).is_none() {
            let problem = format!("{} is continuous: there are no bins to have periods in", self.spec.data.name());
            return Err(Fault::new("model.fourier_features", problem, "remove it"));
        }
        let interface =
            Interface { classes: data.classes().len(), augmentations, features, ..Interface::of_shape(&shape) };
        let network = model.network.build(&interface, self.spec.seed, &mut builder);
        let network = network.map_err(|fault| fault.under("model.network"))?;
        Ok((model.precision.around(network), builder))
    }

    /// The model at its initial parameters, which costs what the trained one will.
    pub fn initial(&self, sigma_data: f64) -> Box<dyn Model> {
        self.untrained().unwrap_or_else(|| self.around(self.network().0, sigma_data, self.asked()))
    }

    /// The denoiser around a network under a condition.
    pub(super) fn around(&self, network: Box<dyn Network>, sigma_data: f64, condition: Condition) -> Box<dyn Model> {
        let ModelSpec::Learned(model) = &self.spec.model else { panic!("an exact model has no network") };
        let preconditioning = model.preconditioning(sigma_data, &*self.data);
        Box::new(Trained { network, preconditioning, sde: self.sde.clone(), condition })
    }

    /// What samples are drawn with.
    pub fn sample_choice(&self) -> Choice<'_> {
        let sample = &self.spec.sample;
        Choice { solver: &sample.solver, grid: &sample.grid, denoise: sample.denoise }
    }

    /// An entry of a comparison, with what it inherits from `sample`.
    pub fn choice<'a>(&'a self, entry: &'a Entry) -> Choice<'a> {
        let sample = &self.spec.sample;
        Choice {
            solver: &entry.solver,
            grid: entry.grid.as_ref().unwrap_or(&sample.grid),
            denoise: entry.denoise.unwrap_or(sample.denoise),
        }
    }

    /// A sampling run of a solver on a grid.
    ///
    /// # Errors
    /// An explicit time outside the span of the process.
    pub fn sampler(&self, choice: &Choice, steps: usize, seed: u64) -> Result<Sampler, Fault> {
        let (solver, grid) = (choice.solver, choice.grid);
        let span = self.sde.span();
        let data = self.sde.time_of_data();
        let schedule = match solver.chosen().tolerance() {
            Some(tolerance) => {
                let between = (span.t_max, span.t_min);
                Schedule::Adaptive { tolerance, between, finish: choice.denoise.then_some(data) }
            }
            None => {
                let mut times = solver.chosen().times(&*self.sde, grid.times(&*self.sde, steps)?);
                if choice.denoise && times.last() != Some(&data) {
                    times.push(data);
                }
                Schedule::Times(times)
            }
        };
        let noise = match self.spec.sample.noise {
            Noise::Fresh => NoiseSource::Fresh,
            Noise::Brownian => NoiseSource::Brownian,
        };
        Ok(Sampler { method: solver.chosen().method(steps), schedule, noise, seed, chunk: self.chunk() })
    }

    /// The evaluations that a solver makes in `steps` steps: counted on a one-dimensional Gaussian, not derived. The
    /// count ends after the step with which it exceeds `most`.
    pub fn evaluations(&self, choice: &Choice, steps: usize, most: usize) -> Effort {
        let sampler = self.sampler(choice, steps, 0).expect("the experiment was checked");
        // A coarse grid may be unstable; what has been counted by then is what it would have cost.
        self.on_a_line(&sampler, None, most).0
    }

    /// Whether `draws` normals for each coordinate are enough for a sampling run, before anything is written. Under error
    /// control that is known of each sample when it has come to its end, and not before.
    ///
    /// # Errors
    /// When the solver draws more.
    pub fn rehearse(&self, sampler: &Sampler, draws: usize) -> Result<()> {
        match sampler.schedule {
            Schedule::Times(_) => self.replay(sampler, draws, usize::MAX),
            Schedule::Adaptive { .. } => Ok(()),
        }
    }

    fn replay(&self, sampler: &Sampler, draws: usize, most: usize) -> Result<()> {
        match self.on_a_line(sampler, Some(draws), most).1 {
            Err(error @ Error::Argument { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether a sampling run draws any noise after x_T.
    pub fn draws_noise(&self, sampler: &Sampler) -> bool {
        // What draws noise does so within a few steps.
        self.replay(sampler, 0, 1000).is_err()
    }

    /// A sampling run from a one-dimensional Gaussian, with new noise or with so many given draws: its evaluations, and
    /// whether it came to its end, if it does so within `most` of them.
    fn on_a_line(&self, sampler: &Sampler, draws: Option<usize>, most: usize) -> (Effort, Result<()>) {
        let options = (Kind::Double, Device::Cpu);
        let model = Exact::new(&Law::spectrum(&[0.0], &[1.0]), self.sde.clone(), options);
        let counted = Counted::new(&model);
        let x = Tensor::ones([1, 1], options);
        let ones = draws.map(|draws| ArrayD::ones(vec![draws, 1, 1]));
        let mut noise: Box<dyn solve::Noise> = match &ones {
            None => Box::new(Fresh::new(0, 0)),
            Some(ones) => Box::new(Replay::new(tensor::from_array(ones, options))),
        };
        let mut way: Box<dyn Iterator<Item = Result<()>>> = match &sampler.schedule {
            Schedule::Times(times) => {
                let way = Integrator::new(&counted, &sampler.method, times, &mut *noise, x);
                Box::new(way.map(|point| point.map(drop)))
            }
            Schedule::Adaptive { .. } => {
                let motion = ones.map_or_else(|| Motion::fresh(0, 0, 1), Motion::replay);
                Box::new(sampler.adaptive(&counted, motion, x).map(|advance| advance.map(drop)))
            }
        };
        let mut steps = 0;
        while counted.count() <= most {
            match way.next() {
                Some(Ok(())) => steps += 1,
                Some(Err(error)) => return (Effort { evaluations: counted.count(), steps }, Err(error)),
                None => break,
            }
        }
        (Effort { evaluations: counted.count(), steps }, Ok(()))
    }

    /// The largest number of steps that costs at most `budget` evaluations, if one step does.
    pub fn steps_within(&self, choice: &Choice, budget: usize) -> Option<usize> {
        let mut known = HashMap::new();
        let mut cost =
            |steps: usize| *known.entry(steps).or_insert_with(|| self.evaluations(choice, steps, budget).evaluations);
        // Nearly always as many as a few steps promise: then there is nothing to search.
        let few = budget.min(8);
        let guess = (budget * few).checked_div(cost(few)).unwrap_or(budget).min(budget);
        if guess > 0 && cost(guess) <= budget && (guess == budget || cost(guess + 1) > budget) {
            return Some(guess);
        }
        // Costs grow with steps and are at least one a step, so bisection between 1 and the budget finds the last.
        let (mut low, mut high) = (0, budget);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if cost(middle) <= budget { low = middle } else { high = middle - 1 }
        }
        (low > 0).then_some(low)
    }
}

impl Spec {
    /// The hash of everything that determines the trained parameters at a given step. How long to train, and how often
    /// to log, may change.
    pub(super) fn training_hash(&self) -> String {
        let Spec { seed, data, sde, model, train, .. } = self;
        let train = train.as_ref().map(TrainSpec::essence);
        digest(&serde_json::to_string(&(seed, data, sde, model, train)).expect("settings are plain data"))
    }
}

/// What some steps of a solver cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Evaluations of the denoiser.
    pub evaluations: usize,
    /// The steps that were made.
    pub steps: usize,
}

impl Effort {
    /// The evaluations of `steps` steps, all like those that were made.
    pub fn over(&self, steps: usize) -> f64 {
        match self.steps {
            0 => self.evaluations as f64,
            made => self.evaluations as f64 * (steps as f64 / made as f64).max(1.0),
        }
    }
}

/// A solver as an experiment chooses it.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The solver.
    pub solver: &'a SolverSpec,
    /// Its grid.
    pub grid: &'a GridSpec,
    /// Whether a last step goes to σ = 0.
    pub denoise: bool,
}
