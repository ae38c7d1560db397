//! Which rows of a finite data set are held out: a share of them, chosen by a hash of what they hold, so that neither
//! their order in the file nor the seed of the experiment has a say in it.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::error::Fault;

/// Refuses a share that leaves nothing to train with, as a fault of the setting `validation`.
pub(super) fn share(share: f64, what: &str) -> Result<(), Fault> {
    if (0.0..1.0).contains(&share) {
        return Ok(());
    }
    let problem = format!("{share} is not a share of the {what} that leaves some to train");
    Err(Fault::new("validation", problem, "write a number of at least 0 and below 1, such as 0.1"))
}

/// How many of `count` rows a share of them is, as a setting `validation`.
///
/// # Errors
/// A share above 0 that is no row, and one that is all of them.
pub(super) fn held_out(share: f64, count: usize, what: &str) -> Result<usize, Fault> {
    let held = (share * count as f64).round() as usize;
    if (held > 0 || share == 0.0) && held < count {
        return Ok(held);
    }
    let (which, remedy) = match held {
        0 => ("none", "hold out more, or write 0"),
        _ => ("all of them", "hold out less"),
    };
    Err(Fault::new("validation", format!("{share} of {count} {what} is {which}"), remedy))
}

/// The places of rows in the order of their hashes, where each row is what it holds as bytes.
pub(super) fn hash_order(seed: u64, rows: Vec<Vec<u8>>) -> Vec<usize> {
    let mut copies: HashMap<Vec<u8>, u64> = HashMap::with_capacity(rows.len());
    let mut hashed: Vec<([u8; 32], usize)> = Vec::with_capacity(rows.len());
    for (at, row) in rows.into_iter().enumerate() {
        let mut hash = Sha256::new_with_prefix(seed.to_le_bytes());
        // Equal rows are told apart by how many of them came before.
        let copy = copies.get(&row).copied().unwrap_or_default();
        hash.update(copy.to_le_bytes());
        hash.update(&row);
        hashed.push((hash.finalize().into(), at));
        copies.insert(row, copy + 1);
    }
    hashed.sort_unstable();
    hashed.into_iter().map(|(_, at)| at).collect()
}
