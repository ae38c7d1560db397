//! Arrays of images in .npy and .npz files.

use ndarray::{ArrayViewD, Axis};
use ndarray_npy::ViewElement;
use serde::{Deserialize, Serialize};

use super::prepare::{Decoded, MOST_PIXELS, Prepare, Source};
use super::{Images, distinct};
use crate::data::array::{Unfit, view};
use crate::data::split::share;
use crate::data::{Library, packed};
use crate::error::{Fault, Settings};
use crate::file::sha256;
use crate::npy;

/// Images in an array of bytes: `[N, H, W]`, `[N, C, H, W]` or `[N, H, W, C]` with C = 1 or 3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageArray {
    /// The file: .npy or .npz, of uint8. A relative path is sought in the data folder: that of --data, else of the
    /// variable ORNSTEIN_DATA, else `data`.
    pub file: String,
    /// Which array of an .npz file with several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// The labels, whole numbers from 0 `[N]`: an array of the same .npz file, or another .npy file; absent, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// The names of the classes, in the order of the labels; absent, the labels as numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
    /// The share of the images that is held out, to compare samples with; with 0, training images are compared with.
    pub validation: f64,
    /// Chooses which images are held out and which a limit leaves; the seed of the experiment does not.
    pub split_seed: u64,
    /// Which images are learnt, and what is done to them.
    pub prepare: Prepare,
}

impl Default for ImageArray {
    fn default() -> Self {
        ImageArray {
            file: String::new(),
            array: None,
            labels: None,
            class_names: None,
            validation: 0.1,
            split_seed: 0,
            prepare: Prepare::default(),
        }
    }
}

impl Settings for ImageArray {
    fn check(&self) -> Result<(), Fault> {
        if self.file.is_empty() {
            return Err(Fault::new("file", "no file is named", "write one, such as `file: images.npz`"));
        }
        if !self.archive() && !ends_with(&self.file, ".npy") {
            let problem = format!("{} has an ending that says nothing of its form", self.file);
            return Err(Fault::new("file", problem, "give a .npy or .npz file"));
        }
        if self.array.is_some() && !self.archive() {
            let problem = format!("{} holds one array", self.file);
            return Err(Fault::new("array", problem, "remove `array`: it chooses among the arrays of an .npz file"));
        }
        if let Some(names) = &self.class_names {
            if self.labels.is_none() {
                let problem = "these are names of labels, and there are none";
                return Err(Fault::new("class_names", problem, "name the labels in `labels`"));
            }
            distinct("class_names", names)?;
        }
        share(self.validation, "images")?;
        self.prepare.check().map_err(|fault| fault.under("prepare"))
    }
}

fn ends_with(file: &str, ending: &str) -> bool {
    file.to_lowercase().ends_with(ending)
}

/// The largest label that is believed.
const MOST_LABEL: i64 = 65_535;

impl ImageArray {
    fn archive(&self) -> bool {
        ends_with(&self.file, ".npz")
    }

    /// Reads the file.
    ///
    /// # Errors
    /// A file that is missing, damaged or of another form, an array of another type or shape, labels that do not fit,
    /// and those of [`Prepare`].
    pub fn build(&self, library: &Library) -> Result<Images, Fault> {
        let path = library.path(&self.file).display().to_string();
        let bytes = library.read("file", &self.file)?;
        let mut digest = sha256(&bytes);
        let in_file = |fault: Fault| fault.under("file");
        let (pixels, labels) = match self.archive() {
            true => {
                let pixels = packed::array(&path, &bytes, ("array", self.array.as_deref()))?;
                let labels = self.labels.as_deref().map(|name| packed::array(&path, &bytes, ("labels", Some(name))));
                drop(bytes);
                (pixels, labels.transpose()?)
            }
            false => {
                let labels = self.labels.as_ref().map(|file| library.read("labels", file)).transpose()?;
                if let Some(labels) = &labels {
                    digest = sha256(format!("{digest}\n{}\n", sha256(labels)).as_bytes());
                }
                (bytes, labels)
            }
        };
        let (shape, pixels) = images(&path, &pixels).map_err(in_file)?;
        let count = pixels.len() / shape.iter().product::<usize>();
        let labels = labels.map(|bytes| self.classes(&path, &bytes, count)).transpose()?;
        let classes = match (&self.class_names, &labels) {
            (Some(names), _) => names.clone(),
            (None, Some(labels)) => (0..=labels.iter().max().copied().unwrap_or(0)).map(|i| i.to_string()).collect(),
            (None, None) => Vec::new(),
        };
        let training = Decoded { shape, pixels, labels };
        let source = Source { name: self.file.clone(), digest, classes, training, held_out: None, total: None };
        source.prepare(&self.prepare, self.validation, self.split_seed)
    }

