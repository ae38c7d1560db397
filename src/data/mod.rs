//! Data distributions, as random-access streams of samples.

mod array;
mod cifar10_gaussian;
mod epoch;
mod frame;
mod funnel;
mod gaussian;
mod half_circle;
mod image;
mod library;
mod modes;
mod named;
mod packed;
mod ring;
mod scale;
mod sphere;
mod spiral;
mod split;
mod surface;
mod table;
mod toy;

pub use cifar10_gaussian::Cifar10Gaussian;
pub use epoch::place;
pub use funnel::Funnel;
pub use gaussian::{Gaussian, GaussianMixture, Known};
pub use image::{
    Augment, Cifar10, Class, FashionMnist, Idx, ImageArray, ImageFiles, ImageShape, Images, Mnist, Prepare, Shape,
};
pub use library::{Library, VARIABLE};
pub use modes::{GaussianGrid, OrthogonalMixture};
pub use ring::{Circles, Rings};
pub use scale::{Bins, Scale};
pub use spiral::{Pinwheel, Spirals};
pub use surface::{Embedded, Manifold, SCurve, Surface};
pub use table::{Cell, Column, Rows, Table};
pub use toy::{Checkerboard, EightGaussians, Planar, SwissRoll, Toy, TwoMoons};

use std::fmt::Debug;

use tch::Tensor;

use crate::error::Fault;
use crate::rng::Stream;
use crate::score::exact::Law;

/// Which rows of a finite data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Those that training sees.
    Training,
    /// Those that it never sees, where the data set keeps some.
    HeldOut,
}

/// Samples, and what is known of each beside it.
#[derive(Debug)]
pub struct Examples {
    /// `[N, …]`
    pub x: Tensor,
    /// The place of each one's class in [`Dataset::classes`], int64 `[N]`; none of a data set without classes.
    pub class: Option<Tensor>,
    /// How each was augmented, `[N, E]`, where it was and a network should be told, so that it does not learn to make
    /// augmented samples.
    pub augmentation: Option<Tensor>,
}

impl Examples {
    /// Samples of which nothing is known.
    pub fn plain(x: Tensor) -> Self {
        Examples { x, class: None, augmentation: None }
    }
}

/// A data distribution. Sample i of a stream is a function of the stream and i, so there is no position to save.
pub trait Dataset: Debug + Send + Sync {
    /// The shape of one sample: `[D]` for points, `[C, H, W]` for images.
    fn shape(&self) -> Vec<i64>;

    /// Whether there are samples to draw; without them the shape is all that is known, and nothing may be drawn.
    fn has_examples(&self) -> bool {
        true
    }

    /// The samples `first..first + count` of the stream, `[count, …]`, on the CPU: float64, but float32 of images, whose
    /// bytes float32 holds exactly enough.
    fn draw(&self, stream: Stream, first: u64, count: usize) -> Tensor;

    /// Independent samples to measure with, `[≤ count, …]`, of the kind of [`Dataset::draw`]: fresh ones of a law; of
    /// finite data, rows without repetition, and so at most as many as there are.
    fn sample(&self, _part: Part, stream: Stream, first: u64, count: usize) -> Tensor {
        self.draw(stream, first, count)
    }

    /// What training is shown: the samples of [`Dataset::draw`], augmented where that is asked for, with what is known
    /// of each.
    fn examples(&self, stream: Stream, first: u64, count: usize) -> Examples {
        Examples::plain(self.draw(stream, first, count))
    }

    /// The samples of [`Dataset::sample`], with what is known of each.
    fn labelled(&self, part: Part, stream: Stream, first: u64, count: usize) -> Examples {
        Examples::plain(self.sample(part, stream, first, count))
    }

    /// The names of the classes that samples are labelled with; none where they are not.
    fn classes(&self) -> &[String] {
        &[]
    }

    /// The length of [`Examples::augmentation`]; 0 where nothing is augmented.
    fn augmentations(&self) -> usize {
        0
    }

    /// How many rows one part of a finite data set has; none of a law.
    fn rows(&self, _part: Part) -> Option<usize> {
        None
    }

    /// Samples `[B, …]` in the units and the form that the data come in, where a model learns them in others.
    fn restore(&self, x: &Tensor) -> Tensor {
        x.shallow_clone()
    }

    /// The coordinates of samples in the units of the data, for densities.
    ///
    /// # Errors
    /// Why there is no density of such data.
    fn scale(&self) -> Result<Scale, Fault> {
        Ok(Scale::UNIT)
    }

    /// Given data `[N, …]`, in the form of [`Dataset::restore`] and of any kind, as samples, float64.
    ///
    /// # Errors
    /// Values that such data cannot have, and the row that has them.
    fn admit(&self, v: &Tensor) -> Result<Tensor, Fault> {
        Ok(v.to_kind(tch::Kind::Double))
    }

    /// The names of the coordinates of restored samples; none where they have none.
    fn labels(&self) -> &[String] {
        &[]
    }

    /// What was read, in words; none for a law.
    fn about(&self) -> Option<&str> {
        None
    }

    /// The SHA-256 of the file that the data come from, or of those of several files, one a line; none for a law.
    fn digest(&self) -> Option<&str> {
        None
    }

    /// The distribution as a mixture of Gaussians, whose denoiser is known, where it is one.
    fn law(&self) -> Option<&Law> {
        None
    }

    /// ln p(x) `[N]` in nats of x `[N, …]`, float64 on the CPU; −∞ outside the support. None where the distribution has no
    /// density or no closed form of it.
    fn log_density(&self, _x: &Tensor) -> Option<Tensor> {
        None
    }
}

/// Refuses a negative or infinite value.
fn not_negative(key: &str, value: f64) -> Result<(), Fault> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Fault::new(key, format!("{value} is not a number of at least 0"), "write 0 or a positive number"))
}

/// The most coordinates that a synthetic data set may have: what is checked, σ_data included, draws thousands of points.
const MOST_COORDINATES: usize = 1024;

/// The most rings, arms and modes.
const MOST_PARTS: usize = 256;
