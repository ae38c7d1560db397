//! From choices to the things chosen: each an exhaustive match, so that a new choice makes the compiler list the work.

use std::sync::Arc;

use super::choices::{
    BoundSpec, CorrectorSpec, DataSpec, DivergenceSpec, EmaSpec, GridSpec, MetricSpec, NetworkSpec, NoiseLevelSpec,
    OptimizerSpec, ScheduleSpec, SdeSpec, TimeSpec, WeightingSpec,
};
use super::likelihood_spec::{ChainSpec, ContinuousSpec};
use super::spec::LearnedModel;
use crate::data::{Bins, Dataset, Library, Toy};
use crate::error::Fault;
use crate::likelihood::{Bound, Chain, Continuous, Divergence};
use crate::metric::{Fidelity, Measure, Metric};
use crate::model::{Builder, Interface, Network, NoiseLevel, Preconditioning, QuarterLog, Waves};
use crate::rng::{Purpose, Stream};
use crate::sde::Sde;
use crate::solve::{Corrector, Grid};
use crate::train::{AdamW, Averaging, Schedule, TimeLaw, Weighting};

impl SdeSpec {
    /// The process.
    pub fn build(&self) -> Arc<dyn Sde> {
        match *self {
            SdeSpec::Vp(sde) => Arc::new(sde),
            SdeSpec::SubVp(sde) => Arc::new(sde),
            SdeSpec::Ve(sde) => Arc::new(sde),
            SdeSpec::Edm(sde) => Arc::new(sde),
            SdeSpec::Cosine(sde) => Arc::new(sde),
            SdeSpec::Flow(sde) => Arc::new(sde),
        }
    }
}

impl DataSpec {
    /// The data set.
    ///
    /// # Errors
    /// A covariance with a negative eigenvalue, a file that is missing or cannot be used.
    pub fn build(&self, library: &Library) -> Result<Arc<dyn Dataset>, Fault> {
        Ok(match self {
            DataSpec::TwoMoons(toy) => Arc::new(Toy(*toy)),
            DataSpec::Checkerboard(toy) => Arc::new(Toy(*toy)),
            DataSpec::SwissRoll(toy) => Arc::new(Toy(*toy)),
            DataSpec::Circles(toy) => Arc::new(Toy(*toy)),
            DataSpec::Rings(toy) => Arc::new(Toy(*toy)),
            DataSpec::Pinwheel(toy) => Arc::new(Toy(*toy)),
            DataSpec::Spirals(toy) => Arc::new(Toy(*toy)),
            DataSpec::SCurve(toy) => Arc::new(*toy),
            DataSpec::Funnel(toy) => Arc::new(*toy),
            DataSpec::GaussianGrid(settings) => Arc::new(settings.build()),
            DataSpec::OrthogonalMixture(settings) => Arc::new(settings.build()),
            DataSpec::Manifold(settings) => Arc::new(settings.build()),
            DataSpec::Cifar10Gaussian(settings) => Arc::new(settings.build()),
            DataSpec::EightGaussians(settings) => Arc::new(settings.build()?),
            DataSpec::Gaussian(settings) => Arc::new(settings.build()?),
            DataSpec::GaussianMixture(settings) => Arc::new(settings.build()?),
            DataSpec::Table(settings) => Arc::new(settings.build(library)?),
            DataSpec::FashionMnist(settings) => Arc::new(settings.build(library)?),
            DataSpec::Mnist(settings) => Arc::new(settings.build(library)?),
            DataSpec::Cifar10(settings) => Arc::new(settings.build(library)?),
            DataSpec::Idx(settings) => Arc::new(settings.build(library)?),
            DataSpec::Images(settings) => Arc::new(settings.build(library)?),
            DataSpec::ImageArray(settings) => Arc::new(settings.build(library)?),
            DataSpec::ImageShape(settings) => Arc::new(settings.build()),
        })
    }

    /// The data set, where it takes no files to build.
    ///
    /// # Errors
    /// Those of [`DataSpec::build`].
    pub fn without_files(&self) -> Result<Option<Arc<dyn Dataset>>, Fault> {
        match self {
            DataSpec::Table(_)
            | DataSpec::FashionMnist(_)
            | DataSpec::Mnist(_)
            | DataSpec::Cifar10(_)
            | DataSpec::Idx(_)
            | DataSpec::Images(_)
            | DataSpec::ImageArray(_) => Ok(None),
            _ => self.build(&Library::new(None)).map(Some),
        }
    }
}

