//! Named parameters in one flat buffer.
//!
//! AdamW, EMA and clipping are then a handful of operations over one vector, however many layers there are, and a
//! checkpoint is a copy of it.

use tch::{Device, Kind, Tensor};

use crate::rng::{Purpose, Stream};
use crate::tensor;

/// Makes the parameters of a network under construction, named by path.
#[derive(Debug)]
pub struct Builder {
    /// Where initial values come from; none where only shapes are asked for.
    stream: Option<Stream>,
    device: Device,
    entries: Vec<(String, Tensor)>,
}

impl Builder {
    /// Parameters on `device` whose initial values are a function of `seed` and their order.
    pub fn new(seed: u64, device: Device) -> Self {
        Builder { stream: Some(Stream::new(seed, Purpose::Init)), device, entries: Vec::new() }
    }

    /// Parameters that have shapes and take no memory, to be counted.
    pub fn without_values(device: Device) -> Self {
        Builder { stream: None, device, entries: Vec::new() }
    }

    /// The number of parameters so far.
    pub fn count(&self) -> usize {
        self.entries.iter().map(|(_, value)| value.numel()).sum()
    }

    /// The device on which the network lives.
    pub fn device(&self) -> Device {
        self.device
    }

    /// A parameter of the given shape with independent N(0, std²) entries.
    pub fn normal(&mut self, name: impl Into<String>, shape: &[i64], std: f64) -> Tensor {
        let value = match self.stream {
            None => Tensor::scalar_tensor(0.0, (Kind::Float, self.device)).expand(shape, false),
            Some(stream) => {
                let count: i64 = shape.iter().product();
                let mut values = vec![0.0; count as usize];
                stream.normals(self.entries.len() as u64, 0, values.len(), &mut values);
                (tensor::from_f64(values, shape, (Kind::Float, self.device)) * std).set_requires_grad(true)
            }
        };
        self.entries.push((name.into(), value.shallow_clone()));
        value
    }

    /// A parameter that starts at zero.
    pub fn zeros(&mut self, name: impl Into<String>, shape: &[i64]) -> Tensor {
        self.normal(name, shape, 0.0)
    }

    /// Moves all parameters into one buffer; tensors handed out before now become views of it.
    pub fn finish(self) -> Parameters {
        let flat: Vec<Tensor> = self.entries.iter().map(|(_, value)| value.detach().view(-1)).collect();
        let flat = Tensor::cat(&flat, 0);
        let parameters = Parameters { entries: self.entries, flat };
        for ((_, value), view) in parameters.entries.iter().zip(parameters.views(&parameters.flat)) {
            value.shallow_clone().set_data(&view);
        }
        parameters
    }
}

/// The parameters of a network: names and shapes, and one flat float32 buffer that holds their values.
#[derive(Debug)]
pub struct Parameters {
    entries: Vec<(String, Tensor)>,
    flat: Tensor,
}

impl Parameters {
    /// The buffer `[P]`; writing to it changes the network.
    pub fn flat(&self) -> Tensor {
        self.flat.shallow_clone()
    }

    /// P, the number of parameters.
    pub fn count(&self) -> usize {
        self.flat.numel()
    }

    /// Each parameter's name with its part of `buffer` `[P]`, in its shape.
    pub fn named(&self, buffer: &Tensor) -> Vec<(String, Tensor)> {
        self.entries.iter().map(|(name, _)| name.clone()).zip(self.views(buffer)).collect()
    }

    /// Handles to differentiate by, for one thread.
    pub fn leaves(&self) -> Leaves {
        Leaves(self.entries.iter().map(|(_, value)| value.shallow_clone()).collect())
    }

    /// Each parameter's part of `buffer` `[P]`, in its shape.
    pub fn views(&self, buffer: &Tensor) -> Vec<Tensor> {
        let mut start = 0;
        let view = |(_, value): &(String, Tensor)| {
            let count = value.numel() as i64;
            start += count;
            buffer.narrow(0, start - count, count).view(value.size().as_slice())
        };
        self.entries.iter().map(view).collect()
    }
}

/// The parameters as leaves of the graph of a loss.
#[derive(Debug)]
pub struct Leaves(Vec<Tensor>);

impl Leaves {
    /// ∂loss/∂parameter of each parameter, in its shape and in the order of [`Parameters::views`].
    pub fn gradient(&self, loss: &Tensor) -> Vec<Tensor> {
        Tensor::run_backward(&[loss], &self.0, false, false)
    }
}
