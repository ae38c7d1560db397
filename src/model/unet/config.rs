//! The settings of a U-Net, with the names of diffusers' `UNet2DModel`.

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Settings, between, positive};

/// A U-Net for images: the networks of DDPM (Ho et al. 2020), of DDPM++ and NCSN++ (Song et al. 2021), and of ADM
/// (Dhariwal & Nichol 2021). Settings and parameters have the names of `UNet2DModel` of Hugging Face diffusers, so that
/// its weights fit.
///
/// DDPM has DownBlock2D and AttnDownBlock2D; NCSN++ has SkipDownBlock2D and AttnSkipDownBlock2D, `time_embedding_type:
/// fourier`; ADM has ResnetDownsampleBlock2D, AttnDownBlock2D with `downsample_type: resnet`, and
/// `resnet_time_scale_shift: scale_shift`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Unet {
    /// The channels of each level, from the full resolution down; each level halves it.
    #[schemars(length(min = 1), inner(range(min = 1)))]
    pub block_out_channels: Vec<usize>,
    /// Residual blocks a level on the way down; on the way up there is one more.
    #[schemars(range(min = 1))]
    pub layers_per_block: usize,
    /// The kind of each level on the way down.
    pub down_block_types: Vec<DownBlock>,
    /// The kind of each level on the way up, from the coarsest up.
    pub up_block_types: Vec<UpBlock>,
    /// Whether there is attention between the two blocks at the coarsest level.
    pub add_attention: bool,
    /// What the output of the blocks at the coarsest level is divided by.
    pub mid_block_scale_factor: f64,
    /// Channels of one head of attention; `null` for a single head.
    pub attention_head_dim: Option<usize>,
    /// Groups of each normalisation; `null`, as in NCSN++, for a quarter of the channels and at most 32.
    pub norm_num_groups: Option<usize>,
    /// Groups of the attention at the coarsest level, if it is to have others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attn_norm_num_groups: Option<usize>,
    /// What keeps the normalisations finite.
    pub norm_eps: f64,
    /// Whether the noise level shifts each block, or scales and shifts it.
    pub resnet_time_scale_shift: TimeScaleShift,
    /// How levels with attention halve the resolution.
    pub downsample_type: Resampling,
    /// How levels with attention double it.
    pub upsample_type: Resampling,
    /// Padding of the convolutions that halve the resolution: 1 at all edges, or 0 for one row and column after the last,
    /// as in DDPM.
    #[schemars(range(max = 1))]
    pub downsample_padding: usize,
    /// How the noise level becomes a vector.
    pub time_embedding_type: TimeEmbedding,
    /// The length of that vector after its two layers; `null` for four times the first channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_embedding_dim: Option<usize>,
    /// Whether cosines come before sines.
    pub flip_sin_to_cos: bool,
    /// What is subtracted from the number of frequencies in their exponent: 1 so that the last of them is 1/10,000.
    #[schemars(range(max = 1))]
    pub freq_shift: usize,
    /// The share of activations that training sets to zero in each residual block.
    pub dropout: f64,
    /// The number of classes that the network can be told of; `null` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_class_embeds: Option<usize>,
}

/// A level on the way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum DownBlock {
    /// Residual blocks, and a strided convolution.
    DownBlock2D,
    /// The same with attention after each block.
    AttnDownBlock2D,
    /// Residual blocks, the last of which halves the resolution.
    ResnetDownsampleBlock2D,
    /// Residual blocks with FIR filters and a smaller copy of the input (NCSN++).
    SkipDownBlock2D,
    /// The same with attention after each block.
    AttnSkipDownBlock2D,
}

/// A level on the way up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum UpBlock {
    /// Residual blocks, and doubled pixels with a convolution.
    UpBlock2D,
    /// The same with attention after each block.
    AttnUpBlock2D,
    /// Residual blocks, the last of which doubles the resolution.
    ResnetUpsampleBlock2D,
    /// Residual blocks with FIR filters, and an image that grows from level to level (NCSN++).
    SkipUpBlock2D,
    /// The same with attention after the last block.
    AttnSkipUpBlock2D,
}

