//! Short names for long texts.

use sha2::{Digest, Sha256};

/// The first 12 hexadecimal digits of the SHA-256 of a text.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
