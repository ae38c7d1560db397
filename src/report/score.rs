//! The score over the plane, at several noise levels.

use super::axis::{Axis, Scale, extent, quantile};
use super::canvas::{Canvas, Place, Rect, Stroke};
use super::figure::Figure;
use super::panels::Sheet;
use super::plot::{ColorBar, Plot};
use super::theme::{PAPER, fade, rgb, viridis};
use ndarray::Array2;
use plotters::prelude::RGBAColor;

/// A score field: one panel a noise level, with the magnitude of the score as colour (logarithmic, the same for all
/// panels), arrows along the score (longer for a larger magnitude, on the same scale), and data as faint white dots.
#[derive(Clone, Debug)]
pub struct ScoreField {
    /// The title; may be empty.
    pub title: String,
    /// The label of the abscissa.
    pub x_label: String,
    /// The label of the ordinate.
    pub y_label: String,
    /// The abscissae of the grid, increasing; forty to a hundred look well.
    pub x: Vec<f64>,
    /// The ordinates of the grid, increasing.
    pub y: Vec<f64>,
    /// The panels, in reading order, up to four in a row.
    pub panels: Vec<ScorePanel>,
    /// Points of the data to show under the arrows; empty for none.
    pub data: Vec<[f64; 2]>,
}

/// The score at one noise level.
#[derive(Clone, Debug)]
pub struct ScorePanel {
    /// The title of the panel, such as `σ = 0.5`.
    pub title: String,
    /// The first component of the score: row `j` and column `i` belong to `y[j]` and `x[i]`.
    pub u: Array2<f64>,
    /// The second component, in the same order.
    pub v: Array2<f64>,
}

