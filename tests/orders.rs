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
const SETTINGS: &[&str] = &[
    "{ddim: {eta: 1}}",
    "{ddim: {eta: 0.5}}",
    "{ancestral: {variance: forward}}",
    "{ancestral: {variance: forward, variant: published}}",
    "{exponential_integrator: {eta: 0}}",
    "{edm_heun: {alpha: 0.5}}",
    "{exp_adams: {order: 1, eta: 1}}",
    "{exp_adams: {order: 2}}",
    "{exp_adams: {order: 2, eta: 0.5}}",
    "{exp_adams: {order: 4}}",
    "{exp_adams: {order: 5}}",
    "{exp_adams: {order: 6}}",
    "{exp_adams: {order: 4, predict: velocity}}",
    "{dpmpp_2m: {solver_type: heun}}",
    "{dpmpp_3m: {variant: published}}",
    "{dpm_solver_3m: {variant: published, start: euler}}",
    "{dpmpp_2m_sde: {eta: 0.5, solver_type: heun}}",
    "{dpmpp_3m_sde: {variant: published}}",
    "{unipc: {order: 1}}",
    "{unipc: {order: 2, b: bh1}}",
    "{unipc: {order: 4, predict: noise}}",
    "{unipc: {order: 3, corrector: false}}",
    "{deis: {order: 4, basis: ratio}}",
    "{deis: {order: 2, basis: log_snr}}",
    "{sa_solver: {tau: 0}}",
    "{sa_solver: {predictor: 2, corrector: 0}}",
    "{sa_solver: {tau: 0, predictor: 2, corrector: 2}}",
    "{sa_solver: {tau: 0, mode: pece, predictor: 2, corrector: 3}}",
    "{sa_solver: {tau: 0.5, mode: pece}}",
    "{er_sde: {order: 1}}",
    "{er_sde: {order: 2}}",
    "{er_sde: {order: 2, noise: ode}}",
    "{er_sde: {noise: sde}}",
    "{seeds_2: {solver_type: heun, eta: 0.5}}",
    "{seeds_3: {eta: 0}}",
    "{dpmpp_sde: {eta: 0}}",
];

struct Nobody;

impl Observer for Nobody {}

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
