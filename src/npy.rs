//! `.npy` files: their headers, looked at before anybody believes them (the crate that reads them allocates whatever the
//! shape says, and goes down into brackets by recursion), and arrays written row by row.

use std::fmt::Display;
use std::path::Path;

use tch::{Kind, Tensor};

use crate::error::Result;
use crate::file::Whole;
use crate::tensor;

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

/// An array that is written row by row, and is there whole or not at all: uint8 of tensors of bytes, float64 of those of
/// doubles, else float32.
#[derive(Debug)]
pub struct Writer {
    file: Whole,
    kind: Kind,
}

impl Writer {
    /// An array of a shape, of numbers of the kind of `like`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn create(path: &Path, shape: &[i64], like: &Tensor) -> Result<Self> {
        let kind = like.kind();
        let descr = match kind {
            Kind::Double => "<f8",
            Kind::Uint8 => "|u1",
            _ => "<f4",
        };
        let axes: String = shape.iter().map(|n| format!("{n}, ")).collect();
        // As Python writes tuples: one axis keeps its comma, more lose the last.
        let axes = if shape.len() == 1 { axes.trim_end() } else { axes.trim_end_matches(", ") };
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({axes})}}");
        // Numbers begin at a multiple of 64 bytes, after 10 bytes, the header and a new line.
        let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
        let mut start = b"\x93NUMPY\x01\x00".to_vec();
        start.extend((length as u16).to_le_bytes());
        start.extend(format!("{header:<width$}\n", width = length - 1).bytes());
        let mut file = Whole::create(path)?;
        file.write(&start)?;
        Ok(Writer { file, kind })
    }

    /// Writes the next rows.
    ///
    /// # Errors
    /// A full disk.
    pub fn write(&mut self, rows: &Tensor) -> Result<()> {
        let numbers = tensor::to_array(rows);
        let bytes: Vec<u8> = match self.kind {
            Kind::Double => numbers.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Kind::Uint8 => numbers.iter().map(|&v| v as u8).collect(),
            _ => numbers.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect(),
        };
        self.file.write(&bytes)
    }

    /// Moves the file to its place, after the last row.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(self) -> Result<()> {
        self.file.finish()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayD;
    use ndarray_npy::{ReadNpyExt, WriteNpyExt};
    use tch::Device;

    use super::*;

    /// Rows written in pieces are byte for byte what the crate writes of the whole.
    #[test]
    fn rows_become_an_array() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.npy");
        for shape in [vec![7i64], vec![7, 2], vec![7, 1, 3, 2]] {
            let x = Tensor::arange(shape.iter().product::<i64>(), (Kind::Double, Device::Cpu)).view(&shape[..]) * 1.5;
            for kind in [Kind::Double, Kind::Float, Kind::Uint8] {
                let x = x.to_kind(kind);
                let mut writer = Writer::create(&path, &shape, &x).expect("writable");
                writer.write(&x.narrow(0, 0, 3)).expect("writable");
                assert!(!path.exists(), "not before it is whole");
                writer.write(&x.narrow(0, 3, 4)).expect("writable");
                writer.finish().expect("writable");
                let mut expected = Vec::new();
                let array = tensor::to_array(&x);
                match kind {
                    Kind::Double => array.write_npy(&mut expected),
                    Kind::Float => array.mapv(|v| v as f32).write_npy(&mut expected),
                    _ => array.mapv(|v| v as u8).write_npy(&mut expected),
                }
                .expect("written to memory");
                let written = std::fs::read(&path).expect("an array");
                assert_eq!(implausible(&written, x.numel() as u64), None);
                assert_eq!(written, expected, "{shape:?} of {kind:?}");
                std::fs::remove_file(&path).expect("removed");
                if kind == Kind::Double {
                    assert_eq!(ArrayD::<f64>::read_npy(&written[..]).expect("an array"), array);
                }
            }
        }
    }

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
