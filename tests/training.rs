//! Denoising score matching does what it says: its loss has the value that theory gives for the exact solution, and
//! training finds that solution whatever the network predicts.

use std::sync::Arc;

use ornstein::data::Library;
use ornstein::experiment::{Compute, Plan, Spec};
use ornstein::model::{Builder, Condition, Network, Preconditioning, Prediction, Trained, Training};
use ornstein::rng::{Purpose, Stream};
use ornstein::score::exact::Law;
use ornstein::score::{Denoiser, Model};
use ornstein::sde::{Edm, Kernel, Sde, Vp};
use ornstein::tensor;
use ornstein::threads::Workers;
use ornstein::train::{
    EdmWeighting, Importance, Likelihood, LogNormal, MinSnr, Objective, P2, Simple, TimeLaw, Trainer, Uncertainty,
    UniformLogSnr, UniformTime, Unweighted, Weighting, losses_by_level,
};
use tch::{Device, Kind, Tensor};

const MEAN: [f64; 2] = [0.4, -0.3];
const SPECTRUM: [f64; 2] = [1.0, 0.09];
const SIGMA_DATA: f64 = 0.8;

const ROWS: [Prediction; 7] = [
    Prediction::Data,
    Prediction::Noise,
    Prediction::Velocity,
    Prediction::Flow,
    Prediction::Edm,
    Prediction::Score,
    Prediction::TrigFlow,
];

fn weightings() -> [Arc<dyn Weighting>; 6] {
    [
        Arc::new(Simple {}),
        Arc::new(Likelihood {}),
        Arc::new(EdmWeighting {}),
        Arc::new(MinSnr::default()),
        Arc::new(P2::default()),
        Arc::new(Unweighted {}),
    ]
}

fn processes() -> [Arc<dyn Sde>; 2] {
    [Arc::new(Vp::default()), Arc::new(Edm::default())]
}

/// One noise level: the closed form holds for each by itself.
#[derive(Debug)]
struct At(f64);

impl TimeLaw for At {
    fn quantile(&self, _sde: &dyn Sde, _u: f64) -> f64 {
        self.0
    }
}

/// What a perfect network would answer: F of D(x, t) = μ + αΛ/(α²Λ + σ²) (x − αμ), written out for N(μ, diag Λ).
#[derive(Clone, Debug)]
struct Perfect {
    sde: Arc<dyn Sde>,
    prediction: Prediction,
}

impl Network for Perfect {
    fn forward(&self, x: &Tensor, noise: &Tensor, _condition: &Condition, _training: Option<&Training>) -> Tensor {
        let (mut answers, noise) = (tensor::to_rows(x), tensor::to_array(noise));
        for (mut row, c_noise) in answers.rows_mut().into_iter().zip(noise.iter().cycle()) {
            // c_noise = ¼ ln κ tells the time.
            let t = self.sde.time_of_ratio((4.0 * c_noise).exp());
            let Kernel { alpha, sigma } = self.sde.kernel(t);
            let of = Preconditioning::new(self.prediction, SIGMA_DATA).row(&*self.sde, t);
            for ((value, mean), spectrum) in row.iter_mut().zip(MEAN).zip(SPECTRUM) {
                let x = *value / of.input;
                let gain = alpha * spectrum / (alpha * alpha * spectrum + sigma * sigma);
                *value = (mean + gain * (x - alpha * mean) - of.skip * x) / of.out;
            }
        }
        tensor::from_array(&answers.into_dyn(), (x.kind(), x.device()))
    }

    fn grain(&self) -> i64 {
        512
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(self.clone())
    }
}

/// The variance of x₀ given x_t in each coordinate: what the loss of the exact solution consists of.
fn posterior(sde: &dyn Sde, t: f64) -> [f64; 2] {
    let Kernel { alpha, sigma } = sde.kernel(t);
    SPECTRUM.map(|spectrum| spectrum * sigma * sigma / (alpha * alpha * spectrum + sigma * sigma))
}

