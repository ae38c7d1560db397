//! The coordinates in which a model sees data, measured in the units of the data.

/// What densities need to know of the map from the units of the data, v, to the coordinates of a model, x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// ln |∂v/∂x| of a whole sample: a density of x is e^{−this} times as large in the units of v.
    pub log_volume: f64,
    /// The bins of discrete data; none of continuous ones, which have a density.
    pub bins: Option<Bins>,
}

/// Discrete data: x is the middle of a bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bins {
    /// The width of a bin in each coordinate of x.
    pub width: f64,
    /// The middles of the first and of the last bin.
    pub range: (f64, f64),
}

impl Scale {
    /// Of data that a model sees as they are.
    pub const UNIT: Scale = Scale { log_volume: 0.0, bins: None };
}
