//! Arrays in `.npy` files, as views: a damaged header that claims a huge array is found out before anything is allocated.

use ndarray::ArrayViewD;
use ndarray_npy::{ViewElement, ViewNpyError, ViewNpyExt};

use crate::npy;

/// Why an array cannot be viewed as one of a type.
pub(super) enum Unfit {
    /// It is of this other type.
    Kind(String),
    /// It has this shape, which is not one that is asked for.
    Shape(Vec<usize>),
    /// Its bytes are no array; with the remedy.
    Bytes(String, &'static str),
}

/// The array in the bytes of a file.
pub(super) fn view<T: ViewElement>(bytes: &[u8]) -> Result<ArrayViewD<'_, T>, Unfit> {
    let again = "fetch it again, or save it with numpy.save";
    ArrayViewD::<T>::view_npy(bytes).map_err(|error| match error {
        ViewNpyError::WrongDescriptor(kind) => Unfit::Kind(kind.to_string().replace('\'', "")),
        ViewNpyError::NonNativeEndian => Unfit::Bytes(
            "its numbers have the bytes in the other order".into(),
            "save a.astype(a.dtype.newbyteorder('='))",
        ),
        ViewNpyError::MissingBytes(count) => {
            Unfit::Bytes(format!("the file is truncated: {count} bytes are missing"), again)
        }
        ViewNpyError::ExtraBytes(count) => Unfit::Bytes(format!("{count} bytes follow the array"), again),
        other => Unfit::Bytes(format!("this is not a .npy file ({})", npy::in_one_line(&other)), again),
    })
}