fn objective(
    sde: &Arc<dyn Sde>,
    time: Arc<dyn TimeLaw>,
    weighting: Arc<dyn Weighting>,
    prediction: Prediction,
) -> Objective {
    let preconditioning = Preconditioning::new(prediction, SIGMA_DATA);
    Objective { sde: sde.clone(), time, strata: 1, weighting, preconditioning, seed: 5, gradient_checkpointing: false }
}

/// E‖D − x₀‖² w(t) is w(t) times the mean posterior variance; the error is Gaussian, so its standard error is known too.
#[test]
fn the_loss_of_the_exact_solution_is_the_posterior_variance() {
    let count = 4096;
    let law = Law::spectrum(&MEAN, &SPECTRUM);
    let x0 = law.draw(Stream::new(5, Purpose::Data), 0, count);
    for sde in processes() {
        let span = sde.span();
        for fraction in [0.02, 0.1, 0.3, 0.6, 1.0] {
            let t = span.t_train + fraction * (span.t_max - span.t_train);
            let [a, b] = posterior(&*sde, t);
            let (expected, spread) = (0.5 * (a + b), (0.5 * (a * a + b * b) / count as f64).sqrt());
            for weighting in weightings() {
                let weight = weighting.of_denoiser(&*sde, t, SIGMA_DATA);
                let loss = |prediction| {
                    let network = Perfect { sde: sde.clone(), prediction };
                    let objective = objective(&sde, Arc::new(At(t)), weighting.clone(), prediction);
                    objective.loss(&network, None, &x0, 0, &Condition::default()).double_value(&[]) / weight
                };
                let losses = ROWS.map(loss);
                for (loss, prediction) in losses.into_iter().zip(ROWS) {
                    let off = (loss - expected) / spread;
                    assert!(off.abs() < 4.0, "{sde:?} t = {t} {weighting:?} {prediction:?}: {off:.2} standard errors");
                    // The same draws through another row are the same error, up to the float32 of the mean.
                    assert!((loss / losses[0] - 1.0).abs() < 1e-4, "{sde:?} t = {t} {weighting:?}: {losses:?}");
                }
            }
        }
    }
}

/// A law of t, and the weighting to draw it for.
type Case<'a> = (Arc<dyn TimeLaw>, &'a Arc<dyn Weighting>);

/// The same over all noise levels at once: the law of t is the one that it claims to be, independent or stratified.
#[test]
fn times_follow_their_law() {
    let (batches, batch) = (64usize, 512usize);
    let law = Law::spectrum(&MEAN, &SPECTRUM);
    for sde in processes() {
        let (simple, edm, likelihood): (Arc<dyn Weighting>, Arc<dyn Weighting>, Arc<dyn Weighting>) =
            (Arc::new(Simple {}), Arc::new(EdmWeighting {}), Arc::new(Likelihood {}));
        let importance =
            |weighting: &dyn Weighting| Arc::new(Importance {}.build(&*sde, weighting, SIGMA_DATA)) as Arc<dyn TimeLaw>;
        // The likelihood weighting is left out with t uniform: its loss has a variance like ∫ dt/t² then.
        let cases: [Case; 7] = [
            (Arc::new(UniformTime {}), &simple),
            (Arc::new(UniformTime {}), &edm),
            (Arc::new(LogNormal::default()), &simple),
            (Arc::new(LogNormal::default()), &edm),
            (Arc::new(UniformLogSnr {}), &edm),
            (importance(&*simple), &simple),
            (importance(&*likelihood), &likelihood),
        ];
        for (time, weighting) in cases {
            let spread = [1, batch].map(|strata| {
                let objective =
                    Objective { strata, ..objective(&sde, time.clone(), weighting.clone(), Prediction::Edm) };
                let network = Perfect { sde: sde.clone(), prediction: Prediction::Edm };
                let losses: Vec<f64> = (0..batches)
                    .map(|i| {
                        let first = (i * batch) as u64;
                        let x0 = law.draw(Stream::new(5, Purpose::Data), first, batch);
                        let loss = objective.loss(&network, None, &x0, first, &Condition::default());
                        loss.double_value(&[])
                    })
                    .collect();
                let mean = losses.iter().sum::<f64>() / batches as f64;
                let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / (batches - 1) as f64;
                let error = (variance / batches as f64).sqrt();
                let off = (mean - least_loss(&objective)) / error;
                assert!(off.abs() < 4.0, "{sde:?} {time:?} {weighting:?} {strata}: {off:.2} standard errors");
                variance
            });
            // Times that are spread evenly can only lower the variance, up to the error of its estimate.
            assert!(spread[1] < 1.5 * spread[0], "{sde:?} {time:?} {weighting:?}: {spread:?}");
        }
    }
}

