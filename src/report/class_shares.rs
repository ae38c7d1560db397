//! How often each class comes among samples and among data.

use super::axis::{Axis, Scale, extent};
use super::canvas::{Align, Canvas, Label, Rect, Stroke};
use super::figure::Figure;
use super::panels::title;
use super::plot::{Furniture, Legend, Plot, Sample, TICK_FACE, nothing};
use super::theme::{AXIS, GRID, HAIR, INK, LABEL, MARGIN, PALETTE, rgb};
use crate::statistics::Interval;
use plotters::prelude::RGBAColor;

/// The share of each class among data and among samples: a row a class, a bar for each of the two, and intervals.
#[derive(Clone, Debug)]
pub struct ClassShares {
    /// The title; may be empty.
    pub title: String,
    /// What the shares are of.
    pub x_label: String,
    /// The names of data and samples, in this order.
    pub names: [String; 2],
    /// The classes, from top to bottom.
    pub rows: Vec<ClassRow>,
}

/// One class.
#[derive(Clone, Debug, Default)]
pub struct ClassRow {
    /// Its name.
    pub label: String,
    /// Its share among data and among samples, in this order; none is drawn that is not finite.
    pub shares: [f64; 2],
    /// The interval of each; one that is not finite is left out.
    pub intervals: [Option<Interval>; 2],
}

impl Default for ClassShares {
    fn default() -> Self {
        ClassShares {
            title: String::new(),
            x_label: "share".to_owned(),
            names: ["data", "samples"].map(str::to_owned),
            rows: Vec::new(),
        }
    }
}

/// The width of the column of names, and of the axis.
pub(crate) const NAMES: f64 = 170.0;
pub(crate) const AXIS_WIDTH: f64 = 460.0;
/// The height of a row, and of each of its bars.
const ROW: f64 = 27.0;
const BAR: f64 = 9.0;
/// The room below the rows, for ticks and the label of the axis.
pub(crate) const BELOW: f64 = 44.0;
const COLORS: [RGBAColor; 2] = [rgb(160, 160, 160), PALETTE[0]];

impl ClassShares {
    fn legend(&self) -> Legend {
        let entries = self.names.iter().cloned().zip(COLORS.map(Sample::Swatch));
        Legend::new(entries.collect(), NAMES + AXIS_WIDTH)
    }

    fn top(&self) -> f64 {
        MARGIN + if self.title.is_empty() { 0.0 } else { 28.0 } + self.legend().strip_height() + 6.0
    }

    fn plot(&self) -> Plot {
        let ends = self.rows.iter().flat_map(|row| {
            let high = |of: usize| [row.shares[of], row.intervals[of].map_or(0.0, |interval| interval.high)];
            [high(0), high(1)].concat()
        });
        // Bars start from nothing.
        let high = extent(ends).map_or(1.0, |(_, high)| high).clamp(1e-6, 1e6);
        let (left, top) = (MARGIN + NAMES, self.top());
        let area = Rect { left, top, right: left + AXIS_WIDTH, bottom: top + ROW * self.rows.len().max(1) as f64 };
        Plot { area, x: Axis { scale: Scale::Linear, low: 0.0, high: 1.04 * high }, y: nothing(Scale::Linear) }
    }

    fn draw_row(&self, canvas: &mut Canvas, plot: &Plot, row: usize) {
        let ClassRow { label, shares, intervals } = &self.rows[row];
        let middle = plot.area.top + ROW * (row as f64 + 0.5);
        let name = TICK_FACE.shorten(label, NAMES - 14.0);
        canvas.text(&Label::new(&name, TICK_FACE.em).align(Align::End).centred(), (plot.area.left - 10.0, middle));
        let across = |share: f64| plot.place((share.clamp(plot.x.low, plot.x.high), 0.5)).0;
        for (of, y) in [middle - BAR / 2.0 - 0.5, middle + BAR / 2.0 + 0.5].into_iter().enumerate() {
            if shares[of].is_finite() {
                let (top, bottom) = (y - BAR / 2.0, y + BAR / 2.0);
                canvas.rect(Rect { left: plot.area.left, right: across(shares[of]), top, bottom }, COLORS[of]);
            }
            let finite = |interval: &Interval| interval.low.is_finite() && interval.high.is_finite();
            if let Some(Interval { low, high }) = intervals[of].filter(finite) {
                let stroke = Stroke::solid(INK, 1.1);
                canvas.line((across(low), y), (across(high), y), &stroke);
                for end in [low, high].map(across) {
                    canvas.line((end, y - 2.5), (end, y + 2.5), &stroke);
                }
            }
        }
    }
}

impl Figure for ClassShares {
    fn size(&self) -> (u32, u32) {
        let area = self.plot().area;
        ((area.right + 2.0 * MARGIN).ceil() as u32, (area.bottom + BELOW + MARGIN - 8.0).ceil() as u32)
    }

    fn draw(&self, canvas: &mut Canvas) {
        let plot = self.plot();
        let words = (self.title.as_str(), self.x_label.as_str());
        draw_rows(canvas, words, (&plot, &self.legend()), self.rows.len(), |canvas, row| {
            self.draw_row(canvas, &plot, row);
        });
    }
}

/// A plot with a row for each class: the title, the legend above it, lines at the ticks, the rows by their numbers, and the
/// axis below, with its label.
pub(super) fn draw_rows(
    canvas: &mut Canvas,
    (heading, x_label): (&str, &str),
    (plot, legend): (&Plot, &Legend),
    rows: usize,
    draw_row: impl Fn(&mut Canvas, usize),
) {
    title(canvas, heading);
    let Rect { left, top, bottom, .. } = plot.area;
    legend.draw_strip(canvas, (left, top - legend.strip_height() - 6.0));
    for (tick, _) in plot.x_ticks() {
        let x = plot.place((tick, 0.5)).0;
        canvas.line((x, top), (x, bottom), &Stroke::solid(GRID, HAIR));
    }
    (0..rows).for_each(|row| draw_row(canvas, row));
    if rows == 0 {
        canvas.text(&Label::new("no classes to show", LABEL).align(Align::Middle).centred(), plot.area.middle());
    }
    canvas.line((left, top), (left, bottom), &Stroke::solid(AXIS, HAIR));
    plot.draw_axes(canvas, &Furniture { x_label, y_label: "", boxed: false, x_ticks: true, y_ticks: false });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_starts_from_nothing_and_holds_every_interval() {
        let row = |share: f64, high: f64| ClassRow {
            shares: [0.1, share],
            intervals: [None, Some(Interval { low: 0.0, high })],
            ..ClassRow::default()
        };
        let rows = vec![row(0.2, 0.35), row(f64::NAN, f64::INFINITY)];
        let plot = ClassShares { rows, ..ClassShares::default() }.plot();
        assert!(plot.x.low == 0.0 && plot.x.high > 0.35 && plot.x.high < 0.4, "{:?}", plot.x);
        assert_eq!(ClassShares::default().plot().x.high, 1.04);
    }
}
