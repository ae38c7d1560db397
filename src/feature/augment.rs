//! Light augmentation of images: shifts and flips, each a function of the example's number.

use tch::Tensor;

use crate::rng::Stream;

/// What may be done to an image without changing its class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Augmentation {
    /// The most pixels by which it is shifted along each axis.
    pub(super) shift: i64,
    /// Whether every other one is mirrored, left to right.
    pub(super) flip: bool,
}

impl Augmentation {
    /// Images `[B, C, H, W]`, the examples `first..` of the stream, each shifted and mirrored on its own. What a shift
    /// uncovers is filled with the pixels of the edge.
    pub(super) fn apply(&self, images: &Tensor, stream: Stream, first: u64) -> Tensor {
        let Augmentation { shift, flip } = *self;
        if shift == 0 && !flip {
            return images.shallow_clone();
        }
        let [batch, _, height, width] = images.size()[..] else { panic!("images are [B, C, H, W]") };
        let padded = images.replication_pad2d([shift; 4]);
        let each = |i: i64| {
            let word = stream.word(first + i as u64, 0);
            let place = |bits: u32| i64::from(bits & 0x3fff) % (2 * shift + 1);
            let image = padded.narrow(0, i, 1).narrow(2, place(word), height).narrow(3, place(word >> 14), width);
            if flip && word >> 31 == 1 { image.flip([3]) } else { image }
        };
        Tensor::cat(&(0..batch).map(each).collect::<Vec<_>>(), 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tch::{Device, Kind};

    use super::*;
    use crate::rng::Purpose;
    use crate::tensor;

    #[test]
    fn every_shift_and_both_sides_come() {
        let stream = Stream::new(1, Purpose::Augmentation);
        // One bright pixel in the middle of a gradient.
        let image = Tensor::arange(25, (Kind::Float, Device::Cpu)).view([1, 1, 5, 5]);
        let images = image.expand([600, 1, 5, 5], false);
        let out = Augmentation { shift: 1, flip: true }.apply(&images, stream, 0);
        assert_eq!(out.size(), [600, 1, 5, 5]);
        let rows = tensor::to_rows(&out);
        let kinds: HashSet<Vec<i64>> =
            rows.rows().into_iter().map(|row| row.iter().map(|&v| v as i64).collect()).collect();
        assert_eq!(kinds.len(), 18);
        // An example's form is its own, whatever the batch.
        let part = Augmentation { shift: 1, flip: true }.apply(&images.narrow(0, 0, 10), stream, 40);
        assert_eq!(part, out.narrow(0, 40, 10));
        assert_eq!(Augmentation { shift: 0, flip: false }.apply(&images, stream, 0), images);
    }
}
