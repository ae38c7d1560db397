//! What an experiment may not say although each of its values has the right type.

use std::cmp::Ordering;

use super::choices::{DataSpec, EmaSpec, GridSpec, MetricSpec, NetworkSpec};
use super::examples::NO_EXAMPLES;
use super::model_spec::ModelSpec;
use super::spec::{CompareSpec, FLOOR, LearnedModel, SampleSpec, Spec, Which};
use super::tree::short;
use super::truth::{DENSITY, GAUSSIAN, MODES, truth};
use crate::error::{Fault, Settings, at_least_one, between, positive};
use crate::metric::{Need, Truth};
use crate::sde::Sde;

/// Checks the settings under a key.
fn under(key: &str, settings: &impl Settings) -> Result<(), Fault> {
    settings.check().map_err(|fault| fault.under(key))
}

impl Settings for Spec {
    fn check(&self) -> Result<(), Fault> {
        check_name(&self.name)?;
        under("data", &self.data)?;
        under("sde", &self.sde)?;
        let sde = self.sde.build();
        check_levels(&*sde).map_err(|fault| fault.under(self.sde.name()).under("sde"))?;
        match &self.model {
            ModelSpec::Exact => {}
            ModelSpec::Empirical(model) => under("model.empirical", model)?,
            ModelSpec::Learned(model) => under("model", model)?,
        }
        match (&self.train, self.model.word()) {
            (Some(_), Some(word)) => {
                return Err(Fault::new(
                    "train",
                    format!("there is nothing to train with `model: {word}`"),
                    "remove `train`, or give `model` a network",
                ));
            }
            (Some(train), None) => under("train", train)?,
            (None, _) => {}
        }
        let has_law = self.data.without_files()?.is_some_and(|data| data.law().is_some());
        if self.model == ModelSpec::Exact && !has_law {
            return Err(Fault::new(
                "model",
                format!("the data set {} has no closed-form denoiser", self.data.name()),
                "give `model` a network, write `model: empirical`, or choose a Gaussian or a mixture of Gaussians",
            ));
        }
        self.check_network()?;
        self.check_without_examples()?;
        under("sample", &self.sample)?;
        self.check_model_of_samples().map_err(|fault| fault.under("sample"))?;
        check_grid(&self.sample.grid, &*sde, self.sample.steps()).map_err(|fault| fault.under("sample.grid"))?;
        if let Some(compare) = &self.compare {
            under("compare", compare)?;
            if compare.count.is_none() && self.sample.count < LEAST_POINTS {
                return Err(too_few("sample.count", self.sample.count));
            }
            for (i, entry) in compare.entries.iter().enumerate() {
                if let GridSpec::Explicit(_) = entry.grid.as_ref().unwrap_or(&self.sample.grid) {
                    return Err(Fault::new(
                        format!("compare.entries[{i}].grid"),
                        "an explicit grid fixes the number of steps, which `compare.nfe` varies",
                        "give this entry another grid, such as `grid: karras`",
                    ));
                }
                // No solver takes more steps than evaluations.
                let Some(&most) = compare.budgets(entry).last() else { continue };
                let (grid, key) = match &entry.grid {
                    Some(grid) => (grid, format!("compare.entries[{i}].grid")),
                    None => (&self.sample.grid, "sample.grid".to_owned()),
                };
                check_grid(grid, &*sde, most).map_err(|fault| fault.under(&key))?;
            }
            check_metrics(self, compare)?;
        }
        if let Some(likelihood) = &self.likelihood {
            under("likelihood", likelihood)?;
            likelihood.check_times(&*sde).map_err(|fault| fault.under("likelihood"))?;
        }
        Ok(())
    }
}

/// Between the ends of the span the noise level has to grow, and to stay a number.
fn check_levels(sde: &dyn Sde) -> Result<(), Fault> {
    let span = sde.span();
    let times = [("t_train", span.t_train), ("t_min", span.t_min), ("t_max", span.t_max)];
    for (name, t) in times {
        let ratio = sde.kernel(t).ratio();
        if !(ratio.is_finite() && ratio > 0.0) {
            let problem = format!("at {name} = {t} the noise level σ/α is {ratio}");
            return Err(Fault::new("", problem, "choose values nearer to the defaults"));
        }
    }
    if sde.kernel(span.t_max).ratio() <= sde.kernel(span.t_min).ratio() {
        let problem = "there is no more noise where sampling starts than where it ends";
        return Err(Fault::new("", problem, "choose values nearer to the defaults"));
    }
    Ok(())
}

/// The times of a grid, which have to decrease even after rounding.
pub(super) fn check_grid(grid: &GridSpec, sde: &dyn Sde, steps: usize) -> Result<Vec<f64>, Fault> {
    let times = grid.times(sde, steps)?;
    // Not `<=`, which a NaN would escape.
    match times.windows(2).position(|pair| pair[0].partial_cmp(&pair[1]) != Some(Ordering::Greater)) {
        None => Ok(times),
        Some(i) => Err(Fault::new(
            "",
            format!("with {steps} steps the time {} comes after {}", times[i + 1], times[i]),
            "take fewer steps, or another grid",
        )),
    }
}

