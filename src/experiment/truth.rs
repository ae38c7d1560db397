//! What metrics are told beside samples: the law of the data in closed form, the exact probability flow, the exact law
//! of a sampler's output.

use std::sync::Arc;

use ndarray::Array2;
use tch::{Device, Kind, Tensor};

use super::check::LEAST_POINTS;
use super::model_spec::ModelSpec;
use super::plan::Plan;
use crate::data::{Dataset, Part};
use crate::error::{Fault, Result};
use crate::metric::{Diagonal, Mode, Need, Start, Target, Truth};
use crate::order::{Axes, output};
use crate::score::Model;
use crate::score::exact::Component;
use crate::solve::{Dopri5, NoiseSource, Sampler, Schedule};
use crate::tensor;

/// The data sets with a density in closed form, those with modes, and those of one Gaussian.
pub const DENSITY: &str =
    "gaussian, gaussian_mixture, eight_gaussians, two_moons, circles, rings or funnel, with noise in every direction";
pub const MODES: &str = "eight_gaussians or a gaussian_mixture of several components, with covariances of full rank";
pub const GAUSSIAN: &str = "gaussian or cifar10_gaussian";

/// In more dimensions nobody compares samples with moments: a covariance would take gigabytes and minutes.
const MOST_MOMENTS: usize = 1024;

/// What is known of the law of the data.
pub fn truth(data: &Arc<dyn Dataset>) -> Truth {
    let mut truth = match data.law().filter(|law| law.dim() <= MOST_MOMENTS) {
        Some(law) => Truth::mixture(law.components().into_iter().map(mode).collect()),
        None => Truth::NOTHING,
    };
    let probe = Tensor::zeros([&[1], data.shape().as_slice()].concat(), (Kind::Double, Device::Cpu));
    if data.log_density(&probe).is_some() {
        let data = data.clone();
        truth.density = Some(Box::new(move |points| {
            let x = tensor::from_array(&points.to_owned().into_dyn(), (Kind::Double, Device::Cpu));
            let log_density = data.log_density(&x).expect("there was a density");
            tensor::to_array(&log_density).into_dimensionality().expect("one number for each point")
        }));
    }
    truth
}

fn mode(component: Component) -> Mode {
    let vector = |x: &Tensor| tensor::to_rows(&x.unsqueeze(0)).row(0).to_owned();
    Mode {
        weight: component.weight,
        mean: vector(&component.mean),
        axes: tensor::to_rows(&component.basis.tr()),
        deviations: vector(&component.eigenvalues).mapv(f64::sqrt),
    }
}

