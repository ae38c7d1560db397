//! The precision in which a network computes.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Condition, Network, Training};
use crate::autocast::with_autocast;

/// What the products of matrices and the convolutions of a network are computed in. Parameters, their gradients and moving
/// averages, normalisations, losses and the states of solvers are float32 or float64 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// float32.
    #[default]
    Float32,
    /// bfloat16, eight bits of precision and the range of float32, for GPUs (Micikevicius et al. 2018, mixed precision; no
    /// scaling of losses is needed). A CPU is slower with it.
    Bfloat16,
}

impl Precision {
    /// The network, computing in this precision.
    pub fn around(self, network: Box<dyn Network>) -> Box<dyn Network> {
        match self {
            Precision::Float32 => network,
            Precision::Bfloat16 => Box::new(Mixed(network)),
        }
    }
}

/// A network in mixed precision.
#[derive(Debug)]
struct Mixed(Box<dyn Network>);

impl Network for Mixed {
    fn forward(&self, x: &Tensor, noise: &Tensor, condition: &Condition, training: Option<&Training>) -> Tensor {
        with_autocast(true, x, || self.0.forward(x, noise, condition, training)).to_kind(Kind::Float)
    }

    fn grain(&self) -> i64 {
        self.0.grain()
    }

    fn share(&self) -> Box<dyn Network> {
        Box::new(Mixed(self.0.share()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Builder, Interface, Unet};
    use tch::Device;

    /// Outputs and gradients of a U-Net in bfloat16 are those in float32 within its rounding, and are float32 themselves.
    #[test]
    fn mixed_precision_rounds_and_no_more() {
        let unet = Unet { block_out_channels: vec![8, 16, 16], norm_num_groups: Some(4), ..Unet::default() };
        let mut builder = Builder::new(3, Device::Cpu);
        let interface = Interface::of_shape(&[1, 16, 16]);
        let network: Box<dyn Network> = Box::new(unet.build(&interface, 3, &mut builder).expect("a network"));
        let parameters = builder.finish();
        // Layers that begin at zero would hide what is before them.
        let mut flat = parameters.flat();
        tch::manual_seed(0);
        tch::no_grad(|| flat.copy_(&(&flat + flat.randn_like() * 0.05)));
        let x = Tensor::randn([4, 1, 16, 16], (Kind::Float, Device::Cpu));
        let noise = Tensor::from_slice(&[-1.0f32, -0.3, 0.1, 0.9]);
        let of = |network: &dyn Network| {
            let y = network.forward(&x, &noise, &Condition::default(), None);
            let gradients = parameters.leaves().gradient(&y.square().mean(Kind::Float));
            let gradient: Vec<Tensor> = gradients.iter().map(|g| g.flatten(0, -1)).collect();
            (y.detach(), Tensor::cat(&gradient, 0))
        };
        let (y, g) = of(&*network);
        let mixed = Precision::Bfloat16.around(network);
        let (mixed_y, mixed_g) = of(&*mixed);
        assert_eq!((mixed_y.kind(), mixed_g.kind()), (Kind::Float, Kind::Float));
        for (exact, rounded) in [(y, mixed_y), (g, mixed_g)] {
            let error = ((&rounded - &exact).norm() / exact.norm()).double_value(&[]);
            println!("relative error {error:.1e}");
            assert!((1e-4..3e-2).contains(&error), "{error:.1e}");
        }
    }
}
