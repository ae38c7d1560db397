//! Non-leaking augmentation (Karras et al. 2022, appendix F.2 and table 6, after Karras et al. 2020): training images are
//! mirrored, turned, stretched and moved, and the network is told how, so that at sampling, where it is told of nothing,
//! it makes images that are not.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::resample::{Affine, mirrored, resample};
use super::{mirror, sides};
use crate::error::{Fault, Settings};
use crate::rng::Stream;

/// Augmentation of training images, each kind of it by itself with its own probability. With y ~ N(0, 1) and u uniform,
/// in this order, and with what the network is told, zero where nothing was done:
///
/// | kind | what happens | labels |
/// |---|---|---|
/// | `x_flip` | mirrored left to right where a coin says so | 1 |
/// | `y_flip` | mirrored top to bottom where a coin says so | 1 |
/// | `quarter_turns` | turned by 0, 90, 180 or 270 degrees | two of 0 and 1 |
/// | `pixel_translation` | moved by whole pixels, up to ⅛ of the side along each axis | both parts of that, −1 to 1 |
/// | `scaling` | by 2^(0.2 y) | y |
/// | `rotation` | by θ = u in [−π, π] | cos θ − 1, sin θ |
/// | `anisotropy` | by 2^(0.2 y) along an axis at φ, 2^(−0.2 y) across; φ = 0 in half of the cases, else u in [−π, π] | y cos φ, y sin φ |
/// | `translation` | by ⅛ of the side times y along each axis | both y |
///
/// As in the paper, the labels of `anisotropy` do not tell (y, φ) from (−y, φ + π).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// The probability of each kind that has none of its own; 0.12 for CIFAR-10 in the paper, 0.15 for faces. With 0 nothing
    /// is done at all.
    pub p: f64,
    /// The probability of a coin toss for left and right; as in the paper it is always tossed. 0 leaves this kind out of
    /// the labels too, as it does below.
    pub x_flip: f64,
    /// The probability of a coin toss for top and bottom; absent, `p`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y_flip: Option<f64>,
    /// The probability of quarter turns, of square images.
    pub quarter_turns: f64,
    /// The probability of a move by whole pixels.
    pub pixel_translation: f64,
    /// The probability of scaling; absent, `p`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<f64>,
    /// The probability of a rotation by any angle; absent, `p`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<f64>,
    /// The probability of stretching; absent, `p`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anisotropy: Option<f64>,
    /// The probability of a move by any distance; absent, `p`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translation: Option<f64>,
    /// The standard deviation of the binary logarithm of scaling.
    pub scaling_std: f64,
    /// The greatest rotation, as a part of a half turn.
    pub rotation_max: f64,
    /// The standard deviation of the binary logarithm of stretching.
    pub anisotropy_std: f64,
    /// The standard deviation of moves, as a part of the side.
    pub translation_std: f64,
}

impl Default for Augment {
    fn default() -> Self {
        Augment {
            p: 0.12,
            x_flip: 1.0,
            y_flip: None,
            quarter_turns: 0.0,
            pixel_translation: 0.0,
            scaling: None,
            rotation: None,
            anisotropy: None,
            translation: None,
            scaling_std: 0.2,
            rotation_max: 1.0,
            anisotropy_std: 0.2,
            translation_std: 0.125,
        }
    }
}

/// The furthest move by whole pixels, as a part of the side.
const FURTHEST: f64 = 0.125;

/// How often the axis of stretching is not that of the image.
const ASLANT: f64 = 0.5;

/// The first of the draws that decide; each kind has eight of its own.
const FIRST: u32 = 1 << 31;

/// The kinds, in the order of their labels.
#[derive(Clone, Copy)]
enum Kind {
    XFlip,
    YFlip,
    QuarterTurns,
    PixelTranslation,
    Scaling,
    Rotation,
    Anisotropy,
    Translation,
}

use Kind::{Anisotropy, PixelTranslation, QuarterTurns, Rotation, Scaling, Translation, XFlip, YFlip};

const KINDS: [Kind; 8] = [XFlip, YFlip, QuarterTurns, PixelTranslation, Scaling, Rotation, Anisotropy, Translation];

