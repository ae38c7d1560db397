//! The settings of a diffusion transformer, with the names of the authors' code.

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Settings, between, positive};

/// A diffusion transformer for images, DiT with adaLN-Zero (Peebles & Xie 2023). Settings and parameters have the names of
/// the authors' code.
///
/// Published as DiT-S, B, L and XL with `hidden_size` 384, 768, 1024, 1152, `depth` 12, 12, 24, 28 and `num_heads` 6, 12,
/// 16, 16, each with patches of 2, 4 or 8 pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dit {
    /// The side in pixels of the square patches that an image is cut into, each of which becomes a token. Half of it means
    /// four times the tokens.
    #[schemars(range(min = 1))]
    pub patch_size: usize,
    /// The length of a token.
    #[schemars(range(min = 4))]
    pub hidden_size: usize,
    /// How many blocks of attention and perceptron.
    #[schemars(range(min = 1))]
    pub depth: usize,
    /// Heads of each attention.
    #[schemars(range(min = 1))]
    pub num_heads: usize,
    /// Units of the hidden layer of each perceptron for one of `hidden_size`.
    pub mlp_ratio: f64,
    /// How many sines and cosines of the noise level the network is told. Their frequencies are for c_noise = ¼ ln κ, not
    /// for the steps 0 to 999 of the paper.
    #[schemars(range(min = 2))]
    pub frequency_embedding_size: usize,
    /// The number of classes that the network can be told of; `null` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_classes: Option<usize>,
}

impl Default for Dit {
    fn default() -> Self {
        Dit {
            patch_size: 2,
            hidden_size: 128,
            depth: 6,
            num_heads: 4,
            mlp_ratio: 4.0,
            frequency_embedding_size: 256,
            num_classes: None,
        }
    }
}

/// The widest hidden layer of a perceptron.
const WIDEST: f64 = (1 << 18) as f64;

impl Dit {
    /// Units of the hidden layer of a perceptron.
    pub(super) fn mlp_hidden(&self) -> f64 {
        (self.hidden_size as f64 * self.mlp_ratio).floor()
    }
}

impl Settings for Dit {
    fn check(&self) -> Result<(), Fault> {
        between("patch_size", self.patch_size, (1, 1 << 10))?;
        between("hidden_size", self.hidden_size, (4, 1 << 14))?;
        between("depth", self.depth, (1, 1000))?;
        between("num_heads", self.num_heads, (1, 1 << 14))?;
        if !self.hidden_size.is_multiple_of(4) {
            let problem =
                format!("{} is not a multiple of 4, as sines and cosines of two coordinates ask", self.hidden_size);
            return Err(Fault::new("hidden_size", problem, "write for example 128"));
        }
        if !self.hidden_size.is_multiple_of(self.num_heads) {
            let problem = format!("{} heads cannot share a hidden_size of {}", self.num_heads, self.hidden_size);
            return Err(Fault::new("num_heads", problem, "write a divisor of hidden_size"));
        }
        positive("mlp_ratio", self.mlp_ratio)?;
        if !(1.0..=WIDEST).contains(&self.mlp_hidden()) {
            let problem = format!("{} units for a hidden_size of {}", self.mlp_hidden(), self.hidden_size);
            return Err(Fault::new("mlp_ratio", problem, "the published value is 4"));
        }
        between("frequency_embedding_size", self.frequency_embedding_size, (2, 1 << 16))?;
        if !self.frequency_embedding_size.is_multiple_of(2) {
            let problem =
                format!("{} is odd, and each frequency has a sine and a cosine", self.frequency_embedding_size);
            return Err(Fault::new("frequency_embedding_size", problem, "write for example 256"));
        }
        self.num_classes.map_or(Ok(()), |classes| between("num_classes", classes, (1, 1 << 20)))
    }
}
