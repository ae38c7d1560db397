//! CIFAR-10 in its binary form: records of one label byte and 3×32×32 bytes of pixels.

use serde::{Deserialize, Serialize};

use super::prepare::{self, Decoded, Prepare, SHARE, Source};
use super::{Images, within};
use crate::data::{Library, packed};
use crate::error::{Fault, Settings};
use crate::file::sha256;

/// CIFAR-10 (Krizhevsky 2009): photographs of 32×32 in ten classes, or any part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cifar10 {
    /// The folder with its batches, plain or .gz: those called data_batch_* are trained with, those called test_batch*
    /// are held out. A relative path is sought in the data folder: that of --data, else of the variable ORNSTEIN_DATA,
    /// else `data`.
    pub folder: String,
    /// The files in that folder to train with; absent, all data_batch_*.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<String>>,
    /// The files in that folder to hold out; absent, all test_batch*. With none, a share of the others is held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    /// The share of the images that is held out, to compare samples with, where `test` is an empty list; absent, 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Chooses which images are held out and which a limit leaves; the seed of the experiment does not.
    pub split_seed: u64,
    /// Which images are learnt, and what is done to them.
    pub prepare: Prepare,
}

impl Default for Cifar10 {
    fn default() -> Self {
        Cifar10 {
            folder: "cifar-10".into(),
            files: None,
            test: None,
            validation: None,
            split_seed: 0,
            prepare: Prepare::default(),
        }
    }
}

impl Settings for Cifar10 {
    fn check(&self) -> Result<(), Fault> {
        if self.files.as_ref().is_some_and(Vec::is_empty) {
            return Err(Fault::new("files", "the list is empty", "name at least one, or leave `files` out"));
        }
        let files = self.files.iter().flatten().map(|file| ("files", file));
        let mut seen = Vec::new();
        for (key, file) in files.chain(self.test.iter().flatten().map(|file| ("test", file))) {
            if seen.contains(&file) {
                return Err(Fault::new(key, format!("{file} is named twice"), "keep it in one place"));
            }
            seen.push(file);
        }
        prepare::share(self.validation, self.test.as_ref().is_none_or(|test| !test.is_empty()))?;
        self.prepare.check().map_err(|fault| fault.under("prepare"))
    }
}

/// The shape of an image.
const SHAPE: [usize; 3] = [3, 32, 32];

/// The bytes of a record.
const RECORD: usize = 1 + 3 * 32 * 32;

/// The classes, where no `batches.meta.txt` is beside the files.
const CLASSES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

impl Cifar10 {
    /// Reads the files.
    ///
    /// # Errors
    /// Files that are missing or damaged, a label above 9, and those of [`Prepare`].
    pub fn build(&self, library: &Library) -> Result<Images, Fault> {
        let found = |named: &Option<Vec<String>>, start: &str| match named {
            Some(files) => files.clone(),
            None => batches(library, &self.folder, start),
        };
        let (files, test) = (found(&self.files, "data_batch_"), found(&self.test, "test_batch"));
        if files.is_empty() {
            return Err(library.missing("folder", &within(&self.folder, "data_batch_1.bin"), "cifar-10"));
        }
        let mut digests = String::new();
        let classes = self.classes(library, &mut digests)?;
        let mut read = |key: &str, files: &[String]| {
            let mut decoded = Decoded { shape: SHAPE, pixels: Vec::new(), labels: Some(Vec::new()) };
            for file in files {
                let file = within(&self.folder, file);
                let path = library.path(&file).display().to_string();
                let bytes = library.read(key, &file)?;
                digests += &(sha256(&bytes) + "\n");
                let unpacked = packed::plain(&file, &path, bytes);
                unpacked.and_then(|bytes| records(&path, &bytes, &mut decoded)).map_err(|fault| fault.under(key))?;
            }
            Ok(decoded)
        };
        let key = |named: &Option<Vec<String>>, key| if named.is_some() { key } else { "folder" };
        let training = read(key(&self.files, "files"), &files)?;
        let held_out = if test.is_empty() { None } else { Some(read(key(&self.test, "test"), &test)?) };
        let digest = sha256(digests.as_bytes());
        let source = Source { name: self.folder.clone(), digest, classes, training, held_out, total: None };
        source.prepare(&self.prepare, self.validation.unwrap_or(SHARE), self.split_seed)
    }

    /// The names in `batches.meta.txt`, else those of the set.
    fn classes(&self, library: &Library, digests: &mut String) -> Result<Vec<String>, Fault> {
        let file = within(&self.folder, "batches.meta.txt");
        if !library.path(&file).exists() {
            return Ok(CLASSES.map(str::to_owned).to_vec());
        }
        let bytes = library.read("folder", &file)?;
        *digests += &(sha256(&bytes) + "\n");
        let text = String::from_utf8_lossy(&bytes);
        let names: Vec<String> =
            text.lines().map(|line| line.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        if names.len() != CLASSES.len() {
            let problem =
                format!("{} has {} lines, and there are 10 classes", library.path(&file).display(), names.len());
            return Err(Fault::new("folder", problem, "write one name a line, or remove the file"));
        }
        Ok(names)
    }
}

/// The batches in a folder whose names start so, in the order of their names; of one that is there plain and packed, the
/// plain one.
fn batches(library: &Library, folder: &str, start: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(library.path(folder)) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let is_batch = |name: &String| name.starts_with(start) && (name.ends_with(".bin") || name.ends_with(".bin.gz"));
    let mut names: Vec<String> = names.filter(is_batch).collect();
    names.sort();
    names.dedup_by(|packed, plain| packed.strip_suffix(".gz") == Some(plain));
    names
}

/// Adds the records of a file.
fn records(path: &str, bytes: &[u8], to: &mut Decoded) -> Result<(), Fault> {
    let (count, rest) = (bytes.len() / RECORD, bytes.len() % RECORD);
    if count == 0 || rest != 0 {
        let problem = format!("{path} ends at byte {}, {rest} bytes into record {count} (from 0)", bytes.len());
        return Err(Fault::new("", problem, format!("records have {RECORD} bytes; fetch the file again")));
    }
    let labels = to.labels.as_mut().expect("records have labels");
    for (i, record) in bytes.chunks(RECORD).enumerate() {
        let label = usize::from(record[0]);
        if label >= CLASSES.len() {
            let problem = format!("{path}: record {i} (from 0), at byte {}, has the label {label}", i * RECORD);
            return Err(Fault::new("", problem, "labels are 0 to 9; fetch the file again"));
        }
        labels.push(label);
        to.pixels.extend_from_slice(&record[1..]);
    }
    Ok(())
}
