//! Ornstein.
pub mod error;
pub mod rng;
pub mod tensor;
pub mod threads;

pub mod sde;

pub mod score;

pub mod solve;
