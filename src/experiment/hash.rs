//! Short names for long texts.

use crate::file::sha256;

/// The first 12 hexadecimal digits of the SHA-256 of a text.
pub(super) fn digest(text: &str) -> String {
    sha256(text.as_bytes())[..12].to_owned()
}
