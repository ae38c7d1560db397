//! Figures, tables and one self-contained page from plain data.
//!
//! Nothing here knows of networks, solvers or experiments: callers fill structs with numbers and names. A figure is
//! [drawn](Figure) once and [saved](save) as PNG and SVG; a [`Table`] is printed to a terminal or set in a page; a
//! [`Page`] puts them all into one HTML file that needs no network. Numbers that are not finite, empty series and
//! names in any script are data like any other: they never fail, and what cannot be drawn is left out and, where it
//! matters, said so in the figure.
//!
//! ```no_run
//! # use ornstein::report::{LossCurve, LossSeries, save};
//! # fn main() -> ornstein::error::Result<()> {
//! let points = (0..1000).map(|step| (f64::from(step), 1.0 / f64::from(step + 1))).collect();
//! let series = vec![LossSeries { label: "training".into(), points, smooth: true, ..Default::default() }];
//! let loss = LossCurve { title: "Training loss".into(), series, ..LossCurve::default() };
//! save(&loss, "runs/moons".as_ref(), "loss")?;
//! # Ok(())
//! # }
//! ```

mod axis;
mod bins;
mod canvas;
mod class_shares;
mod convergence;
mod density_map;
mod distances;
mod field;
mod figure;
mod font;
mod front;
mod grids;
mod histogram;
mod html;
mod image_grid;
mod loss;
mod matrix;
mod orders;
mod panels;
mod picture;
mod plot;
mod point_grid;
mod points;
mod quality;
mod ranked;
mod raster;
mod score;
mod sources;
mod spreads;
mod table;
pub mod tensorboard;
mod theme;
mod tolerance;
mod trajectories;

#[cfg(test)]
mod demo;
#[cfg(test)]
mod tests;

pub use axis::Scale;
pub use canvas::Canvas;
pub use class_shares::{ClassRow, ClassShares};
pub use convergence::{ConvergencePanel, ConvergencePanels, ConvergenceSeries};
pub use density_map::{DensityMap, DensityPanel};
pub use distances::NearestDistances;
pub use figure::{Figure, Rendered, render, save};
pub use front::Better;
pub use grids::{GridRow, TimeGrids};
pub use histogram::{Histogram, HistogramSet};
pub use html::{Block, Page, Section};
pub use image_grid::{ImageCell, ImageGrid, ImageRow};
pub use loss::{LossCurve, LossSeries};
pub use matrix::SignificanceMatrix;
pub use orders::{OrderFit, OrderFits, OrderPanel};
pub use picture::Picture;
pub use point_grid::{PointCell, PointGrid, PointRow};
pub use points::{PointPanel, PointPanels};
pub use quality::{NoiseFloor, QualityCurves, QualityPoint, QualitySeries};
pub use ranked::{RankedTable, Standing};
pub use score::{ScoreField, ScorePanel};
pub use sources::{ErrorSources, Source, SourcePanel};
pub use spreads::{SpreadRow, Spreads};
pub use table::{Table, number, plus_minus};
pub use tolerance::{ToleranceCurves, TolerancePoint, ToleranceSeries};
pub use trajectories::{TrajectoryPanel, TrajectoryPanels};
