//! What every set of images may ask for, and the way from decoded images to a data set.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::augment::Augment;
use super::class::Class;
use super::{Images, sides};
use crate::data::split::{self, hash_order, held_out};
use crate::error::{Fault, Settings, at_least_one, between};

/// Which images are learnt, and what is done to them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prepare {
    /// The classes to learn, by name or by position from 0; they are numbered anew, in this order. Absent, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<Class>>,
    /// How many images to train with: the first ones by a hash of what they show. Absent, all. Those held out stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The side in pixels to which smaller images are brought by a black border, as even as may be (28 to 32, say, for
    /// a network that halves the side several times).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad: Option<usize>,
    /// Whether training sees half of the examples mirrored, left to right. A network is not told which.
    pub flip: bool,
    /// Non-leaking augmentation, of which the network is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augment>,
}

impl Settings for Prepare {
    fn check(&self) -> Result<(), Fault> {
        if let Some(classes) = &self.classes {
            if classes.is_empty() {
                return Err(Fault::new("classes", "the list is empty", "name at least one, or leave `classes` out"));
            }
            for (i, class) in classes.iter().enumerate() {
                if classes[..i].contains(class) {
                    let problem = format!("{class} stands here twice");
                    return Err(Fault::new(format!("classes[{i}]"), problem, "keep one of them"));
                }
            }
        }
        self.limit.map_or(Ok(()), |limit| at_least_one("limit", limit))?;
        self.pad.map_or(Ok(()), |side| between("pad", side, (1, MOST_PIXELS)))?;
        if let Some(augment) = &self.augment {
            augment.check().map_err(|fault| fault.under("augment"))?;
            if self.flip && augment.flips() {
                let problem = "`augment` flips the images already, and tells the network";
                return Err(Fault::new("flip", problem, "leave `flip` out, or write `x_flip: 0` in `augment`"));
            }
        }
        Ok(())
    }
}

/// The most pixels that a side may have.
pub(super) const MOST_PIXELS: usize = 4096;

/// The most classes.
const MOST_CLASSES: usize = 1 << 16;

/// Images as they come from files.
#[derive(Debug)]
pub(super) struct Decoded {
    /// C, H, W.
    pub shape: [usize; 3],
    /// `[N, C, H, W]`
    pub pixels: Vec<u8>,
    /// The place of each one's class, `[N]`.
    pub labels: Option<Vec<usize>>,
}

impl Decoded {
    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    fn count(&self) -> usize {
        self.pixels.len() / self.size()
    }

    fn image(&self, at: usize) -> &[u8] {
        &self.pixels[at * self.size()..][..self.size()]
    }

    fn label(&self, at: usize) -> usize {
        self.labels.as_ref().map_or(0, |labels| labels[at])
    }

    /// Which images there are of some classes (all, without), in the order of their hashes.
    fn ordered(&self, seed: u64, kept: &[Option<usize>]) -> Vec<usize> {
        let chosen: Vec<usize> = (0..self.count()).filter(|&at| kept[self.label(at)].is_some()).collect();
        let hashes = chosen.par_iter().map(|&at| Sha256::digest(self.image(at)).to_vec()).collect();
        hash_order(seed, hashes).into_iter().map(|at| chosen[at]).collect()
    }
}

/// All that was read.
#[derive(Debug)]
pub(super) struct Source {
    /// What the file or the folder is called, for people.
    pub name: String,
    /// Of the files: see [`crate::data::Dataset::digest`].
    pub digest: String,
    /// The names of the classes; none where there are no labels.
    pub classes: Vec<String>,
    /// The images to train with, and to hold some of them out where there are no others.
    pub training: Decoded,
    /// Images that are held out already.
    pub held_out: Option<Decoded>,
    /// How many there are with those that were left unread, where some were.
    pub total: Option<usize>,
}

