//! What is drawn of latents.

use tch::Tensor;

use super::latent::Encoded;
use super::pictures::{cells, pictures};
use super::report::{Drawer, first_two};
use crate::error::Result;
use crate::experiment::{Plan, RunDir};
use crate::report::{
    ImageGrid, ImageRow, QualityCurves, QualityPoint, QualitySeries, Scale, TrajectoryPanel, TrajectoryPanels, save,
};
use crate::score::Model;
use crate::tensor;

/// Draws what comes back of the data against evaluations into `figures/round-trip`, where there are several tolerances.
///
/// # Errors
/// A disk that is full.
pub fn round_trip_figure(encoded: &Encoded, run: &RunDir) -> Result<()> {
    if encoded.round_trips.len() < 2 {
        return Ok(());
    }
    let mut points: Vec<QualityPoint> =
        encoded.round_trips.iter().map(|trip| QualityPoint::new(trip.nfe, trip.rms, f64::NAN)).collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    let figure = QualityCurves {
        x_label: "evaluations per sample, there and back".into(),
        y_label: "RMS error of the round trip".into(),
        scale: Scale::Log,
        series: vec![QualitySeries { label: "data → latent → data".into(), points }],
        ..QualityCurves::default()
    };
    save(&figure, &run.folder("figures")?, "round-trip").map(drop)
}

/// Draws decoded interpolations `[pairs, frames, …]` into `figures/interpolation`: rows of images, or curves in the first two
/// coordinates; nothing of data on a line.
///
/// # Errors
/// A disk that is full.
pub fn interpolation_figure(plan: &Plan, model: &dyn Model, x: &Tensor, run: &RunDir) -> Result<()> {
    let drawer = Drawer::new(plan, (model, model), run)?;
    let pairs = 0..x.size()[0];
    let restored = pairs.map(|pair| plan.data().restore(&x.get(pair)));
    if drawer.shows_images() {
        let row = |images: Tensor| ImageRow { label: String::new(), cells: cells(pictures(&images)) };
        let figure = ImageGrid { rows: restored.map(row).collect(), ..ImageGrid::default() };
        return drawer.block(&figure, "interpolation", "").map(drop);
    }
    let paths: Vec<Vec<[f64; 2]>> = restored
        .map(|points| tensor::to_rows(&points))
        .filter(|rows| rows.ncols() > 1)
        .map(|rows| first_two(rows.view()))
        .collect();
    if paths.is_empty() {
        return Ok(());
    }
    let panel = TrajectoryPanel { title: String::new(), paths };
    let progress = ("way along the great circle of the latents".into(), ["first", "second"].map(String::from));
    let figure = TrajectoryPanels { panels: vec![panel], progress, ..TrajectoryPanels::default() };
    drawer.block(&figure, "interpolation", "").map(drop)
}
