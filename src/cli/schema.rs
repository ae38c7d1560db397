//! `ornstein schema`

use super::print_json;
use crate::error::Result;
use crate::experiment::schema;

/// Print the JSON Schema of an experiment file, for editors.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Editors with the YAML language server (VS Code, Neovim, Helix, Emacs, …) complete and check an experiment by it:
  ornstein schema > ornstein.schema.json
and, as the first line of the experiment, with the path of that file relative to it:
  # yaml-language-server: $schema=ornstein.schema.json

The schema knows names, types, defaults and least counts (JSON Schema, draft 2020-12). Which values make sense together
only `ornstein check` knows.")]
pub struct Schema {}

impl Schema {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        print_json(&schema())
    }
}
