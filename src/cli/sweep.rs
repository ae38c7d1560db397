//! Sweeps: every cell is a run of its own, in a process of its own.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Value, json};

use super::board::Board;
use super::session::{Given, SWEEP, compute};
use super::terminal::Terminal;
use super::{Shared, children, print_json};
use crate::data::Library;
use crate::error::{Error, Fault, Result};
use crate::experiment::stage::{Heading, Member, Overview};
use crate::experiment::{Cell, Compute, ModelSpec, Observer, Plan, RunDir, Sweep};
use crate::file::{Lock, write_whole};
use crate::tensor;

/// How many processes work on a sweep.
#[derive(Debug, clap::Args)]
pub struct Jobs {
    /// How many cells of a sweep run at once (default: 1); the cores are divided among them, or each takes --threads
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

impl Jobs {
    /// Refuses the flag where there is no sweep.
    pub fn none(&self) -> Result<()> {
        self.jobs.map_or(Ok(()), |jobs| {
            let remedy = "leave it away; --threads divides the work of one experiment";
            Err(Error::argument(format!("--jobs {jobs}"), "the experiment has no `sweep`", remedy))
        })
    }

    fn count(&self) -> Result<usize> {
        match self.jobs {
            Some(0) => Err(Error::argument("--jobs 0", "0 is too small", "write a whole number of at least 1")),
            jobs => Ok(jobs.unwrap_or(1)),
        }
    }
}

/// A sweep, and the folder of its runs.
#[derive(Debug)]
pub struct Cells {
    sweep: Sweep,
    folder: PathBuf,
    /// Whether to go on with what is in the folder.
    resume: bool,
    terminal: Terminal,
    library: Library,
}

/// How a cell ended.
#[derive(Debug)]
enum End {
    /// It was finished before.
    Before,
    Done,
    Failed(String),
    /// The user wanted to stop.
    Stopped,
}

/// What all processes share.
struct Work<'a> {
    shared: &'a Shared,
    /// The verb, and flags of its own.
    words: &'a [&'a str],
    threads: usize,
    compute: &'a Compute,
    board: &'a Board,
}

impl Cells {
    /// The cells of what was given, if it is a sweep; all are checked, and nothing is written.
    pub fn of(given: &Given, shared: &Shared) -> Result<Option<Self>> {
        let Some(sweep) = given.document.sweep(&shared.overrides())? else { return Ok(None) };
        let standard = || Path::new("runs").join(sweep.name()).join(format!("sweep-{}", sweep.hash()));
        let folder = given.folder.clone().or_else(|| shared.out.clone()).unwrap_or_else(standard);
        let terminal = Terminal::new(shared.quiet, shared.verbose);
        let library = Library::new(shared.data.as_deref());
        Ok(Some(Cells { sweep, folder, resume: shared.resume || given.folder.is_some(), terminal, library }))
    }

    /// The cells.
    pub fn cells(&self) -> &[Cell] {
        &self.sweep.cells
    }

    /// The sweep.
    pub fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    /// The folder of the runs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The plan of a cell.
    pub fn plan(&self, cell: &Cell, compute: &Compute) -> Result<Plan> {
        let Compute { device, kind, workers } = compute;
        let compute = Compute { device: *device, kind: *kind, workers: workers.clone() };
        Plan::new(cell.spec.clone(), compute, &self.library).map_err(|Fault { key, problem, remedy }| {
            Error::Experiment { place: format!("{}: {key}", cell.label), problem, remedy }
        })
    }

