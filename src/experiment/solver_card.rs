//! What one should know of a solver before choosing it, measured where it can be.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::choices::SolverSpec;
use super::orders::choice;
use crate::score::Counted;
use crate::score::exact::{Exact, Law};
use crate::sde::{Sde, Vp};
use crate::solve::{Fresh, Grid, Integrator, LogSnr};

/// A solver at its defaults.
#[derive(Clone, Debug, Serialize)]
pub struct SolverCard {
    /// The name under which it is chosen.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Author, year, algorithm.
    pub paper: &'static str,
    /// When to use it.
    pub when: &'static str,
    /// The kind of equation that it solves: `ode`, `sde`, or `neither`.
    pub solves: &'static str,
    /// The claimed order towards the probability-flow ODE.
    pub ode_order: Option<f64>,
    /// The claimed weak order.
    pub weak_order: Option<f64>,
    /// The claimed strong order.
    pub strong_order: Option<f64>,
    /// Evaluations of the denoiser in one more step, counted; none where it chooses its own steps.
    pub evaluations_per_step: Option<f64>,
    /// Its settings with their defaults.
    pub settings: Value,
}

impl SolverCard {
    /// The card of every solver, in the order of the documentation.
    pub fn all() -> Vec<Self> {
        SolverSpec::LIST.iter().map(|&(name, about)| Self::of(name, about)).collect()
    }

    fn of(name: &'static str, about: &'static str) -> Self {
        let spec: SolverSpec = choice("", name).expect("a name chooses");
        let recipe = spec.chosen();
        let method = recipe.method(20);
        let order = method.solver.order();
        let noisy = method.corrector.is_some() || order.weak.is_some() || order.strong.is_some();
        let settings = serde_json::to_value(&spec).expect("settings are plain data")[name].take();
        SolverCard {
            name,
            about,
            paper: recipe.about().paper,
            when: recipe.about().when,
            solves: if noisy {
                "sde"
            } else if order.ode.is_some() {
                "ode"
            } else {
                "neither"
            },
            ode_order: order.ode,
            weak_order: order.weak,
            strong_order: order.strong,
            evaluations_per_step: recipe.tolerance().is_none().then(|| evaluations_per_step(&spec)),
            settings,
        }
    }

    /// A block for people.
    pub fn to_text(&self) -> String {
        let order = |name: &str, order: Option<f64>| order.map(|order| format!("{name} {order}"));
        let orders: Vec<String> =
            [order("ODE", self.ode_order), order("weak", self.weak_order), order("strong", self.strong_order)]
                .into_iter()
                .flatten()
                .collect();
        let orders = if orders.is_empty() { "none".to_owned() } else { orders.join(", ") };
        let cost = match self.evaluations_per_step {
            Some(count) => format!("{}", (count * 100.0).round() / 100.0),
            None => "as many as its tolerance takes".to_owned(),
        };
        let solves = match self.solves {
            "sde" => "the reverse SDE, with noise in its steps",
            "ode" => "the probability-flow ODE",
            _ => "neither the ODE nor the SDE",
        };
        let mut lines = vec![self.name.to_owned(), format!("  {}", self.about)];
        for (what, value) in [
            ("use it", self.when),
            ("paper", self.paper),
            ("solves", solves),
            ("order", &orders),
            ("evaluations a step", &cost),
            ("settings", &settings(&self.settings)),
        ] {
            lines.push(format!("    {what:<20}{value}"));
        }
        lines.join("\n") + "\n"
    }
}

/// Settings with their defaults, as YAML on one line.
fn settings(value: &Value) -> String {
    match value {
        Value::Object(map) if map.is_empty() => "none".to_owned(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| format!("{key}: {}", word(value))).collect::<Vec<_>>().join(", ")
        }
        other => word(other),
    }
}

fn word(value: &Value) -> String {
    match value {
        // JSON has no ∞, and writes null for it; so it does for what is absent.
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}: {}", word(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(word).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// What ten steps more cost, a tenth of it: so the first and the last steps, which may differ, do not count.
fn evaluations_per_step(spec: &SolverSpec) -> f64 {
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let options = (Kind::Double, Device::Cpu);
    let model = Exact::new(&Law::spectrum(&[0.0], &[1.0]), sde.clone(), options);
    let count = |steps: usize| -> usize {
        let (recipe, counted) = (spec.chosen(), Counted::new(&model));
        let times = recipe.times(&*sde, LogSnr {}.times(&*sde, steps));
        let (method, mut noise) = (recipe.method(steps), Fresh::new(0, 0));
        // What does not stay finite on this toy has made its evaluations all the same.
        let _ = Integrator::new(&counted, &method, &times, &mut noise, Tensor::ones([1, 1], options)).run(|_| Ok(()));
        counted.count()
    };
    (count(20) as f64 - count(10) as f64) / 10.0
}
