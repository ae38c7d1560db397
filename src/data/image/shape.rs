//! Images of which the shape is known and no example.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::prepare::MOST_PIXELS;
use super::{scale, sides};
use crate::data::{Bins, Dataset, Scale};
use crate::error::{Fault, Settings, between};
use crate::rng::Stream;

/// The shape and the scale of images, and no example: enough to sample a model that was trained elsewhere. Training,
/// comparing and everything else that looks at data is refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageShape {
    /// Channels.
    #[schemars(range(min = 1))]
    pub channels: usize,
    /// Rows of pixels.
    #[schemars(range(min = 1))]
    pub height: usize,
    /// Pixels in a row.
    #[schemars(range(min = 1))]
    pub width: usize,
    /// What a model calls black; white is 1.
    pub black: f64,
    /// How many classes there are, for a network that is told one.
    pub classes: usize,
}

/// The most classes that are believed.
const MOST_CLASSES: usize = 1 << 16;

impl Default for ImageShape {
    fn default() -> Self {
        ImageShape { channels: 3, height: 32, width: 32, black: -1.0, classes: 0 }
    }
}

impl Settings for ImageShape {
    fn check(&self) -> Result<(), Fault> {
        for (key, side) in [("channels", self.channels), ("height", self.height), ("width", self.width)] {
            between(key, side, (1, MOST_PIXELS))?;
        }
        between("classes", self.classes, (0, MOST_CLASSES))?;
        if self.black.is_finite() && self.black < 1.0 {
            return Ok(());
        }
        Err(Fault::new("black", format!("{} is not below white, which is 1", self.black), "write -1, or 0"))
    }
}

impl ImageShape {
    /// The data set without data.
    pub fn build(&self) -> Shape {
        let ImageShape { channels, height, width, black, classes } = *self;
        let shape = [channels, height, width];
        let classes = (0..classes).map(|i| i.to_string()).collect();
        Shape { shape, black, classes, about: format!("images of {}, of which no example is known", sides(shape)) }
    }
}

/// A shape in the place of a data set.
#[derive(Clone, Debug)]
pub struct Shape {
    shape: [usize; 3],
    black: f64,
    classes: Vec<String>,
    about: String,
}

impl Shape {
    /// From [black, 1] to [−1, 1], where the scale of all images is: the factor about white.
    fn stretch(&self) -> f64 {
        2.0 / (1.0 - self.black)
    }
}

impl Dataset for Shape {
    fn shape(&self) -> Vec<i64> {
        self.shape.map(|n| n as i64).to_vec()
    }

    fn draw(&self, _stream: Stream, _first: u64, _count: usize) -> Tensor {
        panic!("there are no examples to draw; whoever wants some asks first whether there are")
    }

    fn has_examples(&self) -> bool {
        false
    }

    fn restore(&self, x: &Tensor) -> Tensor {
        scale::restored(&((x.to_kind(Kind::Float) - 1.0) * self.stretch() + 1.0))
    }

    fn scale(&self) -> Result<Scale, Fault> {
        let usual = scale::scale(self.shape.iter().product());
        let bins = usual.bins.map(|bins| Bins { width: bins.width / self.stretch(), range: (self.black, 1.0) });
        let log_volume = usual.log_volume + self.shape.iter().product::<usize>() as f64 * self.stretch().ln();
        Ok(Scale { log_volume, bins })
    }

    fn admit(&self, v: &Tensor) -> Result<Tensor, Fault> {
        Ok((scale::admitted(v)? - 1.0) / self.stretch() + 1.0)
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn about(&self) -> Option<&str> {
        Some(&self.about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_bytes_on_either_scale() {
        let x = Tensor::from_slice(&[-3.0f32, -1.0, 0.0, 0.5, 1.0, 2.0]);
        let bytes = |black| {
            let shape = ImageShape { black, ..ImageShape::default() }.build();
            Vec::<u8>::try_from(shape.restore(&x)).expect("bytes")
        };
        assert_eq!(bytes(-1.0), [0, 0, 128, 191, 255, 255]);
        assert_eq!(bytes(0.0), [0, 0, 0, 128, 255, 255]);
    }

    /// Bytes are admitted as what they are restored from, a bin apart, and stretch volumes accordingly.
    #[test]
    fn bytes_are_bins_on_either_scale() {
        let all = Tensor::arange(256, (Kind::Double, tch::Device::Cpu));
        for black in [-1.0, 0.0] {
            let shape = ImageShape { channels: 1, height: 2, width: 1, black, ..ImageShape::default() }.build();
            let x = shape.admit(&all).expect("bytes");
            assert_eq!(shape.restore(&x).to_kind(Kind::Double), all);
            let Scale { log_volume, bins } = shape.scale().expect("a scale");
            let Bins { width, range } = bins.expect("bytes are discrete");
            assert!((x.double_value(&[7]) - x.double_value(&[6]) - width).abs() < 1e-12);
            assert!((x.double_value(&[0]) - range.0).abs() < 1e-12 && (x.double_value(&[255]) - range.1).abs() < 1e-12);
            assert!((log_volume + 2.0 * width.ln()).abs() < 1e-12, "two numbers of one bin each have the volume 1");
        }
    }

    #[test]
    fn shapes_that_cannot_be_are_refused() {
        let refused = |shape: ImageShape| shape.check().expect_err("a fault").key;
        assert_eq!(refused(ImageShape { width: 0, ..ImageShape::default() }), "width");
        assert_eq!(refused(ImageShape { black: 1.0, ..ImageShape::default() }), "black");
        assert_eq!(ImageShape::default().check(), Ok(()));
    }
}
