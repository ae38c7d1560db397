//! The program: one file a verb.

mod board;
mod check;
mod children;
mod compare;
mod completions;
mod decode;
mod encode;
mod export;
mod features;
mod grid;
mod import;
mod interpolate;
mod likelihood;
mod list;
mod orders;
mod out_of_memory;
mod report;
mod run;
mod sample;
mod schema;
mod session;
mod sweep;
mod terminal;
mod train;

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::error::{Error, Result};

/// Research on score-based generative modelling with stochastic differential equations.
///
/// An experiment is one YAML file: data, a forward SDE, a model, solvers. `ornstein run` trains the model, samples it,
/// compares solvers by quality and cost, and writes a report.
#[derive(Debug, Parser)]
#[command(
    name = "ornstein",
    version,
    max_term_width = 110,
    after_help = "Start here:\n  ornstein run experiments/quickstart.yaml\n  ornstein check experiments/quickstart.yaml --set sde=ve\n\n\
                  Exit codes: 0 done, 1 failed while running, 2 wrong input, 130 interrupted."
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Train (or resume), sample, compare and report: the main job
    Run(run::Run),
    /// Resolve and check an experiment, and measure what it will take; nothing is written
    Check(check::Check),
    /// Train the model of an experiment
    Train(train::Train),
    /// Draw samples from a trained or an exact model
    Sample(sample::Sample),
    /// Compare solvers: distance from the data against evaluations and seconds
    Compare(compare::Compare),
    /// Compute the likelihood of data under a model, by its probability flow
    Likelihood(likelihood::Likelihood),
    /// Take data to their latents by the probability flow, and back to see what is lost
    Encode(encode::Encode),
    /// Take latents to data by the probability flow: the inverse of encode
    Decode(decode::Decode),
    /// Go from sample to sample over the great circle between their latents
    Interpolate(interpolate::Interpolate),
    /// Measure the orders of solvers on exact problems, and hold them to their claims
    Orders(orders::Orders),
    /// Find time grids for a solver and its budgets, and try them on held-out seeds
    Grid(grid::Grid),
    /// Train features of labelled images, which distances between sets of images are measured on
    Features(features::Features),
    /// Make a run of a model of diffusers, to be sampled, compared or trained on
    Import(import::Import),
    /// Write the network of a run as a model folder that diffusers reads
    Export(export::Export),
    /// Draw the figures of a run again and write its report.html, or put several runs into one report
    Report(report::Report),
    /// List what an experiment may choose: solvers, SDEs, data sets, …
    List(list::List),
    /// Print the JSON Schema of an experiment file, for editors
    Schema(schema::Schema),
    /// Print a script with which a shell completes verbs and flags
    Completions(completions::Completions),
}

/// What all verbs on an experiment share.
#[derive(Debug, Args)]
struct Shared {
    /// The experiment: a YAML file, or the folder of a run
    experiment: PathBuf,

    /// Change a setting, for example --set train.steps=100 or --set 'sde={ve: {sigma_max: 20}}'; repeatable
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,

    /// The seed of all randomness, instead of the experiment's
    #[arg(long)]
    seed: Option<u64>,

    /// The folder of data files (default: that of ORNSTEIN_DATA, else ./data)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// cpu, cuda, cuda:N or mps
    #[arg(long, default_value = "cpu")]
    device: String,

    /// Threads; 0 for one a core
    #[arg(long, default_value_t = 0)]
    threads: usize,

    /// The precision of sampling states; networks compute in float32
    #[arg(long, value_enum, default_value_t)]
    precision: Precision,

    /// The run folder (default: runs/NAME/WHEN-HASH, or runs/NAME/sweep-HASH for a sweep)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Go on with the run in --out, or with the newest run of this experiment, or with the cells of a sweep
    #[arg(long)]
    resume: bool,

    /// Print errors only
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,

    /// Print more
    #[arg(short, long)]
    verbose: bool,

    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Precision {
    #[default]
    Float32,
    Float64,
}

impl Shared {
    /// All overrides, as `path=value`.
    fn overrides(&self) -> Vec<String> {
        let seed = self.seed.map(|seed| format!("seed={seed}"));
        self.set.iter().cloned().chain(seed).collect()
    }
}

/// Runs the program.
///
/// # Errors
/// Whatever the verb cannot do; the error's exit code is the program's.
pub fn main(cli: Cli) -> Result<()> {
    out_of_memory::told(|| cli.verb.run())
}

impl Verb {
    fn run(self) -> Result<()> {
        match self {
            Verb::Run(verb) => verb.run(),
            Verb::Check(verb) => verb.run(),
            Verb::Train(verb) => verb.run(),
            Verb::Sample(verb) => verb.run(),
            Verb::Compare(verb) => verb.run(),
            Verb::Likelihood(verb) => verb.run(),
            Verb::Encode(verb) => verb.run(),
            Verb::Decode(verb) => verb.run(),
            Verb::Interpolate(verb) => verb.run(),
            Verb::Orders(verb) => verb.run(),
            Verb::Grid(verb) => verb.run(),
            Verb::Features(verb) => verb.run(),
            Verb::Import(verb) => verb.run(),
            Verb::Export(verb) => verb.run(),
            Verb::Report(verb) => verb.run(),
            Verb::List(verb) => verb.run(),
            Verb::Schema(verb) => verb.run(),
            Verb::Completions(verb) => verb.run(),
        }
    }
}

/// Prints a machine-readable result.
fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&(serde_json::to_string_pretty(value).expect("JSON can be printed") + "\n"))
}

/// Prints to standard output. That the reader has read enough, as in `ornstein list | head`, is no failure.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::write("standard output")(error)),
        _ => Ok(()),
    }
}
