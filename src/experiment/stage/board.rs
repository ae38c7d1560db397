//! The figures of a run as pictures for TensorBoard.

use std::fs;
use std::path::{Path, PathBuf};

use super::log::{EVENTS, wall_time};
use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::report::tensorboard::{self, Value};

/// Writes every PNG file in `folder` into an event file beside them, under its name.
pub(super) fn write_images(folder: &Path, step: usize) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(Error::write(folder))?;
    let mut figures: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "png"))
        .collect();
    figures.sort();
    let now = wall_time();
    let mut events = tensorboard::header(now);
    for path in figures {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let remedy = "draw the figures again with `ornstein report RUN`";
        let size = image::image_dimensions(&path).map_err(|e| Error::file(&path, e.to_string(), remedy))?;
        let png = fs::read(&path).map_err(|e| Error::file(&path, e.to_string(), remedy))?;
        events.extend(tensorboard::event(now, step, &[(stem, Value::Image { size, png: &png })]));
    }
    write_whole(&folder.join(EVENTS), &events)
}
