//! IDX files, the form of MNIST: a big-endian header, then bytes (LeCun et al. 1998, yann.lecun.com/exdb/mnist).

use serde::{Deserialize, Serialize};

use super::prepare::{self, Decoded, MOST_PIXELS, Prepare, SHARE, Source};
use super::{Images, distinct};
use crate::data::{Library, packed};
use crate::error::{Fault, Settings};
use crate::file::sha256;

/// Grey images in IDX files, plain or .gz.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Idx {
    /// The file of the images. A relative path is sought in the data folder: that of --data, else of the variable
    /// ORNSTEIN_DATA, else `data`.
    pub images: String,
    /// The file of their labels; absent, they have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// The file of images to hold out; absent, a share of the others is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_images: Option<String>,
    /// The file of the labels of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_labels: Option<String>,
    /// The names of the classes, in the order of the labels; absent, the labels as numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
    /// The share of the images that is held out, to compare samples with, where no others are; absent, 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Chooses which images are held out and which a limit leaves; the seed of the experiment does not.
    pub split_seed: u64,
    /// Which images are learnt, and what is done to them.
    pub prepare: Prepare,
}

impl Settings for Idx {
    fn check(&self) -> Result<(), Fault> {
        if self.images.is_empty() {
            let remedy = "write one, such as `images: train-images-idx3-ubyte.gz`";
            return Err(Fault::new("images", "no file is named", remedy));
        }
        if self.test_images.is_some() && self.labels.is_some() != self.test_labels.is_some() {
            let (key, other) =
                if self.labels.is_some() { ("test_labels", "labels") } else { ("labels", "test_labels") };
            let problem = format!("no file is named, and one is in `{other}`");
            return Err(Fault::new(key, problem, "give the labels of all images, or of none"));
        }
        if self.test_images.is_none() && self.test_labels.is_some() {
            return Err(Fault::new("test_images", "no file is named", "give the images that `test_labels` are of"));
        }
        if let Some(names) = &self.class_names {
            if self.labels.is_none() {
                let problem = "these are names of labels, and there are none";
                return Err(Fault::new("class_names", problem, "give the file of the labels in `labels`"));
            }
            distinct("class_names", names)?;
        }
        prepare::share(self.validation, self.test_images.is_some())?;
        self.prepare.check().map_err(|fault| fault.under("prepare"))
    }
}

impl Idx {
    /// Reads the files.
    ///
    /// # Errors
    /// Files that are missing, damaged or of another form, labels that do not fit the images, and those of
    /// [`Prepare`].
    pub fn build(&self, library: &Library) -> Result<Images, Fault> {
        self.read(library, &self.images)?.prepare(&self.prepare, self.validation.unwrap_or(SHARE), self.split_seed)
    }

    /// All that is in the files.
    pub(super) fn read(&self, library: &Library, name: &str) -> Result<Source, Fault> {
        let mut digests = String::new();
        let mut part = |images: (&str, &String), labels: (&str, &Option<String>)| {
            let mut read = |(key, file): (&str, &String)| {
                let path = library.path(file).display().to_string();
                let bytes = library.read(key, file)?;
                digests += &(sha256(&bytes) + "\n");
                Ok((packed::plain(file, &path, bytes).map_err(|fault| fault.under(key))?, path))
            };
            let (mut bytes, path) = read(images)?;
            let (count, [height, width]) = header(&path, &bytes, IMAGES).map_err(|fault| fault.under(images.0))?;
            let labels = match labels.1 {
                None => None,
                Some(file) => {
                    let (bytes, of) = read((labels.0, file))?;
                    Some(self.labels(&of, &bytes, (&path, count)).map_err(|fault| fault.under(labels.0))?)
                }
            };
            bytes.drain(..HEADER);
            Ok(Decoded { shape: [1, height, width], pixels: bytes, labels })
        };
        let training = part(("images", &self.images), ("labels", &self.labels))?;
        let held_out = match &self.test_images {
            Some(file) => Some(part(("test_images", file), ("test_labels", &self.test_labels))?),
            None => None,
        };
        let all = [Some(&training), held_out.as_ref()].into_iter().flatten().filter_map(|part| part.labels.as_ref());
        let most = all.flatten().max().copied();
        let classes = match (&self.class_names, most) {
            (Some(names), _) => names.clone(),
            (None, Some(most)) => (0..=most).map(|label| label.to_string()).collect(),
            (None, None) => Vec::new(),
        };
        Ok(Source {
            name: name.to_owned(),
            digest: sha256(digests.as_bytes()),
            classes,
            training,
            held_out,
            total: None,
        })
    }

