//! Sets of images: IDX files, CIFAR-10, folders and archives of PNG and JPEG files, arrays.
//!
//! The images of a set are held in memory as bytes, one after another. A model sees x = v/127.5 − 1, in [−1, 1], as
//! float32 `[B, C, H, W]`; [`Dataset::restore`] makes bytes of its samples again.
//!
//! Images to hold out come with the set, or are a share of it, chosen once by a hash of what the images show. Training
//! passes through its images again and again, each time in another order (see [`place`]), and everything that is done to
//! example i, mirroring and augmentation, is a function of i: a run resumes bit for bit.

mod array;
mod augment;
mod captions;
mod cifar;
mod class;
mod files;
mod idx;
mod known;
mod picture;
mod prepare;
mod resample;
mod scale;
mod shape;

use std::path::Path;

use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::epoch::place;
use super::{Dataset, Examples, Part, Scale};
use crate::error::Fault;
use crate::rng::Stream;

pub use self::array::ImageArray;
pub use self::augment::Augment;
pub use self::cifar::Cifar10;
pub use self::class::Class;
pub use self::files::ImageFiles;
pub use self::idx::Idx;
pub use self::known::{FashionMnist, Mnist};
pub use self::prepare::Prepare;
pub use self::shape::{ImageShape, Shape};

/// Images in memory.
#[derive(Debug)]
pub struct Images {
    /// `[N, C, H, W]`, first those to train with, then those held out.
    pixels: Vec<u8>,
    /// C, H, W.
    shape: [usize; 3],
    /// How many there are to train with.
    training: usize,
    /// The place of each one's class, `[N]`.
    class_of: Option<Vec<u16>>,
    classes: Vec<String>,
    flip: bool,
    augment: Option<Augment>,
    about: String,
    digest: String,
}

/// The draw of a stream that decides which examples are mirrored; those of augmentation follow. Orders have lower ones.
const MIRROR: u32 = 1 << 30;

/// The shape of an image, for people.
fn sides([channels, height, width]: [usize; 3]) -> String {
    format!("{height}×{width}×{channels}")
}

impl Images {
    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    fn image(&self, at: usize) -> &[u8] {
        &self.pixels[at * self.size()..][..self.size()]
    }

    /// Float32 images `[B, C, H, W]`.
    fn tensor(&self, values: &[f32]) -> Tensor {
        let [channels, height, width] = self.shape.map(|n| n as i64);
        Tensor::from_slice(values).view([-1, channels, height, width])
    }

    /// Images by their places.
    fn gather(&self, places: &[usize]) -> Tensor {
        let mut values = vec![0.0; places.len() * self.size()];
        for (out, &at) in values.chunks_mut(self.size()).zip(places) {
            scale::scaled(self.image(at), out);
        }
        self.tensor(&values)
    }

    /// The classes of images by their places.
    fn classes_of(&self, places: &[usize]) -> Option<Tensor> {
        let class_of = self.class_of.as_ref()?;
        Some(Tensor::from_slice(&places.iter().map(|&at| i64::from(class_of[at])).collect::<Vec<_>>()))
    }

    /// Where the examples of a stream come from.
    fn drawn(&self, stream: Stream, first: u64, count: usize) -> Vec<usize> {
        let n = self.training as u64;
        (first..first + count as u64).map(|i| place(stream, i / n, i % n, n) as usize).collect()
    }

    /// Images without repetition: the first ones of an order that `first` chooses.
    fn sampled(&self, part: Part, stream: Stream, first: u64, count: usize) -> Vec<usize> {
        let held_out = self.pixels.len() / self.size() - self.training;
        let (start, n) = match part {
            Part::HeldOut if held_out > 0 => (self.training, held_out),
            _ => (0, self.training),
        };
        let n = n as u64;
        (0..n.min(count as u64)).map(|position| start + place(stream, first, position, n) as usize).collect()
    }
}

/// Mirrors an image, left to right.
fn mirror(image: &mut [f32], width: usize) {
    image.chunks_mut(width).for_each(<[f32]>::reverse);
}

impl Dataset for Images {
    fn shape(&self) -> Vec<i64> {
        self.shape.map(|n| n as i64).to_vec()
    }

    fn draw(&self, stream: Stream, first: u64, count: usize) -> Tensor {
        self.gather(&self.drawn(stream, first, count))
    }

    fn sample(&self, part: Part, stream: Stream, first: u64, count: usize) -> Tensor {
        self.gather(&self.sampled(part, stream, first, count))
    }

    fn examples(&self, stream: Stream, first: u64, count: usize) -> Examples {
        let places = self.drawn(stream, first, count);
        let class = self.classes_of(&places);
        if !self.flip && self.augment.is_none() {
            return Examples { x: self.gather(&places), class, augmentation: None };
        }
        let (size, told) = (self.size(), self.augmentations());
        // Augmentation without labels has none to write; a chunk of one number is not read.
        let mut values = vec![0.0; count * size];
        let mut labels = vec![0.0; count * told.max(1)];
        let rows = values.par_chunks_mut(size).zip(labels.par_chunks_mut(told.max(1)));
        rows.zip(&places).enumerate().for_each(|(i, ((out, labels), &at))| {
            let i = first + i as u64;
            scale::scaled(self.image(at), out);
            if self.flip && stream.uniform(i, MIRROR) > 0.5 {
                mirror(out, self.shape[2]);
            }
            if let Some(augment) = &self.augment {
                augment.apply(stream, i, out, self.shape, &mut labels[..told]);
            }
        });
        let augmentation = (told > 0).then(|| Tensor::from_slice(&labels).view([count as i64, told as i64]));
        Examples { x: self.tensor(&values), class, augmentation }
    }

    fn labelled(&self, part: Part, stream: Stream, first: u64, count: usize) -> Examples {
        let places = self.sampled(part, stream, first, count);
        let count = places.len() as i64;
        let untouched = || Tensor::zeros([count, self.augmentations() as i64], (Kind::Float, tch::Device::Cpu));
        let augmentation = (self.augmentations() > 0).then(untouched);
        Examples { x: self.gather(&places), class: self.classes_of(&places), augmentation }
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn augmentations(&self) -> usize {
        self.augment.as_ref().map_or(0, Augment::labels)
    }

    fn rows(&self, part: Part) -> Option<usize> {
        let all = self.pixels.len() / self.size();
        Some(if part == Part::HeldOut { all - self.training } else { self.training })
    }

    fn restore(&self, x: &Tensor) -> Tensor {
        scale::restored(x)
    }

    fn scale(&self) -> Result<Scale, Fault> {
        Ok(scale::scale(self.size()))
    }

    fn admit(&self, v: &Tensor) -> Result<Tensor, Fault> {
        scale::admitted(v)
    }

    fn about(&self) -> Option<&str> {
        Some(&self.about)
    }

    fn digest(&self) -> Option<&str> {
        Some(&self.digest)
    }
}

/// The path of a file in a folder.
fn within(folder: &str, file: &str) -> String {
    Path::new(folder).join(file).display().to_string()
}

/// Refuses a list of names that has one twice.
fn distinct(key: &str, names: &[String]) -> Result<(), Fault> {
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            let key = format!("{key}[{i}]");
            return Err(Fault::new(key, format!("`{name}` stands here twice"), "keep one of them"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