    /// The labels of `count` images.
    fn classes(&self, path: &str, bytes: &[u8], count: usize) -> Result<Vec<usize>, Fault> {
        let name = self.labels.as_deref().unwrap_or_default();
        let place = if self.archive() { format!("{path}: array `{name}`") } else { format!("{path}: labels {name}") };
        let broken = |problem: String, remedy: &str| Fault::new("labels", format!("{place}: {problem}"), remedy);
        let labels = whole_numbers(bytes).map_err(|(problem, remedy)| broken(problem, &remedy))?;
        if labels.len() != count {
            let problem = format!("{} labels, and there are {count} images", labels.len());
            return Err(broken(problem, "save one label for each image"));
        }
        let most = self.class_names.as_ref().map_or(MOST_LABEL, |names| names.len() as i64 - 1);
        if let Some(at) = labels.iter().position(|label| !(0..=most).contains(label)) {
            let problem = format!("image {at} (from 0) has the label {}", labels[at]);
            return Err(broken(problem, &format!("labels are 0 to {most}; save others, or name more classes")));
        }
        Ok(labels.into_iter().map(|label| label as usize).collect())
    }
}

/// The shape `[C, H, W]` and the pixels `[N, C, H, W]` of an array of images.
fn images(path: &str, bytes: &[u8]) -> Result<([usize; 3], Vec<u8>), Fault> {
    let broken = |problem: String, remedy: &str| Fault::new("", format!("{path}: {problem}"), remedy);
    if let Some(problem) = npy::implausible(bytes, bytes.len() as u64) {
        return Err(broken(problem.into(), "save it with numpy.save"));
    }
    let array: ArrayViewD<u8> = view(bytes).map_err(|unfit| match unfit {
        Unfit::Bytes(problem, remedy) => broken(problem, remedy),
        Unfit::Kind(kind) => {
            broken(format!("the array is of the type {kind}"), "save one of uint8, in which 0 is black and 255 white")
        }
        Unfit::Shape(_) => unreachable!("any shape is viewed"),
    })?;
    let told = format!("the array has the shape {:?}", array.shape());
    let forms = "save one of the shape [N, H, W], [N, C, H, W] or [N, H, W, C] with C = 1 or 3";
    let is_color = |side: usize| side == 1 || side == 3;
    let array = match *array.shape() {
        [_, _, _] => array.insert_axis(Axis(1)),
        [_, c, _, last] if is_color(c) && is_color(last) => {
            return Err(broken(format!("{told}, whose colours may be its second axis or its last"), forms));
        }
        [_, c, _, _] if is_color(c) => array,
        [_, _, _, c] if is_color(c) => array.permuted_axes([0, 3, 1, 2].as_slice()),
        _ => return Err(broken(told, forms)),
    };
    let shape: [usize; 3] = array.shape()[1..].try_into().expect("four axes");
    if array.is_empty() || shape.iter().any(|&side| side > MOST_PIXELS) {
        return Err(broken(told, &format!("save images, with sides of 1 to {MOST_PIXELS}")));
    }
    Ok((shape, array.iter().copied().collect()))
}

/// The numbers of an array of whole numbers with one axis; else what is wrong, and the remedy.
fn whole_numbers(bytes: &[u8]) -> Result<Vec<i64>, (String, String)> {
    if let Some(problem) = npy::implausible(bytes, bytes.len() as u64) {
        return Err((problem.into(), "save it with numpy.save".into()));
    }
    fn read<T: ViewElement>(bytes: &[u8], number: fn(&T) -> i64) -> Result<Vec<i64>, Unfit> {
        let array = view::<T>(bytes)?;
        if array.ndim() == 1 {
            Ok(array.iter().map(number).collect())
        } else {
            Err(Unfit::Shape(array.shape().to_vec()))
        }
    }
    type Reader = (fn(&[u8]) -> Result<Vec<i64>, Unfit>, &'static str);
    let readers: [Reader; 6] = [
        (|bytes| read(bytes, |v: &i64| *v), "int64"),
        (|bytes| read(bytes, |v: &i32| i64::from(*v)), "int32"),
        (|bytes| read(bytes, |v: &u8| i64::from(*v)), "uint8"),
        (|bytes| read(bytes, |v: &i16| i64::from(*v)), "int16"),
        (|bytes| read(bytes, |v: &u16| i64::from(*v)), "uint16"),
        (|bytes| read(bytes, |v: &u32| i64::from(*v)), "uint32"),
    ];
    let mut kind = String::new();
    for (read, _) in readers {
        match read(bytes) {
            Ok(numbers) => return Ok(numbers),
            Err(Unfit::Kind(found)) => kind = found,
            Err(Unfit::Shape(shape)) => {
                return Err((format!("it has the shape {shape:?}"), "save one of the shape [N]".into()));
            }
            Err(Unfit::Bytes(problem, remedy)) => return Err((problem, remedy.into())),
        }
    }
    let kinds = readers.map(|(_, kind)| kind).join(", ");
    Err((format!("it is of the type {kind}"), format!("save one of {kinds}")))
}
