//! `ornstein encode`

use std::path::PathBuf;

use serde_json::json;

use super::session::Session;
use super::{Shared, print_json, run};
use crate::error::Result;
use crate::experiment::Observer;
use crate::experiment::stage::{self, Observed, RoundTrip};
use crate::file;

/// Take data to their latents by the probability flow, and back to see what is lost.
///
/// The solver is that of the section `likelihood`, by default dopri5 at the tolerance 1e-5; the way back is measured at each
/// of `likelihood.tolerances` too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ornstein encode experiments/exact/mixture.yaml --set 'likelihood={count: 1000, tolerances: [1e-3, 1e-4, 1e-6]}'
  ornstein encode runs/small/20260101-120000-0123456789ab --input x.npy --output z.npy")]
pub struct Encode {
    #[command(flatten)]
    shared: Shared,

    /// A .npy file with data in their own units, [N, …], instead of held-out data
    #[arg(long, value_name = "X.npy")]
    input: Option<PathBuf>,

    /// Where the latents x_T go, [N, …] (default: latents.npy in the run folder)
    #[arg(long, value_name = "Z.npy")]
    output: Option<PathBuf>,

    /// The checkpoint (default: the newest of the newest run of this experiment)
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl Encode {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let session = Session::new(&self.shared)?;
        let Session { plan, terminal, .. } = &session;
        let spec = plan.spec.likelihood.clone().unwrap_or_default();
        let observed = Observed::of(plan, &spec, self.input.as_deref())?;
        let (model, owner) = session.model_on(self.checkpoint.as_deref(), observed.condition(plan))?;
        let folder = run::folder(&session, owner)?;
        let _lock = folder.lock()?;
        let output = self.output.clone().unwrap_or_else(|| folder.file("latents.npy"));
        file::writable(&output)?;
        let encoded = stage::encode(plan, &spec, (&*model, &observed), &output, terminal)?;
        stage::round_trip_figure(&encoded, &folder)?;
        let latents = &encoded.latents;
        terminal.say(&format!(
            "    encode {} samples with {:.0} evaluations each in {}",
            encoded.count,
            encoded.nfe,
            output.display()
        ));
        terminal.say(&format!(
            "   latents mean {:.3}, variance {:.3}, skewness {:.3}, excess kurtosis {:.3}; p-values {:.2} (norm), {:.2} \
             (coordinates)",
            latents.mean, latents.variance, latents.skewness, latents.kurtosis, latents.radius, latents.coordinates
        ));
        for RoundTrip { tolerance, nfe, rms } in &encoded.round_trips {
            let at = tolerance.map_or(String::new(), |tolerance| format!(" at the tolerance {tolerance:e}"));
            terminal.say(&format!("round trip RMS error {rms:.1e}{at}, {nfe:.0} evaluations there and back"));
        }
        if self.shared.json {
            print_json(&json!({ "output": output, "encode": encoded }))?;
        }
        Ok(())
    }
}