impl Spec {
    /// What is asked of the network it has to be able to do.
    fn check_network(&self) -> Result<(), Fault> {
        let network = match &self.model {
            ModelSpec::Learned(model) => Some(&model.network),
            _ => None,
        };
        if self.sample.class.is_some() && !network.is_some_and(NetworkSpec::is_told_classes) {
            let remedy = "give the network `num_class_embeds` (unet) or `num_classes` (dit), or remove `class`";
            return Err(Fault::new("sample.class", "this model is not told classes", remedy));
        }
        match (&self.train, network) {
            (Some(train), Some(network)) if train.gradient_checkpointing && !network.can_recompute() => {
                let problem = format!("{} has no blocks that could be computed again", network.name());
                Err(Fault::new("train.gradient_checkpointing", problem, "remove it, or choose unet or dit"))
            }
            _ => Ok(()),
        }
    }

    /// Where the shape is all that is known of the data, nothing may look at examples.
    fn check_without_examples(&self) -> Result<(), Fault> {
        let DataSpec::ImageShape(_) = self.data else { return Ok(()) };
        let missing = |key: &str, problem: &str| Err(Fault::new(key, problem, NO_EXAMPLES));
        match &self.model {
            ModelSpec::Empirical(_) => missing("model", "there are no points without examples of the data"),
            ModelSpec::Learned(LearnedModel { sigma_data: None, .. }) => Err(Fault::new(
                "model.sigma_data",
                "without examples of the data it cannot be measured",
                "write the standard deviation that the network was trained with",
            )),
            _ if self.compare.is_some() => missing("compare", "there are no examples of the data to compare with"),
            _ => Ok(()),
        }
    }

    /// What `sample` asks of a trained model has to be there after `train`.
    fn check_model_of_samples(&self) -> Result<(), Fault> {
        let train = self.train.as_ref();
        if self.sample.checkpoint == Which::Best && train.is_none_or(|train| train.validate.is_none()) {
            let problem = "no checkpoint is the best without a validation loss";
            return Err(Fault::new("checkpoint", problem, "give `train.validate`, or write `checkpoint: last`"));
        }
        let Some(wanted) = &self.sample.ema else { return Ok(()) };
        wanted.check().map_err(|fault| fault.under("ema"))?;
        let Some(train) = train else {
            return Err(Fault::new("ema", "a model that is not trained has no moving average", "remove `ema`"));
        };
        let reconstructed = matches!(wanted, EmaSpec::Power(_)) && train.snapshot_every.is_some();
        if reconstructed || train.ema.0.contains(wanted) {
            return Ok(());
        }
        let remedy = "add it to `train.ema`; a power average can also be put together from snapshots of others: set \
                      `train.snapshot_every`";
        Err(Fault::new("ema", "`train.ema` does not track this average", remedy))
    }
}

/// Budgets, in ascending order.
fn check_budgets(nfe: &[usize]) -> Result<(), Fault> {
    not_empty("nfe", nfe.len(), "nfe: [10, 20, 50]")?;
    for (i, &budget) in nfe.iter().enumerate() {
        between(&format!("nfe[{i}]"), budget, (1, MOST_STEPS))?;
        if i > 0 && budget <= nfe[i - 1] {
            return Err(Fault::new(
                format!("nfe[{i}]"),
                format!("{budget} comes after {}", nfe[i - 1]),
                "list the budgets in ascending order, each once",
            ));
        }
    }
    Ok(())
}

/// Each metric is told what it needs, and has as many points as it needs.
fn check_metrics(spec: &Spec, compare: &CompareSpec) -> Result<(), Fault> {
    let told = compare.metrics.iter().any(|choice| choice.build().needs().is_some());
    let data = if told { spec.data.without_files()? } else { None };
    let gaussian = data.as_ref().and_then(|data| data.law()?.axes()).is_some();
    let truth = data.map_or(Truth::NOTHING, |data| truth(&data));
    let (key, count) = match compare.count {
        Some(count) => ("compare.count", count),
        None => ("sample.count", spec.sample.count),
    };
    for (i, choice) in compare.metrics.iter().enumerate() {
        let (name, metric) = (choice.name(), choice.build());
        let (what, who) = match metric.needs() {
            Some(Need::Density) if truth.density.is_none() => ("a density", DENSITY),
            Some(Need::Modes) if truth.modes.is_none() => ("modes", MODES),
            Some(Need::Laws { .. }) if !gaussian => ("one Gaussian", GAUSSIAN),
            Some(Need::Laws { .. }) if spec.model != ModelSpec::Exact => {
                let problem = format!("{name} needs the exact score");
                return Err(Fault::new(format!("compare.metrics[{i}]"), problem, "write `model: exact`"));
            }
            _ if count < metric.least() => {
                let problem = format!("{count} points are too few for {name}");
                return Err(Fault::new(key, problem, format!("write at least {}", metric.least())));
            }
            _ => continue,
        };
        let instead = match choice {
            MetricSpec::Kl(_) => ", or write `{kl: {against: sample}}` to compare with the reference data",
            _ => "",
        };
        return Err(Fault::new(
            format!("compare.metrics[{i}]"),
            format!("{name} needs data with {what} in closed form, and {} has none", spec.data.name()),
            format!("choose {who}{instead}"),
        ));
    }
    Ok(())
}

