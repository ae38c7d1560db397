//! The stages of an experiment: train, sample, compare, report. Each reads and writes a run directory; features of the data
//! have a folder of their own.

mod board;
mod compare;
mod curves;
mod features;
mod findings;
mod latent;
mod latent_figures;
mod ledger;
mod levels;
mod likelihood;
mod likelihood_figures;
mod likeness;
mod log;
mod losses;
mod overview;
mod pictures;
mod quality;
mod report;
mod sample;
mod train;

pub use compare::{Cell, Comparison, Contest, Only, Sources, Standings, Store, Summary, compare, sources};
pub(super) use compare::{Repeat, Subject};
pub use features::{TrainedFeatures, check_features, features, features_folder};
pub use findings::Findings;
pub use latent::{Encoded, RoundTrip, decode, encode, interpolate};
pub use latent_figures::{interpolation_figure, round_trip_figure};
pub use ledger::{Likelihood, Term};
pub(super) use likelihood::rehearse;
pub use likelihood::{Observed, likelihood};
pub use likelihood_figures::likelihood_figures;
pub use overview::{Heading, Member, Overview};
pub use report::report;
pub use sample::{Door, Ready, SAMPLES, Sampled, read_npy, sample, sample_run, write_npy};
pub use train::{Training, train};

use super::observer::Observer;
use crate::error::Result;

/// Counts sampling steps towards a total and passes on the wish to stop.
fn tick(observer: &dyn Observer) -> impl Fn(usize) -> Result<()> + Sync + '_ {
    |samples| {
        observer.advance(samples as u64);
        observer.go_on("nothing of this stage was kept; give the same command again")
    }
}
