//! Every solver that an experiment may choose has the orders that it claims, on every process.
//!
//! The measurements are those of `ornstein orders` (see [`ornstein::order`]), with fewer steps and paths; the verb itself
//! shows narrower intervals and figures. `cargo test --test orders -- --nocapture` prints the tables.

use ornstein::experiment::{
    GridSpec, Matrix, Observer, SdeSpec, SolverSpec, choice, every, measure_orders, missed, order_remarks, order_tables,
};
use ornstein::order::{Effort, Kind};
use ornstein::threads::Workers;

/// Settings beside the defaults that make another method.
const SETTINGS: &[&str] = &["{ddim: {eta: 1}}", "{ddim: {eta: 0.5}}", "{ancestral: {variance: forward}}"];

struct Nobody;

impl Observer for Nobody {
    fn begin(&self, _what: &str, _total: u64) {}
    fn advance(&self, _done: u64) {}
    fn note(&self, _text: &str) {}
    fn end(&self) {}
    fn say(&self, _line: &str) {}
    fn detail(&self, _line: &str) {}
    fn stopped(&self) -> bool {
        false
    }
}

#[test]
fn every_solver_has_the_orders_that_it_claims() {
    let mut solvers: Vec<SolverSpec> = every(SolverSpec::NAMES);
    solvers.extend(SETTINGS.iter().map(|text| choice("", text).unwrap_or_else(|e| panic!("{text}: {e}"))));
    let matrix = Matrix {
        solvers,
        sdes: every(SdeSpec::NAMES),
        grids: vec![GridSpec::LogSnr(Default::default())],
        kinds: Kind::ALL.to_vec(),
        effort: Effort::Quick,
    };
    let cells = measure_orders(&matrix, &Workers::new(0).unwrap(), &Nobody).unwrap();
    for table in order_tables(&cells) {
        println!("\n{}", table.to_text());
    }
    order_remarks(&cells).iter().for_each(|line| println!("{line}"));
    let missed = missed(&cells);
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
