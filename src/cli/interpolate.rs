//! `ornstein interpolate`

use std::path::PathBuf;

use serde_json::json;

use super::session::Session;
use super::{Shared, print_json, run};
use crate::error::Result;
use crate::experiment::Observer;
use crate::experiment::stage::{self, Observed, write_npy};
use crate::file;

/// Go from sample to sample over the great circle between their latents, and draw what lies between.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes interpolation.npy [pairs, frames, …], in the units of the data, and figures/interpolation.png into the run. The
solver is that of the section `likelihood`.

Examples:
  ornstein interpolate experiments/quickstart.yaml --pairs 32 --frames 50
  ornstein interpolate runs/small/20260101-120000-0123456789ab --input ends.npy      (x[0] to x[N/2], x[1] to x[N/2+1], …)")]
pub struct Interpolate {
    #[command(flatten)]
    shared: Shared,

    /// A .npy file with data in their own units, [N, …]: the first half and the second are the ends (default: held-out data)
    #[arg(long, value_name = "X.npy", conflicts_with = "pairs")]
    input: Option<PathBuf>,

    /// How many pairs of held-out data
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,

    /// How many points of each way, the ends included
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u16).range(2..))]
    frames: u16,

    /// Where the points go (default: interpolation.npy in the run folder)
    #[arg(long, value_name = "Y.npy")]
    output: Option<PathBuf>,

    /// The checkpoint (default: the newest of the newest run of this experiment)
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl Interpolate {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let session = Session::new(&self.shared)?;
        let Session { plan, terminal, .. } = &session;
        let mut spec = plan.spec.likelihood.clone().unwrap_or_default();
        spec.count = 2 * usize::from(self.pairs);
        let (frames, checkpoint) = (usize::from(self.frames), self.checkpoint.as_deref());
        let observed = Observed::of(plan, &spec, self.input.as_deref())?;
        let (up, owner) = session.model_on(checkpoint, observed.condition(plan))?;
        let (down, _) = session.model_on(checkpoint, observed.condition_between(plan, frames))?;
        let folder = run::folder(&session, owner)?;
        let _lock = folder.lock()?;
        let output = self.output.clone().unwrap_or_else(|| folder.file("interpolation.npy"));
        file::writable(&output)?;
        let x = stage::interpolate(plan, &spec, (&*up, &*down), (&observed, frames), terminal)?;
        let restored = plan.data().restore(&x.flatten(0, 1).to_kind(plan.compute.kind));
        let shape = [&x.size()[..2], &restored.size()[1..]].concat();
        write_npy(&output, &restored.reshape(shape))?;
        stage::interpolation_figure(plan, &*up, &x, &folder)?;
        let pairs = x.size()[0];
        terminal.say(&format!("interpolate {pairs} pairs, {frames} points each, in {}", output.display()));
        if self.shared.json {
            print_json(&json!({ "output": output, "pairs": pairs, "frames": frames }))?;
        }
        Ok(())
    }
}
