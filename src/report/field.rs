//! Numbers on a grid over the plane: coloured cells between its nodes, and lines of one level.

use super::axis::extent;
use super::canvas::{Canvas, Place, Rect};
use super::panels::Limits;
use super::plot::Plot;
use super::theme::{PAPER, fade, viridis};
use plotters::prelude::RGBAColor;

/// Colours told apart; neighbours of the same colour are drawn as one.
const SHADES: f64 = 64.0;
/// The size of a coloured cell in logical pixels, about; between the nodes of the grid the number is interpolated.
const CELL: f64 = 3.0;
/// More data points than this would hide the colours.
const DOTS: usize = 1500;

/// Viridis without its brightest end, on which what is white would be lost.
pub(crate) fn color(share: f64) -> RGBAColor {
    viridis(0.86 * share)
}

/// A grid over the plane. A number on it is a function of column and row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid<'a> {
    pub(crate) x: &'a [f64],
    pub(crate) y: &'a [f64],
}

/// A place on a grid axis: the node below it, and the share of the way to the next.
fn locate(nodes: &[f64], value: f64) -> (usize, f64) {
    let above = nodes.partition_point(|&node| node <= value).clamp(1, nodes.len() - 1);
    let (low, high) = (nodes[above - 1], nodes[above]);
    (above - 1, ((value - low) / (high - low)).clamp(0.0, 1.0))
}

