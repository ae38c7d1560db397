//! How a number spreads in each class.

use super::axis::{Axis, Scale, extent, quantile};
use super::bins::sorted;
use super::canvas::{Align, Canvas, Label, Rect, Stroke};
use super::class_shares::{AXIS_WIDTH, BELOW, NAMES, draw_rows};
use super::figure::Figure;
use super::font::Face;
use super::plot::{Legend, Plot, Sample, TICK_FACE, nothing};
use super::theme::{AXIS, HAIR, INK, LINE, MARGIN, NOTE, PALETTE, Style, fade, style};
use crate::statistics::mean;
use plotters::prelude::RGBAColor;

/// How a number spreads in each class: a row a class with median, quartiles and the middle 90 %, below them the mean with
/// two standard errors to both sides, and the count at the right.
#[derive(Clone, Debug, Default)]
pub struct Spreads {
    /// The title; may be empty.
    pub title: String,
    /// What the number is, and its unit.
    pub x_label: String,
    /// The classes, from top to bottom.
    pub rows: Vec<SpreadRow>,
}

/// One class.
#[derive(Clone, Debug, Default)]
pub struct SpreadRow {
    /// Its name.
    pub label: String,
    /// The number of each member, in any order; what is not finite is left out, and the count says so.
    pub values: Vec<f64>,
}

/// The height of a row, and of the box in it.
const ROW: f64 = 30.0;
const BOX: f64 = 11.0;
/// How far box and mean are above and below the middle of their row.
const ABOVE: f64 = 4.0;
const BELOW_BOX: f64 = 8.5;
/// The room that any counts leave the legend beside the axis.
const LEAST_COUNTS: f64 = 30.0;
const COUNT_FACE: Face = Face { bold: false, em: NOTE };
const COLOR: RGBAColor = PALETTE[0];
const SHARES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// What is drawn of a class.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    /// The ends of the middle 90 %, quartiles and median, by increasing share.
    quantiles: [f64; 5],
    mean: f64,
    /// NaN for a single member.
    standard_error: f64,
}

impl SpreadRow {
    fn kept(&self) -> Vec<f64> {
        sorted(&self.values, f64::NEG_INFINITY)
    }

    fn spread(&self) -> Option<Spread> {
        let kept = self.kept();
        let (mean, standard_error) = mean(&kept);
        (!kept.is_empty()).then(|| Spread {
            quantiles: SHARES.map(|share| quantile(&kept, share)),
            mean,
            standard_error,
        })
    }

    fn count(&self) -> String {
        match (self.kept().len(), self.values.len()) {
            (kept, all) if kept == all => format!("n = {all}"),
            (kept, all) => format!("n = {kept} of {all}"),
        }
    }
}

impl Spread {
    /// The mean between two standard errors to both sides.
    fn means(&self) -> [f64; 3] {
        [self.mean - 2.0 * self.standard_error, self.mean, self.mean + 2.0 * self.standard_error]
    }
}

impl Spreads {
    fn legend(&self) -> Legend {
        let line = |color, mark, marked, width| Sample::Line { style: Style { color, mark, dash: &[] }, width, marked };
        let mark = style(0).mark;
        let entries = [
            ("quartiles and median", Sample::Swatch(fade(COLOR, 0.35))),
            ("middle 90 %", line(COLOR, mark, false, HAIR)),
            ("mean ± 2 standard errors", line(INK, mark, true, HAIR)),
        ];
        Legend::new(entries.map(|(name, sample)| (name.to_owned(), sample)).to_vec(), AXIS_WIDTH + LEAST_COUNTS)
    }

    fn top(&self) -> f64 {
        MARGIN + if self.title.is_empty() { 0.0 } else { 28.0 } + self.legend().strip_height() + 6.0
    }

    fn abscissa(&self) -> Axis {
        let spreads: Vec<Spread> = self.rows.iter().filter_map(SpreadRow::spread).collect();
        let Some((low, high)) = extent(spreads.iter().flat_map(|spread| spread.quantiles)) else {
            return nothing(Scale::Linear);
        };
        // The mean of few numbers, one of them astray, has an enormous error.
        let room = 0.25 * (high - low);
        let means = spreads.iter().flat_map(Spread::means).filter(|end| end.is_finite());
        let (low, high) =
            extent(means.map(|end| end.clamp(low - room, high + room)).chain([low, high])).unwrap_or((low, high));
        Axis::linear(low, high)
    }

