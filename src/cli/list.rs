//! `ornstein list`

use clap::ValueEnum;
use serde_json::json;

use super::{print, print_json};
use crate::error::Result;
use crate::experiment::{
    BoundSpec, CorrectorSpec, DataSpec, DivergenceSpec, GridMethodSpec, GridSpec, MetricSpec, NetworkSpec,
    NoiseLevelSpec, OptimizerSpec, SdeSpec, SolverCard, SolverSpec, TimeSpec,
};

/// List what an experiment may choose.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`ornstein list solvers` tells of each solver its paper, its orders, what a step costs (counted on a toy), its settings
with their defaults, and when to use it. Order p: the error of N steps falls as N^-p; `ornstein orders` measures it.")]
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
    Levels,
    Times,
    Optimizers,
    Solvers,
    Correctors,
    Grids,
    Methods,
    Divergences,
    Bounds,
    Metrics,
}

impl Choice {
    /// The names that may be chosen, each with a line on it.
    fn names(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Choice::Data => DataSpec::LIST,
            Choice::Sdes => SdeSpec::LIST,
            Choice::Networks => NetworkSpec::LIST,
            Choice::Levels => NoiseLevelSpec::LIST,
            Choice::Times => TimeSpec::LIST,
            Choice::Optimizers => OptimizerSpec::LIST,
            Choice::Solvers => SolverSpec::LIST,
            Choice::Correctors => CorrectorSpec::LIST,
            Choice::Grids => GridSpec::LIST,
            Choice::Methods => GridMethodSpec::LIST,
            Choice::Divergences => DivergenceSpec::LIST,
            Choice::Bounds => BoundSpec::LIST,
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
                if *choice == Choice::Solvers && self.what.is_some() {
                    let cards = SolverCard::all().into_iter().map(|card| (card.name.to_owned(), json!(card)));
                    return (heading(choice), serde_json::Value::Object(cards.collect()));
                }
                let names = choice.names().iter().map(|(name, about)| ((*name).to_owned(), (*about).into()));
                (heading(choice), serde_json::Value::Object(names.collect()))
            });
            print_json(&serde_json::Value::Object(map.collect()))?;
            return Ok(());
        }
        if self.what == Some(Choice::Solvers) {
            let cards: Vec<String> = SolverCard::all().iter().map(SolverCard::to_text).collect();
            return print(&cards.join("\n"));
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
