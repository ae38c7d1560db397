//! `ornstein import`

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tch::{Device, Kind};

use super::print_json;
use super::session::Session;
use super::terminal::Terminal;
use crate::data::Library;
use crate::error::Result;
use crate::experiment::{Compute, Import as Folder, Observer, Plan};
use crate::threads::Workers;

/// Make a run of a model of diffusers, to be sampled, compared or trained on.
///
/// The folder is that of a pipeline with a UNet2DModel (model_index.json, unet/, scheduler/) or of a UNet2DModel alone. The
/// network is told what its scheduler told it, on the process that it was trained on or on any other (--set sde=edm).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ornstein import google/ddpm-cifar10-32 --out runs/ddpm
  ornstein sample runs/ddpm --set sample.solver=unipc --set sample.steps=10
  ornstein import google/ddpm-cifar10-32 --set data=cifar10 --out runs/ddpm-cifar10    # to compare with the data, or to train on")]
pub struct Import {
    /// The folder of the model
    folder: PathBuf,

    /// Change a setting of the experiment, for example --set data=cifar10; repeatable
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,

    /// The folder of data files (default: that of ORNSTEIN_DATA, else ./data)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// The run folder (default: runs/NAME/WHEN-HASH)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print errors only
    #[arg(short, long)]
    quiet: bool,

    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
}

impl Import {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let folder = Folder::open(&self.folder, &self.set)?;
        let spec = folder.document.spec(&self.set)?;
        tch::set_num_threads(1);
        let compute = Compute { device: Device::Cpu, kind: Kind::Float, workers: Arc::new(Workers::new(1)?) };
        let plan = Plan::new(spec, compute, &Library::new(self.data.as_deref()))
            .map_err(|fault| folder.document.data_fault(&self.set, fault))?;
        // All that may be wrong with the folder shows here, before anything is written.
        let checkpoint = folder.checkpoint(&plan)?;
        let parameters = plan.parameters();
        let session = Session::on(plan, Terminal::new(self.quiet, false), self.out.clone());
        let run = session.fresh()?;
        let _lock = run.lock()?;
        let manifest = checkpoint.save(&run.checkpoints(), 1)?;
        let terminal = &session.terminal;
        terminal.say(&format!("{}", run.path().display()));
        terminal.say(&format!("    import {parameters} parameters of {}", self.folder.display()));
        folder.remarks.iter().for_each(|remark| terminal.say(&format!("           {remark}")));
        terminal.say(&format!("           sample it with: ornstein sample {}", run.path().display()));
        if self.json {
            print_json(&json!({
                "run": run.path(), "checkpoint": manifest, "parameters": parameters, "remarks": folder.remarks
            }))?;
        }
        Ok(())
    }
}
