//! Packed files: .gz, and the arrays of an .npz file.

use std::fmt::Display;
use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use crate::error::{Fault, suggestion};

/// The most bytes that a packed file may hold: a few of it can unpack to any number of zeros.
const MOST: u64 = 4 << 30;

/// The bytes of a file, unpacked where its name ends in .gz.
///
/// # Errors
/// A packed file that is damaged or holds too much, as a fault of whatever names it.
pub(super) fn plain(file: &str, path: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
    if !file.to_lowercase().ends_with(".gz") {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes.as_slice()).take(MOST + 1).read_to_end(&mut unpacked).map_err(|error| {
        let problem = format!("{path} is truncated or no gzip file ({error})");
        Fault::new("", problem, "fetch or pack it again")
    })?;
    bounded(path, &unpacked)?;
    Ok(unpacked)
}

/// The bytes of one array of an .npz file: that which the setting `key` names, or the only one.
///
/// # Errors
/// A damaged file, as a fault of the setting `file`; an array that is not there, or several.
pub(super) fn array(path: &str, bytes: &[u8], (key, wanted): (&str, Option<&str>)) -> Result<Vec<u8>, Fault> {
    let damaged = |error: &dyn Display| {
        let problem = format!("{path} is truncated or no .npz file ({error})");
        Fault::new("file", problem, "fetch it again, or save it with numpy.savez")
    };
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(&e))?;
    let all: Vec<String> =
        archive.file_names().map(|name| name.map(String::from)).collect::<Result<_, _>>().map_err(|e| damaged(&e))?;
    let names: Vec<&str> = all.iter().filter_map(|name| name.strip_suffix(".npy")).collect();
    let name = match (wanted, names.as_slice()) {
        (Some(wanted), names) if names.contains(&wanted) => wanted,
        (None, [only]) => only,
        (wanted, names) => {
            let problem = match wanted {
                Some(wanted) => format!("{path} has no array `{wanted}`"),
                None => format!("{path} holds {} arrays", names.len()),
            };
            let list: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            return Err(Fault::new(key, problem, suggestion(wanted.unwrap_or_default(), "its arrays", &list)));
        }
    };
    let mut contents = Vec::new();
    let file = archive.by_name(&format!("{name}.npy")).map_err(|e| damaged(&e))?;
    file.take(MOST + 1).read_to_end(&mut contents).map_err(|e| damaged(&e))?;
    bounded(path, &contents).map_err(|fault| fault.under("file"))?;
    Ok(contents)
}

fn bounded(path: &str, unpacked: &[u8]) -> Result<(), Fault> {
    match unpacked.len() as u64 > MOST {
        true => Err(Fault::new("", format!("{path} holds more than {} GiB", MOST >> 30), "give a smaller file")),
        false => Ok(()),
    }
}
