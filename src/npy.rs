//! Headers of `.npy` files, looked at before anybody believes them: the crate that reads them allocates whatever the
//! shape says, and goes down into brackets by recursion.

use std::fmt::Display;

/// The most bytes of a file that [`implausible`] looks at.
pub const LONGEST: u64 = HEADER as u64 + 12;

/// The longest header that numpy reads by default.
const HEADER: usize = 10_000;

/// What is wrong with the header at the start of a file that can hold `most` numbers, if anything is. None for what is
/// no `.npy` file at all, or ends within its header: of these the reader knows more to say.
pub fn implausible(start: &[u8], most: u64) -> Option<&'static str> {
    let (length, header) = match start {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, rest @ ..] => (u32::from_le_bytes([*a, *b, 0, 0]), rest),
        [0x93, b'N', b'U', b'M', b'P', b'Y', _, _, a, b, c, d, rest @ ..] => {
            (u32::from_le_bytes([*a, *b, *c, *d]), rest)
        }
        _ => return None,
    };
    if length as usize > HEADER {
        return Some("its header is longer than any that numpy writes");
    }
    let header = String::from_utf8_lossy(header.get(..length as usize)?);
    // Exactly as numpy writes it, so that this and the reader see the same shape.
    let shape = match header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')) {
        Some((shape, _)) if header.matches("shape").count() == 1 && !header.contains('\\') => shape,
        _ => return Some("its header is not one that numpy writes"),
    };
    if header.matches(['(', '[', '{']).count() > 4 {
        return Some("its header is not that of an array of plain numbers");
    }
    let axes = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    let axes: Vec<u64> = axes.map(|axis| axis.parse().unwrap_or(u64::MAX)).collect();
    // Axes of length zero multiply to nothing, but strides leave them out.
    let numbers = axes.iter().try_fold(1u64, |product, &axis| product.checked_mul(axis.max(1)));
    let most = if axes.contains(&0) { u64::from(u32::MAX) } else { most };
    match numbers {
        Some(numbers) if numbers <= most => None,
        _ => Some("its header promises more numbers than the file holds"),
    }
}

/// What an error says, in one line: of a header that is no Python, ndarray-npy draws a picture.
pub fn in_one_line(error: &impl Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(header: &str, most: u64) -> Option<&'static str> {
        let start = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
        implausible(&start, most)
    }

    #[test]
    fn headers_are_believed_up_to_the_size_of_the_file() {
        let header = |shape: &str| format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}\n");
        for (shape, most, fits) in [
            ("", 1, true),
            ("3,", 3, true),
            ("3,", 2, false),
            ("3, 2", 6, true),
            ("3,2,", 5, false),
            ("0, 2", 0, true),
            ("0, 9223372036854775807, 9223372036854775807", 100, false),
            ("18446744073709551616,", u64::MAX - 1, false),
            ("-1,", 100, false),
        ] {
            assert_eq!(judged(&header(shape), most).is_none(), fits, "({shape}) in a file of {most} numbers");
        }
        let nested = header("1,").replace("'<f8'", &"[".repeat(5000));
        assert_eq!(judged(&nested, 1), Some("its header is not that of an array of plain numbers"));
        let hidden = header("1,").replace("'shape'", "'sh\\x61pe'");
        assert_eq!(judged(&hidden, 1), Some("its header is not one that numpy writes"));
        assert_eq!(implausible(b"no array", 0), None);
        assert_eq!(implausible(b"\x93NUMPY\x01\x00\xff\x00{", 0), None);
    }
}
