//! Log-densities over the plane, beside one another.

use super::axis::{Axis, Scale, extent};
use super::canvas::{Canvas, Stroke};
use super::field::{Grid, color, draw_data};
use super::figure::Figure;
use super::panels::Sheet;
use super::plot::{ColorBar, Plot, nothing};
use super::points::unlike;
use super::theme::{PAPER, rgb};
use ndarray::Array2;
use plotters::prelude::RGBAColor;

/// Log-densities over the plane, panel beside panel with one colour scale, and data as faint white dots.
///
/// The scale reaches from the largest finite value of any panel twelve nats down: what is lower is as dark as what is
/// impossible. Lines follow the levels that are marked along the colour bar.
#[derive(Clone, Debug)]
pub struct DensityMap {
    /// The title; may be empty.
    pub title: String,
    /// The label of the abscissa.
    pub x_label: String,
    /// The label of the ordinate.
    pub y_label: String,
    /// The abscissae of the grid, increasing; sixty to a hundred look well.
    pub x: Vec<f64>,
    /// The ordinates of the grid, increasing.
    pub y: Vec<f64>,
    /// The panels, in reading order, up to four in a row.
    pub panels: Vec<DensityPanel>,
    /// Points of the data; empty for none.
    pub data: Vec<[f64; 2]>,
}

/// One log-density.
#[derive(Clone, Debug, Default)]
pub struct DensityPanel {
    /// The title of the panel, such as `model`.
    pub title: String,
    /// The logarithm of the density: row `j` and column `i` belong to `y[j]` and `x[i]`. Outside a support it is −∞, which
    /// is drawn as the darkest; what is not a number stays white.
    pub log_density: Array2<f64>,
}

impl Default for DensityMap {
    fn default() -> Self {
        DensityMap {
            title: String::new(),
            x_label: "x₁".to_owned(),
            y_label: "x₂".to_owned(),
            x: Vec::new(),
            y: Vec::new(),
            panels: Vec::new(),
            data: Vec::new(),
        }
    }
}

/// The depth of the scale in nats: of a density that falls off as a normal one, nearly five standard deviations.
const DEPTH: f64 = 12.0;
/// About as many levels are marked.
const LEVELS: usize = 7;

impl DensityPanel {
    fn at(&self, column: usize, row: usize) -> f64 {
        self.log_density.get((row, column)).copied().unwrap_or(f64::NAN)
    }
}

impl DensityMap {
    fn grid(&self) -> Grid<'_> {
        Grid { x: &self.x, y: &self.y }
    }

    fn range(&self) -> Axis {
        let (columns, rows) = (self.x.len(), self.y.len());
        let nodes = (0..columns).flat_map(|column| (0..rows).map(move |row| (column, row)));
        let values = self.panels.iter().flat_map(|panel| nodes.clone().map(|(column, row)| panel.at(column, row)));
        let top = extent(values).map_or(0.0, |(_, top)| top);
        // Beside an enormous number, twelve is nothing.
        let depth = DEPTH.max(1e-12 * top.abs());
        Axis { low: top - depth, high: top, ..nothing(Scale::Linear) }
    }

    fn sheet(&self) -> Sheet<'_> {
        let (range, limits) = (self.range(), self.grid().limits());
        let ticks = range.ticks(LEVELS).into_iter().map(|(tick, label)| (range.share(tick), label));
        Sheet {
            title: &self.title,
            panels: self.panels.iter().map(|panel| panel.title.as_str()).collect(),
            x_label: &self.x_label,
            y_label: &self.y_label,
            limits,
            scale: Scale::Linear,
            equal: !unlike(&limits),
            bar: Some(ColorBar { label: "ln p", ticks: ticks.collect(), color }),
            legend: Vec::new(),
        }
    }

    fn draw_levels(&self, canvas: &mut Canvas, panel: &DensityPanel, plot: &Plot, range: Axis) {
        for (level, _) in range.ticks(LEVELS) {
            let stroke = Stroke::solid(pale(color(range.share(level))), 0.9);
            for (from, to) in self.grid().contour(plot, |column, row| panel.at(column, row), level) {
                canvas.line(from, to, &stroke);
            }
        }
    }
}

/// Halfway to white: as if a translucent line lay on the colour, but without a knot where two of them meet.
fn pale(color: RGBAColor) -> RGBAColor {
    let half = |of: u8, white: u8| of.midpoint(white);
    rgb(half(color.0, PAPER.0), half(color.1, PAPER.1), half(color.2, PAPER.2))
}

impl Figure for DensityMap {
    fn size(&self) -> (u32, u32) {
        self.sheet().size()
    }

    fn draw(&self, canvas: &mut Canvas) {
        let (sheet, range, grid) = (self.sheet(), self.range(), self.grid());
        for (panel, plot) in self.panels.iter().zip(sheet.plots()).filter(|_| grid.drawable()) {
            grid.draw(canvas, &plot, |column, row| panel.at(column, row), |log| range.share(log));
            draw_data(canvas, &plot, &self.data);
            self.draw_levels(canvas, panel, &plot, range);
        }
        sheet.draw(canvas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(panels: &[[f64; 4]]) -> DensityMap {
        let panel = |values: &[f64; 4]| DensityPanel {
            title: String::new(),
            log_density: Array2::from_shape_vec((2, 2), values.to_vec()).unwrap(),
        };
        let panels = panels.iter().map(panel).collect();
        DensityMap { x: vec![0.0, 1.0], y: vec![0.0, 1.0], panels, ..DensityMap::default() }
    }

    #[test]
    fn all_panels_share_twelve_nats_below_the_largest() {
        let map = map(&[[-3.0, f64::NAN, -900.0, -1.0], [2.0, f64::INFINITY, f64::NEG_INFINITY, 0.0]]);
        assert_eq!((map.range().low, map.range().high), (-10.0, 2.0));
        assert_eq!(map.panels[0].at(0, 1), -900.0);
        assert!(map.panels[0].at(2, 0).is_nan());
    }

    #[test]
    fn a_range_is_never_empty() {
        for value in [f64::NAN, f64::NEG_INFINITY, f64::INFINITY, 0.0, 1e300, -1e308] {
            let range = map(&[[value; 4]]).range();
            assert!(range.low < range.high && range.high.is_finite(), "{value}: {range:?}");
        }
        assert!(DensityMap::default().range().low < 0.0);
    }
}