    fn plot(&self) -> Plot {
        let (left, top) = (MARGIN + NAMES, self.top());
        let area = Rect { left, top, right: left + AXIS_WIDTH, bottom: top + ROW * self.rows.len().max(1) as f64 };
        Plot { area, x: self.abscissa(), y: nothing(Scale::Linear) }
    }

    fn draw_row(&self, canvas: &mut Canvas, plot: &Plot, row: usize) {
        let middle = plot.area.top + ROW * (row as f64 + 0.5);
        let name = TICK_FACE.shorten(&self.rows[row].label, NAMES - 14.0);
        canvas.text(&Label::new(&name, TICK_FACE.em).align(Align::End).centred(), (plot.area.left - 10.0, middle));
        let count = self.rows[row].count();
        canvas.text(&Label::new(&count, COUNT_FACE.em).color(AXIS).centred(), (plot.area.right + 10.0, middle));
        if let Some(spread) = self.rows[row].spread() {
            draw_spread(canvas, plot, middle, &spread);
        }
    }
}

fn draw_spread(canvas: &mut Canvas, plot: &Plot, middle: f64, spread: &Spread) {
    let across = |value: f64| plot.place((value.clamp(plot.x.low, plot.x.high), 0.5)).0;
    let y = middle - ABOVE;
    let [least, first, median, third, most] = spread.quantiles.map(across);
    let (top, bottom) = (y - BOX / 2.0, y + BOX / 2.0);
    let thin = Stroke::solid(COLOR, HAIR);
    for (from, to) in [(least, first), (third, most)] {
        canvas.line((from, y), (to, y), &thin);
    }
    canvas.rect(Rect { left: first, right: third, top, bottom }, fade(COLOR, 0.35));
    canvas.line((median, top), (median, bottom), &Stroke::solid(COLOR, LINE + 0.5));
    let y = middle + BELOW_BOX;
    let [low, mean, high] = spread.means();
    if low.is_finite() && high.is_finite() {
        canvas.line((across(low), y), (across(high), y), &Stroke::solid(INK, HAIR));
        for end in [low, high].map(across) {
            canvas.line((end, y - 2.5), (end, y + 2.5), &Stroke::solid(INK, HAIR));
        }
    }
    if (plot.x.low..=plot.x.high).contains(&mean) {
        canvas.disc((across(mean), y), 2.6, INK);
    }
}

impl Figure for Spreads {
    fn size(&self) -> (u32, u32) {
        let area = self.plot().area;
        let counts = self.rows.iter().map(|row| COUNT_FACE.width(&row.count())).fold(0.0, f64::max);
        ((area.right + 10.0 + counts + MARGIN).ceil() as u32, (area.bottom + BELOW + MARGIN - 8.0).ceil() as u32)
    }

    fn draw(&self, canvas: &mut Canvas) {
        let plot = self.plot();
        let words = (self.title.as_str(), self.x_label.as_str());
        draw_rows(canvas, words, (&plot, &self.legend()), self.rows.len(), |canvas, row| {
            self.draw_row(canvas, &plot, row);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f64]) -> SpreadRow {
        SpreadRow { label: String::new(), values: values.to_vec() }
    }

    #[test]
    fn a_row_has_quantiles_and_the_mean_of_what_is_finite() {
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        values.extend([f64::NAN, f64::NEG_INFINITY]);
        let spread = row(&values).spread().unwrap();
        assert_eq!((spread.quantiles, spread.mean), ([5.0, 25.0, 50.0, 75.0, 95.0], 50.0));
        assert_eq!(row(&values).count(), "n = 101 of 103");
        assert_eq!((row(&[]).spread(), row(&[]).count().as_str()), (None, "n = 0"));
    }

    #[test]
    fn the_axis_holds_means_unless_they_are_astray() {
        let axis = |values: &[f64]| Spreads { rows: vec![row(values)], ..Spreads::default() }.abscissa();
        let mut values = vec![0.5; 99];
        values.extend([0.0; 50]);
        values.extend([1.0; 50]);
        assert!(axis(&values).low > -0.05 && axis(&values).high < 1.05);
        values.push(1e9);
        assert!(axis(&values).high < 1.5, "{:?}", axis(&values));
        assert_eq!(axis(&[]), nothing(Scale::Linear));
        assert!(axis(&[3.0]).low < 3.0 && axis(&[3.0]).high > 3.0);
    }
}
