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
    fixed: Vec<(String, Tensor)>,
}

impl Builder {
    /// Parameters on `device` whose initial values are a function of `seed` and their order.
    pub fn new(seed: u64, device: Device) -> Self {
        Builder { stream: Some(Stream::new(seed, Purpose::Init)), device, entries: Vec::new(), fixed: Vec::new() }
    }

    /// Parameters that have shapes and take no memory, to be counted.
    pub fn without_values(device: Device) -> Self {
        Builder { stream: None, device, entries: Vec::new(), fixed: Vec::new() }
    }

    /// The number of parameters so far.
    pub fn count(&self) -> usize {
        self.entries.iter().map(|(_, value)| value.numel()).sum()
    }

    /// What `make` makes, with the parameters of it.
    pub fn noting<T>(&mut self, make: impl FnOnce(&mut Builder) -> T) -> (T, Vec<Tensor>) {
        let first = self.entries.len();
        let made = make(self);
        (made, self.entries[first..].iter().map(|(_, value)| value.shallow_clone()).collect())
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

    /// A parameter that starts at one.
    pub fn ones(&mut self, name: impl Into<String>, shape: &[i64]) -> Tensor {
        let value = self.zeros(name, shape);
        if self.stream.is_some() {
            let _ = tch::no_grad(|| value.shallow_clone().fill_(1.0));
        }
        value
    }

    /// The weights `[O, I, h, w]` of a convolution with independent N(0, std²) entries. In memory the input channels come
    /// last, as the fastest kernels want them.
    pub fn convolution(&mut self, name: impl Into<String>, shape: [i64; 4], std: f64) -> Tensor {
        let [to, from, height, width] = shape;
        let value = self.normal(name, &[to, height, width, from], std);
        let (name, _) = self.entries.pop().expect("it was just made");
        let value = value.detach().permute([0, 3, 1, 2]);
        let value = if self.stream.is_some() { value.set_requires_grad(true) } else { value };
        self.entries.push((name, value.shallow_clone()));
        value
    }

    /// Numbers that are not trained, such as random frequencies.
    pub fn fixed(&mut self, name: impl Into<String>, values: Vec<f64>) -> Tensor {
        let count = values.len() as i64;
        let value = tensor::from_f64(values, &[count], (Kind::Float, Device::Cpu)).to_device(self.device);
        self.fixed.push((name.into(), value.shallow_clone()));
        value
    }

    /// A parameter that starts at zero.
    pub fn zeros(&mut self, name: impl Into<String>, shape: &[i64]) -> Tensor {
        self.normal(name, shape, 0.0)
    }

    /// Moves all parameters into one buffer; tensors handed out before now become views of it.
    pub fn finish(self) -> Parameters {
        let flat: Vec<Tensor> =
            self.entries.iter().map(|(_, value)| in_memory(&value.detach()).flatten(0, -1)).collect();
        let flat = Tensor::cat(&flat, 0);
        let parameters = Parameters { entries: self.entries, fixed: self.fixed, flat };
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
    fixed: Vec<(String, Tensor)>,
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

    /// The numbers that are not trained, by name.
    pub fn fixed(&self) -> Vec<(String, Tensor)> {
        self.fixed.iter().map(|(name, value)| (name.clone(), value.shallow_clone())).collect()
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
            in_shape(&buffer.narrow(0, start - count, count), value)
        };
        self.entries.iter().map(view).collect()
    }
}

/// A parameter in the order of its numbers in memory, which for the weights of a convolution is not that of its axes.
fn in_memory(value: &Tensor) -> Tensor {
    if value.dim() == 4 { value.permute([0, 2, 3, 1]) } else { value.shallow_clone() }
}

/// The numbers of a parameter, as they lie in memory, in its shape.
fn in_shape(numbers: &Tensor, like: &Tensor) -> Tensor {
    match like.size()[..] {
        [to, from, height, width] => numbers.view([to, height, width, from]).permute([0, 3, 1, 2]),
        ref shape => numbers.view(shape),
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
