//! `ornstein completions`

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, print};
use crate::error::Result;

/// Print a script with which a shell completes verbs and flags.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Install it once; new shells then complete on Tab:
  ornstein completions bash > ~/.local/share/bash-completion/completions/ornstein
  ornstein completions zsh > ~/.zfunc/_ornstein           (with fpath+=~/.zfunc before compinit in ~/.zshrc)
  ornstein completions fish > ~/.config/fish/completions/ornstein.fish")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "ornstein", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}
