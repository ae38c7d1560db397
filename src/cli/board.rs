//! Progress of several processes at once: a line each on a terminal, plain lines elsewhere, all on standard error.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::tell;

/// The lines of all processes.
#[derive(Debug)]
pub struct Board {
    quiet: bool,
    /// None where standard error is no terminal.
    bars: Option<MultiProgress>,
}

/// The line of one process; it goes when this is dropped.
#[derive(Debug)]
pub struct Row<'a> {
    board: &'a Board,
    label: &'a str,
    bar: Option<ProgressBar>,
}

impl Board {
    /// A board without lines, which stays so if it is to be quiet.
    pub fn new(quiet: bool) -> Self {
        let live = !quiet && std::io::stderr().is_terminal();
        let bars = live.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Board { quiet, bars }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.bars {
            _ if self.quiet => {}
            Some(bars) => bars.suspend(|| tell(format_args!("{line}"))),
            None => tell(format_args!("{line}")),
        }
    }

    /// A line for a process that starts.
    pub fn row<'a>(&'a self, label: &'a str) -> Row<'a> {
        let bar = self.bars.as_ref().map(|bars| {
            let style = ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {msg}").expect("a valid template");
            let bar = bars.add(ProgressBar::new_spinner().with_style(style).with_prefix(label.to_owned()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Row { board: self, label, bar }
    }
}

impl Row<'_> {
    /// Passes on a line that the process wrote, if it says how far the process is.
    pub fn update(&self, line: &str) {
        let line = line.trim();
        // As `training: 45% (120.0/s, 30 s left) loss 0.4`, and at the end of a stage `training 3.2 s  loss 0.4`.
        let on_the_way = line.contains("% (");
        let mut words = line.split_whitespace().skip(1);
        let stage_ends = words.next().is_some_and(|word| word.parse::<f64>().is_ok()) && words.next() == Some("s");
        match &self.bar {
            Some(bar) if on_the_way || stage_ends => bar.set_message(line.to_owned()),
            None if on_the_way => self.board.say(&format!("{}: {line}", self.label)),
            _ => {}
        }
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
