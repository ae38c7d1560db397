//! The score over the plane, at several noise levels.

use super::axis::{Axis, Scale, quantile};
use super::canvas::{Canvas, Place, Stroke};
use super::field::{Grid, color, draw_data};
use super::figure::Figure;
use super::panels::Sheet;
use super::plot::{ColorBar, Plot};
use super::theme::{PAPER, fade, rgb};
use ndarray::Array2;

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

/// The distance between arrows, about.
const SPACING: f64 = 19.0;

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

impl ScoreField {
    fn grid(&self) -> Grid<'_> {
        Grid { x: &self.x, y: &self.y }
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
        let ticks = range.ticks(7).into_iter().map(|(tick, label)| (range.share(tick), label));
        Sheet {
            title: &self.title,
            panels: self.panels.iter().map(|panel| panel.title.as_str()).collect(),
            x_label: &self.x_label,
            y_label: &self.y_label,
            limits: self.grid().limits(),
            scale: Scale::Linear,
            equal: true,
            bar: Some(ColorBar { label: "magnitude of the score", ticks: ticks.collect(), color }),
            legend: Vec::new(),
        }
    }

    fn draw_magnitude(&self, canvas: &mut Canvas, panel: &ScorePanel, plot: &Plot, range: Axis) {
        let share = |log: f64| match log {
            // A zero of the score is dark; only what is not finite stays white.
            f64::NEG_INFINITY => 0.0,
            f64::INFINITY => f64::NAN,
            finite => range.share(10_f64.powf(finite)),
        };
        self.grid().draw(canvas, plot, |column, row| panel.log_magnitude(column, row), share);
    }

    fn draw_arrows(&self, canvas: &mut Canvas, panel: &ScorePanel, plot: &Plot, range: Axis) {
        let covered = self.grid().covered(plot);
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
        for (panel, plot) in self.panels.iter().zip(sheet.plots()).filter(|_| self.grid().drawable()) {
            self.draw_magnitude(canvas, panel, &plot, range);
            draw_data(canvas, &plot, &self.data);
            self.draw_arrows(canvas, panel, &plot, range);
        }
        sheet.draw(canvas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_nodes_do_not_set_the_range_of_magnitudes() {
        let node = |(row, column): (usize, usize)| if (row, column) == (0, 0) { 1e9 } else { 1.0 + column as f64 };
        let u = Array2::from_shape_fn((30, 30), node);
        let panel = ScorePanel { title: String::new(), v: Array2::zeros((30, 30)), u };
        let nodes: Vec<f64> = (0..30).map(f64::from).collect();
        let range = ScoreField { x: nodes.clone(), y: nodes, panels: vec![panel], ..Default::default() }.range();
        assert!((range.low - 1.0).abs() < 1e-9 && (range.high - 30.0).abs() < 1e-9, "{range:?}");
    }
}