impl Default for ScoreField {
    fn default() -> Self {
        ScoreField {
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

/// Colours told apart; neighbours of the same colour are drawn as one.
const SHADES: f64 = 64.0;
/// The size of a coloured cell in logical pixels, about; between the nodes of the grid the magnitude is interpolated.
const CELL: f64 = 3.0;
/// The distance between arrows, about.
const SPACING: f64 = 19.0;
/// More data points than this would hide the colours.
const DOTS: usize = 1500;

/// Viridis without its brightest end, on which white arrows would be lost.
fn color(share: f64) -> RGBAColor {
    viridis(0.86 * share)
}

impl ScorePanel {
    fn at(&self, column: usize, row: usize) -> (f64, f64) {
        let component = |values: &Array2<f64>| values.get((row, column)).copied().unwrap_or(f64::NAN);
        (component(&self.u), component(&self.v))
    }

    /// The logarithm of the magnitude at a node.
    fn log_magnitude(&self, column: usize, row: usize) -> f64 {
        let (u, v) = self.at(column, row);
        u.hypot(v).log10()
    }
}

/// A place on a grid axis: the node below it, and the share of the way to the next.
fn locate(nodes: &[f64], value: f64) -> (usize, f64) {
    let above = nodes.partition_point(|&node| node <= value).clamp(1, nodes.len() - 1);
    let (low, high) = (nodes[above - 1], nodes[above]);
    (above - 1, ((value - low) / (high - low)).clamp(0.0, 1.0))
}

impl ScoreField {
    /// Whether there is a grid to speak of.
    fn drawable(&self) -> bool {
        let increasing = |nodes: &[f64]| nodes.len() > 1 && nodes.windows(2).all(|pair| pair[0] < pair[1]);
        increasing(&self.x) && increasing(&self.y)
    }

    /// The least and the greatest logarithm of the magnitude, but for a few nodes (near a zero of the score, say).
    fn range(&self) -> Axis {
        let nodes = |panel| {
            let columns = 0..self.x.len();
            columns.flat_map(move |column| (0..self.y.len()).map(move |row| (panel, column, row)))
        };
        let mut logs: Vec<f64> = self
            .panels
            .iter()
            .flat_map(nodes)
            .map(|(panel, column, row): (&ScorePanel, _, _)| panel.log_magnitude(column, row))
            .filter(|log| log.is_finite())
            .collect();
        logs.sort_by(f64::total_cmp);
        if logs.is_empty() {
            return Axis::log(1.0, 1.0);
        }
        let (low, high) = (quantile(&logs, 0.01), quantile(&logs, 0.995));
        match high - low < 1e-9 {
            true => Axis::log(10_f64.powf(low), 10_f64.powf(high)),
            false => Axis { low: 10_f64.powf(low), high: 10_f64.powf(high), ..Axis::log(1.0, 1.0) },
        }
    }

    fn sheet(&self) -> Sheet<'_> {
        let range = self.range();
        let limits = [&self.x, &self.y].map(|nodes| extent(nodes.iter().copied()).unwrap_or((0.0, 1.0)));
        let ticks = range.ticks(7).into_iter().map(|(tick, label)| (range.share(tick), label));
        Sheet {
            title: &self.title,
            panels: self.panels.iter().map(|panel| panel.title.as_str()).collect(),
            x_label: &self.x_label,
            y_label: &self.y_label,
            limits,
            scale: Scale::Linear,
            equal: true,
            bar: Some(ColorBar { label: "magnitude of the score", ticks: ticks.collect(), color }),
            legend: Vec::new(),
        }
    }

    /// The part of the plot that the grid covers.
    fn covered(&self, plot: &Plot) -> Rect {
        let (left, bottom) = plot.place((self.x[0], self.y[0]));
        let (right, top) = plot.place((self.x[self.x.len() - 1], self.y[self.y.len() - 1]));
        Rect { left, top, right, bottom }
    }

    /// The logarithm of the magnitude between the nodes.
    fn interpolate(&self, panel: &ScorePanel, place: Place, covered: Rect) -> f64 {
        let along = |nodes: &[f64], share: f64| nodes[0] + share * (nodes[nodes.len() - 1] - nodes[0]);
        let (column, x) = locate(&self.x, along(&self.x, (place.0 - covered.left) / covered.width()));
        let (row, y) = locate(&self.y, along(&self.y, (covered.bottom - place.1) / covered.height()));
        let corner = |right, up| panel.log_magnitude(column + right, row + up);
        let mix = |share: f64, from: f64, to: f64| match from.is_finite() && to.is_finite() {
            true => from + share * (to - from),
            // Beside a hole, and beside a zero of the score, the nearer node decides.
            false if share < 0.5 => from,
            false => to,
        };
        mix(y, mix(x, corner(0, 0), corner(1, 0)), mix(x, corner(0, 1), corner(1, 1)))
    }

    fn draw_magnitude(&self, canvas: &mut Canvas, panel: &ScorePanel, covered: Rect, range: Axis) {
        let cells = |length: f64| (length / CELL).ceil().max(1.0) as usize;
        let (columns, rows) = (cells(covered.width()), cells(covered.height()));
        let (width, height) = (covered.width() / columns as f64, covered.height() / rows as f64);
        for row in 0..rows {
            let top = covered.top + row as f64 * height;
            let shade = |column: usize| {
                let place = (covered.left + (column as f64 + 0.5) * width, top + 0.5 * height);
                let log = self.interpolate(panel, place, covered);
                // A zero of the score is dark; only what is not finite stays white.
                let log = match log {
                    f64::NEG_INFINITY => range.low.log10(),
                    f64::INFINITY => f64::NAN,
                    finite => finite,
                };
                (range.share(10_f64.powf(log)).clamp(0.0, 1.0) * SHADES).round() / SHADES
            };
            let mut from = 0;
            while from < columns {
                let here = shade(from);
                let to = (from + 1..columns).find(|&column| shade(column) != here).unwrap_or(columns);
                // Cells reach a little under the next, lest viewers show seams between them.
                let cell = Rect {
                    left: covered.left + from as f64 * width,
                    right: (covered.left + to as f64 * width + 1.5).min(covered.right),
                    top,
                    bottom: (top + height + 1.5).min(covered.bottom),
                };
                canvas.rect(cell, color(here));
                from = to;
            }
        }
    }

    fn draw_arrows(&self, canvas: &mut Canvas, panel: &ScorePanel, plot: &Plot, range: Axis) {
        let covered = self.covered(plot);
        let chosen = |nodes: usize, length: f64| {
            let count = ((length / SPACING) as usize).clamp(1, nodes);
            (0..count).map(move |index| ((index as f64 + 0.5) * nodes as f64 / count as f64) as usize)
        };
        for row in chosen(self.y.len(), covered.height()) {
            for column in chosen(self.x.len(), covered.width()) {
                let (u, v) = panel.at(column, row);
                let size = u.hypot(v);
                if !size.is_finite() || size == 0.0 {
                    continue;
                }
                let length = SPACING * (0.38 + 0.5 * range.share(size).clamp(0.0, 1.0));
                let middle = plot.place((self.x[column], self.y[row]));
                let (dx, dy) = (u / size * length, -v / size * length);
                // On the edge of the panel there is no room for a whole arrow.
                if [-0.5, 0.5].iter().all(|half| plot.area.contains((middle.0 + half * dx, middle.1 + half * dy))) {
                    draw_arrow(canvas, middle, (dx, dy));
                }
            }
        }
    }
}

/// An arrow around `middle`, white on a dark rim.
fn draw_arrow(canvas: &mut Canvas, middle: Place, (dx, dy): (f64, f64)) {
    let along = |ahead: f64, aside: f64| (middle.0 + ahead * dx - aside * dy, middle.1 + ahead * dy + aside * dx);
    let (tail, tip) = (along(-0.5, 0.0), along(0.5, 0.0));
    let head = [along(0.18, 0.2), tip, along(0.18, -0.2)];
    for stroke in [Stroke::solid(fade(rgb(0, 0, 0), 0.35), 2.4), Stroke::solid(PAPER, 1.1)] {
        canvas.line(tail, tip, &stroke);
        canvas.path(&head, &stroke);
    }
}

impl Figure for ScoreField {
    fn size(&self) -> (u32, u32) {
        self.sheet().size()
    }

    fn draw(&self, canvas: &mut Canvas) {
        let (sheet, range) = (self.sheet(), self.range());
        for (panel, plot) in self.panels.iter().zip(sheet.plots()).filter(|_| self.drawable()) {
            self.draw_magnitude(canvas, panel, self.covered(&plot), range);
            let dots =
                self.data.iter().step_by(self.data.len().div_ceil(DOTS).max(1)).map(|point| (point[0], point[1]));
            plot.inside(dots).for_each(|place| canvas.disc(place, 1.0, fade(PAPER, 0.4)));
            self.draw_arrows(canvas, panel, &plot, range);
        }
        sheet.draw(canvas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_are_interpolated_between_nodes() {
        let panel = ScorePanel {
            title: String::new(),
            u: ndarray::array![[1.0, 100.0], [1.0, 100.0]],
            v: Array2::zeros((2, 2)),
        };
        let field = ScoreField { x: vec![0.0, 1.0], y: vec![0.0, 1.0], ..Default::default() };
        let covered = Rect { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };
        assert!((field.interpolate(&panel, (5.0, 5.0), covered) - 1.0).abs() < 1e-12);
        assert!((field.interpolate(&panel, (10.0, 2.0), covered) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn grids_out_of_order_are_not_drawn() {
        let field = |x: &[f64]| ScoreField { x: x.to_vec(), y: vec![0.0, 1.0], ..Default::default() };
        assert!(field(&[0.0, 1.0]).drawable());
        for x in [&[][..], &[1.0], &[1.0, 0.0], &[0.0, f64::NAN]] {
            assert!(!field(x).drawable(), "{x:?}");
        }
    }
}
