//! Every named solver against numbers from formulas that were coded independently: `scripts/golden-values` computes them
//! in numpy from the papers, with the noise written out, and this replays them through the production integrator.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{DOUBLE, integrate};
use ornstein::experiment::{SdeSpec, SolverSpec};
use ornstein::score::exact::{Exact, Law};
use ornstein::sde::Sde;
use ornstein::solve::Replay;
use ornstein::tensor::from_f64;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tch::Tensor;

#[derive(Deserialize)]
struct Golden {
    law: Mixture,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Mixture {
    weights: Vec<f64>,
    means: Vec<Vec<f64>>,
    covariances: Vec<Vec<Vec<f64>>>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    solver: Value,
    sde: Value,
    times: Vec<f64>,
    init: Vec<Vec<f64>>,
    noise: Vec<Vec<Vec<f64>>>,
    output: Vec<Vec<f64>>,
    tolerance: f64,
}

fn choice<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn rows(values: &[Vec<f64>]) -> Tensor {
    from_f64(values.concat(), &[values.len() as i64, values[0].len() as i64], DOUBLE)
}

#[test]
fn solvers_give_the_golden_values() {
    let text = include_str!("golden/solvers.json");
    let Golden { law, cases } = serde_json::from_str(text).expect("the script's format");
    let law = Law::mixture(&law.weights, &law.means, &law.covariances).expect("a mixture");
    let (mut names, mut failures) = (BTreeSet::new(), Vec::new());
    for case in &cases {
        let sde: Arc<dyn Sde> = choice::<SdeSpec>(&case.sde).build();
        let solver: SolverSpec = choice(&case.solver);
        names.insert(solver.name());
        let init = rows(&case.init);
        let draws: Vec<f64> = case.noise.iter().flatten().flatten().copied().collect();
        let shape = [case.noise.len() as i64, init.size()[0], init.size()[1]];
        let mut noise = Replay::new(from_f64(draws, &shape, DOUBLE));
        let method = solver.chosen().method(case.times.len() - 1);
        let exact = Exact::new(&law, sde, DOUBLE);
        let output = integrate(&exact, &method, &case.times, &mut noise, &init);
        let expected = rows(&case.output);
        let error = ((output - &expected).abs() / (expected.abs() + 1.0)).max().double_value(&[]);
        if error.is_nan() || error > case.tolerance {
            failures.push(format!("{}: {error:.1e}", case.name));
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
    assert!(names.len() >= 30, "{names:?}");
}