/// The longest name: file systems allow 255 bytes, and a sweep appends to it.
const LONGEST_NAME: usize = 100;

/// A name becomes a folder, on any file system and without surprises in a shell.
fn check_name(name: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if name.starts_with(plain) && name.chars().all(|c| plain(c) || c == '-' || c == '_') {
        let problem = format!("a name of {} characters", name.len());
        let fault = Fault::new("name", problem, format!("write at most {LONGEST_NAME}; `description` may be longer"));
        return if name.len() <= LONGEST_NAME { Ok(()) } else { Err(fault) };
    }
    Err(Fault::new(
        "name",
        format!("{:?} cannot name a folder everywhere", short(name)),
        "use lower-case letters, digits, `-` and `_`, and start with a letter or a digit, as in `two-moons-vp`",
    ))
}

impl Settings for LearnedModel {
    fn check(&self) -> Result<(), Fault> {
        under("network", &self.network)?;
        under("noise_level", &self.noise_level)?;
        under("fourier_features", &self.fourier_features)?;
        self.sigma_data.map_or(Ok(()), |sigma_data| positive("sigma_data", sigma_data))
    }
}

impl Settings for SampleSpec {
    fn check(&self) -> Result<(), Fault> {
        at_least_one("count", self.count)?;
        self.class.as_ref().map_or(Ok(()), |classes| under("class", classes))?;
        under("solver", &self.solver)?;
        under("grid", &self.grid)?;
        between("steps", self.steps(), (1, MOST_STEPS))?;
        self.chunk.map_or(Ok(()), |chunk| at_least_one("chunk", chunk))?;
        match (&self.grid, self.steps) {
            (GridSpec::Explicit(times), Some(steps)) if steps != times.steps() => Err(Fault::new(
                "steps",
                format!("{steps} contradicts the explicit grid of {} times", times.0.len()),
                "remove `steps`, or set it to null",
            )),
            _ => Ok(()),
        }
    }
}

impl Settings for CompareSpec {
    fn check(&self) -> Result<(), Fault> {
        not_empty("entries", self.entries.len(), "entries: [{solver: heun}, {solver: dpmpp_2m}]")?;
        for (i, entry) in self.entries.iter().enumerate() {
            let key = format!("entries[{i}]");
            under(&format!("{key}.solver"), &entry.solver)?;
            if let Some(grid) = &entry.grid {
                under(&format!("{key}.grid"), grid)?;
            }
            if let Some(nfe) = &entry.nfe {
                check_budgets(nfe).map_err(|fault| fault.under(&key))?;
            }
            let label = entry.label();
            if label == FLOOR {
                let problem = format!("{:?} is what tables call fresh data compared with data", short(&label));
                return Err(Fault::new(format!("{key}.label"), problem, "give the entry another `label`"));
            }
            if let Some(earlier) = self.entries[..i].iter().position(|earlier| earlier.label() == label) {
                return Err(Fault::new(
                    if entry.label.is_some() { format!("{key}.label") } else { key },
                    format!("entries[{earlier}] is already called {:?}", short(&label)),
                    "give each entry a `label` of its own",
                ));
            }
        }
        check_budgets(&self.nfe)?;
        not_empty("metrics", self.metrics.len(), "metrics: [sliced_wasserstein]")?;
        for (i, metric) in self.metrics.iter().enumerate() {
            let key = format!("metrics[{i}]");
            under(&key, metric)?;
            if let Some(earlier) = self.metrics[..i].iter().position(|earlier| earlier.name() == metric.name()) {
                let problem = format!("metrics[{earlier}] is {} already", metric.name());
                return Err(Fault::new(key, problem, "keep one of them: results are listed by name"));
            }
        }
        at_least_one("repeats", self.repeats)?;
        match self.count {
            Some(count) if count < LEAST_POINTS => Err(too_few("count", count)),
            Some(count) => at_least_one("count", count),
            None => Ok(()),
        }
    }
}

/// The most steps of a sampling run: ten times the longest chains of the literature, and more.
const MOST_STEPS: usize = 100_000;

/// The fewest points between which every metric has a distance and a standard error.
pub(super) const LEAST_POINTS: usize = 4;

fn too_few(key: &str, count: usize) -> Fault {
    Fault::new(key, format!("{count} points are too few to compare"), format!("write at least {LEAST_POINTS}"))
}

fn not_empty(key: &str, length: usize, example: &str) -> Result<(), Fault> {
    if length > 0 {
        return Ok(());
    }
    Err(Fault::new(key, "the list is empty", format!("name at least one, as in `{example}`")))
}
