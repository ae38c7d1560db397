//! The text of an experiment file, whatever the file turns out to be.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::syntax::end;
use crate::error::{Error, Result};

/// The longest file: a covariance of 400 coordinates fits.
const LONGEST: u64 = 4 << 20;

/// The bytes of a file.
///
/// # Errors
/// When it cannot be read, or has more bytes than an experiment needs.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LONGEST {
        true => Err(io::Error::other(format!("it has more than {} MiB", LONGEST >> 20))),
        false => Ok(bytes),
    }
}

/// Bytes as text.
///
/// # Errors
/// When they are not UTF-8, with the first place where they are not.
pub(super) fn decode(bytes: Vec<u8>, file: &str) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let (line, column) = end(&before);
        Error::Experiment {
            place: format!("{file}:{line}:{column}"),
            problem: "this is not text in UTF-8".into(),
            remedy: "save the file as UTF-8".into(),
        }
    })
}
