//! How stages report to whoever watches.

use crate::error::{Error, Result};

/// Watches long work: a terminal, a log, a test. What it does not override goes unseen.
pub trait Observer: Sync {
    /// Work of `total` units begins.
    fn begin(&self, _what: &str, _total: u64) {}

    /// `done` more units of it are done.
    fn advance(&self, _done: u64) {}

    /// The number to show beside the rate and the time left.
    fn note(&self, _text: &str) {}

    /// The work has ended.
    fn end(&self) {}

    /// A line for people.
    fn say(&self, _line: &str) {}

    /// A line for people who asked for details.
    fn detail(&self, _line: &str) {}

    /// Whether the user wants to stop.
    fn stopped(&self) -> bool {
        false
    }

    /// Work goes on unless the user wants to stop.
    ///
    /// # Errors
    /// An interrupt, with what to do then.
    fn go_on(&self, remedy: &str) -> Result<()> {
        if self.stopped() { Err(Error::Interrupted { remedy: remedy.into() }) } else { Ok(()) }
    }
}

/// Nobody watches.
pub(super) struct Nobody;

impl Observer for Nobody {}