impl Kind {
    fn labels(self) -> usize {
        match self {
            XFlip | YFlip | Scaling => 1,
            QuarterTurns | PixelTranslation | Rotation | Anisotropy | Translation => 2,
        }
    }
}

impl Settings for Augment {
    fn check(&self) -> Result<(), Fault> {
        let probabilities = [
            ("p", Some(self.p)),
            ("x_flip", Some(self.x_flip)),
            ("y_flip", self.y_flip),
            ("quarter_turns", Some(self.quarter_turns)),
            ("pixel_translation", Some(self.pixel_translation)),
            ("scaling", self.scaling),
            ("rotation", self.rotation),
            ("anisotropy", self.anisotropy),
            ("translation", self.translation),
        ];
        for (key, p) in probabilities {
            if p.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
                let problem = format!("{} is no probability", p.unwrap_or_default());
                return Err(Fault::new(key, problem, "write a number from 0 to 1"));
            }
        }
        let strengths = [
            ("scaling_std", self.scaling_std),
            ("rotation_max", self.rotation_max),
            ("anisotropy_std", self.anisotropy_std),
            ("translation_std", self.translation_std),
        ];
        for (key, strength) in strengths {
            if !(0.0..=1.0).contains(&strength) {
                let problem = format!("{strength} is no strength that leaves something of an image");
                return Err(Fault::new(key, problem, "write a number from 0 to 1"));
            }
        }
        Ok(())
    }
}

/// What happens to an image.
#[derive(Debug, PartialEq)]
struct Change {
    flips: [bool; 2],
    turns: usize,
    /// Right and up, in pixels.
    shift: [i64; 2],
    /// Where a pixel of the new image is found in the old one; none where all stay.
    from: Option<Affine>,
}

impl Augment {
    /// The probability of one kind.
    fn probability(&self, kind: Kind) -> f64 {
        let own = match kind {
            XFlip => Some(self.x_flip),
            YFlip => self.y_flip,
            QuarterTurns => Some(self.quarter_turns),
            PixelTranslation => Some(self.pixel_translation),
            Scaling => self.scaling,
            Rotation => self.rotation,
            Anisotropy => self.anisotropy,
            Translation => self.translation,
        };
        own.unwrap_or(self.p)
    }

    /// The kinds that there are, each with the draws that decide on it.
    fn kinds(&self) -> impl Iterator<Item = (Kind, u32)> {
        // A kind that has no probability of its own stays among the labels when `p` is swept down to 0.
        let there = |kind: Kind| match kind {
            XFlip => self.x_flip > 0.0,
            YFlip => self.y_flip != Some(0.0),
            QuarterTurns => self.quarter_turns > 0.0,
            PixelTranslation => self.pixel_translation > 0.0,
            Scaling => self.scaling != Some(0.0),
            Rotation => self.rotation != Some(0.0),
            Anisotropy => self.anisotropy != Some(0.0),
            Translation => self.translation != Some(0.0),
        };
        KINDS.into_iter().zip((FIRST..).step_by(8)).filter(move |&(kind, _)| there(kind))
    }

    /// How many numbers the network is told.
    pub(super) fn labels(&self) -> usize {
        self.kinds().map(|(kind, _)| kind.labels()).sum()
    }

    /// Whether left and right are exchanged.
    pub(super) fn flips(&self) -> bool {
        self.x_flip > 0.0
    }

    /// Refuses images that cannot be changed so.
    pub(super) fn fits(&self, shape: [usize; 3]) -> Result<(), Fault> {
        if self.quarter_turns > 0.0 && shape[1] != shape[2] {
            let problem = format!("the images are {}, and only squares are turned", sides(shape));
            return Err(Fault::new(
                "quarter_turns",
                problem,
                "write 0, or make the images square with `size` or `pad`",
            ));
        }
        Ok(())
    }

