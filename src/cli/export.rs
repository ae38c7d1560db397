//! `ornstein export`

use std::path::PathBuf;

use super::session::Session;
use super::{Shared, print_json};
use crate::error::{Error, Result};
use crate::experiment::{Observer, exchange};

/// Write the network of a run as a model folder that diffusers reads.
///
/// A U-Net that is told the step of a chain becomes a DDPMPipeline; one that is told ln σ and predicts the score, a
/// ScoreSdeVePipeline; one of EDM, a UNet2DModel with an EDMEulerScheduler beside it. What no scheduler of diffusers can
/// tell a network is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ornstein export runs/NAME/WHEN-HASH model
  python3 -c 'import diffusers; print(diffusers.DDPMPipeline.from_pretrained(\"model\"))'")]
pub struct Export {
    #[command(flatten)]
    shared: Shared,

    /// The folder to write, which must not hold anything yet
    folder: PathBuf,

    /// The checkpoint (default: the newest of the run)
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl Export {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let session = Session::new(&self.shared)?;
        if let Some(word) = session.plan.spec.model.word() {
            let problem = format!("the experiment has `model: {word}`, which has no network");
            return Err(Error::argument("export", problem, "give a run with a trained network"));
        }
        let manifest = session.manifest(self.checkpoint.as_deref())?.0;
        let loaded = session.plan.loaded(&manifest)?;
        let exported = exchange::export(&session.plan, &loaded, &self.folder)?;
        let terminal = &session.terminal;
        let exchange::Exported { scheduler, step, .. } = &exported;
        terminal.say(&format!("    export {} (step {step}, {scheduler})", self.folder.display()));
        exported.remarks.iter().for_each(|remark| terminal.say(&format!("           {remark}")));
        if self.shared.json {
            print_json(&serde_json::to_value(&exported).expect("plain data"))?;
        }
        Ok(())
    }
}