    /// Runs a verb, the first of `words`, with flags of its own on every cell that is not finished, and then puts them all
    /// into one report.
    pub fn run(&self, words: &[&str], jobs: &Jobs, shared: &Shared) -> Result<()> {
        let verb = words[0];
        let jobs = jobs.count()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if shared.threads > 0 { shared.threads } else { (cores / jobs).max(1) };
        let compute = compute(shared, threads)?;
        let queue = self.queue(verb, &compute)?;
        fs::create_dir_all(&self.folder).map_err(|source| Error::Unwritable { path: self.folder.clone(), source })?;
        let _lock = Lock::take(&self.folder)?;
        write_whole(&self.folder.join(SWEEP), self.sweep.to_yaml().as_bytes())?;
        self.terminal.say(&format!("{}", self.folder.display()));
        let board = Board::new(shared.quiet);
        let work = Work { shared, words, threads, compute: &compute, board: &board };
        let (count, next) = (queue.len(), Mutex::new(queue));
        let ends: Mutex<Vec<(&Cell, End)>> = Mutex::new(Vec::new());
        let lock = |poisoned: std::sync::PoisonError<_>| poisoned.into_inner();
        std::thread::scope(|scope| {
            for _ in 0..jobs.min(count) {
                scope.spawn(|| {
                    loop {
                        let Some(cell) = next.lock().unwrap_or_else(lock).pop_front() else { break };
                        let start = Instant::now();
                        let end = self.cell(cell, &work).unwrap_or_else(|error| End::Failed(error.to_string()));
                        let mut ends = ends.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                        ends.push((cell, end));
                        let (number, label) = (ends.len(), &cell.label);
                        let seconds = start.elapsed().as_secs_f64();
                        match &ends[number - 1].1 {
                            End::Before => board.say(&format!("[{number}/{count}] {label}: finished before")),
                            End::Done => board.say(&format!("[{number}/{count}] {label}: done in {seconds:.1} s")),
                            End::Failed(error) => board.say(&format!("[{number}/{count}] {label}: failed: {error}")),
                            End::Stopped => {}
                        }
                    }
                });
            }
        });
        let ends = ends.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.terminal.stopped() {
            let over = ends.iter().filter(|(_, end)| matches!(end, End::Before | End::Done)).count();
            let remedy = format!(
                "{over} of {count} cells are finished in {}; go on with: ornstein {verb} {} --resume{}",
                self.folder.display(),
                shared.experiment.display(),
                shared.out.as_ref().map_or(String::new(), |out| format!(" --out {}", out.display())),
            );
            return Err(Error::Interrupted { remedy });
        }
        let page = self.overview()?;
        if shared.json {
            print_json(&self.json(&ends, page.as_deref()))?;
        }
        self.failures(&ends, count)
    }

    /// The cells to work on, after all checks that nothing would run in vain.
    fn queue(&self, verb: &str, compute: &Compute) -> Result<VecDeque<&Cell>> {
        let known = self.folder.join(SWEEP).is_file();
        let starts = verb == "run" || verb == "train";
        let refuse = |argument: &str, problem: &str, remedy: &str| {
            Err(Error::argument(argument, format!("{}: {problem}", self.folder.display()), remedy))
        };
        if RunDir::open(&self.folder).is_ok() {
            return refuse("--out", "this is the folder of a single run", "choose another folder for the sweep");
        }
        match (known, self.resume) {
            (true, false) if starts => {
                let remedy = "add --resume to go on with it, or choose another folder with --out";
                return refuse(verb, "this sweep was started already", remedy);
            }
            // After a change of the file the folder is another; to start all over shall not happen unasked.
            (false, true) if starts => {
                return refuse("--resume", "there is no sweep in this folder", "start one without --resume");
            }
            (false, _) if !starts => return Err(self.missing()),
            _ => {}
        }
        let mut queue = VecDeque::new();
        for cell in self.cells() {
            let plan = self.plan(cell, compute)?;
            let learned = cell.spec.model != ModelSpec::Exact;
            let path = self.folder.join(&cell.folder);
            match RunDir::open(&path) {
                Ok(run) if !run.is_of(&plan)? => {
                    let problem = "the run in this folder is of another experiment (its seed, data, process, model or \
                                   training differ)";
                    return Err(Error::file(&path, problem, "choose another folder with --out"));
                }
                Err(_) if verb == "compare" => {
                    self.terminal.say(&format!("{}: there is no run yet; left out", cell.label));
                    continue;
                }
                _ => {}
            }
            if verb != "train" || learned {
                queue.push_back(cell);
            }
        }
        if queue.is_empty() && verb == "train" {
            let remedy = "give `model` a network, or run sample or compare";
            return Err(Error::argument("train", "all cells have `model: exact`, which needs no training", remedy));
        }
        if verb == "compare"
            && let Some(cell) = queue.iter().find(|cell| cell.spec.compare.is_none())
        {
            let remedy = "add one to the experiment, or to the cell";
            return Err(Error::argument("compare", format!("{} has no `compare` section", cell.label), remedy));
        }
        Ok(queue)
    }

