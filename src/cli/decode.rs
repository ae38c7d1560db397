//! `ornstein decode`

use std::path::PathBuf;

use serde_json::json;

use super::session::Session;
use super::{Shared, print_json};
use crate::error::Result;
use crate::experiment::{Observer, stage};
use crate::file;

/// Take latents to data by the probability flow: the inverse of encode.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The solver is that of the section `likelihood`. Networks that are told classes are told them as `sample.class` says.")]
pub struct Decode {
    #[command(flatten)]
    shared: Shared,

    /// A .npy file with latents x_T, [N, …]
    #[arg(long, value_name = "Z.npy")]
    input: PathBuf,

    /// Where the data go, in their own units, [N, …]
    #[arg(long, value_name = "Y.npy")]
    output: PathBuf,

    /// The checkpoint (default: the newest of the newest run of this experiment)
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl Decode {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let session = Session::new(&self.shared)?;
        let Session { plan, terminal, .. } = &session;
        let spec = plan.spec.likelihood.clone().unwrap_or_default();
        let (model, _) = session.model_of_samples(self.checkpoint.as_deref())?;
        file::writable(&self.output)?;
        let (count, nfe) = stage::decode(plan, &spec, &*model, (&self.input, &self.output), terminal)?;
        let output = self.output.display();
        terminal.say(&format!("    decode {count} samples with {nfe:.0} evaluations each in {output}"));
        if self.shared.json {
            print_json(&json!({ "output": self.output, "count": count, "nfe": nfe }))?;
        }
        Ok(())
    }
}
