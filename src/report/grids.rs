//! Where solvers evaluate: their time grids beside one another.

use super::axis::{Axis, Scale, extent};
use super::canvas::{Align, Canvas, Label, Rect, Stroke};
use super::figure::Figure;
use super::font::Face;
use super::panels::title;
use super::plot::{Furniture, Plot, TICK_FACE, nothing};
use super::theme::{AXIS, GRID, HAIR, LABEL, MARGIN, NOTE, style};

/// Time grids as ticks on a logarithmic axis of κ = σ/α that all rows share, one row a solver. Sampling runs from right to
/// left. Nodes without noise (κ = 0) and without signal (κ = ∞) stand in strips at the ends of the axis.
#[derive(Clone, Debug)]
pub struct TimeGrids {
    /// The title; may be empty.
    pub title: String,
    /// The label of the axis.
    pub x_label: String,
    /// The grids, from top to bottom; about a dozen.
    pub rows: Vec<GridRow>,
    /// Whether nodes are numbered in the order of sampling, as many of them as there is room for.
    pub numbered: bool,
}

/// One time grid.
#[derive(Clone, Debug, Default)]
pub struct GridRow {
    /// Whose grid it is; long names take two lines.
    pub label: String,
    /// κ at every node in the order of sampling, mostly decreasing; what is negative or not a number is left out.
    pub nodes: Vec<f64>,
}

impl Default for TimeGrids {
    fn default() -> Self {
        let x_label = "κ = σ/α (sampling runs from right to left)".to_owned();
        TimeGrids { title: String::new(), x_label, rows: Vec::new(), numbered: true }
    }
}

const NAMES: f64 = 190.0;
const AXIS_WIDTH: f64 = 560.0;
/// The width of the strip for nodes at 0 or at infinity.
const STRIP: f64 = 26.0;
const ROW: f64 = 38.0;
/// Half the height of a node's tick.
const TICK_REACH: f64 = 7.0;
const NUMBER_FACE: Face = Face { bold: false, em: NOTE - 1.0 };
/// The room right of the axis, for the number of steps.
const COUNT: f64 = 66.0;
/// The room below the rows, for ticks and the label of the axis.
const BELOW: f64 = 44.0;

impl TimeGrids {
    fn header(&self) -> f64 {
        if self.title.is_empty() { MARGIN } else { MARGIN + 28.0 }
    }

    fn nodes(&self) -> impl Iterator<Item = f64> {
        self.rows.iter().flat_map(|row| row.nodes.iter().copied()).filter(|node| *node >= 0.0)
    }

    fn has_zero(&self) -> bool {
        self.nodes().any(|node| node == 0.0)
    }

    fn has_infinite(&self) -> bool {
        self.nodes().any(f64::is_infinite)
    }

    /// The rows, without the strips.
    fn plot(&self) -> Plot {
        let x = extent(self.nodes().filter(|node| *node > 0.0))
            .map_or(nothing(Scale::Log), |(low, high)| Axis::log(low, high));
        let left = MARGIN + NAMES + if self.has_zero() { STRIP } else { 0.0 };
        let top = self.header();
        let area = Rect { left, top, right: left + AXIS_WIDTH, bottom: top + ROW * self.rows.len().max(1) as f64 };
        Plot { area, x, y: nothing(Scale::Linear) }
    }

    /// Where a node stands in its row, if anywhere.
    fn place(&self, plot: &Plot, node: f64) -> Option<f64> {
        match node {
            _ if node.is_nan() || node < 0.0 => None,
            0.0 => Some(plot.area.left - STRIP / 2.0),
            f64::INFINITY => Some(plot.area.right + STRIP / 2.0),
            // The axis may end before numbers do.
            _ => Some(plot.place((node, 0.5)).0.clamp(plot.area.left, plot.area.right)),
        }
    }

    fn draw_row(&self, canvas: &mut Canvas, plot: &Plot, row: usize) {
        let GridRow { label, nodes } = &self.rows[row];
        let y = plot.area.top + ROW * (row as f64 + 0.5);
        let lines = TICK_FACE.wrap(label, NAMES - 14.0, 2);
        canvas.lines(&lines, TICK_FACE.em, (MARGIN + NAMES - 14.0, y));
        let baseline = Stroke::solid(GRID, HAIR);
        canvas.line((plot.area.left, y), (plot.area.right, y), &baseline);
        let color = style(row).color;
        let places: Vec<(usize, f64)> =
            nodes.iter().enumerate().filter_map(|(step, &node)| Some((step, self.place(plot, node)?))).collect();
        for &(_, x) in &places {
            canvas.line((x, y - TICK_REACH), (x, y + TICK_REACH), &Stroke::solid(color, 1.5));
        }
        if self.numbered {
            draw_numbers(canvas, &places, y - TICK_REACH - 6.0);
        }
        let steps = nodes.len().saturating_sub(1);
        let count = format!("{steps} step{}", if steps == 1 { "" } else { "s" });
        let right = plot.area.right + if self.has_infinite() { STRIP } else { 0.0 };
        canvas.text(&Label::new(&count, NOTE).color(AXIS).centred(), (right + 10.0, y));
    }

