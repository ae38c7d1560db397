//! The weights of a model: a safetensors file with the names that PyTorch gives them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::{Kind, Tensor};

use super::WEIGHTS;
use crate::error::{Error, Result};
use crate::model::Parameters;
use crate::named_tensors;

/// The file of weights in the folder of a model.
///
/// # Errors
/// When there is none, with what lies there instead.
pub(super) fn find(folder: &Path) -> Result<PathBuf> {
    let half = WEIGHTS.replace(".safetensors", ".fp16.safetensors");
    if let Some(path) = [WEIGHTS, &half].map(|name| folder.join(name)).into_iter().find(|path| path.is_file()) {
        return Ok(path);
    }
    let has = |name: &str| folder.join(name).is_file();
    let (problem, remedy) = if has("diffusion_pytorch_model.safetensors.index.json") {
        (
            "the weights are spread over several files",
            "save them in one, with save_pretrained(…, max_shard_size=\"1TB\")",
        )
    } else if has("diffusion_pytorch_model.bin") {
        (
            "the weights are a pickled .bin file, which only Python can read",
            "load the model in Python and save it with save_pretrained(…, safe_serialization=True)",
        )
    } else {
        ("there are no weights here", "give a folder that `save_pretrained` of diffusers has written")
    };
    Err(Error::file(folder, format!("{problem} (no {WEIGHTS})"), remedy))
}

/// Reads all tensors of a file as float32.
///
/// # Errors
/// A file that is missing, damaged, or of other numbers than floating-point ones.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let broken = |problem: String| Error::file(path, problem, "fetch or save the file again");
    let bytes = std::fs::read(path).map_err(|e| broken(e.to_string()))?;
    let read = named_tensors::from_bytes(&bytes).map_err(|problem| broken(format!("this is {problem}")))?;
    let mut found: BTreeMap<String, Tensor> =
        read.into_iter().map(|(name, value)| (modern(&name), value.to_kind(Kind::Float))).collect();
    // An older name for the same numbers.
    if let Some(frequencies) = found.remove("time_proj.W") {
        found.entry("time_proj.weight".to_owned()).or_insert(frequencies);
    }
    Ok(found)
}

/// The name that a parameter has today: the layers of attention were called otherwise once.
fn modern(name: &str) -> String {
    let renamed = [("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")];
    let (path, end) = name.rsplit_once('.').unwrap_or(("", name));
    for (old, new) in renamed {
        if let Some(path) = path.strip_suffix(old).filter(|path| path.contains("attentions.") && path.ends_with('.')) {
            return format!("{path}{new}.{end}");
        }
    }
    name.to_owned()
}

/// Sets the parameters of a network, and the numbers that are not trained, to those of a file.
///
/// # Errors
/// A parameter that is missing or has another shape, one that the network does not have.
pub(super) fn fill(path: &Path, mut found: BTreeMap<String, Tensor>, parameters: &Parameters) -> Result<()> {
    let unlike = |problem: String| Error::file(path, problem, "give the config.json that goes with these weights");
    let mut wanted = parameters.named(&parameters.flat());
    wanted.extend(parameters.fixed());
    let missing: Vec<&str> =
        wanted.iter().map(|(name, _)| name.as_str()).filter(|name| !found.contains_key(*name)).collect();
    if let [first, rest @ ..] = missing.as_slice() {
        return Err(unlike(format!("there is no parameter `{first}`{}", and_more(rest.len()))));
    }
    for (name, mut value) in wanted {
        let given = found.remove(&name).expect("none is missing");
        let (have, want) = (given.size(), value.size());
        // A linear layer that was saved as a convolution of one pixel.
        let squeezed = want.len() == 2 && have.len() == 4 && have[..2] == want && have[2..] == [1, 1];
        if have != want && !squeezed {
            return Err(unlike(format!("`{name}` has the shape {have:?}, and the network has {want:?}")));
        }
        tch::no_grad(|| value.copy_(&given.view(want.as_slice())));
    }
    match found.keys().next() {
        Some(first) => {
            Err(unlike(format!("the network has no parameter `{first}`{}", and_more(found.len().saturating_sub(1)))))
        }
        None => Ok(()),
    }
}

fn and_more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(", nor {count} more") }
}
