//! Ornstein: research on score-based generative modelling with stochastic differential equations.
//!
//! # Notation
//!
//! | symbol | meaning | in code |
//! |---|---|---|
//! | x₀, x_t | data, and data with noise | `x0`, `x` |
//! | α, σ | x_t = α x₀ + σ ε, ε ~ N(0, I) | [`sde::Kernel`] |
//! | κ = σ/α | the noise level of x/α | [`sde::Kernel::ratio`] |
//! | λ = ln(α/σ) | half the logarithm of the signal-to-noise ratio | [`sde::Kernel::lambda`] |
//! | f, g² | dx = f x dt + g dw; f = d ln α/dt, g² = −2 σ² dλ/dt | [`sde::Sde`] |
//! | D(x, t) = x̂₀ | the denoiser E[x₀ given x_t = x] | [`score::Denoiser`] |
//! | ε̂ = (x − α x̂₀)/σ | predicted noise | [`score::Eval::noise`] |
//! | ∇ log p_t = −ε̂/σ | the score | [`score::Eval::score`] |
//! | f x − ½ g² ∇ log p_t | the velocity of the probability-flow ODE | [`score::Eval::velocity`] |
//! | t → s | a step of the reverse process, s < t, h = λ_s − λ_t | [`solve::Solver::step`] |
//!
//! # Layers
//!
//! Imports go down only. `model`, `solve` and `data` do not know one another: a trainer never sees a solver, a solver
//! never sees a network, and the experiment's text is read without LibTorch.

// L0: what everybody needs
pub mod autocast;
pub mod differentiable;
pub mod error;
pub mod file;
pub mod named_tensors;
pub mod npy;
pub mod rng;
pub mod tensor;
pub mod threads;

// L1: pure mathematics
pub mod sde;
pub mod statistics;

// L2: the one currency, the denoiser
pub mod score;

// L3
pub mod data;
pub mod model;
pub mod solve;

// L4
pub mod likelihood;
pub mod metric;
pub mod order;
pub mod train;

// L5
pub mod feature;
pub mod grids;
pub mod report;

// L6
pub mod experiment;

// L7
pub mod cli;
