//! `ornstein features`

use std::path::PathBuf;

use super::session::Session;
use super::{Shared, print_json};
use crate::error::Result;
use crate::experiment::{Observer, choice, stage};
use crate::feature::ClassifierSettings;

/// Train features of an experiment's images: a classifier on their labels.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The last hidden layer of the classifier, F numbers for each image, is what distances between sets of images are measured on.
Such a distance is that of these features alone: it is called FD (features), never FID, and goes with their hash.

Settings of --classifier, with their defaults:
  {network: {widths: [32, 64, 128, 128], groups: 8}, steps: 4000, batch: 128, warmup: 100, shift: 1,
   flip: false, optimizer: {lr: 0.003, weight_decay: 0.02}, held_out: 10000}

Examples:
  ornstein features experiments/fashion.yaml --classifier '{flip: true}'
  ornstein features experiments/fashion.yaml --seed 1 --output features/second --json")]
pub struct Features {
    #[command(flatten)]
    shared: Shared,

    /// Settings of the classifier and its training
    #[arg(long, value_name = "SETTINGS", default_value = "{}")]
    classifier: String,

    /// The folder for the classifier (default: features/DATA-DIGEST); one that lies there is replaced
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Features {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let settings: ClassifierSettings = choice("--classifier", &self.classifier)?;
        let session = Session::new(&self.shared)?;
        let folder = self.output.clone().unwrap_or_else(|| stage::features_folder(&session.plan));
        let trained = stage::features(&session.plan, &settings, &folder, &session.terminal)?;
        let stage::TrainedFeatures { accuracy, features, hash, .. } = &trained;
        let percent = |share: f64| format!("{:.2}", 100.0 * share);
        session.terminal.say(&format!(
            "  accuracy {} % [{}, {}] of {} held-out images",
            percent(accuracy.value),
            percent(accuracy.interval.low),
            percent(accuracy.interval.high),
            accuracy.count
        ));
        session.terminal.say(&format!("  features {features} numbers an image, hash {hash}"));
        session.terminal.say(&format!("    folder {}", folder.display()));
        if self.shared.json {
            print_json(&serde_json::to_value(&trained).expect("plain data"))?;
        }
        Ok(())
    }
}
