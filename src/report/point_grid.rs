//! Sets of points in a grid of small panels, such as solvers × budgets.

use super::axis::{Axis, Scale};
use super::canvas::{Align, Canvas, LINE_HEIGHT, Label, Place, Rect, Stroke};
use super::figure::Figure;
use super::font::Face;
use super::panels::{Limits, limits, title};
use super::plot::Plot;
use super::points::{draw_points, unlike};
use super::theme::{AXIS, GRID, HAIR, LABEL, MARGIN, NOTE, PALETTE, TICK, rgb};
use plotters::prelude::RGBAColor;

/// Small panels of points in the plane with the same limits, one row a solver and one column a budget. They have no ticks:
/// what matters is how a cloud differs from the reference, which lies pale below each, and from its neighbours.
#[derive(Clone, Debug, Default)]
pub struct PointGrid {
    /// The title; may be empty.
    pub title: String,
    /// The headings of the columns.
    pub columns: Vec<String>,
    /// The rows, from top to bottom.
    pub rows: Vec<PointRow>,
    /// Points of the data, drawn in grey below those of every panel; may be empty.
    pub reference: Vec<[f64; 2]>,
}

/// The panels of one solver.
#[derive(Clone, Debug, Default)]
pub struct PointRow {
    /// The heading of the row; long ones take three lines.
    pub label: String,
    /// One for each column; the panels that are missing stay blank.
    pub cells: Vec<PointCell>,
}

/// One small panel.
#[derive(Clone, Debug, Default)]
pub struct PointCell {
    /// The points; those that are not finite are counted as outside. None of them: there is no panel.
    pub points: Vec<[f64; 2]>,
    /// A short remark below the points, such as the value of a metric, or in place of them, such as `diverged`.
    pub note: String,
}

/// The lengths of the longer side of a panel: for a few columns, and the least for many.
const LONGEST_SIDE: f64 = 150.0;
const SHORTEST_SIDE: f64 = 78.0;
/// The width that all panels together are to have, where there is a choice.
const ACROSS: f64 = 800.0;
const GAP: f64 = 5.0;
const HEADING: f64 = 130.0;
const FACE: Face = Face { bold: false, em: TICK };
const NOTE_FACE: Face = Face { bold: false, em: NOTE - 0.5 };
const REFERENCE: RGBAColor = rgb(160, 160, 160);

impl PointGrid {
    fn column_count(&self) -> usize {
        self.rows.iter().map(|row| row.cells.len()).chain([self.columns.len()]).max().unwrap_or(0)
    }

    fn limits(&self) -> Limits {
        let cells = self.rows.iter().flat_map(|row| &row.cells).filter(|cell| !cell.points.is_empty());
        // The reference has the say, if there is one: samples that went astray may leave.
        match self.reference.is_empty() {
            true => limits(&cells.map(|cell| vec![cell.points.clone()]).collect::<Vec<_>>()),
            false => limits(&[vec![self.reference.clone()]]).map(|(low, high)| {
                let room = 0.2 * (high - low);
                (low - room, high + room)
            }),
        }
    }

    /// The size of a panel: with equal units on both axes, unless the coordinates are of different kinds.
    fn panel(&self) -> (f64, f64) {
        let side = (ACROSS / self.column_count().max(1) as f64 - GAP).clamp(SHORTEST_SIDE, LONGEST_SIDE);
        let limits = self.limits();
        let [x, y] = limits.map(|(low, high)| high - low);
        let shape = y / x;
        match shape.is_finite() && shape > 0.0 && !unlike(&limits) {
            true if shape > 1.0 => (side / shape, side),
            true => (side, side * shape),
            false => (side, side),
        }
    }

    fn header(&self) -> f64 {
        let lines = self.headings().iter().map(Vec::len).max().unwrap_or(0);
        MARGIN + if self.title.is_empty() { 0.0 } else { 26.0 } + LINE_HEIGHT * lines as f64 + 4.0
    }

    fn headings(&self) -> Vec<Vec<String>> {
        let width = self.panel().0;
        self.columns.iter().map(|column| FACE.wrap(column, width, 2)).collect()
    }

    fn plot(&self, row: usize, column: usize) -> Plot {
        let (width, height) = self.panel();
        let [x, y] = self.limits().map(|(low, high)| Axis { scale: Scale::Linear, low, high });
        let left = MARGIN + HEADING + column as f64 * (width + GAP);
        let top = self.header() + row as f64 * (height + LINE_HEIGHT + GAP);
        Plot { area: Rect { left, top, right: left + width, bottom: top + height }, x, y }
    }