/// With u = ln E[w ‖D − x₀‖²] at one noise level, the loss with uncertainty is 1 + u: checked by a u that the test sets.
#[test]
fn learned_uncertainty_divides_the_loss_and_is_added_to_it() {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let x0 = Law::spectrum(&MEAN, &SPECTRUM).draw(Stream::new(5, Purpose::Data), 0, 64).to_kind(Kind::Float);
    let network = Perfect { sde: sde.clone(), prediction: Prediction::Edm };
    let objective = objective(&sde, Arc::new(LogNormal::default()), Arc::new(EdmWeighting {}), Prediction::Edm);
    let mut builder = Builder::new(3, Device::Cpu);
    let uncertainty = Uncertainty { features: 16 }.build(3, &mut builder);
    let parameters = builder.finish();
    let losses = tensor::to_array(&objective.losses(&network, &x0, 0, &Condition::default()));
    let with = || objective.loss(&network, Some(&uncertainty), &x0, 0, &Condition::default()).double_value(&[]);
    // Weights of zero are no uncertainty at all.
    assert!((with() / losses.mean().expect("losses") - 1.0).abs() < 1e-5);
    tch::no_grad(|| parameters.flat().copy_(&(Tensor::arange(16, (Kind::Float, Device::Cpu)) * 0.02)));
    let noise: Vec<f64> = (0..64).map(|n| 0.25 * sde.kernel(objective.time_of(n)).ratio().ln()).collect();
    let noise = Tensor::from_slice(&noise.iter().map(|&c| c as f32).collect::<Vec<f32>>());
    let u = tensor::to_array(&uncertainty.of(&noise));
    let expected = losses.iter().zip(&u).map(|(loss, u)| loss * (-u).exp() + u).sum::<f64>() / 64.0;
    assert!((with() - expected).abs() < 1e-5 * expected.abs().max(1.0), "{} {expected}", with());
    assert!(u.iter().any(|u| u.abs() > 0.05), "the uncertainty should not be trivial");
}

/// At each noise level the optimum is the posterior variance, and a model's excess is what it is above it.
#[test]
fn the_optimum_of_each_noise_level_is_the_posterior_variance() {
    let plan = plan("edm", 1);
    let (exact, sde) = (plan.exact().expect("a Gaussian"), plan.sde.clone());
    let x0 = plan.validation(4000).x.to_kind(Kind::Float);
    let prediction = Prediction::Edm;
    let network = Box::new(Perfect { sde: sde.clone(), prediction });
    let preconditioning = Preconditioning::new(prediction, SIGMA_DATA);
    let perfect = Trained { network, preconditioning, sde, condition: Condition::default() };
    let mut levels = 0;
    let stream = Stream::new(5, Purpose::Levels);
    let mut tick = || {
        levels += 1;
        Ok(())
    };
    let found = losses_by_level((&perfect, Some(&exact)), &x0, stream, 9, &plan.compute.workers, &mut tick);
    let found = found.expect("nobody stops it");
    assert_eq!((found.len(), levels), (9, 9));
    let span = plan.sde.span();
    assert!((found[0].t - span.t_train).abs() < 1e-9 && (found[8].t - span.t_max).abs() < 1e-9);
    for level in found {
        let [a, b] = posterior(&*plan.sde, level.t);
        let optimum = level.optimum.expect("an exact model");
        let off = (optimum.value - 0.5 * (a + b)) / optimum.standard_error;
        assert!(off.abs() < 4.0, "{level:?}: {off:.2} standard errors");
        let error = (0.5 * (a * a + b * b) / 4000.0).sqrt();
        assert!((optimum.standard_error / error - 1.0).abs() < 0.15, "{level:?} {error}");
        // The perfect network in float32 is the exact denoiser.
        assert!((level.loss.value / optimum.value - 1.0).abs() < 1e-3, "{level:?}");
        assert!(level.excess.expect("an exact model").value.abs() < 1e-3 * optimum.value);
    }
}

