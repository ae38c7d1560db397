//! How stages report to whoever watches.

/// Watches long work: a terminal, a log, a test.
pub trait Observer: Sync {
    /// Work of `total` units begins.
    fn begin(&self, what: &str, total: u64);

    /// `done` more units of it are done.
    fn advance(&self, done: u64);

    /// The number to show beside the rate and the time left.
    fn note(&self, text: &str);

    /// The work has ended.
    fn end(&self);

    /// A line for people.
    fn say(&self, line: &str);

    /// A line for people who asked for details.
    fn detail(&self, line: &str);

    /// Whether the user wants to stop.
    fn stopped(&self) -> bool;
}