/// What the noise level does to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeScaleShift {
    /// It shifts the channels.
    Default,
    /// It scales and shifts them after the second normalisation.
    ScaleShift,
}

/// How a level changes the resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resampling {
    /// By a convolution.
    Conv,
    /// By a residual block.
    Resnet,
}

/// How the noise level becomes a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeEmbedding {
    /// Sines and cosines at the frequencies 10,000^{−i/n} (Vaswani et al. 2017).
    Positional,
    /// Sines and cosines at fixed random frequencies, N(0, (2π·16)²) (Tancik et al. 2020).
    Fourier,
}

impl Default for Unet {
    fn default() -> Self {
        use {DownBlock::*, UpBlock::*};
        Unet {
            block_out_channels: vec![32, 64, 64],
            layers_per_block: 2,
            down_block_types: vec![DownBlock2D, AttnDownBlock2D, DownBlock2D],
            up_block_types: vec![UpBlock2D, AttnUpBlock2D, UpBlock2D],
            add_attention: true,
            mid_block_scale_factor: 1.0,
            attention_head_dim: None,
            norm_num_groups: Some(32),
            attn_norm_num_groups: None,
            norm_eps: 1e-5,
            resnet_time_scale_shift: TimeScaleShift::Default,
            downsample_type: Resampling::Conv,
            upsample_type: Resampling::Conv,
            downsample_padding: 1,
            time_embedding_type: TimeEmbedding::Positional,
            time_embedding_dim: None,
            flip_sin_to_cos: true,
            freq_shift: 0,
            dropout: 0.0,
            num_class_embeds: None,
        }
    }
}

impl DownBlock {
    pub(super) fn attends(self) -> bool {
        matches!(self, DownBlock::AttnDownBlock2D | DownBlock::AttnSkipDownBlock2D)
    }

    /// Whether it is one of NCSN++'s, with FIR filters and a second way for the image.
    pub(super) fn skips(self) -> bool {
        matches!(self, DownBlock::SkipDownBlock2D | DownBlock::AttnSkipDownBlock2D)
    }
}

impl UpBlock {
    pub(super) fn attends(self) -> bool {
        matches!(self, UpBlock::AttnUpBlock2D | UpBlock::AttnSkipUpBlock2D)
    }

    /// Whether it is one of NCSN++'s.
    pub(super) fn skips(self) -> bool {
        matches!(self, UpBlock::SkipUpBlock2D | UpBlock::AttnSkipUpBlock2D)
    }
}

impl Unet {
    /// The number of levels.
    pub(super) fn levels(&self) -> usize {
        self.block_out_channels.len()
    }

    /// Groups of a normalisation of `channels`.
    pub(super) fn groups(&self, channels: usize) -> usize {
        self.norm_num_groups.unwrap_or_else(|| quarter(channels))
    }

    /// Channels of a level on the way up, counted from the coarsest: what comes in, what the residual blocks are joined
    /// with at the end, and what goes out.
    pub(super) fn upward(&self, level: usize) -> [usize; 3] {
        let down = |level: usize| self.block_out_channels[self.levels() - 1 - level.min(self.levels() - 1)];
        [down(level.saturating_sub(1)), down(level + 1), down(level)]
    }

    /// The channels of every normalisation, each with its groups.
    fn normalised(&self) -> Vec<(usize, usize)> {
        let mut all = Vec::new();
        let mut from = self.block_out_channels[0];
        for (&to, kind) in self.block_out_channels.iter().zip(&self.down_block_types) {
            let groups = |channels| if kind.skips() { quarter(channels) } else { self.groups(channels) };
            all.extend([(from, groups(from)), (to, groups(to))]);
            if kind.attends() {
                all.push((to, if kind.skips() { 32 } else { self.groups(to) }));
            }
            from = to;
        }
        all.push((from, self.attn_norm_num_groups.unwrap_or_else(|| self.groups(from))));
        for (level, kind) in self.up_block_types.iter().enumerate() {
            let [previous, skip, to] = self.upward(level);
            for i in 0..=self.layers_per_block {
                let joined = if i == 0 { previous } else { to } + if i == self.layers_per_block { skip } else { to };
                all.push((joined, up_groups(self, *kind, joined)));
            }
            all.push((to, if kind.skips() { quarter(to) } else { self.groups(to) }));
        }
        all.push((self.block_out_channels[0], self.groups(self.block_out_channels[0])));
        all
    }
}

