//! `ornstein list`

use clap::ValueEnum;

use super::{print, print_json};
use crate::error::Result;
use crate::experiment::{
    CorrectorSpec, DataSpec, GridSpec, MetricSpec, NetworkSpec, OptimizerSpec, SdeSpec, SolverSpec, TimeSpec,
};

/// List what an experiment may choose.
#[derive(Debug, clap::Args)]
pub struct List {
    /// What to list; everything where absent
    what: Option<Choice>,

    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    Data,
    Sdes,
    Networks,
    Times,
    Optimizers,
    Solvers,
    Correctors,
    Grids,
    Metrics,
}

impl Choice {
    /// The names that may be chosen, each with a line on it.
    fn names(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Choice::Data => DataSpec::LIST,
            Choice::Sdes => SdeSpec::LIST,
            Choice::Networks => NetworkSpec::LIST,
            Choice::Times => TimeSpec::LIST,
            Choice::Optimizers => OptimizerSpec::LIST,
            Choice::Solvers => SolverSpec::LIST,
            Choice::Correctors => CorrectorSpec::LIST,
            Choice::Grids => GridSpec::LIST,
            Choice::Metrics => MetricSpec::LIST,
        }
    }
}

impl List {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        let all = Choice::value_variants();
        let chosen = all.iter().filter(|choice| self.what.is_none_or(|what| what == **choice));
        let heading = |choice: &Choice| format!("{choice:?}").to_lowercase();
        if self.json {
            let map = chosen.map(|choice| {
                let names = choice.names().iter().map(|(name, about)| ((*name).to_owned(), (*about).into()));
                (heading(choice), serde_json::Value::Object(names.collect()))
            });
            print_json(&serde_json::Value::Object(map.collect()))?;
            return Ok(());
        }
        let mut text = String::new();
        for choice in chosen {
            text += &format!("{}\n", heading(choice));
            for (name, about) in choice.names() {
                text += &format!("  {name:<22} {about}\n");
            }
        }
        print(&text)
    }
}