/// A batch in several parts, the last one ragged: the parameters are the same bit for bit on any number of threads.
#[test]
fn training_does_not_depend_on_the_number_of_threads() {
    let trained = |threads: usize| {
        let mut plan = plan("edm", 20);
        plan.compute.workers = Workers::new(threads).expect("threads").into();
        plan.spec.train.as_mut().expect("a learned model").batch = 1000;
        let mut trainer = plan.trainer().expect("a network for points");
        let losses: Vec<f64> = trainer.by_ref().map(|progress| progress.expect("finite").loss).collect();
        (losses, trainer.parameters(), trainer.average().copy())
    };
    let one = trained(1);
    assert_eq!(one.0.len(), 20);
    assert!(one == trained(3), "three threads find other parameters than one");
}

/// A plan of a small network on the Gaussian above.
fn plan(predict: &str, steps: usize) -> Plan {
    let text = format!(
        "name: gaussian\n\
         seed: 1\n\
         data: {{gaussian: {{mean: {MEAN:?}, spectrum: {SPECTRUM:?}}}}}\n\
         sde: vp\n\
         model: {{network: {{mlp: {{width: 32, depth: 2, features: 16}}}}, predict: {predict}}}\n\
         train:\n  \
           steps: {steps}\n  \
           batch: 256\n  \
           time: log_normal\n  \
           weighting: edm\n  \
           optimizer: {{adamw: {{lr: 5.0e-3}}}}\n  \
           ema: {{half_life: 50}}\n"
    );
    let spec = Spec::parse(&text, "gaussian.yaml", &[]).expect("an experiment");
    // One thread: operations on so little data only lose by more.
    tch::set_num_threads(1);
    Plan::new(
        spec,
        Compute { device: Device::Cpu, kind: Kind::Float, workers: Workers::new(1).expect("a thread").into() },
        &Library::new(None),
    )
    .expect("a law takes no files")
}

/// The root mean square of (D − D*) in units of EDM's target, over noise levels from 0.1 to 3 and states of x_t.
fn error_of(model: &dyn Denoiser, plan: &Plan) -> f64 {
    let exact = plan.exact().expect("a Gaussian");
    let sde = &*plan.sde;
    let sigma_data = plan.sigma_data();
    let levels = [0.1f64, 0.3, 1.0, 3.0];
    let squares = levels.map(|kappa| {
        let t = sde.time_of_ratio(kappa);
        let k = sde.kernel(t);
        let x0 = plan.reference(0, 2000).to_kind(Kind::Float);
        let x = &x0 * k.alpha + tensor::normals(Stream::new(9, Purpose::Perturbation), 0, 0, &x0) * k.sigma;
        let difference = tch::no_grad(|| model.denoise(&x, t) - exact.denoise(&x, t));
        let unit = EdmWeighting {}.of_denoiser(sde, t, sigma_data);
        difference.square().mean(Kind::Double).double_value(&[]) * unit
    });
    (squares.iter().sum::<f64>() / levels.len() as f64).sqrt()
}

/// E w(t) times the mean posterior variance over a law of t, by the midpoint rule over its quantiles.
fn least_loss(objective: &Objective) -> f64 {
    let (sde, nodes) = (&*objective.sde, 20_000);
    let at = |i: usize| {
        let t = objective.time.quantile(sde, (i as f64 + 0.5) / nodes as f64);
        let weight = objective.weighting.of_denoiser(sde, t, objective.preconditioning.sigma_data);
        weight * objective.time.correction(sde, t) * posterior(sde, t).iter().sum::<f64>() / 2.0
    };
    (0..nodes).map(at).sum::<f64>() / nodes as f64
}