    /// What happens to example `i` of a stream, and the labels of it.
    fn draw(&self, stream: Stream, i: u64, [height, width]: [usize; 2], labels: &mut [f32]) -> Change {
        let mut change = Change { flips: [false; 2], turns: 0, shift: [0; 2], from: None };
        let mut rest = labels;
        for (kind, draw) in self.kinds() {
            let (told, others) = rest.split_at_mut(kind.labels());
            rest = others;
            told.fill(0.0);
            if self.p == 0.0 || stream.uniform(i, draw) > self.probability(kind) {
                continue;
            }
            let uniform = |k: u32| stream.uniform(i, draw + k);
            let around = |k: u32| 2.0 * uniform(k) - 1.0;
            let mut normals = [0.0; 2];
            stream.normals(i, draw + 4, 2, &mut normals);
            let [y, z] = normals;
            let mut then = |map: Affine| change.from = Some(change.from.unwrap_or(Affine::IDENTITY).after(&map));
            match kind {
                XFlip => change.flips[0] = uniform(1) > 0.5,
                YFlip => change.flips[1] = uniform(1) > 0.5,
                QuarterTurns => change.turns = (4.0 * uniform(1)).ceil() as usize % 4,
                PixelTranslation => {
                    let (far, high) = (width as f64 * FURTHEST, height as f64 * FURTHEST);
                    change.shift = [(around(1) * far).round() as i64, (around(2) * high).round() as i64];
                    told.copy_from_slice(
                        &[change.shift[0] as f64 / far, change.shift[1] as f64 / high].map(|v| v as f32),
                    );
                }
                Scaling => {
                    let s = (-y * self.scaling_std).exp2();
                    then(Affine::scale(s, s));
                    told[0] = y as f32;
                }
                Rotation => {
                    let angle = around(1) * PI * self.rotation_max;
                    then(Affine::rotation(angle));
                    told.copy_from_slice(&[angle.cos() - 1.0, angle.sin()].map(|v| v as f32));
                }
                Anisotropy => {
                    let axis = if uniform(1) <= ASLANT { around(2) * PI } else { 0.0 };
                    let s = (y * self.anisotropy_std).exp2();
                    then(Affine::rotation(-axis).after(&Affine::scale(1.0 / s, s)).after(&Affine::rotation(axis)));
                    told.copy_from_slice(&[y * axis.cos(), y * axis.sin()].map(|v| v as f32));
                }
                Translation => {
                    let part = self.translation_std;
                    then(Affine::translation(-y * width as f64 * part, -z * height as f64 * part));
                    told.copy_from_slice(&[y, z].map(|v| v as f32));
                }
            }
            match kind {
                XFlip => told[0] = f32::from(change.flips[0]),
                YFlip => told[0] = f32::from(change.flips[1]),
                QuarterTurns => {
                    told.copy_from_slice(&[matches!(change.turns, 1 | 2), matches!(change.turns, 2 | 3)].map(f32::from))
                }
                _ => {}
            }
        }
        change
    }

    /// Changes example `i` `[C, H, W]` of a stream, and says how in `labels`.
    pub(super) fn apply(&self, stream: Stream, i: u64, image: &mut [f32], shape: [usize; 3], labels: &mut [f32]) {
        let [_, height, width] = shape;
        self.draw(stream, i, [height, width], labels).make(image, [height, width]);
    }
}

impl Change {
    /// Changes an image `[C, H, W]`.
    fn make(&self, image: &mut [f32], [height, width]: [usize; 2]) {
        let [across, down] = self.flips;
        if across ^ matches!(self.turns, 1 | 2) {
            mirror(image, width);
        }
        for plane in image.chunks_mut(height * width) {
            if down ^ matches!(self.turns, 2 | 3) {
                // Rows in reverse are all pixels in reverse, each row mirrored back.
                plane.reverse();
                mirror(plane, width);
            }
            if self.turns % 2 == 1 {
                let old = plane.to_vec();
                plane.iter_mut().enumerate().for_each(|(i, new)| *new = old[i % width * width + i / width]);
            }
            if self.shift != [0, 0] {
                let old = plane.to_vec();
                for (i, new) in plane.iter_mut().enumerate() {
                    let (x, y) = ((i % width) as i64 - self.shift[0], (i / width) as i64 + self.shift[1]);
                    *new = old[mirrored(y, height) * width + mirrored(x, width)];
                }
            }
        }
        if let Some(from) = &self.from {
            resample(image, [height, width], from);
        }
    }
}

#[cfg(test)]
mod tests;