    fn draw_headings(&self, canvas: &mut Canvas) {
        for (column, lines) in self.headings().iter().enumerate() {
            let area = self.plot(0, column).area;
            for (above, line) in lines.iter().rev().enumerate() {
                let place = (area.middle().0, area.top - 6.0 - LINE_HEIGHT * above as f64);
                canvas.text(&Label::new(line, FACE.em).align(Align::Middle), place);
            }
        }
        for (row, heading) in self.rows.iter().enumerate() {
            let middle = self.plot(row, 0).area.middle().1;
            let lines = FACE.wrap(&heading.label, HEADING - 10.0, 3);
            canvas.lines(&lines, FACE.em, (MARGIN + HEADING - 10.0, middle));
        }
    }

    fn draw_cell(&self, canvas: &mut Canvas, plot: &Plot, cell: &PointCell) {
        if cell.points.is_empty() {
            let note = NOTE_FACE.shorten(&cell.note, plot.area.width() - 4.0);
            let label = Label::new(&note, NOTE_FACE.em).color(AXIS).align(Align::Middle).centred();
            canvas.text(&label, plot.area.middle());
            if !cell.note.is_empty() {
                canvas.frame(plot.area, &Stroke { color: GRID, width: HAIR, dash: &[3.0, 3.0] });
            }
            return;
        }
        draw_points(canvas, plot, &self.reference, REFERENCE);
        let outside = draw_points(canvas, plot, &cell.points, PALETTE[0]);
        canvas.frame(plot.area, &Stroke::solid(rgb(190, 190, 190), HAIR));
        // Below the panel: a plate inside would hide the points that are left.
        let strays = if outside > 0 { format!("{outside} out") } else { String::new() };
        let parts = [cell.note.as_str(), &strays].into_iter().filter(|part| !part.is_empty());
        let note = NOTE_FACE.shorten(&parts.collect::<Vec<_>>().join(" · "), plot.area.width() + GAP - 1.0);
        let place: Place = (plot.area.middle().0, plot.area.bottom + LINE_HEIGHT / 2.0);
        canvas.text(&Label::new(&note, NOTE_FACE.em).color(AXIS).align(Align::Middle).centred(), place);
    }
}

impl Figure for PointGrid {
    fn size(&self) -> (u32, u32) {
        let last = self.plot(self.rows.len().saturating_sub(1), self.column_count().saturating_sub(1)).area;
        let (right, bottom) = (last.right + MARGIN, last.bottom + LINE_HEIGHT + MARGIN);
        (right.ceil() as u32, bottom.ceil() as u32)
    }

    fn draw(&self, canvas: &mut Canvas) {
        title(canvas, &self.title);
        if self.rows.is_empty() || self.column_count() == 0 {
            let place = self.plot(0, 0).area.middle();
            canvas.text(&Label::new("no panels to show", LABEL).align(Align::Middle).centred(), place);
            return;
        }
        self.draw_headings(canvas);
        for (row, cells) in self.rows.iter().enumerate() {
            for (column, cell) in cells.cells.iter().enumerate() {
                self.draw_cell(canvas, &self.plot(row, column), cell);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(rows: usize, columns: usize, points: Vec<[f64; 2]>) -> PointGrid {
        let cell = PointCell { points, note: "0.1".into() };
        let row = PointRow { label: "heun".into(), cells: vec![cell; columns] };
        PointGrid { columns: vec!["5".into(); columns], rows: vec![row; rows], ..PointGrid::default() }
    }

    #[test]
    fn panels_do_not_overlap_and_lie_on_the_canvas() {
        let square = vec![[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        for (rows, columns) in [(1, 1), (12, 8), (3, 20)] {
            let grid = grid(rows, columns, square.clone());
            let (width, height) = grid.size();
            let last = grid.plot(rows - 1, columns - 1).area;
            assert!(last.right < f64::from(width) && last.bottom + LINE_HEIGHT < f64::from(height));
            if columns > 1 {
                assert!(grid.plot(0, 0).area.right < grid.plot(0, 1).area.left);
            }
        }
    }

    #[test]
    fn the_reference_sets_the_limits() {
        let mut grid = grid(1, 1, vec![[1e6, 1e6], [-1e6, 0.0]]);
        grid.reference = vec![[0.0, 0.0], [1.0, 2.0], [0.5, 1.0]];
        let [x, y] = grid.limits();
        assert!(x.1 < 2.0 && y.1 < 4.0, "{x:?} {y:?}");
        let (width, height) = grid.panel();
        assert!((height / width - (y.1 - y.0) / (x.1 - x.0)).abs() < 1e-9);
    }
}
