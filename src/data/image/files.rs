//! PNG and JPEG files, in a folder or a zip archive.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use zip::ZipArchive;

use super::Images;
use super::captions::Captions;
use super::picture;
use super::prepare::{Decoded, MOST_PIXELS, Prepare, Source};
use crate::data::split::share;
use crate::data::{Cell, Library};
use crate::error::{Fault, Settings, between};
use crate::file::sha256;

/// PNG and JPEG files in a folder or a zip archive; transparent ones are laid on white.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageFiles {
    /// The folder, read with all below it, or the .zip archive. A relative path is sought in the data folder: that of
    /// --data, else of the variable ORNSTEIN_DATA, else `data`.
    pub path: String,
    /// The side in pixels to which the greatest square in the middle of each image is brought. Absent, images stay as they
    /// are, and must be of one size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// 3 for colours, 1 for grey.
    pub channels: usize,
    /// A file with a JSON object a line: the path of an image in `file`, as it is in the folder or the archive, and other
    /// texts, such as `caption`. Only images that it names are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub captions: Option<String>,
    /// The field of `captions` that is the class; absent, the folder of each image is, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The images to learn: those with these values in these fields of `captions`; absent, all.
    #[serde(rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub filter: BTreeMap<String, Cell>,
    /// The share of the images that is held out, to compare samples with; with 0, training images are compared with.
    pub validation: f64,
    /// Chooses which images are held out and which a limit leaves; the seed of the experiment does not.
    pub split_seed: u64,
    /// Which images are learnt, and what is done to them.
    pub prepare: Prepare,
}

impl Default for ImageFiles {
    fn default() -> Self {
        ImageFiles {
            path: String::new(),
            size: None,
            channels: 3,
            captions: None,
            label: None,
            filter: BTreeMap::new(),
            validation: 0.1,
            split_seed: 0,
            prepare: Prepare::default(),
        }
    }
}

impl Settings for ImageFiles {
    fn check(&self) -> Result<(), Fault> {
        if self.path.is_empty() {
            let remedy = "name a folder of PNG and JPEG files, or a .zip archive of them";
            return Err(Fault::new("path", "no folder or archive is named", remedy));
        }
        self.size.map_or(Ok(()), |size| between("size", size, (1, MOST_PIXELS)))?;
        if self.channels != 1 && self.channels != 3 {
            let problem = format!("{} is no number of channels", self.channels);
            return Err(Fault::new("channels", problem, "write 3 for colours, or 1 for grey"));
        }
        if self.captions.is_none() {
            for (key, given) in [("label", self.label.is_some()), ("where", !self.filter.is_empty())] {
                if given {
                    let remedy = "name the file that has the fields in `captions`";
                    return Err(Fault::new(key, "these are fields of captions, and there are none", remedy));
                }
            }
        }
        share(self.validation, "images")?;
        self.prepare.check().map_err(|fault| fault.under("prepare"))
    }
}

/// The endings of files that are read.
const READ: [&str; 3] = ["png", "jpg", "jpeg"];

/// Those of images that are not, so that none is passed over in silence.
const OTHERS: [&str; 7] = ["webp", "gif", "bmp", "tif", "tiff", "avif", "heic"];

/// The most bytes that one file may have.
const MOST_BYTES: u64 = 1 << 30;

/// Where the files are.
enum Place {
    Folder(PathBuf),
    Archive(String, ZipArchive<Cursor<Arc<[u8]>>>),
}

