//! Feature networks that PyTorch saved as TorchScript.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tch::{CModule, Device, IValue, Kind, TchError, Tensor};

use super::{Activations, Features};
use crate::error::{Error, Result};
use crate::file::sha256;

/// The Inception-v3 of Heusel et al. (2017), as NVIDIA's StyleGAN2-ADA, StyleGAN3 and EDM use it.
const INCEPTION: &str = "inception-2015-12-05";
const INCEPTION_FROM: &str =
    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt";

/// A TorchScript module from images to features.
///
/// It is given bytes, uint8 `[B, 3, H, W]` of 0 to 255 (grey images three times), and answers `[B, F]`, or a tuple of that and
/// logits `[B, K]`. Where `forward` takes a second argument it is called with `True` in that place: `return_features` of
/// NVIDIA's networks, which give class probabilities otherwise. (The binding passes arguments by place, not by name.) What
/// it needs beside that, such as Inception's resizing to 299 × 299, it must do itself.
#[derive(Debug)]
pub struct TorchScript {
    module: Arc<CModule>,
    path: PathBuf,
    name: String,
    dim: usize,
    classes: usize,
    hash: String,
    call: Call,
}

/// How `forward` is called.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    /// `forward(images, True)`
    ReturnFeatures,
    /// `forward(images)`
    Images,
}

impl TorchScript {
    /// Opens a file, and tries it on two black images of `shape` `[C, H, W]`.
    ///
    /// # Errors
    /// A file that is missing or no TorchScript, images of neither one nor three channels, a module that fails on them or
    /// answers something else than features.
    pub fn open(path: &Path, shape: &[i64]) -> Result<Self> {
        let &[1 | 3, height, width] = shape else {
            let problem = format!("feature networks take images of one or three channels, and these are {shape:?}");
            return Err(Error::argument("features", problem, "choose data of images [1, H, W] or [3, H, W]"));
        };
        let data = fs::read(path).map_err(|error| {
            let problem = match error.kind() {
                std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
                _ => error.to_string(),
            };
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let remedy = match name.starts_with(INCEPTION) {
                true => format!("get it from {INCEPTION_FROM} (91 MB)"),
                false => {
                    format!("give the path of a TorchScript file (torch.jit.save); for the FID get {INCEPTION_FROM}")
                }
            };
            Error::file(path, problem, remedy)
        })?;
        let mut module = CModule::load_data(&mut &data[..]).map_err(|error| {
            let problem = format!("this is no TorchScript file ({})", line(&error));
            Error::file(path, problem, "save the network with torch.jit.save(torch.jit.script(network), FILE)")
        })?;
        // A frozen module has no training mode, and then no way to leave it.
        let _ = module.f_set_eval();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let hash = sha256(&data);
        let mut found = TorchScript {
            module: Arc::new(module),
            path: path.to_owned(),
            name: stem,
            dim: 0,
            classes: 0,
            hash,
            call: Call::ReturnFeatures,
        };
        let probe = Tensor::zeros([2, 3, height, width], (Kind::Uint8, Device::Cpu));
        let mut answer = tch::no_grad(|| found.forward(&probe));
        if let Err(with_flag) = &answer {
            let with_flag = line(with_flag);
            found.call = Call::Images;
            answer = tch::no_grad(|| found.forward(&probe));
            if let Err(plain) = &answer {
                let problem = format!(
                    "the network fails on images {shape:?} as bytes, called with return_features ({with_flag}) and without ({})",
                    line(plain)
                );
                return Err(found.refuse(problem));
            }
        }
        let answer = answer?;
        let Activations { features, logits } = found.activations(answer, 2)?;
        found.dim = features.size()[1] as usize;
        found.classes = logits.map_or(0, |logits| logits.size()[1] as usize);
        Ok(found)
    }