    /// The labels of `count` images.
    fn labels(&self, path: &str, bytes: &[u8], (of, count): (&str, usize)) -> Result<Vec<usize>, Fault> {
        let (found, _) = header(path, bytes, LABELS)?;
        if found != count {
            let problem = format!("{path} holds {found} labels, and {of} {count} images");
            return Err(Fault::new("", problem, "give the labels of these images"));
        }
        let start = bytes.len() - found;
        let labels: Vec<usize> = bytes[start..].iter().map(|&label| usize::from(label)).collect();
        let most = self.class_names.as_ref().map_or(usize::MAX, Vec::len);
        if let Some(at) = labels.iter().position(|&label| label >= most) {
            let offset = start + at;
            let problem =
                format!("{path}: label {} at byte {offset} (image {at}), and there are {most} classes", labels[at]);
            return Err(Fault::new("", problem, format!("labels are 0 to {}; fetch the file again", most - 1)));
        }
        Ok(labels)
    }
}

/// What an IDX file holds: its magic number (two zeros, 8 for unsigned bytes, the number of axes), and a word for it.
type Form = (u32, &'static str);
const IMAGES: Form = (0x0803, "images");
const LABELS: Form = (0x0801, "labels");

/// The bytes before the first pixel.
const HEADER: usize = 16;

/// The count and the sides, of a file that holds as much as its header says: nothing is allocated before that is known.
fn header(path: &str, bytes: &[u8], (magic, what): Form) -> Result<(usize, [usize; 2]), Fault> {
    let broken = |problem: String| Fault::new("", format!("{path}: {problem}"), "fetch the file again");
    let axes = (magic & 0xff) as usize;
    let length = 4 + 4 * axes;
    let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    if bytes.len() >= 4 && word(0) != magic {
        let other = [IMAGES, LABELS].into_iter().find(|(other, _)| *other == word(0));
        let found = other.map_or(String::new(), |(_, what)| format!(" (that of {what})"));
        let problem = format!("{path}: byte 0 has the magic number {}{found}, and that of {what} is {magic}", word(0));
        return Err(Fault::new("", problem, format!("give an IDX file of {what}")));
    }
    if bytes.len() < length {
        return Err(broken(format!("it ends at byte {}, within its header of {length} bytes", bytes.len())));
    }
    let sides: Vec<u64> = (0..axes).map(|axis| u64::from(word(4 + 4 * axis))).collect();
    let told = sides.iter().map(u64::to_string).collect::<Vec<_>>().join("×");
    if sides.contains(&0) || sides[1..].iter().any(|&side| side > MOST_PIXELS as u64) {
        let problem = format!("{path}: its header (bytes 4 to {length}) says {told} bytes of {what}");
        return Err(Fault::new("", problem, format!("give {what}, with sides of at most {MOST_PIXELS}")));
    }
    let whole = sides.iter().map(|&side| u128::from(side)).product::<u128>() + length as u128;
    if whole != bytes.len() as u128 {
        let problem = format!(
            "its header says {told} bytes of {what}, so that it has {whole} bytes, and it ends at byte {}",
            bytes.len()
        );
        return Err(broken(problem));
    }
    let side = |axis: usize| sides.get(axis).map_or(1, |&side| side as usize);
    Ok((side(0), [side(1), side(2)]))
}
