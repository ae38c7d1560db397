//! From command-line flags to a plan and its run directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tch::Kind;

use super::terminal::Terminal;
use super::{Precision, Shared};
use crate::data::Library;
use crate::error::{Error, Result};
use crate::experiment::{Compute, Document, ModelSpec, Observer, Plan, RunDir};
use crate::model::Condition;
use crate::score::Model;
use crate::tensor;
use crate::threads::Workers;

/// What was given to a verb: an experiment file, the folder of a run or that of a sweep.
#[derive(Debug)]
pub struct Given {
    /// What the file says.
    pub document: Document,
    /// The folder, where one was given.
    pub folder: Option<PathBuf>,
}

impl Given {
    /// Reads the experiment; nothing is written.
    pub fn read(shared: &Shared) -> Result<Self> {
        let folder = shared.experiment.is_dir().then(|| shared.experiment.clone());
        if let (Some(folder), Some(out)) = (&folder, &shared.out) {
            let problem = format!("the results of the run {} stay in its own folder", folder.display());
            let remedy = "leave --out away, or give the YAML file of the experiment";
            return Err(Error::argument(format!("--out {}", out.display()), problem, remedy));
        }
        let path = match &folder {
            Some(folder) if folder.join(SWEEP).is_file() => folder.join(SWEEP),
            Some(folder) => RunDir::open(folder)?.file("experiment.yaml"),
            None => shared.experiment.clone(),
        };
        Ok(Given { document: Document::open(&path)?, folder })
    }
}

/// The file that says what the folder of a sweep holds.
pub const SWEEP: &str = "sweep.yaml";

/// Where and how to compute, on so many threads.
pub fn compute(shared: &Shared, threads: usize) -> Result<Compute> {
    let device = tensor::device(&shared.device)?;
    let kind = match shared.precision {
        Precision::Float32 => Kind::Float,
        Precision::Float64 => Kind::Double,
    };
    let workers = Arc::new(Workers::new(threads)?);
    // All parallelism is over chunks: LibTorch's own threads wait for one another in loops, and collapse when
    // another program needs a core.
    tch::set_num_threads(1);
    Ok(Compute { device, kind, workers })
}

/// A plan, where it came from, and who watches.
#[derive(Debug)]
pub struct Session {
    /// What to do.
    pub plan: Plan,
    /// Who watches.
    pub terminal: Terminal,
    /// The run that was given instead of a YAML file.
    given: Option<RunDir>,
    out: Option<PathBuf>,
    resume: bool,
}

impl Session {
    /// Reads and checks the experiment; nothing is written.
    pub fn new(shared: &Shared) -> Result<Self> {
        Self::of(&Given::read(shared)?, shared)
    }

    /// Checks an experiment that was read; nothing is written.
    pub fn of(given: &Given, shared: &Shared) -> Result<Self> {
        let overrides = shared.overrides();
        let spec = given.document.spec(&overrides)?;
        let plan = Plan::new(spec, compute(shared, shared.threads)?, &Library::new(shared.data.as_deref()))
            .map_err(|fault| given.document.data_fault(&overrides, fault))?;
        let terminal = Terminal::new(shared.quiet, shared.verbose);
        let given = given.folder.as_deref().map(RunDir::open).transpose()?;
        Ok(Session { plan, terminal, given, out: shared.out.clone(), resume: shared.resume })
    }

    /// A plan that was made otherwise, for a run of its own.
    pub fn on(plan: Plan, terminal: Terminal, out: Option<PathBuf>) -> Self {
        Session { plan, terminal, given: None, out, resume: false }
    }

    /// Says what the experiment probably does not mean, each thing once.
    pub fn warn(&self, warnings: &[String]) {
        for (number, warning) in warnings.iter().enumerate() {
            if !warnings[..number].contains(warning) {
                self.terminal.say(&format!("   warning {warning}"));
            }
        }
    }

    /// Whether the model has to be trained.
    pub fn is_learned(&self) -> bool {
        matches!(self.plan.spec.model, ModelSpec::Learned(_))
    }

    /// The folder to train in, and whether to go on with what is there.
    pub fn training_run(&self) -> Result<(RunDir, bool)> {
        if let Some(run) = &self.given {
            return Ok((run.clone(), true));
        }
        if self.resume {
            return Ok((self.existing()?, true));
        }
        Ok((self.fresh()?, false))
    }