    fn forward(&self, bytes: &Tensor) -> Result<IValue, TchError> {
        let images = IValue::Tensor(bytes.shallow_clone());
        match self.call {
            Call::ReturnFeatures => self.module.forward_is(&[images, IValue::Bool(true)]),
            Call::Images => self.module.forward_is(&[images]),
        }
    }

    /// Features and logits from what `forward` answered for `batch` images.
    fn activations(&self, answer: IValue, batch: i64) -> Result<Activations> {
        let expected = "features [B, F], or a tuple of features [B, F] and logits [B, K]";
        let (features, logits) = match answer {
            IValue::Tensor(features) => (features, None),
            IValue::Tuple(values) => match <[IValue; 2]>::try_from(values) {
                Ok([IValue::Tensor(features), IValue::Tensor(logits)]) => (features, Some(logits)),
                _ => return Err(self.refuse(format!("the network answers another tuple than {expected}"))),
            },
            _ => return Err(self.refuse(format!("the network answers something else than {expected}"))),
        };
        for x in [Some(&features), logits.as_ref()].into_iter().flatten() {
            if x.dim() != 2 || x.size()[0] != batch || x.size()[1] == 0 {
                let problem = format!("the network answers {:?} for {batch} images where {expected} are due", x.size());
                return Err(self.refuse(problem));
            }
        }
        Ok(Activations { features, logits })
    }

    fn refuse(&self, problem: String) -> Error {
        let remedy = "give a network that takes uint8 images [B, 3, H, W] and answers vectors; resize inside of it";
        Error::file(&self.path, problem, remedy)
    }
}

/// Images in [−1, 1], of one channel or three, as bytes of three: the nearest of −1 + 2 k/255, as an image file keeps them.
fn bytes(images: &Tensor) -> Tensor {
    let shape = images.size();
    let bytes = (images * 127.5 + 128.0).clamp(0.0, 255.0).to_kind(Kind::Uint8);
    bytes.expand([shape[0], 3, shape[2], shape[3]], false)
}

/// What LibTorch says, without the trace: the first sentence that names an error.
fn line(error: &TchError) -> String {
    let text = error.to_string();
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("frame #"));
    let told = lines().find(|line| line.contains("Error") || line.contains("xpected")).or_else(|| lines().next());
    let sentence = told.unwrap_or_default().split(". ").next().unwrap_or_default();
    sentence.chars().take(200).collect()
}

impl Features for TorchScript {
    fn name(&self) -> &str {
        &self.name
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn hash(&self) -> &str {
        &self.hash
    }

    fn distance(&self) -> &'static str {
        if self.name == INCEPTION && self.dim == 2048 { "FID" } else { "FD (features)" }
    }

    fn compute(&self, images: &Tensor) -> Result<Activations> {
        let answer = self.forward(&bytes(images)).map_err(|error| {
            self.refuse(format!("the network fails on images {:?} ({})", &images.size()[1..], line(&error)))
        })?;
        self.activations(answer, images.size()[0])
    }

