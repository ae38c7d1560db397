//! Named tensors as the bytes of a safetensors file, and back.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tch::{Kind, Tensor};

use crate::tensor;

/// The bytes of a file of float32, with texts about it by name, if there are any.
pub fn to_bytes<'a>(
    named: impl IntoIterator<Item = (&'a String, &'a Tensor)>,
    about: Option<HashMap<String, String>>,
) -> Vec<u8> {
    let bytes =
        |x: &Tensor| -> Vec<u8> { tensor::to_array(x).iter().flat_map(|&v| (v as f32).to_le_bytes()).collect() };
    let shape = |x: &Tensor| -> Vec<usize> { x.size().iter().map(|&n| n as usize).collect() };
    let all: Vec<(&String, Vec<u8>, Vec<usize>)> =
        named.into_iter().map(|(name, x)| (name, bytes(x), shape(x))).collect();
    let views = all.iter().map(|(name, bytes, shape)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("the bytes fill the shape"))
    });
    safetensors::serialize(views, about).expect("plain tensors can always be written")
}

/// The tensors of a file, of the kinds that it says.
///
/// # Errors
/// What is wrong with the file, in one line: that it is none, a type other than a floating-point one, an impossible shape.
pub fn from_bytes(data: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    // Names from a damaged file may hold anything.
    let line = |text: &str| text.replace(['\n', '\r'], " ");
    let file =
        SafeTensors::deserialize(data).map_err(|e| format!("not a safetensors file ({})", line(&e.to_string())))?;
    let tensor = |(name, view): (String, TensorView)| {
        let kind = match view.dtype() {
            Dtype::F64 => Kind::Double,
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            other => return Err(format!("{} is of the type {other:?}, and no floating-point number", line(&name))),
        };
        let shape: Option<Vec<i64>> = view.shape().iter().map(|&n| i64::try_from(n).ok()).collect();
        let value = shape.and_then(|shape| Tensor::f_from_data_size(view.data(), &shape, kind).ok());
        let value = value.ok_or_else(|| format!("{} has no possible shape", line(&name)))?;
        Ok((name, value))
    };
    file.tensors().into_iter().map(tensor).collect()
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn tensors_come_back() {
        let x = Tensor::arange(6, (Kind::Float, Device::Cpu)).view([2, 3]) / 7.0;
        let named = BTreeMap::from([("a/x".to_owned(), x.shallow_clone()), ("b".to_owned(), Tensor::from(2.5f32))]);
        let back = from_bytes(&to_bytes(&named, None)).expect("a file");
        assert_eq!(back, named);
        // The weights of a convolution lie in another order in memory.
        let (name, turned) = ("w".to_owned(), x.tr());
        assert_eq!(from_bytes(&to_bytes([(&name, &turned)], None)).expect("a file")[&name], turned);
        assert_eq!(from_bytes(b"no file").expect_err("a refusal").split(' ').next(), Some("not"));
    }
}
