//! The `ornstein` program: runs, prints the error, sets the exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use ornstein::cli;

fn main() -> ExitCode {
    keep_memory();
    match cli::main(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// glibc returns every large tensor to the kernel when it is freed, so that each step pays page faults for all of them
/// again; keeping memory makes a training step some 10 % faster.
fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets the allocator's thresholds, before any other thread runs.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
    }
}
