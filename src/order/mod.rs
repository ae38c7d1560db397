//! The orders of solvers, measured and held to their claims.
//!
//! Order p means that the error of N steps falls as N^{−p}. It is fitted, with a 95 % confidence interval, on problems
//! whose solutions are known ([`fit()`]), for each kind of order that a solver [claims](crate::solve::Order):
//!
//! * [`Kind::Ode`]: the distance at t_min from the exact solution of the probability-flow ODE from the same points at
//!   t_max, over the whole span of the process. Four problems, in one integration: a Gaussian, whose flow has a closed
//!   form and on which every solver is linear; a mixture on the line, whose flow keeps quantiles; mixtures in 2 and 16
//!   dimensions, whose flow is followed by an extrapolated midpoint rule of order 8, to 1e-14, that shares no code with
//!   the solvers.
//! * [`Kind::Weak`]: how far expectations are from the exact ones.
//!   - On a Gaussian, mean and variance of the exact law of the output, without Monte Carlo: a linear sampler is an
//!     affine map of its normals ([`AffineMap`]).
//!   - On a mixture, where no two steps commute: E φ(X_N) − E φ(X_R), φ = x and x², where X_R has R ≫ N steps and
//!     follows the *same Brownian path from the same start*. The two differ by the strong error only, so that the mean of
//!     φ(X_N) − φ(X_R) over M paths has a standard error some hundred times smaller than that of φ(X_N) has: X_R is the
//!     control variate. What it is controlled with, E φ(X_R), is itself compared with the exact expectation, within the
//!     standard error of M independent samples, so that a solver may not converge to something else. The error of X_R
//!     enters the model that is fitted, N^{−p} − R^{−p}.
//! * [`Kind::Strong`]: the root mean square of X_N − X_R on these paths.
//!
//! A [claim](claim::judge) is met if the interval reaches within 0.1 of it, and lies within 0.3 of it. Where theory lets
//! a solver do better on some problem, so that its order does not show, [`claim::EXCEPTIONS`] says so; where it has nothing to measure, [`Outcome`] says
//! why.

mod affine;
pub mod claim;
mod expectation;
mod fit;
mod flow;
mod measure;
mod ode;
mod part;
mod path;
mod run;
mod strong;
mod target;
mod transition;
mod weak;

pub use affine::{AffineMap, Gaussian};
pub use claim::Verdict;
pub use fit::{FEWEST, Fit, Point, fit};
pub use measure::{Effort, Finding, Kind, Outcome, Process, Subject, measure};