/// NCSN++'s groups.
pub(super) fn quarter(channels: usize) -> usize {
    (channels / 4).clamp(1, 32)
}

/// Groups of the first normalisation of a residual block on the way up.
pub(super) fn up_groups(config: &Unet, kind: UpBlock, joined: usize) -> usize {
    match kind {
        UpBlock::SkipUpBlock2D => quarter(joined),
        // So in diffusers, and in the weights that were made with it.
        UpBlock::AttnSkipUpBlock2D => 32,
        _ => config.groups(joined),
    }
}

impl Settings for Unet {
    fn check(&self) -> Result<(), Fault> {
        let levels = self.levels();
        if levels == 0 {
            return Err(Fault::new("block_out_channels", "there is no level", "write for example [32, 64, 64]"));
        }
        between("block_out_channels", levels, (1, 16))?;
        for (i, &channels) in self.block_out_channels.iter().enumerate() {
            between(&format!("block_out_channels[{i}]"), channels, (2, 1 << 14))?;
        }
        between("layers_per_block", self.layers_per_block, (1, 64))?;
        let lengths =
            [("down_block_types", self.down_block_types.len()), ("up_block_types", self.up_block_types.len())];
        for (key, length) in lengths {
            if length != levels {
                let problem = format!("{length} kinds of levels for {levels} block_out_channels");
                return Err(Fault::new(key, problem, "write one for each level"));
            }
        }
        positive("mid_block_scale_factor", self.mid_block_scale_factor)?;
        positive("norm_eps", self.norm_eps)?;
        between("downsample_padding", self.downsample_padding, (0, 1))?;
        between("freq_shift", self.freq_shift, (0, 1))?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Fault::new("dropout", format!("{} is not in [0, 1)", self.dropout), "write 0 for none"));
        }
        for (key, value) in [
            ("attention_head_dim", self.attention_head_dim),
            ("norm_num_groups", self.norm_num_groups),
            ("attn_norm_num_groups", self.attn_norm_num_groups),
            ("num_class_embeds", self.num_class_embeds),
            ("time_embedding_dim", self.time_embedding_dim),
        ] {
            value.map_or(Ok(()), |value| between(key, value, (1, 1 << 16)))?;
        }
        for (channels, groups) in self.normalised() {
            if channels % groups != 0 {
                let problem = format!("{channels} channels cannot be split into {groups} groups");
                let remedy = "make all block_out_channels, and the sums of neighbouring ones, multiples of it";
                return Err(Fault::new("norm_num_groups", problem, remedy));
            }
        }
        self.check_heads()
    }
}

impl Unet {
    fn check_heads(&self) -> Result<(), Fault> {
        let Some(width) = self.attention_head_dim else { return Ok(()) };
        let down = self.block_out_channels.iter().zip(&self.down_block_types).filter(|(_, kind)| kind.attends());
        let up = self.block_out_channels.iter().rev().zip(&self.up_block_types).filter(|(_, kind)| kind.attends());
        let middle = self.block_out_channels.last().filter(|_| self.add_attention);
        for &channels in down.map(|(channels, _)| channels).chain(up.map(|(channels, _)| channels)).chain(middle) {
            if channels % width != 0 {
                let problem = format!("{channels} channels cannot be split into heads of {width}");
                let remedy = "write a divisor of the channels of each level with attention, or null for a single head";
                return Err(Fault::new("attention_head_dim", problem, remedy));
            }
        }
        Ok(())
    }
}