impl NetworkSpec {
    /// The network for what it sees and is told.
    ///
    /// # Errors
    /// When it is not made for such data.
    pub fn build(&self, interface: &Interface, seed: u64, parameters: &mut Builder) -> Result<Box<dyn Network>, Fault> {
        match (self, interface.shape.as_slice()) {
            (NetworkSpec::Mlp(_), _) if interface.features > 0 => {
                let remedy = "remove `model.fourier_features`, or choose a network for images, such as unet or dit";
                Err(Fault::new("mlp", "an MLP is shown no Fourier features", remedy))
            }
            (NetworkSpec::Mlp(mlp), &[dim]) => Ok(Box::new(mlp.build(dim, seed, parameters))),
            (NetworkSpec::Mlp(_), shape) => Err(Fault::new(
                "mlp",
                format!("an MLP takes points, and the data have the shape {shape:?}"),
                "choose a network for images, such as unet or dit",
            )),
            (NetworkSpec::Unet(unet), _) => {
                let network = unet.build(interface, seed, parameters).map_err(|fault| fault.under("unet"))?;
                Ok(Box::new(network))
            }
            (NetworkSpec::Dit(dit), _) => {
                let network = dit.build(interface, parameters).map_err(|fault| fault.under("dit"))?;
                Ok(Box::new(network))
            }
        }
    }

    /// Whether it is told classes.
    pub fn is_told_classes(&self) -> bool {
        match self {
            NetworkSpec::Mlp(_) => false,
            NetworkSpec::Unet(unet) => unet.num_class_embeds.is_some(),
            NetworkSpec::Dit(dit) => dit.num_classes.is_some(),
        }
    }

    /// Whether it can be told how an example was augmented.
    pub fn is_told_augmentations(&self) -> bool {
        match self {
            NetworkSpec::Mlp(_) => false,
            NetworkSpec::Unet(_) | NetworkSpec::Dit(_) => true,
        }
    }

    /// Whether it has blocks that training may compute twice.
    pub fn can_recompute(&self) -> bool {
        match self {
            NetworkSpec::Mlp(_) => false,
            NetworkSpec::Unet(_) | NetworkSpec::Dit(_) => true,
        }
    }
}

impl Default for NoiseLevelSpec {
    fn default() -> Self {
        NoiseLevelSpec::QuarterLog(QuarterLog {})
    }
}

impl NoiseLevelSpec {
    /// c_noise as a function of κ.
    pub fn build(&self) -> Arc<dyn NoiseLevel> {
        match self {
            NoiseLevelSpec::QuarterLog(level) => Arc::new(*level),
            NoiseLevelSpec::Log(level) => Arc::new(*level),
            NoiseLevelSpec::TimeStep(settings) => Arc::new(settings.build()),
        }
    }
}

/// The bins of discrete data.
pub(super) fn bins(data: &dyn Dataset) -> Option<Bins> {
    data.scale().ok().and_then(|scale| scale.bins)
}

impl LearnedModel {
    /// What stands around the network, where the root mean square of the data's coordinates is `sigma_data`.
    pub fn preconditioning(&self, sigma_data: f64, data: &dyn Dataset) -> Preconditioning {
        let LearnedModel { predict: prediction, input, .. } = *self;
        // To say their scale, tables are read through.
        let bins = if self.fourier_features.0.is_empty() { None } else { bins(data) };
        let features = bins.map_or(Waves::default(), |bins| self.fourier_features.over(bins.range.0, bins.width));
        Preconditioning { prediction, sigma_data, input, noise_level: self.noise_level.build(), features }
    }
}

impl TimeSpec {
    /// The law of t for a weighting under a process.
    pub fn build(&self, sde: &dyn Sde, weighting: &dyn Weighting, sigma_data: f64) -> Arc<dyn TimeLaw> {
        match *self {
            TimeSpec::Uniform(law) => Arc::new(law),
            TimeSpec::LogSnr(law) => Arc::new(law),
            TimeSpec::LogNormal(law) => Arc::new(law),
            TimeSpec::Importance(law) => Arc::new(law.build(sde, weighting, sigma_data)),
        }
    }
}

impl WeightingSpec {
    /// The weighting.
    pub fn build(&self) -> Arc<dyn Weighting> {
        match *self {
            WeightingSpec::Simple(weighting) => Arc::new(weighting),
            WeightingSpec::Likelihood(weighting) => Arc::new(weighting),
            WeightingSpec::Edm(weighting) => Arc::new(weighting),
            WeightingSpec::MinSnr(weighting) => Arc::new(weighting),
            WeightingSpec::P2(weighting) => Arc::new(weighting),
            WeightingSpec::Uniform(weighting) => Arc::new(weighting),
        }
    }
}

impl ScheduleSpec {
    /// The schedule.
    pub fn build(&self) -> Arc<dyn Schedule> {
        match *self {
            ScheduleSpec::Constant(schedule) => Arc::new(schedule),
            ScheduleSpec::Cosine(schedule) => Arc::new(schedule),
            ScheduleSpec::InverseSqrt(schedule) => Arc::new(schedule),
        }
    }
}