/// The bounds are about 1.6 times what was measured (0.127, 0.057, 0.033, 0.033, 0.037): the rows that leave it to the
/// network to copy x, or to cancel it, are the harder ones, as they should be.
#[test]
fn training_finds_the_exact_denoiser_in_every_row() {
    let bounds = [("data", 0.2), ("noise", 0.1), ("velocity", 0.055), ("flow", 0.055), ("edm", 0.06)];
    for (predict, bound) in bounds {
        let plan = plan(predict, 800);
        let mut trainer = plan.trainer().expect("a network for points");
        let folder = tempfile::tempdir().expect("a folder");
        let error = |trainer: &Trainer| {
            let manifest = trainer.checkpoint(&plan.training_hash()).save(folder.path(), 2).expect("writable");
            error_of(&*plan.trained(&manifest).expect("a checkpoint"), &plan)
        };
        let untrained = error(&trainer);
        let losses: Vec<f64> = trainer.by_ref().map(|progress| progress.expect("finite").loss).collect();
        assert_eq!(losses.len(), 800);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let objective = Objective {
            preconditioning: Preconditioning::new(Prediction::Edm, plan.sigma_data()),
            ..objective(&plan.sde, Arc::new(LogNormal::default()), Arc::new(EdmWeighting {}), Prediction::Edm)
        };
        let least = least_loss(&objective);
        // What is above the loss of the exact solution can be learned, and most of it was.
        let (early, late) = (mean(&losses[..20]) - least, mean(&losses[600..]) - least);
        assert!(late < 0.15 * early, "{predict}: the excess loss went from {early} to {late}");
        let trained = error(&trainer);
        assert!(
            trained < bound && trained < untrained / 4.0,
            "{predict}: the error went from {untrained} to {trained}"
        );
    }
}

/// Flat parameters `[P]` of a buffer of the trainer, in the order of the network.
fn flat(plan: &Plan, trainer: &Trainer, buffer: &str) -> Tensor {
    let checkpoint = trainer.checkpoint("x");
    let (_, parameters) = plan.network();
    let parts: Vec<Tensor> = parameters
        .named(&parameters.flat())
        .iter()
        .map(|(name, _)| checkpoint.tensors[&format!("{buffer}/{name}")].reshape(-1))
        .collect();
    Tensor::cat(&parts, 0)
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn samples_come_from_averaged_parameters() {
    let plan = plan("edm", 60);
    let mut trainer = plan.trainer().expect("a network for points");
    let mut average = flat(&plan, &trainer, "parameters").to_kind(Kind::Double);
    for k in 1..=60 {
        let _ = trainer.next().expect("a step").expect("finite");
        // The recurrence written out: half of the weight is lost in h = min(half_life, k/20) steps.
        let keep = 0.5f64.powf(1.0 / (0.05 * k as f64).min(50.0));
        average = average * keep + flat(&plan, &trainer, "parameters").to_kind(Kind::Double) * (1.0 - keep);
    }
    let (raw, ema) = (flat(&plan, &trainer, "parameters"), flat(&plan, &trainer, "ema.0"));
    assert!(distance(&ema, trainer.average()) == 0.0);
    assert!(distance(&ema.to_kind(Kind::Double), &average) < 1e-5);
    assert!(distance(&ema, &raw) > 1e-3, "the average should lag behind");

    let folder = tempfile::tempdir().expect("a folder");
    let manifest = trainer.checkpoint(&plan.training_hash()).save(folder.path(), 2).expect("writable");
    let used = plan.trained(&manifest).expect("a checkpoint");
    let with = |values: &Tensor| -> Box<dyn Model> {
        let (network, parameters) = plan.network();
        tch::no_grad(|| parameters.flat().copy_(values));
        let preconditioning = Preconditioning::new(Prediction::Edm, plan.sigma_data());
        Box::new(Trained { network, preconditioning, sde: plan.sde.clone(), condition: Condition::default() })
    };
    let x = plan.reference(0, 100).to_kind(Kind::Float);
    let at = |model: &dyn Model| tch::no_grad(|| model.denoise(&x, 0.3));
    assert!(distance(&at(&*used), &at(&*with(&ema))) == 0.0);
    assert!(distance(&at(&*used), &at(&*with(&raw))) > 1e-4);
}