    /// Runs a cell to its end.
    fn cell(&self, cell: &Cell, work: &Work) -> Result<End> {
        if self.terminal.stopped() {
            return Ok(End::Stopped);
        }
        let path = self.folder.join(&cell.folder);
        let plan = self.plan(cell, work.compute)?;
        match RunDir::open(&path) {
            Err(_) => drop(RunDir::create(&plan, Some(&path))?),
            // It was killed as it was made.
            Ok(run) if !run.file("run.json").is_file() => drop(RunDir::create(&plan, Some(&path))?),
            Ok(run) if run.spec()? == cell.spec => {
                // The page is the last thing that a run writes.
                if work.words[0] == "run" && run.file("report.html").is_file() {
                    return Ok(End::Before);
                }
            }
            Ok(run) => {
                run.describe(&plan)?;
                // It is of other settings.
                let _ = fs::remove_file(run.file("report.html"));
            }
        }
        let program = std::env::current_exe().map_err(|e| Error::file("ornstein", e.to_string(), "start it again"))?;
        let mut command = Command::new(program);
        let precision = format!("{:?}", work.shared.precision).to_lowercase();
        command.args(work.words).arg(&path).args(["--device", &work.shared.device, "--precision", &precision]);
        command.args(["--threads", &work.threads.to_string()]);
        if let Some(data) = &work.shared.data {
            command.arg("--data").arg(data);
        }
        if work.shared.verbose {
            command.arg("--verbose");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let start = |e: std::io::Error| Error::file("ornstein", format!("it cannot be started again ({e})"), "retry");
        let Some(child) = children::start(&mut command).map_err(start)? else { return Ok(End::Stopped) };
        watch(child, &cell.label, &path.join("log.txt"), work.board, &self.terminal)
    }

    /// Puts all runs that there are into one report; none if there are none.
    fn overview(&self) -> Result<Option<PathBuf>> {
        let run = |cell: &Cell| {
            let run = RunDir::open(&self.folder.join(&cell.folder)).ok()?;
            Some(Member { label: cell.label.clone(), run })
        };
        let members: Vec<Member> = self.cells().iter().filter_map(run).collect();
        if members.is_empty() {
            return Ok(None);
        }
        let finished = |cell: &&Cell| self.folder.join(&cell.folder).join("report.html").is_file();
        let missing: Vec<&str> =
            self.cells().iter().filter(|cell| !finished(cell)).map(|cell| cell.label.as_str()).collect();
        let remarks = match missing.is_empty() {
            true => Vec::new(),
            false => vec![format!("Not finished: {}.", missing.join("; "))],
        };
        let overview = Overview::read(members)?;
        self.terminal.say(&format!("\n{}", overview.table().to_text()));
        let heading = Heading {
            title: self.sweep.name().to_owned(),
            summary: self.cells()[0].spec.description.clone().unwrap_or_default(),
            provenance: provenance([("cells", self.cells().len().to_string())]),
        };
        let page = overview.write(&self.folder, heading, remarks, Some(self.sweep.to_yaml().to_owned()))?;
        self.terminal.say(&format!("    report {}", page.display()));
        Ok(Some(page))
    }

    /// Draws the common report again.
    pub fn report(&self, shared: &Shared) -> Result<()> {
        let page = self.overview()?.ok_or_else(|| self.missing())?;
        if shared.json {
            print_json(&json!({ "sweep": self.folder, "report": page }))?;
        }
        Ok(())
    }

    /// The runs of the sweep that there are, with labels.
    pub fn members(&self) -> Vec<Member> {
        let member = |cell: &Cell| {
            let run = RunDir::open(&self.folder.join(&cell.folder)).ok()?;
            Some(Member { label: format!("{}: {}", self.sweep.name(), cell.label), run })
        };
        self.cells().iter().filter_map(member).collect()
    }

    fn missing(&self) -> Error {
        let problem = "there are no runs of this sweep in this folder";
        Error::file(&self.folder, problem, "run it first with `ornstein run`, or give its folder")
    }

    fn json(&self, ends: &[(&Cell, End)], page: Option<&Path>) -> Value {
        let cell = |(cell, end): &(&Cell, End)| {
            let (state, error) = match end {
                End::Before => ("finished before", None),
                End::Done => ("done", None),
                End::Failed(error) => ("failed", Some(error)),
                End::Stopped => ("stopped", None),
            };
            json!({ "label": cell.label, "run": self.folder.join(&cell.folder), "state": state, "error": error })
        };
        json!({ "sweep": self.folder, "cells": ends.iter().map(cell).collect::<Vec<_>>(), "report": page })
    }

    /// All that went wrong, as one error.
    fn failures(&self, ends: &[(&Cell, End)], count: usize) -> Result<()> {
        let failed: Vec<String> = ends
            .iter()
            .filter_map(|(cell, end)| match end {
                End::Failed(error) => {
                    let log = self.folder.join(&cell.folder).join("log.txt");
                    Some(format!("\n  {}: {error} ({})", cell.label, log.display()))
                }
                _ => None,
            })
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        let problem = format!("{} of {count} cells failed:{}\n", failed.len(), failed.concat());
        Err(Error::Cells { problem, remedy: "mend the cause, and go on with --resume".into() })
    }
}

/// What produced a report of several runs.
pub fn provenance<const N: usize>(more: [(&str, String); N]) -> Vec<(String, String)> {
    let words: Vec<String> = std::env::args().collect();
    let about = [
        ("ornstein", env!("CARGO_PKG_VERSION").to_owned()),
        ("sources", env!("ORNSTEIN_SOURCES").to_owned()),
        ("libtorch", tensor::LIBTORCH.to_owned()),
    ];
    let all = about.into_iter().chain(more).chain([("command", words.join(" "))]);
    all.map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Follows a process to its end; all that it says goes to a log.
fn watch(mut child: Child, label: &str, log: &Path, board: &Board, terminal: &Terminal) -> Result<End> {
    let row = board.row(label);
    let mut file = fs::OpenOptions::new().create(true).append(true).open(log).map_err(Error::write(log));
    let stderr = child.stderr.take().expect("it is piped");
    let mut error = None;
    for line in BufReader::new(stderr).split(b'\n').map_while(std::io::Result::ok) {
        let line = String::from_utf8_lossy(&line);
        if let Some(problem) = line.strip_prefix("error: ") {
            error = Some(problem.to_owned());
        }
        row.update(&line);
        // A log that cannot be written is no reason to stop reading, which would stop the process.
        if let Ok(file) = &mut file {
            let _ = writeln!(file, "{line}");
        }
    }
    let status = children::finish(child).map_err(|e| Error::file(log, e.to_string(), "go on with --resume"))?;
    match status.success() {
        true => Ok(End::Done),
        false if terminal.stopped() => Ok(End::Stopped),
        false => Ok(End::Failed(error.unwrap_or_else(|| format!("it ended with {status}")))),
    }
}
