//! The `ornstein` program: runs, prints the error, sets the exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use ornstein::{cli, tensor};

fn main() -> ExitCode {
    tensor::keep_memory();
    match cli::main(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