impl Source {
    /// Chooses and splits the images. A `share` of those to train with is held out, where none are already.
    ///
    /// # Errors
    /// A class that is not there, a share or a limit that does not fit, images that are larger than asked for.
    pub fn prepare(self, settings: &Prepare, share: f64, seed: u64) -> Result<Images, Fault> {
        let Source { name, digest, classes, training, held_out: others, total } = self;
        let within = |fault: Fault| fault.under("prepare");
        if let Some(others) = others.as_ref().filter(|others| others.shape != training.shape) {
            let problem = format!(
                "{name}: the images to train with are {}, and those held out {}",
                sides(training.shape),
                sides(others.shape)
            );
            return Err(Fault::new("", problem, "give images of one shape"));
        }
        if classes.len() > MOST_CLASSES {
            let problem = format!("{name} has {} classes", classes.len());
            return Err(Fault::new("", problem, format!("give images of at most {MOST_CLASSES}")));
        }
        // Where each class goes, and what is left.
        let (kept, names) = renumbered(settings, &name, classes).map_err(within)?;
        let all = total.unwrap_or(training.count() + others.as_ref().map_or(0, Decoded::count));
        let mut first = training.ordered(seed, &kept);
        if first.is_empty() {
            let problem = format!("{name} has no image of these classes to train with");
            return Err(within(Fault::new("classes", problem, "name others")));
        }
        let held: Vec<(&Decoded, usize)> = match &others {
            Some(others) => others.ordered(seed, &kept).into_iter().map(|at| (others, at)).collect(),
            None => {
                let count = held_out(share, first.len(), "images")?;
                first.drain(..count).map(|at| (&training, at)).collect()
            }
        };
        if let Some(limit) = settings.limit {
            if limit > first.len() {
                let problem = format!("{limit} images, and there are {} to train with", first.len());
                return Err(within(Fault::new("limit", problem, "write a smaller number, or leave `limit` out")));
            }
            first.truncate(limit);
        }
        let count = first.len();
        let rows: Vec<(&Decoded, usize)> = first.into_iter().map(|at| (&training, at)).chain(held).collect();
        let shape = padded(training.shape, settings.pad).map_err(within)?;
        if let Some(augment) = &settings.augment {
            augment.fits(shape).map_err(|fault| within(fault.under("augment")))?;
        }
        let size: usize = shape.iter().product();
        let mut pixels = vec![0; rows.len() * size];
        pixels
            .par_chunks_mut(size)
            .zip(&rows)
            .for_each(|(out, (from, at))| place(from.image(*at), from.shape, out, shape));
        let class_of = training
            .labels
            .is_some()
            .then(|| rows.iter().map(|(from, at)| kept[from.label(*at)].expect("kept") as u16));
        let of = if names.is_empty() { "without classes".to_owned() } else { format!("in {} classes", names.len()) };
        let about = format!(
            "{} of {all} images of {name}, {} of them held out; {} {of}",
            rows.len(),
            rows.len() - count,
            sides(shape)
        );
        Ok(Images {
            class_of: class_of.map(Iterator::collect),
            flip: settings.flip,
            augment: settings.augment,
            classes: names,
            training: count,
            pixels,
            shape,
            about,
            digest,
        })
    }
}

/// For each class its new place, where it is kept, and the names of those that are.
fn renumbered(
    settings: &Prepare,
    name: &str,
    classes: Vec<String>,
) -> Result<(Vec<Option<usize>>, Vec<String>), Fault> {
    let Some(wanted) = &settings.classes else {
        return Ok(((0..classes.len().max(1)).map(Some).collect(), classes));
    };
    if classes.is_empty() {
        return Err(Fault::new("classes", format!("the images of {name} have no classes"), "leave `classes` out"));
    }
    let mut kept = vec![None; classes.len()];
    let mut names = Vec::new();
    for (new, class) in wanted.iter().enumerate() {
        let key = format!("classes[{new}]");
        let place = class.place(&classes).map_err(|fault| fault.under(&key))?;
        if kept[place].replace(new).is_some() {
            return Err(Fault::new(key, format!("{class} is {} once more", classes[place]), "keep one of them"));
        }
        names.push(classes[place].clone());
    }
    Ok((kept, names))
}

/// The shape with a border.
fn padded([channels, height, width]: [usize; 3], pad: Option<usize>) -> Result<[usize; 3], Fault> {
    match pad {
        Some(side) if side < height.max(width) => {
            let problem = format!("{side} pixels, and the images are {}", sides([channels, height, width]));
            Err(Fault::new("pad", problem, "write a side that they fit into, or leave `pad` out"))
        }
        Some(side) => Ok([channels, side, side]),
        None => Ok([channels, height, width]),
    }
}

/// Puts an image into the middle of a larger one, which is black.
fn place(image: &[u8], [_, height, width]: [usize; 3], out: &mut [u8], [_, tall, wide]: [usize; 3]) {
    let (top, left) = ((tall - height) / 2, (wide - width) / 2);
    for (plane, out) in image.chunks(height * width).zip(out.chunks_mut(tall * wide)) {
        for (row, out) in plane.chunks(width).zip(out.chunks_mut(wide).skip(top)) {
            out[left..][..width].copy_from_slice(row);
        }
    }
}

/// Refuses a share that leaves nothing to train with, and one beside images that are held out already.
pub(super) fn share(validation: Option<f64>, held_out: bool) -> Result<(), Fault> {
    match validation {
        Some(_) if held_out => {
            let problem = "the images that are held out are given";
            Err(Fault::new("validation", problem, "leave `validation` out, or the images"))
        }
        Some(share) => split::share(share, "images"),
        None => Ok(()),
    }
}

/// The share that is held out where nothing else is said.
pub(super) const SHARE: f64 = 0.1;
