//! Every named solver against numbers from formulas that were coded independently: `scripts/golden-values` computes them
//! in numpy from the papers, with the noise written out, and this replays them through the production integrator.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{DOUBLE, distance, sampler};
use ndarray::ArrayD;
use ornstein::experiment::{SdeSpec, SolverSpec};
use ornstein::score::exact::{Exact, Law};
use ornstein::sde::Sde;
use ornstein::solve::{NoiseSource, Run, Sampler, Schedule};
use ornstein::tensor::from_f64;
use ornstein::threads::Workers;
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
    /// Of all samples together.
    evaluations: f64,
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
    let (workers, mut names, mut failures) = (Workers::new(1).unwrap(), BTreeSet::new(), Vec::new());
    for case in &cases {
        let sde: Arc<dyn Sde> = choice::<SdeSpec>(&case.sde).build();
        let solver: SolverSpec = choice(&case.solver);
        names.insert(solver.name());
        let recipe = solver.chosen();
        let times = Schedule::Times(recipe.times(&*sde, case.times.clone()));
        let schedule = match recipe.tolerance() {
            Some(tolerance) => times.controlled(&*sde, tolerance),
            None => times,
        };
        let draws = case.noise.iter().flatten().flatten().copied().collect();
        let shape = vec![case.noise.len(), case.init.len(), case.init[0].len()];
        let noise = NoiseSource::Replay(ArrayD::from_shape_vec(shape, draws).expect("as many as the states"));
        let method = recipe.method(case.times.len() - 1);
        let sampler = Sampler { schedule, noise, ..sampler(method, Vec::new()) };
        match sampler.run(&Exact::new(&law, sde, DOUBLE), &rows(&case.init), &workers, &|_| Ok(())) {
            Ok(Run { x, nfe, .. }) => {
                let (error, evaluations) = (distance(&x, &rows(&case.output)), nfe * case.init.len() as f64);
                let agrees = error <= case.tolerance && (evaluations - case.evaluations).abs() < 1e-6;
                if !agrees {
                    let beside = case.evaluations;
                    failures.push(format!("{}: {error:.1e}, {evaluations} evaluations for {beside}", case.name));
                }
            }
            Err(error) => failures.push(format!("{}: {error}", case.name)),
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
    let missing: Vec<_> = SolverSpec::NAMES.iter().filter(|&name| !names.contains(name)).collect();
    assert!(missing.is_empty(), "no golden values: {missing:?}");
}