impl EmaSpec {
    /// The moving average.
    pub fn build(&self) -> Arc<dyn Averaging> {
        match *self {
            EmaSpec::HalfLife(average) => Arc::new(average),
            EmaSpec::Power(average) => Arc::new(average),
        }
    }
}

impl OptimizerSpec {
    /// The optimizer.
    pub fn build(&self) -> AdamW {
        match *self {
            OptimizerSpec::AdamW(adamw) => adamw,
        }
    }
}

impl CorrectorSpec {
    /// The corrector.
    pub fn build(&self) -> Box<dyn Corrector> {
        match *self {
            CorrectorSpec::Langevin(corrector) => Box::new(corrector),
            CorrectorSpec::AnnealedLangevin(corrector) => Box::new(corrector),
        }
    }
}

impl BoundSpec {
    /// The bound for a process; the seed is that of its times.
    pub fn build(&self, sde: &dyn Sde, seed: u64) -> Box<dyn Bound> {
        match self {
            BoundSpec::Chain(ChainSpec { steps, grid, variance }) => {
                let times = grid.times(sde, *steps).expect("the experiment was checked");
                Box::new(Chain { times, variance: *variance })
            }
            BoundSpec::Continuous(ContinuousSpec { draws }) => {
                let (between, stream) = ((sde.span().t_max, sde.span().t_min), Stream::new(seed, Purpose::Time));
                Box::new(Continuous { between, draws: *draws, stream })
            }
        }
    }
}

impl DivergenceSpec {
    /// The way to take the divergence.
    pub fn build(&self) -> Arc<dyn Divergence> {
        match *self {
            DivergenceSpec::Exact(divergence) => Arc::new(divergence),
            DivergenceSpec::Hutchinson(divergence) => Arc::new(divergence),
            DivergenceSpec::HutchPp(divergence) => Arc::new(divergence),
        }
    }
}

impl GridSpec {
    /// The times of `steps` steps.
    ///
    /// # Errors
    /// An explicit time outside the span of the process, a tabulated grid for another span.
    pub fn times(&self, sde: &dyn Sde, steps: usize) -> Result<Vec<f64>, Fault> {
        match self {
            GridSpec::Explicit(times) => times.times(sde).map_err(|fault| fault.under("explicit")),
            GridSpec::Tabulated(table) => table.times(sde, steps).map_err(|fault| fault.under("tabulated")),
            placed => Ok(placed.rule().expect("times that are not written out").times(sde, steps)),
        }
    }

    /// The rule that places any number of times; none where they are written out.
    pub fn rule(&self) -> Option<&dyn Grid> {
        match self {
            GridSpec::Uniform(grid) => Some(grid),
            GridSpec::LogSnr(grid) => Some(grid),
            GridSpec::Karras(grid) => Some(grid),
            GridSpec::Quadratic(grid) => Some(grid),
            GridSpec::Rectified(grid) => Some(grid),
            GridSpec::Explicit(_) | GridSpec::Tabulated(_) => None,
        }
    }
}

impl MetricSpec {
    /// The metric.
    pub fn build(&self) -> Box<dyn Metric> {
        match self.clone() {
            MetricSpec::SlicedWasserstein(metric) => Box::new(metric),
            MetricSpec::Mmd(metric) => Box::new(metric),
            MetricSpec::EnergyDistance(metric) => Box::new(metric),
            MetricSpec::GaussianWasserstein(metric) => Box::new(metric),
            MetricSpec::MaxSlicedWasserstein(metric) => Box::new(metric),
            MetricSpec::OptimalTransport(metric) => Box::new(metric),
            MetricSpec::ModeCoverage(metric) => Box::new(metric),
            MetricSpec::ModeWeights(metric) => Box::new(metric),
            MetricSpec::Classifier(metric) => Box::new(metric),
            MetricSpec::Kl(metric) => Box::new(metric),
            MetricSpec::LogDensity(metric) => Box::new(metric),
            MetricSpec::LawWasserstein(metric) => Box::new(metric),
            MetricSpec::TrajectoryError(metric) => Box::new(metric),
            MetricSpec::FrechetDistance(metric) => Box::new(metric),
            MetricSpec::KernelDistance(metric) => Box::new(metric),
            MetricSpec::Precision(balls) => Box::new(Fidelity { measure: Measure::Precision, balls }),
            MetricSpec::Recall(balls) => Box::new(Fidelity { measure: Measure::Recall, balls }),
            MetricSpec::Density(balls) => Box::new(Fidelity { measure: Measure::Density, balls }),
            MetricSpec::Coverage(balls) => Box::new(Fidelity { measure: Measure::Coverage, balls }),
            MetricSpec::ClassAccuracy(metric) => Box::new(metric),
            MetricSpec::ClassBalance(metric) => Box::new(metric),
            MetricSpec::InceptionScore(metric) => Box::new(metric),
            MetricSpec::Memorisation(metric) => Box::new(metric),
        }
    }
}
