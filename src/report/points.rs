//! Sets of points in the plane, side by side.

use super::axis::Scale;
use super::canvas::{Canvas, Place};
use super::figure::Figure;
use super::panels::{Limits, Sheet, limits, remark};
use super::plot::Plot;
use super::theme::{PALETTE, fade};
use plotters::prelude::RGBAColor;
use std::collections::HashSet;

/// Panels of points in the plane (data, and samples of several solvers, say) with the same limits, and equal units on
/// both axes unless one is more than five times as wide as the other. Larger sets have smaller and fainter points, so that density shows as darkness. Stray points may lie
/// outside the limits; a remark in the panel counts them.
#[derive(Clone, Debug)]
pub struct PointPanels {
    /// The title; may be empty.
    pub title: String,
    /// The label of the abscissa.
    pub x_label: String,
    /// The label of the ordinate.
    pub y_label: String,
    /// The panels, in reading order, up to four in a row.
    pub panels: Vec<PointPanel>,
}

/// The ratio of widths from which on the coordinates are of different kinds, and would be a strip with equal units.
const UNLIKE: f64 = 5.0;

/// One set of points.
#[derive(Clone, Debug, Default)]
pub struct PointPanel {
    /// The title of the panel; long ones take two lines.
    pub title: String,
    /// The points; those that are not finite are counted as outside.
    pub points: Vec<[f64; 2]>,
}

impl Default for PointPanels {
    fn default() -> Self {
        PointPanels { title: String::new(), x_label: "x₁".to_owned(), y_label: "x₂".to_owned(), panels: Vec::new() }
    }
}

impl PointPanels {
    fn sheet(&self) -> Sheet<'_> {
        let limits = limits(&self.panels.iter().map(|panel| vec![panel.points.clone()]).collect::<Vec<_>>());
        Sheet {
            title: &self.title,
            panels: self.panels.iter().map(|panel| panel.title.as_str()).collect(),
            x_label: &self.x_label,
            y_label: &self.y_label,
            limits,
            scale: Scale::Linear,
            equal: !unlike(&limits),
            bar: None,
            legend: Vec::new(),
        }
    }
}

impl Figure for PointPanels {
    fn size(&self) -> (u32, u32) {
        self.sheet().size()
    }

    fn draw(&self, canvas: &mut Canvas) {
        let sheet = self.sheet();
        for (panel, plot) in self.panels.iter().zip(sheet.plots()) {
            plot.draw_grid(canvas);
            let outside = draw_points(canvas, &plot, &panel.points, PALETTE[0]);
            if outside > 0 {
                remark(canvas, &plot, &format!("{outside} outside"));
            }
        }
        sheet.draw(canvas);
    }
}

/// Draws the points inside a plot; returns how many lie outside.
pub(crate) fn draw_points(canvas: &mut Canvas, plot: &Plot, points: &[[f64; 2]], color: RGBAColor) -> usize {
    let places: Vec<Place> = plot.inside(points.iter().map(|&[x, y]| (x, y))).collect();
    let (radius, alpha) = grain(&places);
    for &place in &places {
        canvas.disc(place, radius, fade(color, alpha));
    }
    points.len() - places.len()
}

/// Whether the coordinates are of different kinds, so that equal units would make a strip of the plot.
pub(crate) fn unlike(limits: &Limits) -> bool {
    let [x, y] = limits.map(|(low, high)| high - low);
    x.max(y) > UNLIKE * x.min(y)
}

/// Radius and opacity of points, so that where they lie, they cover the paper once, about, and denser places show.
fn grain(places: &[Place]) -> (f64, f64) {
    const CELL: f64 = 4.0;
    let cells: HashSet<(i32, i32)> =
        places.iter().map(|(x, y)| ((x / CELL).floor() as i32, (y / CELL).floor() as i32)).collect();
    let room = CELL * CELL * cells.len() as f64 / places.len().max(1) as f64;
    // A few points stand alone and must be seen from afar.
    let radius = (0.35 * room.sqrt()).max(36.0 / (places.len().max(1) as f64).sqrt()).clamp(0.75, 2.25);
    (radius, (1.1 * room / (std::f64::consts::PI * radius * radius)).clamp(0.1, 0.7))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_points_are_small_and_faint() {
        let square = |count: usize| -> Vec<Place> {
            let side = (count as f64).sqrt() as usize;
            (0..count)
                .map(|i| (i % side, i / side))
                .map(|(i, j)| (i as f64 / side as f64, j as f64 / side as f64))
                .collect()
        };
        let spread = |count| grain(&square(count).iter().map(|(x, y)| (100.0 * x, 100.0 * y)).collect::<Vec<_>>());
        let (few, many) = (spread(100), spread(40_000));
        assert!(few.0 > many.0 && few.1 > many.1, "{few:?} {many:?}");
        assert!(grain(&[]).1 > 0.0 && grain(&[(1.0, 1.0); 9]).0 > 0.0);
    }
}