/// The end `[B, D]` of the probability flow of the model from `init`, over `schedule`, which is under error control: a
/// Dormand–Prince run with float64 states, and an exact model in float64 too.
///
/// # Errors
/// A tolerance that cannot be met, whatever `tick` returns.
pub fn flow(
    plan: &Plan,
    model: &dyn Model,
    init: &Tensor,
    schedule: Schedule,
    tick: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<Array2<f64>> {
    match plan.spec.model {
        ModelSpec::Exact => exact_flow(plan, init, schedule, tick),
        // The empirical denoiser computes in float64 by itself; a network cannot.
        ModelSpec::Empirical(_) | ModelSpec::Learned(_) => end(plan, model, init, schedule, tick),
    }
}

/// The same for the exact denoiser of the data, whatever the model is.
///
/// # Panics
/// When the data have none.
///
/// # Errors
/// As [`flow`].
pub fn exact_flow(
    plan: &Plan,
    init: &Tensor,
    schedule: Schedule,
    tick: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<Array2<f64>> {
    let exact = plan.exact_in(tensor::finest(init.device())).expect("data with an exact denoiser");
    end(plan, &exact, init, schedule, tick)
}

fn end(
    plan: &Plan,
    model: &dyn Model,
    init: &Tensor,
    schedule: Schedule,
    tick: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<Array2<f64>> {
    let Schedule::Adaptive { tolerance, .. } = schedule else { panic!("the probability flow needs error control") };
    let solver = Dopri5 { rtol: Some(tolerance.rtol), atol: Some(tolerance.atol) };
    let (seed, chunk) = (plan.spec.seed, plan.chunk());
    let sampler = Sampler { method: solver.into(), schedule, noise: NoiseSource::Fresh, seed, chunk };
    Ok(tensor::to_rows(
        &sampler.run(model, &init.to_kind(tensor::finest(init.device())), &plan.compute.workers, tick)?.x,
    ))
}

/// The law of what a sampler makes of Gaussian data with the exact score, and of what it should make; none of a sampler
/// that is not linear.
///
/// # Errors
/// Whatever `tick` returns.
pub fn laws(
    plan: &Plan,
    sampler: &Sampler,
    (start, target): (Start, Target),
    tick: &(dyn Fn() -> Result<()> + Sync),
) -> Result<Option<[Diagonal; 2]>> {
    let Schedule::Times(times) = &sampler.schedule else { return Ok(None) };
    let data = plan.data().law().and_then(Axes::of_data).expect("the experiment was checked");
    let at = |t: f64| data.at(plan.sde.kernel(t));
    let start = match start {
        Start::Prior => data.noise(plan.sde.span().prior_std),
        Start::Marginal => at(times[0]),
    };
    let Some(made) = output(&data, &plan.sde, &sampler.method, times, &start, tick)? else { return Ok(None) };
    let wanted = match target {
        Target::Marginal => at(times[times.len() - 1]),
        Target::Data => data,
    };
    Ok(Some([made, wanted].map(|Axes { mean, deviation }| Diagonal { mean, deviation })))
}

/// That data and model have what metrics of images ask for.
///
/// # Errors
/// The first metric that asks for what there is not.
pub fn told_of_images(plan: &Plan) -> Result<(), Fault> {
    let data = plan.data();
    for (i, metric) in plan.spec.compare.iter().flat_map(|compare| compare.metrics.iter().enumerate()) {
        let Some(need) = metric.build().needs().filter(|need| need.is_of_images()) else { continue };
        let (what, remedy) = match need {
            _ if data.shape().len() != 3 => (
                format!("images, and {} has none", plan.spec.data.name()),
                "choose fashion_mnist, mnist, cifar10, idx, images or image_array",
            ),
            Need::Asked if !plan.told().classes => (
                "a network that is told classes".to_owned(),
                "give the network classes, as `num_class_embeds: 10` of a U-Net, or write class_balance",
            ),
            Need::Training { .. } if data.rows(Part::HeldOut).unwrap_or(0) < LEAST_POINTS => (
                "images that are held out".to_owned(),
                "hold some out, as with `validation: 0.1`, or leave the metric out",
            ),
            _ => continue,
        };
        return Err(Fault::new(format!("compare.metrics[{i}]"), format!("{} needs {what}", metric.name()), remedy));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{Axis, arr2};

    use super::*;
    use crate::data::Library;
    use crate::experiment::{Compute, Spec};
    use crate::solve::{Tolerance, prior};
    use crate::threads::Workers;

    fn plan(data: &str, sde: &str, kind: Kind) -> Plan {
        let text = format!("{{name: x, data: {data}, sde: {sde}, model: exact}}");
        let compute = Compute { device: Device::Cpu, kind, workers: Arc::new(Workers::new(2).unwrap()) };
        Plan::new(Spec::parse(&text, "x", &[]).unwrap(), compute, &Library::new(None)).unwrap()
    }

    #[test]
    fn a_mixture_is_known_in_full() {
        let data = "{gaussian_mixture: {weights: [0.25, 0.75], means: [[0, 0], [4, 0]], covariances: \
                    [[[2, 1], [1, 2]], [[1, 0], [0, 4]]]}}";
        let truth = truth(plan(data, "vp", Kind::Double).data());
        let moments = truth.moments.as_ref().unwrap();
        // The means have variance 16 · 3/16 = 3.
        let covariance = arr2(&[[2.0 / 4.0 + 3.0 / 4.0 + 3.0, 0.25], [0.25, 0.5 + 3.0]]);
        assert!((&moments.covariance - covariance).iter().all(|gap| gap.abs() < 1e-12));
        assert_relative_eq!(moments.mean[0], 3.0, max_relative = 1e-14);
        let modes = truth.modes.as_ref().unwrap();
        // Σ⁻¹ = [[2, −1], [−1, 2]]/3.
        assert_relative_eq!(modes[0].squared_distance(arr2(&[[1.0, 0.0]]).row(0)), 2.0 / 3.0, max_relative = 1e-12);
        let density = truth.density.as_ref().unwrap()(arr2(&[[4.0, 2.0], [1.0, 0.0]]).view());
        let normal = |square: f64, det: f64| (-0.5 * square).exp() / (std::f64::consts::TAU * det.sqrt());
        // The first component at (4, 2) has 2/3 (16 + 4 − 8).
        let expected = 0.25 * normal(8.0, 3.0) + 0.75 * normal(1.0, 4.0);
        assert_relative_eq!(density[0], expected.ln(), max_relative = 1e-12);
    }

    #[test]
    fn a_flat_law_has_moments_alone() {
        let truth = truth(plan("{gaussian: {mean: [1, 2], spectrum: [1, 0]}}", "vp", Kind::Double).data());
        assert!(truth.density.is_none() && truth.modes.is_none());
        assert_eq!(truth.moments.unwrap().covariance, arr2(&[[1.0, 0.0], [0.0, 0.0]]));
    }

    /// The flow of a Gaussian keeps the quantile: x_s = α_s μ + √(v_s/v_t) (x_t − α_t μ) with v = α² Λ + σ².
    #[test]
    fn the_flow_is_that_of_the_closed_form() {
        for (sde, kind) in [("vp", Kind::Double), ("ve", Kind::Float), ("{flow: {}}", Kind::Float)] {
            let plan = plan("{gaussian: {mean: [1, -2], spectrum: [1, 0.01]}}", sde, kind);
            let span = plan.sde.span();
            let init = prior(&*plan.sde, 1, 300, &[2], plan.options());
            let model = plan.exact().unwrap();
            let end = |finish: Option<f64>| {
                let tolerance = Tolerance { rtol: 1e-7, atol: 1e-7 };
                let schedule = Schedule::Adaptive { tolerance, between: (span.t_max, span.t_min), finish };
                flow(&plan, &model, &init, schedule, &|_| Ok(())).unwrap()
            };
            let (start, stop) = (plan.sde.kernel(span.t_max), plan.sde.kernel(span.t_min));
            let x = tensor::to_rows(&init);
            let mut exact = x.clone();
            for (d, (mean, variance)) in [(1.0, 1.0), (-2.0, 0.01)].into_iter().enumerate() {
                let spread = |k: crate::sde::Kernel| (k.alpha * k.alpha * variance + k.sigma * k.sigma).sqrt();
                let moved =
                    x.column(d).mapv(|x| stop.alpha * mean + spread(stop) / spread(start) * (x - start.alpha * mean));
                exact.column_mut(d).assign(&moved);
            }
            let rms = |gap: Array2<f64>| (gap.mapv(|gap| gap * gap).sum_axis(Axis(1)).mean().unwrap()).sqrt();
            let error = rms(end(None) - &exact);
            // Each sample meets the tolerance in each step, and errors add up.
            assert!(error < 3e-6, "{sde}: {error:e}");
            // The last step to σ = 0 moves on.
            assert!(rms(end(Some(plan.sde.time_of_data())) - &exact) > 1e-5, "{sde}");
        }
    }
}