    /// A new folder, which must not hold a run yet.
    pub fn fresh(&self) -> Result<RunDir> {
        // What lies there without being a run, such as one whose experiment.yaml is gone, is not written over either.
        let is_taken = |out: &&Path| RunDir::open(out).is_ok() || out.join("checkpoints").exists();
        if let Some(out) = self.out.as_deref().filter(is_taken) {
            let remedy = "add --resume to go on with it, or choose another folder";
            return Err(Error::argument(format!("--out {}", out.display()), "this folder holds a run already", remedy));
        }
        RunDir::create(&self.plan, self.out.as_deref())
    }

    /// The run that --resume means.
    fn existing(&self) -> Result<RunDir> {
        let missing = |problem: String| {
            Error::argument("--resume", problem, "start one without --resume, or name its folder with --out")
        };
        match &self.out {
            Some(out) => {
                let run = RunDir::open(out).map_err(|_| missing(format!("there is no run in {}", out.display())))?;
                match run.is_of(&self.plan)? {
                    true => Ok(run),
                    false => Err(missing(format!(
                        "the run in {} is of another experiment (its seed, data, process, model or training differ)",
                        out.display()
                    ))),
                }
            }
            None => RunDir::newest(&self.plan).ok_or_else(|| {
                let name = &self.plan.spec.name;
                let kind = if self.is_learned() { " with a checkpoint" } else { "" };
                missing(format!("there is no run of this experiment{kind} under runs/{name}"))
            }),
        }
    }

    /// The model to compare, told all classes in turn, and the run that it belongs to; a model that needs no training belongs
    /// to none.
    pub fn model(&self, checkpoint: Option<&Path>) -> Result<(Box<dyn Model>, Option<RunDir>)> {
        self.model_on(checkpoint, self.plan.in_turn())
    }

    /// The same model, told what it is to draw samples of.
    pub fn model_of_samples(&self, checkpoint: Option<&Path>) -> Result<(Box<dyn Model>, Option<RunDir>)> {
        self.model_on(checkpoint, self.plan.asked())
    }

    /// The model of the samples of a run, where `sample.class` makes it another one than that which is compared.
    pub fn model_of_class(&self, run: &RunDir) -> Result<Option<Box<dyn Model>>> {
        let sample = &self.plan.spec.sample;
        let manifest = run.chosen_checkpoint(sample.checkpoint).filter(|_| sample.class.is_some());
        manifest.map(|manifest| self.plan.trained_on(&manifest, self.plan.asked())).transpose()
    }

    /// The model of a run under a condition.
    pub fn model_of_run(&self, run: &RunDir, condition: Condition) -> Result<Box<dyn Model>> {
        match run.chosen_checkpoint(self.plan.spec.sample.checkpoint) {
            Some(manifest) if self.is_learned() => self.plan.trained_on(&manifest, condition),
            _ => Ok(self.model_on(None, condition)?.0),
        }
    }

    /// The same model under a condition.
    pub fn model_on(
        &self,
        checkpoint: Option<&Path>,
        condition: Condition,
    ) -> Result<(Box<dyn Model>, Option<RunDir>)> {
        if let (Some(word), Some(path)) = (self.plan.spec.model.word(), checkpoint) {
            let problem = format!("the experiment has `model: {word}`, which has none");
            let remedy = "leave --checkpoint away, or give `model` a network";
            return Err(Error::argument(format!("--checkpoint {}", path.display()), problem, remedy));
        }
        if let Some(model) = self.plan.untrained() {
            return Ok((model, self.given.clone()));
        }
        let (manifest, run) = self.manifest(checkpoint)?;
        Ok((self.plan.trained_on(&manifest, condition)?, run))
    }

    /// The manifest of the checkpoint of a network, and the run that it belongs to.
    pub fn manifest(&self, checkpoint: Option<&Path>) -> Result<(PathBuf, Option<RunDir>)> {
        if let Some(path) = checkpoint {
            return Ok((path.with_extension("json"), self.given.clone()));
        }
        let run = match (&self.given, &self.out) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(out)) => Some(RunDir::open(out).map_err(|_| {
                let remedy = "train one there first, or leave --out away for the newest run of this experiment";
                Error::argument(format!("--out {}", out.display()), "there is no run in this folder", remedy)
            })?),
            (None, None) => RunDir::newest(&self.plan),
        };
        let manifest =
            run.as_ref().and_then(|run| run.chosen_checkpoint(self.plan.spec.sample.checkpoint)).ok_or_else(|| {
                let place = run.as_ref().map(|run| run.path().to_owned());
                let place = place.unwrap_or_else(|| Path::new("runs").join(&self.plan.spec.name));
                let problem = format!("no trained model of this experiment in {}", place.display());
                Error::argument("experiment", problem, "train one first: ornstein train EXPERIMENT")
            })?;
        Ok((manifest, run))
    }
}
