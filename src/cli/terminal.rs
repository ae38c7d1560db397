//! Progress for people: bars on a terminal, plain lines elsewhere, all on standard error.

use std::fmt;
use std::io::{IsTerminal, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::children;
use crate::experiment::Observer;

/// Whether Ctrl-C was pressed.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// How often plain lines report progress.
const EVERY: Duration = Duration::from_secs(10);

/// Writes a line for people. Long work shall not die because nobody listens any more.
pub(super) fn tell(line: fmt::Arguments) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The terminal, or whatever standard error is.
#[derive(Debug)]
pub struct Terminal {
    quiet: bool,
    verbose: bool,
    work: Mutex<Option<Work>>,
}

#[derive(Debug)]
struct Work {
    what: String,
    bar: ProgressBar,
    plain: bool,
    reported: Instant,
}

impl Terminal {
    /// A terminal that says nothing, the usual, or more.
    pub fn new(quiet: bool, verbose: bool) -> Self {
        static HANDLER: OnceLock<()> = OnceLock::new();
        HANDLER.get_or_init(|| {
            let handler = || {
                let again = STOPPED.swap(true, Ordering::SeqCst);
                children::interrupt();
                if again {
                    // At once: destructors would meet threads that are at work. Files are whole at any moment.
                    // SAFETY: `_exit` takes any number, and does nothing but end the process.
                    unsafe { libc::_exit(130) }
                }
                tell(format_args!("\nstopping after this step; press Ctrl-C again to stop at once"));
            };
            // Without a handler Ctrl-C ends the program at once, which loses no more than a kill does.
            let _ = ctrlc::set_handler(handler);
        });
        Terminal { quiet, verbose, work: Mutex::new(None) }
    }

    fn work(&self) -> MutexGuard<'_, Option<Work>> {
        // A panic elsewhere must not hide itself behind a poisoned progress bar.
        self.work.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Work {
    /// One line for logs: how far, how fast, how long still.
    fn line(&self) -> String {
        let (position, length) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let percent = 100 * position / length.max(1);
        let left = self.bar.eta().as_secs();
        format!("{}: {percent}% ({:.1}/s, {left} s left) {}", self.what, self.bar.per_sec(), self.bar.message())
    }
}

impl Observer for Terminal {
    fn begin(&self, what: &str, total: u64) {
        if self.quiet {
            return;
        }
        let plain = !std::io::stderr().is_terminal();
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let style = "{prefix:>10} {wide_bar:.cyan/dim} {percent:>3}%  {per_sec}  {eta} left  {msg}";
        let bar = ProgressBar::with_draw_target(Some(total), target)
            .with_style(ProgressStyle::with_template(style).expect("the template is valid"))
            .with_prefix(what.to_owned());
        *self.work() = Some(Work { what: what.to_owned(), bar, plain, reported: Instant::now() });
    }

    fn advance(&self, done: u64) {
        let mut guard = self.work();
        let Some(work) = guard.as_mut() else { return };
        work.bar.inc(done);
        if work.plain && work.reported.elapsed() >= EVERY {
            work.reported = Instant::now();
            tell(format_args!("{}", work.line().trim_end()));
        }
    }

    fn note(&self, text: &str) {
        if let Some(work) = self.work().as_ref() {
            work.bar.set_message(text.to_owned());
        }
    }

    fn end(&self) {
        let Some(work) = self.work().take() else { return };
        let seconds = work.bar.elapsed().as_secs_f64();
        let message = work.bar.message();
        work.bar.finish_and_clear();
        tell(format_args!("{:>10} {seconds:.1} s  {message}", work.what));
    }

    fn say(&self, line: &str) {
        if self.quiet {
            return;
        }
        match self.work().as_ref() {
            Some(work) => work.bar.suspend(|| tell(format_args!("{line}"))),
            None => tell(format_args!("{line}")),
        }
    }

    fn detail(&self, line: &str) {
        if self.verbose {
            self.say(line);
        }
    }

    fn stopped(&self) -> bool {
        STOPPED.load(Ordering::SeqCst)
    }
}
