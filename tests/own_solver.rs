//! The solver that the README shows, word for word: it is one file, and has the order that it claims.

mod common;

use std::sync::Arc;

use common::{DOUBLE, integrate_ode, log_snr};
// example
use ornstein::error::Settings;
use ornstein::score::Eval;
use ornstein::solve::{About, Context, Order, Solver, Step};
use ornstein::tensor::weighted_sum;

/// DPM-Solver++(2M) (Lu et al. 2022b, Algorithm 2), written out.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Own2m {}

impl Settings for Own2m {}

impl Solver for Own2m {
    fn about(&self) -> About {
        About { paper: "Lu et al. 2022b, Algorithm 2", when: "to show how a solver is written" }
    }

    fn order(&self) -> Order {
        Order::ode(2.0)
    }

    /// One past evaluation.
    fn memory(&self) -> usize {
        1
    }

    fn step(&self, cx: &mut Context, now: &Eval, s: f64) -> Step {
        let (k, ks) = (now.kernel, cx.kernel(s));
        let h = ks.lambda() - k.lambda();
        let whole = -ks.alpha * (-h).exp_m1();
        let mut terms = vec![(ks.sigma / k.sigma, &now.x), (whole, &now.x0)];
        if let Some(prev) = cx.past().first() {
            let slope = 0.5 * whole * h / (k.lambda() - prev.kernel.lambda());
            terms.extend([(slope, &now.x0), (-slope, &prev.x0)]);
        }
        weighted_sum(&terms).into()
    }
}
// end

use ornstein::score::exact::{Exact, Law};
use ornstein::sde::{Sde, Vp};
use ornstein::solve::{Dpmpp2m, Method, prior};

#[test]
fn the_solver_of_the_readme_is_the_one_that_ships() {
    let text = include_str!("own_solver.rs");
    let example =
        text.split("// example\n").nth(1).and_then(|rest| rest.split("// end\n").next()).expect("the example");
    let readme = include_str!("../README.md");
    assert!(readme.contains(&example.replace("ornstein::", "crate::")), "README.md shows another solver");
    let sde: Arc<dyn Sde> = Arc::new(Vp::default());
    let exact = Exact::new(&Law::spectrum(&[0.3, -1.0], &[0.2, 1.5]), sde.clone(), DOUBLE);
    let (times, start) = (log_snr(&*sde, 24), prior(&*sde, 7, 5, &[2], DOUBLE));
    let [own, shipped] = [Method::from(Own2m {}), Dpmpp2m::default().into()]
        .map(|method| integrate_ode(&exact, &method, &times, &start));
    assert!((own - shipped).abs().max().double_value(&[]) < 1e-13);
}
