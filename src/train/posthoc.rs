//! Moving averages of other lengths, put together after training from snapshots of some (EDM2).

use std::path::Path;

use tch::Kind;

use super::{Checkpoint, Power, Profile, reconstruct};
use crate::error::{Error, Result};
use crate::model::Parameters;

/// Power-function averages that a run has tracked, and where it has left snapshots of them.
#[derive(Debug)]
pub struct Snapshots<'a> {
    /// The folder of the snapshots.
    pub folder: &'a Path,
    /// The hash of the experiment.
    pub experiment: &'a str,
    /// For each average its place in the list of all averages, and its width.
    pub tracked: Vec<(usize, Power)>,
}

impl Snapshots<'_> {
    /// Sets `parameters` to the average of width `wanted` at step `at`, the sum of snapshots whose profiles sum to its
    /// profile best (Karras et al. 2024, Sec. 3.1 and Algorithm 3). Reads one snapshot at a time.
    ///
    /// # Errors
    /// When a snapshot is damaged, of another experiment or network, or when there is none.
    pub fn average(&self, wanted: Power, at: usize, parameters: &Parameters) -> Result<()> {
        let mut saved = Vec::new();
        for manifest in Checkpoint::all(self.folder) {
            let step = Checkpoint::step_of(&manifest).filter(|&step| step > 0 && step <= at);
            for (i, power) in step.iter().flat_map(|_| &self.tracked) {
                let profile = Profile { step: step.unwrap_or_default() as f64, exponent: power.exponent() };
                saved.push((manifest.clone(), *i, profile));
            }
        }
        if saved.is_empty() {
            let remedy = "train with `train.snapshot_every` and a power average in `train.ema`";
            return Err(Error::file(self.folder, format!("there are no snapshots up to step {at}"), remedy));
        }
        let profiles: Vec<Profile> = saved.iter().map(|&(.., profile)| profile).collect();
        let coefficients = reconstruct(&profiles, Profile { step: at as f64, exponent: wanted.exponent() });
        let flat = parameters.flat();
        let mut sum = flat.to_kind(Kind::Double).zeros_like();
        let mut value = flat.copy();
        let mut read: Option<(&Path, Checkpoint)> = None;
        for ((manifest, i, _), coefficient) in saved.iter().zip(coefficients) {
            let snapshot = match read.take() {
                Some((path, snapshot)) if path == manifest => snapshot,
                _ => Checkpoint::load(manifest, self.experiment)?,
            };
            for (name, mut part) in parameters.named(&value) {
                snapshot.copy(&format!("ema.{i}/{name}"), &mut part)?;
            }
            sum += value.to_kind(Kind::Double) * coefficient;
            value = value.zero_();
            read = Some((manifest, snapshot));
        }
        tch::no_grad(|| parameters.flat().copy_(&sum));
        Ok(())
    }
}
