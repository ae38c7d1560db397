//! What an experiment may not say although each of its values has the right type.

use super::choices::{GridSpec, PredictorCorrector, SolverSpec};
use super::spec::{CompareSpec, FLOOR, LearnedModel, ModelSpec, SampleSpec, Spec, TrainSpec};
use crate::error::{Fault, Settings, at_least_one, positive};

/// Checks the settings under a key.
fn under(key: &str, settings: &impl Settings) -> Result<(), Fault> {
    settings.check().map_err(|fault| fault.under(key))
}

impl Settings for Spec {
    fn check(&self) -> Result<(), Fault> {
        check_name(&self.name)?;
        under("data", &self.data)?;
        under("sde", &self.sde)?;
        if let ModelSpec::Learned(model) = &self.model {
            under("model", model)?;
        }
        match (&self.train, &self.model) {
            (Some(_), ModelSpec::Exact) => {
                return Err(Fault::new(
                    "train",
                    "there is nothing to train with `model: exact`",
                    "remove `train`, or give `model` a network",
                ));
            }
            (Some(train), ModelSpec::Learned(_)) => under("train", train)?,
            (None, _) => {}
        }
        if self.model == ModelSpec::Exact && !self.data.has_law() {
            return Err(Fault::new(
                "model",
                format!("the data set {} has no closed-form denoiser", self.data.name()),
                "give `model` a network, or choose gaussian, gaussian_mixture or eight_gaussians",
            ));
        }
        under("sample", &self.sample)?;
        let sde = self.sde.build();
        self.sample.grid.times(&*sde, self.sample.steps()).map_err(|fault| fault.under("sample.grid"))?;
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
            }
        }
        Ok(())
    }
}

/// A name becomes a folder, on any file system and without surprises in a shell.
fn check_name(name: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if name.starts_with(plain) && name.chars().all(|c| plain(c) || c == '-' || c == '_') {
        return Ok(());
    }
    Err(Fault::new(
        "name",
        format!("{name:?} cannot name a folder everywhere"),
        "use lower-case letters, digits, `-` and `_`, and start with a letter or a digit, as in `two-moons-vp`",
    ))
}

impl Settings for LearnedModel {
    fn check(&self) -> Result<(), Fault> {
        under("network", &self.network)?;
        self.sigma_data.map_or(Ok(()), |sigma_data| positive("sigma_data", sigma_data))
    }
}

impl Settings for TrainSpec {
    fn check(&self) -> Result<(), Fault> {
        at_least_one("steps", self.steps)?;
        at_least_one("batch", self.batch)?;
        under("time", &self.time)?;
        under("optimizer", &self.optimizer)?;
        self.clip.map_or(Ok(()), |clip| positive("clip", clip))?;
        under("ema", &self.ema)?;
        at_least_one("log_every", self.log_every)?;
        at_least_one("checkpoint_every", self.checkpoint_every)
    }
}

impl Settings for SampleSpec {
    fn check(&self) -> Result<(), Fault> {
        at_least_one("count", self.count)?;
        under("solver", &self.solver)?;
        under("grid", &self.grid)?;
        at_least_one("steps", self.steps())?;
        at_least_one("chunk", self.chunk)?;
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
            let label = entry.label();
            if label == FLOOR {
                let problem = format!("{label:?} is what tables call fresh data compared with data");
                return Err(Fault::new(format!("{key}.label"), problem, "give the entry another `label`"));
            }
            if let Some(earlier) = self.entries[..i].iter().position(|earlier| earlier.label() == label) {
                return Err(Fault::new(
                    if entry.label.is_some() { format!("{key}.label") } else { key },
                    format!("entries[{earlier}] is already called {label:?}"),
                    "give each entry a `label` of its own",
                ));
            }
        }
        not_empty("nfe", self.nfe.len(), "nfe: [10, 20, 50]")?;
        for (i, &nfe) in self.nfe.iter().enumerate() {
            at_least_one(&format!("nfe[{i}]"), nfe)?;
            if i > 0 && nfe <= self.nfe[i - 1] {
                return Err(Fault::new(
                    format!("nfe[{i}]"),
                    format!("{nfe} comes after {}", self.nfe[i - 1]),
                    "list the budgets in ascending order, each once",
                ));
            }
        }
        not_empty("metrics", self.metrics.len(), "metrics: [sliced_wasserstein]")?;
        for (i, metric) in self.metrics.iter().enumerate() {
            under(&format!("metrics[{i}]"), metric)?;
        }
        at_least_one("repeats", self.repeats)?;
        match self.count {
            Some(count) if count < LEAST_POINTS => Err(too_few("count", count)),
            _ => Ok(()),
        }
    }
}

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

impl Settings for PredictorCorrector {
    fn check(&self) -> Result<(), Fault> {
        if let SolverSpec::PredictorCorrector(_) = *self.predictor {
            return Err(Fault::new(
                "predictor",
                "a predictor_corrector inside a predictor_corrector",
                "choose a plain solver, such as `predictor: reverse_diffusion`",
            ));
        }
        under("predictor", &*self.predictor)?;
        under("corrector", &self.corrector)
    }
}