    fn share(&self) -> Box<dyn Features> {
        Box::new(TorchScript {
            module: self.module.clone(),
            path: self.path.clone(),
            name: self.name.clone(),
            hash: self.hash.clone(),
            ..*self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::extract;
    use super::*;
    use crate::tensor;
    use crate::threads::Workers;

    /// The files in `tests/fixtures`, by PyTorch 2.11:
    ///
    /// ```python
    /// import torch
    ///
    /// class Moments(torch.nn.Module):
    ///     def forward(self, img: torch.Tensor, return_features: bool = False):
    ///         assert img.dtype == torch.uint8 and img.shape[1] == 3
    ///         x = img.to(torch.float32)
    ///         features = torch.cat([x.mean(dim=(2, 3)), x.square().mean(dim=(2, 3))], dim=1)
    ///         if return_features:
    ///             return features
    ///         return torch.softmax(features, dim=1)
    ///
    /// class Plain(torch.nn.Module):
    ///     def forward(self, img: torch.Tensor):
    ///         x = img.to(torch.float32)
    ///         return x.mean(dim=(2, 3)), x.amax(dim=(2, 3))
    ///
    /// class Picture(torch.nn.Module):
    ///     def forward(self, img: torch.Tensor):
    ///         return img.to(torch.float32)
    ///
    /// torch.jit.save(torch.jit.script(Moments()), "moments.pt")
    /// torch.jit.save(torch.jit.script(Plain()), "plain.pt")
    /// torch.jit.save(torch.jit.script(Picture()), "picture.pt")
    /// ```
    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
    }

    /// Two images of one value each, in [−1, 1].
    fn images(channels: i64, values: [f64; 2]) -> Tensor {
        tensor::from_f64(values.to_vec(), &[2, 1, 1, 1], (Kind::Float, Device::Cpu)).expand([2, channels, 6, 5], false)
    }

    #[test]
    fn features_are_those_of_the_bytes() {
        for channels in [1, 3] {
            let network = TorchScript::open(&fixture("moments.pt"), &[channels, 6, 5]).expect("a network");
            assert_eq!((network.name(), network.dim(), network.distance()), ("moments", 6, "FD (features)"));
            assert_eq!(network.hash().len(), 64);
            let workers = Workers::new(2).expect("threads");
            // 0.2 is 153 in bytes; −2 is out of range.
            let found = extract(&network, &images(channels, [0.2, -2.0]), &workers, &|_| Ok(())).expect("features");
            assert_eq!(found.features.row(0).to_vec(), [153.0, 153.0, 153.0, 23_409.0, 23_409.0, 23_409.0]);
            assert_eq!(found.features.row(1).to_vec(), [0.0; 6]);
            assert!(found.logits.is_none() && network.classes() == 0);
        }
    }

    #[test]
    fn every_byte_is_what_it_was() {
        let levels: Vec<f64> = (0..256).map(|k| f64::from(k) / 127.5 - 1.0).collect();
        for kind in [Kind::Float, Kind::Double] {
            let images = tensor::from_f64(levels.clone(), &[256, 1, 1, 1], (kind, Device::Cpu));
            let back: Vec<i64> = tensor::to_array(&bytes(&images).narrow(1, 2, 1)).iter().map(|&v| v as i64).collect();
            assert_eq!(back, (0..256).collect::<Vec<i64>>());
        }
    }

    #[test]
    fn a_module_without_a_flag_may_give_logits() {
        let network = TorchScript::open(&fixture("plain.pt"), &[1, 6, 5]).expect("a network");
        assert_eq!((network.call, network.classes()), (Call::Images, 3));
        let workers = Workers::new(1).expect("threads");
        let found = extract(&network, &images(1, [1.0, 0.2]), &workers, &|_| Ok(())).expect("features");
        assert_eq!(found.features.column(0).to_vec(), [255.0, 153.0]);
        assert_eq!(found.logits.expect("logits").dim(), (2, 3));
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_a_remedy() {
        let refused = |path: &Path, shape: &[i64]| {
            let error = TorchScript::open(path, shape).expect_err("no network");
            assert_eq!(error.exit_code(), 2);
            println!("{error}");
            error.to_string()
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let missing = refused(&folder.path().join("inception-2015-12-05.pt"), &[3, 8, 8]);
        assert!(missing.contains("no such file; get it from https://nvlabs"), "{missing}");
        let text = folder.path().join("text.pt");
        fs::write(&text, "not a zip").expect("writable");
        assert!(refused(&text, &[3, 8, 8]).contains("no TorchScript file"));
        assert!(refused(&fixture("picture.pt"), &[3, 8, 8]).contains("[2, 3, 8, 8] for 2 images"));
        assert!(refused(&fixture("plain.pt"), &[2, 8, 8]).contains("one or three channels"));
        assert!(refused(&fixture("plain.pt"), &[8]).contains("one or three channels"));
    }
}