impl Place {
    fn open(library: &Library, path: &str) -> Result<Self, Fault> {
        let folder = library.path(path);
        if folder.is_dir() {
            return Ok(Place::Folder(folder));
        }
        let bytes: Arc<[u8]> = library.read("path", path)?.into();
        let name = folder.display().to_string();
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
            let problem = format!("{name} is truncated or no zip archive ({error})");
            Fault::new("path", problem, "fetch it again, or name a folder or a .zip archive")
        })?;
        Ok(Place::Archive(name, archive))
    }

    fn name(&self) -> String {
        match self {
            Place::Folder(folder) => folder.display().to_string(),
            Place::Archive(name, _) => name.clone(),
        }
    }

    /// The path of a file, for messages.
    fn path(&self, file: &str) -> String {
        match self {
            Place::Folder(folder) => folder.join(file).display().to_string(),
            Place::Archive(name, _) => format!("{name}, member {file}"),
        }
    }

    /// Every file, by its path from here with `/`, in order.
    fn files(&self) -> Result<Vec<String>, Fault> {
        let mut files = Vec::new();
        match self {
            Place::Folder(folder) => walk(folder, "", &mut files)?,
            Place::Archive(name, archive) => {
                for file in archive.file_names() {
                    let file = file.map_err(|error| {
                        Fault::new("path", format!("{name} has a damaged directory ({error})"), "fetch it again")
                    })?;
                    files.push(file.into_owned());
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// The bytes of a file; else why they cannot be had. Archives are not shared between threads: each has its own view.
    fn read(&mut self, file: &str) -> Result<Vec<u8>, String> {
        match self {
            Place::Folder(folder) => fs::read(folder.join(file)).map_err(|error| error.to_string()),
            Place::Archive(_, archive) => {
                let mut bytes = Vec::new();
                let member = archive.by_name(file).map_err(|error| error.to_string())?;
                member.take(MOST_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
                Ok(bytes)
            }
        }
    }
}

/// Every file below a folder, but for hidden ones; links to folders are not followed.
fn walk(folder: &Path, below: &str, files: &mut Vec<String>) -> Result<(), Fault> {
    let unreadable = |error: std::io::Error| {
        Fault::new("path", format!("{} cannot be read: {error}", folder.display()), "make it a readable folder")
    };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else {
            let problem = format!("{} is no name in UTF-8", entry.path().display());
            return Err(Fault::new("path", problem, "rename it"));
        };
        if name.starts_with('.') {
            continue;
        }
        let name = if below.is_empty() { name } else { format!("{below}/{name}") };
        match entry.file_type().map_err(unreadable)?.is_dir() {
            true => walk(&entry.path(), &name, files)?,
            false => files.push(name),
        }
    }
    Ok(())
}

/// The folder of a file, by its path from the top.
fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl ImageFiles {
    /// Reads the files.
    ///
    /// # Errors
    /// A folder or archive that is missing or holds no images, a file that cannot be decoded, images of several sizes
    /// without a `size` for them, captions that are none or name a file that is not there, and those of [`Prepare`].
    pub fn build(&self, library: &Library) -> Result<Images, Fault> {
        let place = Place::open(library, &self.path)?;
        let there = self.images(&place)?;
        let total = there.len();
        let mut digests = String::new();
        let (files, labels) = match &self.captions {
            Some(captions) => self.captioned(library, captions, &place, &there, &mut digests)?,
            None => {
                let folders: BTreeSet<&str> = there.iter().map(|file| folder(file)).collect();
                let labels = || there.iter().map(|file| folder(file).to_owned()).collect();
                let labels = (folders.len() > 1 && !folders.contains("")).then(labels);
                (there, labels)
            }
        };
        let (shape, pixels) = self.decode(&place, &files, &mut digests)?;
        let classes: BTreeSet<&String> = labels.iter().flatten().collect();
        let classes: Vec<String> = classes.into_iter().cloned().collect();
        let at = |label: &String| classes.binary_search(label).expect("it is one of them");
        let labels = labels.as_ref().map(|labels| labels.iter().map(at).collect());
        let training = Decoded { shape, pixels, labels };
        let digest = sha256(digests.as_bytes());
        let source = Source { name: self.path.clone(), digest, classes, training, held_out: None, total: Some(total) };
        source.prepare(&self.prepare, self.validation, self.split_seed)
    }

    /// The images there are.
    fn images(&self, place: &Place) -> Result<Vec<String>, Fault> {
        let ending = |file: &String| file.rsplit_once('.').map(|(_, ending)| ending.to_lowercase()).unwrap_or_default();
        // What macOS adds to archives is no image.
        let of_image = |file: &String| !file.starts_with("__MACOSX/");
        let all: Vec<String> = place.files()?.into_iter().filter(of_image).collect();
        if let Some(other) = all.iter().find(|file| OTHERS.contains(&ending(file).as_str())) {
            let problem = format!("{} is of a form that is not read", place.path(other));
            return Err(Fault::new("path", problem, "make it a PNG or JPEG file, or take it away"));
        }
        let images: Vec<String> = all.into_iter().filter(|file| READ.contains(&ending(file).as_str())).collect();
        if images.is_empty() {
            let problem = format!("there is no PNG or JPEG file in {}", place.name());
            return Err(Fault::new("path", problem, "name the folder or the archive that has them"));
        }
        Ok(images)
    }

    /// The images that the captions name, with the class of each.
    fn captioned(
        &self,
        library: &Library,
        file: &str,
        place: &Place,
        there: &[String],
        digests: &mut String,
    ) -> Result<(Vec<String>, Option<Vec<String>>), Fault> {
        let bytes = library.read("captions", file)?;
        *digests += &(sha256(&bytes) + "\n");
        let path = library.path(file).display().to_string();
        let mut captions = Captions::read(&path, &bytes).map_err(|fault| fault.under("captions"))?;
        if let Some((missing, line)) =
            captions.files().find(|(file, _)| there.binary_search_by(|other| (**other).cmp(*file)).is_err())
        {
            let problem = format!("{line}: there is no image {}", place.path(missing));
            return Err(Fault::new("captions", problem, "correct the path, or remove the line"));
        }
        captions.retain(&self.filter).map_err(|fault| fault.under("where"))?;
        let labels = self.label.as_ref().map(|field| captions.texts(field).map_err(|fault| fault.under("label")));
        Ok((captions.files().map(|(file, _)| file.to_owned()).collect(), labels.transpose()?))
    }

    /// The shape `[C, H, W]` and the pixels `[N, C, H, W]` of all files, several at a time.
    fn decode(&self, place: &Place, files: &[String], digests: &mut String) -> Result<([usize; 3], Vec<u8>), Fault> {
        let own = || match place {
            Place::Folder(folder) => Place::Folder(folder.clone()),
            Place::Archive(name, archive) => Place::Archive(name.clone(), archive.clone()),
        };
        let read = |place: &mut Place, file: &String| {
            let bytes = place.read(file);
            let image = bytes.and_then(|bytes| {
                let (shape, pixels) = picture::read(&bytes, self.channels, self.size)?;
                Ok((shape, pixels, sha256(&bytes)))
            });
            image.map_err(|problem| {
                let problem = format!("{} cannot be decoded: {problem}", place.path(file));
                Fault::new("path", problem, "replace it, or take it away")
            })
        };
        let images: Vec<Result<_, Fault>> = files.par_iter().map_init(own, read).collect();
        let mut all: Option<([usize; 3], Vec<u8>)> = None;
        for (file, image) in files.iter().zip(images) {
            let (shape, pixels, digest) = image?;
            *digests += &format!("{digest} {file}\n");
            let (first, to) = all.get_or_insert_with(|| (shape, Vec::with_capacity(files.len() * pixels.len())));
            if *first != shape {
                let problem = format!(
                    "{} has {}×{} pixels (width × height), and {} has {}×{}",
                    place.path(&files[0]),
                    first[2],
                    first[1],
                    place.path(file),
                    shape[2],
                    shape[1]
                );
                return Err(Fault::new("size", problem, "write the side that all shall have, such as `size: 64`"));
            }
            to.extend_from_slice(&pixels);
        }
        Ok(all.expect("there is an image"))
    }
}