    fn draw_strips(&self, canvas: &mut Canvas, plot: &Plot) {
        let Rect { left, right, top, bottom } = plot.area;
        let ends = [(self.has_zero(), left - STRIP, left, "0"), (self.has_infinite(), right, right + STRIP, "∞")];
        for (_, from, to, name) in ends.into_iter().filter(|&(shown, ..)| shown) {
            let stroke = Stroke { color: AXIS, width: HAIR, dash: &[2.0, 3.0] };
            let inner = if from < left { to } else { from };
            canvas.line((inner, top), (inner, bottom), &stroke);
            canvas.text(
                &Label::new(name, TICK_FACE.em).align(Align::Middle).centred(),
                ((from + to) / 2.0, bottom + 13.0),
            );
        }
    }
}

/// The numbers of nodes from 0, as many as there is room for; the last before others.
fn draw_numbers(canvas: &mut Canvas, nodes: &[(usize, f64)], y: f64) {
    for (step, x) in numbered(nodes) {
        let number = step.to_string();
        canvas.text(&Label::new(&number, NUMBER_FACE.em).color(AXIS).align(Align::Middle).centred(), (x, y));
    }
}

/// The nodes whose numbers do not touch one another: of every node, or every second, fifth, tenth …, whichever leaves few
/// gaps.
fn numbered(nodes: &[(usize, f64)]) -> Vec<(usize, f64)> {
    let half = |step: usize| NUMBER_FACE.width(&step.to_string()) / 2.0;
    let mut kept: Vec<(usize, f64)> = Vec::new();
    for stride in [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] {
        let wanted = || nodes.iter().filter(move |(step, _)| step % stride == 0);
        kept.clear();
        for &(step, x) in nodes.last().into_iter().chain(wanted()) {
            if kept.iter().all(|&(other, at)| (x - at).abs() >= half(step) + half(other) + 4.0) {
                kept.push((step, x));
            }
        }
        if 10 * kept.len() >= 7 * wanted().count() {
            break;
        }
    }
    kept
}

impl Figure for TimeGrids {
    fn size(&self) -> (u32, u32) {
        let area = self.plot().area;
        let right = area.right + if self.has_infinite() { STRIP } else { 0.0 };
        ((right + COUNT + MARGIN).ceil() as u32, (area.bottom + BELOW + MARGIN - 8.0).ceil() as u32)
    }

    fn draw(&self, canvas: &mut Canvas) {
        title(canvas, &self.title);
        let plot = self.plot();
        let Rect { top, bottom, .. } = plot.area;
        for (tick, _) in plot.x_ticks() {
            let x = plot.place((tick, 0.5)).0;
            canvas.line((x, top), (x, bottom), &Stroke::solid(GRID, HAIR));
        }
        (0..self.rows.len()).for_each(|row| self.draw_row(canvas, &plot, row));
        if self.rows.is_empty() {
            canvas.text(&Label::new("no grids to show", LABEL).align(Align::Middle).centred(), plot.area.middle());
        }
        self.draw_strips(canvas, &plot);
        let below = Furniture { x_label: &self.x_label, y_label: "", boxed: false, x_ticks: true, y_ticks: false };
        plot.draw_axes(canvas, &below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grids(rows: &[&[f64]]) -> TimeGrids {
        let row = |nodes: &&[f64]| GridRow { label: "g".into(), nodes: nodes.to_vec() };
        TimeGrids { rows: rows.iter().map(row).collect(), ..TimeGrids::default() }
    }

    #[test]
    fn every_node_has_a_place_in_order() {
        let grids = grids(&[&[f64::INFINITY, 80.0, 1.0, 0.01, 0.0], &[f64::NAN, -1.0]]);
        let plot = grids.plot();
        let places: Vec<f64> = grids.rows[0].nodes.iter().filter_map(|&node| grids.place(&plot, node)).collect();
        assert_eq!(places.len(), 5);
        assert!(places.windows(2).all(|pair| pair[0] > pair[1]), "{places:?}");
        assert!(grids.rows[1].nodes.iter().all(|&node| grids.place(&plot, node).is_none()));
    }

    #[test]
    fn numbers_keep_their_distance_and_both_ends() {
        let crowded: Vec<(usize, f64)> = (0..=100).map(|step| (step, 100.0 - step as f64)).collect();
        let kept = numbered(&crowded);
        assert!(kept.contains(&(0, 100.0)) && kept.contains(&(100, 0.0)) && (3..15).contains(&kept.len()), "{kept:?}");
        assert!(numbered(&[]).is_empty());
        assert_eq!(numbered(&[(0, 5.0)]), [(0, 5.0)]);
    }
}
