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
//!   - On a mixture on the line, where no two steps commute, and between σ/α = 10 and 0.05. For a solver without a past
//!     v_n(x) = E[φ(X_N) | X_n = x] is the expectation of v_{n+1} over the noise of one step, by quadrature, so that E φ(X_N),
//!     φ = x and x², is known without Monte Carlo too. For a solver with a past it is E u_0 + Σ E[E_n u_{n+1} − u_n], with u_n
//!     that expectation under the process that the solver follows: a sum of errors of single steps, whose average over
//!     M paths scatters no more than the error itself, once the noise that multistep methods take for slopes is
//!     controlled for. Neither needs a finer solution; both are differences from the exact expectations.
//! * [`Kind::Strong`]: the root mean square of X_N − X_R over paths, where X_R has R ≫ N steps and follows the *same
//!   Brownian path from the same start*, on a mixture of two narrow components of which one is rare, between σ/α = 2 and
//!   0.5: there the curvature of D, from which errors of order 1.5 come, outweighs what errors of order 2 come from.
//!
//! A [claim](claim::judge) is met if the interval reaches within 0.1 of it, and lies within 0.3 of it. Where theory lets
//! a solver do better on some problem, so that its order does not show, [`claim::EXCEPTIONS`] says so, and the solver's
//! documentation; where it has nothing to measure, [`Outcome`] says why.

mod affine;
pub mod claim;
mod expectation;
mod fit;
mod flow;
mod measure;
mod ode;
mod output;
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
pub use output::{Axes, output};
