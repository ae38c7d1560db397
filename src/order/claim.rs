//! What counts as meeting a claim.

use super::{Finding, Fit, Kind, Subject};

/// How a fitted order stands to the claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is what was claimed.
    Met,
    /// The claim cannot show on this problem, for a reason that is known: see [`EXCEPTIONS`].
    Excused(&'static str),
    /// It is not what was claimed, or there is no fit.
    Missed(String),
}

/// How far the interval may stay away from the claim: it must reach this near.
pub const NEAR: f64 = 0.1;
/// How far the interval may reach from the claim: one that is wider shows nothing.
pub const WITHIN: f64 = 0.3;

/// Problems on which the order that a solver has does not show, because it does better for a while.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// The solvers, by name.
    pub solvers: &'static [&'static str],
    /// The process, by name; none for every process.
    pub process: Option<&'static str>,
    /// The grid, by name.
    pub grid: &'static str,
    /// The kind of order.
    pub kind: Kind,
    /// The problems.
    pub problems: &'static [&'static str],
    /// Why.
    pub why: &'static str,
}

/// All who are not held to their claims on some problem. Each is held to them on others.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        solvers: &["dopri5"],
        process: Some("edm"),
        grid: "log_snr",
        kind: Kind::Ode,
        problems: &["gaussian", "mixture_1d", "mixture_2d", "mixture_16d"],
        why: "on a Gaussian its leading error in σ nearly cancels, to a term some 350 times smaller than the next one, \
              which looks like order 6 to 7 down to round-off; at large σ, where most of the error arises, every law \
              looks Gaussian",
    },
    Exception {
        solvers: &["euler_maruyama"],
        process: Some("ve"),
        grid: "log_snr",
        kind: Kind::Weak,
        problems: &["gaussian"],
        why: "these steps are equal in t, and f = 0: the leading error of the variance v is ½ h v² ∫ d(g²/v²), which is \
              nothing but its ends, and they are negligible; unequal steps (karras) show order 1",
    },
    Exception {
        solvers: &["dpmpp_3m", "dpm_solver_3m", "exp_adams", "deis"],
        process: None,
        grid: "log_snr",
        kind: Kind::Ode,
        problems: &["gaussian"],
        why: "on a Gaussian with equal steps in λ the leading error of the parabola is nothing but its ends, which are \
              negligible: order 4; the mixtures show order 3",
    },
    Exception {
        solvers: &["er_sde"],
        process: None,
        grid: "log_snr",
        kind: Kind::Weak,
        problems: &["gaussian"],
        why: "the noise of the default scale is so little, below a hundredth of the variance, that the error of the \
              parabola, of order 3, hides what the noise costs; `noise: sde` shows order 2",
    },
];

/// Compares a fit with the claim.
///
/// It is met if the 95 % interval reaches within [`NEAR`] of the claim and stays within [`WITHIN`] of it. A higher order
/// than is claimed misses the claim as a lower one does, those in [`EXCEPTIONS`] apart.
pub fn judge(subject: &Subject, finding: &Finding) -> Verdict {
    let missed = match &finding.fit {
        Err(problem) => problem.clone(),
        Ok(Fit { order, half_width, .. }) => {
            let off = (order - finding.claim).abs();
            match (off <= NEAR + half_width, off + half_width <= WITHIN) {
                (true, true) => return Verdict::Met,
                (true, false) => format!("order {order:.2} ± {half_width:.2} is too uncertain to tell"),
                (false, _) => format!("order {order:.2} ± {half_width:.2} where {} is claimed", finding.claim),
            }
        }
    };
    let grid = subject.grid.0;
    let known = EXCEPTIONS.iter().find(|exception| {
        exception.solvers.contains(&subject.solver)
            && exception.process.is_none_or(|process| process == subject.process.name())
            && exception.grid == grid
            && exception.kind == finding.kind
            && exception.problems.contains(&finding.problem)
    });
    known.map_or(Verdict::Missed(missed), |exception| Verdict::Excused(exception.why))
}