impl Grid<'_> {
    /// Whether there is a grid to speak of; all else but its limits asks for one.
    pub(crate) fn drawable(&self) -> bool {
        let increasing = |nodes: &[f64]| nodes.len() > 1 && nodes.windows(2).all(|pair| pair[0] < pair[1]);
        increasing(self.x) && increasing(self.y)
    }

    /// The ends of the grid along both axes.
    pub(crate) fn limits(&self) -> Limits {
        [self.x, self.y].map(|nodes| extent(nodes.iter().copied()).unwrap_or((0.0, 1.0)))
    }

    /// The part of a plot that the grid covers.
    pub(crate) fn covered(&self, plot: &Plot) -> Rect {
        let (left, bottom) = plot.place((self.x[0], self.y[0]));
        let (right, top) = plot.place((self.x[self.x.len() - 1], self.y[self.y.len() - 1]));
        Rect { left, top, right, bottom }
    }

    /// The number at a place between the nodes.
    fn interpolate(&self, number: impl Fn(usize, usize) -> f64, place: Place, covered: Rect) -> f64 {
        let along = |nodes: &[f64], share: f64| nodes[0] + share * (nodes[nodes.len() - 1] - nodes[0]);
        let (column, x) = locate(self.x, along(self.x, (place.0 - covered.left) / covered.width()));
        let (row, y) = locate(self.y, along(self.y, (covered.bottom - place.1) / covered.height()));
        let corner = |right, up| number(column + right, row + up);
        let mix = |share: f64, from: f64, to: f64| match from.is_finite() && to.is_finite() {
            true => from + share * (to - from),
            // Beside a hole, and beside a logarithm of zero, the nearer node decides.
            false if share < 0.5 => from,
            false => to,
        };
        mix(y, mix(x, corner(0, 0), corner(1, 0)), mix(x, corner(0, 1), corner(1, 1)))
    }

    /// Draws a number as colours, given its share of their range; what has none stays white.
    pub(crate) fn draw(
        &self,
        canvas: &mut Canvas,
        plot: &Plot,
        number: impl Fn(usize, usize) -> f64,
        share: impl Fn(f64) -> f64,
    ) {
        let covered = self.covered(plot);
        let cells = |length: f64| (length / CELL).ceil().max(1.0) as usize;
        let (columns, rows) = (cells(covered.width()), cells(covered.height()));
        let (width, height) = (covered.width() / columns as f64, covered.height() / rows as f64);
        for row in 0..rows {
            let top = covered.top + row as f64 * height;
            let shade = |column: usize| {
                let place = (covered.left + (column as f64 + 0.5) * width, top + 0.5 * height);
                (share(self.interpolate(&number, place, covered)).clamp(0.0, 1.0) * SHADES).round() / SHADES
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

    /// Where a number is at a level, as a line or two across each cell between nodes that all have a finite number.
    pub(crate) fn contour(&self, plot: &Plot, number: impl Fn(usize, usize) -> f64, level: f64) -> Vec<(Place, Place)> {
        let corner =
            |(column, row): (usize, usize)| (plot.place((self.x[column], self.y[row])), number(column, row) - level);
        let around = |(column, row)| [(column - 1, row - 1), (column, row - 1), (column, row), (column - 1, row)];
        let cells = (1..self.y.len()).flat_map(|row| (1..self.x.len()).map(move |column| (column, row)));
        cells.flat_map(|cell| crossings(around(cell).map(corner))).collect()
    }
}

/// Where the height is zero on a cell whose corners, in order around it, have heights.
fn crossings(corners: [(Place, f64); 4]) -> Vec<(Place, Place)> {
    if !corners.iter().all(|(_, height)| height.is_finite()) {
        return Vec::new();
    }
    let end = |side: usize| {
        let ((a, from), (b, to)) = (corners[side], corners[(side + 1) % 4]);
        let share = from / (from - to);
        ((from < 0.0) != (to < 0.0)).then_some((a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1)))
    };
    let ends: Vec<Place> = (0..4).filter_map(end).collect();
    let middle = corners.iter().map(|(_, height)| height / 4.0).sum::<f64>();
    match ends[..] {
        [a, b] => vec![(a, b)],
        // On a saddle, the middle belongs to two opposite corners, and the lines cut off the other two.
        [a, b, c, d] if (middle < 0.0) == (corners[0].1 < 0.0) => vec![(a, b), (c, d)],
        [a, b, c, d] => vec![(d, a), (b, c)],
        _ => Vec::new(),
    }
}

/// Draws data as faint white dots, as many as leave the colours visible.
pub(crate) fn draw_data(canvas: &mut Canvas, plot: &Plot, data: &[[f64; 2]]) {
    let dots = data.iter().step_by(data.len().div_ceil(DOTS).max(1)).map(|&[x, y]| (x, y));
    plot.inside(dots).for_each(|place| canvas.disc(place, 1.0, fade(PAPER, 0.4)));
}

#[cfg(test)]
mod tests {
    use super::super::axis::Axis;
    use super::*;

    const UNIT: Grid = Grid { x: &[0.0, 1.0], y: &[0.0, 1.0] };
    const AREA: Rect = Rect { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };

    #[test]
    fn numbers_are_interpolated_between_nodes() {
        let at = |number: fn(usize, usize) -> f64, place| UNIT.interpolate(number, place, AREA);
        let slope = |column: usize, _: usize| 2.0 * column as f64;
        assert!((at(slope, (5.0, 5.0)) - 1.0).abs() < 1e-12);
        assert!((at(slope, (10.0, 2.0)) - 2.0).abs() < 1e-12);
        let cliff = |column: usize, _: usize| if column == 0 { f64::NEG_INFINITY } else { 3.0 };
        assert_eq!((at(cliff, (4.0, 5.0)), at(cliff, (6.0, 5.0))), (f64::NEG_INFINITY, 3.0));
    }

    #[test]
    fn grids_out_of_order_are_not_drawn() {
        let drawable = |x: &[f64]| Grid { x, y: &[0.0, 1.0] }.drawable();
        assert!(drawable(&[0.0, 1.0]));
        for x in [&[][..], &[1.0], &[1.0, 0.0], &[0.0, f64::NAN]] {
            assert!(!drawable(x), "{x:?}");
        }
    }

    #[test]
    fn contours_follow_a_level_and_end_at_holes() {
        let unit = Axis { low: 0.0, high: 1.0, ..Axis::linear(0.0, 1.0) };
        let plot = Plot { area: AREA, x: unit, y: unit };
        let slope = |column: usize, _: usize| column as f64;
        let lines = UNIT.contour(&plot, slope, 0.25);
        assert_eq!(lines, [((2.5, 10.0), (2.5, 0.0))]);
        assert!(UNIT.contour(&plot, slope, 2.0).is_empty());
        // The rising corners of a saddle are joined where its middle is above the level, else they are cut off.
        let saddle = |column: usize, row: usize| if column == row { 1.0 } else { 0.0 };
        let ends = |level: f64| UNIT.contour(&plot, saddle, level).into_iter().map(|(a, b)| (b.0 - a.0) * (b.1 - a.1));
        assert!(ends(0.25).count() == 2 && ends(0.25).all(|slope| slope < 0.0));
        assert!(ends(0.75).count() == 2 && ends(0.75).all(|slope| slope > 0.0));
        let hole = |column: usize, row: usize| if (column, row) == (1, 1) { f64::NEG_INFINITY } else { column as f64 };
        assert!(UNIT.contour(&plot, hole, 0.25).is_empty());
    }
}
