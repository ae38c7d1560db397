//! Panels side by side with the same limits, and mostly with equal units on both axes.

use super::axis::{Axis, Scale, extent, quantile};
use super::canvas::{Align, Canvas, Label, Place, Rect};
use super::font::Face;
use super::plot::{ColorBar, Furniture, Legend, Plot, Sample, nothing};
use super::theme::{AXIS, LABEL, MARGIN, NOTE, PAPER, TITLE, fade};

/// The widths of panels in rows of one, two, three and four.
const WIDTHS: [f64; 4] = [380.0, 300.0, 240.0, 200.0];
const GAP: f64 = 30.0;
const TITLE_ROW: f64 = 16.0;
/// The room below a row of panels, for ticks and labels.
const BELOW: f64 = 40.0;

/// The limits of both axes.
pub(crate) type Limits = [(f64, f64); 2];

/// Limits that hold nearly all points of every panel: stray points (of a solver that diverged, say) may lie outside,
/// lest they shrink everything else to a speck. A panel is a list of sets of points, each of which must be seen.
pub(crate) fn limits(panels: &[Vec<Vec<[f64; 2]>>]) -> Limits {
    [0, 1].map(|axis| {
        let of_panel = |sets: &Vec<Vec<[f64; 2]>>| {
            extent(sets.iter().filter_map(|points| bulk(points, axis)).flat_map(|(low, high)| [low, high]))
        };
        let ends: Vec<(f64, f64)> = panels.iter().filter_map(of_panel).collect();
        // The narrower panels decide what is usual; none may widen the limits beyond three times that.
        let mut widths: Vec<f64> = ends.iter().map(|(low, high)| high - low).collect();
        widths.sort_by(f64::total_cmp);
        let most = widths.first().map_or(0.0, |_| 3.0 * quantile(&widths, 0.4)).max(1e-12);
        let usual = ends.iter().filter(|(low, high)| high - low <= most);
        let Some((low, high)) = extent(usual.flat_map(|&(low, high)| [low, high])) else { return (0.0, 1.0) };
        let axis = Axis::linear(low, high);
        (axis.low, axis.high)
    })
}

/// Where all but a few in a thousand points lie along an axis, with some room.
fn bulk(points: &[[f64; 2]], axis: usize) -> Option<(f64, f64)> {
    let mut values: Vec<f64> = points.iter().map(|point| point[axis]).filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = extent(values.iter().copied())?;
    let [start, first, third, end] = [0.003, 0.25, 0.75, 0.997].map(|share| quantile(&values, share));
    let room = 0.15 * (end - start);
    let (mut low, mut high) = (low.max(start - room), high.min(end + room));
    // A few points that are far outside do not belong to the bulk, even if they are more than a few in a thousand.
    if third > first {
        let reach = 5.0 * (third - first);
        (low, high) = (low.max(first - reach), high.min(third + reach));
    }
    Some((low, high))
}

/// What a sheet of panels shows around the panels' contents.
pub(crate) struct Sheet<'a> {
    pub(crate) title: &'a str,
    pub(crate) panels: Vec<&'a str>,
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    pub(crate) limits: Limits,
    /// How values spread over both axes.
    pub(crate) scale: Scale,
    /// Whether a unit is as long on one axis as on the other.
    pub(crate) equal: bool,
    pub(crate) bar: Option<ColorBar<'a>>,
    /// What stands in rows below the panels; may be empty.
    pub(crate) legend: Vec<(String, Sample)>,
}

impl<'a> Sheet<'a> {
    /// Panels that share logarithmic axes, which hold what lies between the ends along both.
    pub(crate) fn log(
        title: &'a str,
        panels: Vec<&'a str>,
        [x_label, y_label]: [&'a str; 2],
        ends: [Option<(f64, f64)>; 2],
    ) -> Self {
        let limits = ends.map(|ends| {
            let axis = ends.map_or(nothing(Scale::Log), |(low, high)| Axis::log(low, high));
            (axis.low, axis.high)
        });
        Sheet {
            title,
            panels,
            x_label,
            y_label,
            limits,
            scale: Scale::Log,
            equal: false,
            bar: None,
            legend: Vec::new(),
        }
    }

    /// The same with a legend below the panels.
    pub(crate) fn with_legend(self, legend: Vec<(String, Sample)>) -> Self {
        Sheet { legend, ..self }
    }
}

impl Sheet<'_> {
    fn columns(&self) -> usize {
        let count = self.panels.len().max(1);
        count.div_ceil(count.div_ceil(WIDTHS.len()))
    }

    fn rows(&self) -> usize {
        self.panels.len().max(1).div_ceil(self.columns())
    }

    /// Axes, if with equal units neither more than twice as long as the other.
    fn axes(&self) -> (Axis, Axis) {
        let [x, y] = self.limits.map(|(low, high)| match high > low {
            true => Axis { scale: self.scale, low, high },
            false => Axis::linear(low, high),
        });
        if !self.equal {
            return (x, y);
        }
        let span = |axis: Axis| axis.high - axis.low;
        let widen = |axis: Axis, to: f64| {
            let (middle, half) = ((axis.low + axis.high) / 2.0, span(axis).max(to) / 2.0);
            Axis { scale: Scale::Linear, low: middle - half, high: middle + half }
        };
        (widen(x, span(y) / 1.2), widen(y, span(x) / 2.0))
    }

    fn panel_size(&self) -> (f64, f64) {
        let (x, y) = self.axes();
        let width = WIDTHS[self.columns() - 1];
        if !self.equal {
            return (width, 0.8 * width);
        }
        let height = width * ((y.high - y.low) / (x.high - x.low));
        (width, if height.is_finite() { height } else { width })
    }

    /// The room left of a row of panels, for ticks and labels.
    fn left(&self) -> f64 {
        let ((right, bottom), (x, y)) = (self.panel_size(), self.axes());
        Plot { area: Rect { left: 0.0, top: 0.0, right, bottom }, x, y }.room_left()
    }

    fn titles(&self, face: Face) -> Vec<Vec<String>> {
        self.panels.iter().map(|title| face.wrap(title, self.panel_size().0, 2)).collect()
    }

    const FACE: Face = Face { bold: false, em: LABEL - 0.5 };

    fn title_height(&self) -> f64 {
        TITLE_ROW * self.titles(Self::FACE).iter().map(Vec::len).max().unwrap_or(0) as f64 + 4.0
    }

    fn header(&self) -> f64 {
        MARGIN + if self.title.is_empty() { 0.0 } else { 26.0 }
    }

    /// The size of the figure in logical pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        let (width, height) = self.upper_size();
        (width, height + self.legend().strip_height().ceil() as u32)
    }

    /// The same without the legend.
    fn upper_size(&self) -> (u32, u32) {
        let (width, height) = self.panel_size();
        let bar = self.bar.as_ref().map_or(0.0, |bar| GAP + bar.width());
        let across = self.left() + self.columns() as f64 * (width + GAP) - GAP + bar + 2.0 * MARGIN;
        let down = self.header() + self.rows() as f64 * (self.title_height() + height + GAP) - GAP + BELOW + MARGIN;
        (across.ceil() as u32, down.ceil() as u32)
    }

    fn legend(&self) -> Legend {
        Legend::new(self.legend.clone(), f64::from(self.upper_size().0) - 2.0 * MARGIN)
    }

    /// The plot of each panel, in reading order.
    pub(crate) fn plots(&self) -> Vec<Plot> {
        let ((width, height), (x, y)) = (self.panel_size(), self.axes());
        (0..self.panels.len())
            .map(|panel| {
                let (row, column) = (panel / self.columns(), panel % self.columns());
                let left = MARGIN + self.left() + column as f64 * (width + GAP);
                let top = self.header() + self.title_height() + row as f64 * (height + GAP + self.title_height());
                Plot { area: Rect { left, top, right: left + width, bottom: top + height }, x, y }
            })
            .collect()
    }

    /// Draws titles, axes, the colour bar and the legend; the panels' contents come first.
    pub(crate) fn draw(&self, canvas: &mut Canvas) {
        title(canvas, self.title);
        let (plots, columns) = (self.plots(), self.columns());
        if plots.is_empty() {
            canvas.text(&Label::new("no panels to show", LABEL).align(Align::Middle), canvas.bounds().middle());
        }
        for (panel, (plot, lines)) in plots.iter().zip(self.titles(Self::FACE)).enumerate() {
            let lowest = panel + columns >= plots.len();
            let leftmost = panel % columns == 0;
            plot.draw_axes(
                canvas,
                &Furniture {
                    x_label: if lowest { self.x_label } else { "" },
                    y_label: if leftmost { self.y_label } else { "" },
                    boxed: true,
                    x_ticks: lowest,
                    y_ticks: leftmost,
                },
            );
            let middle = plot.area.middle().0;
            for (above, line) in lines.iter().rev().enumerate() {
                let baseline = plot.area.top - 8.0 - above as f64 * TITLE_ROW;
                canvas.text(&Label::new(line, Self::FACE.em).align(Align::Middle), (middle, baseline));
            }
        }
        if let (Some(bar), Some(plot)) = (&self.bar, plots.get(columns.min(plots.len()).saturating_sub(1))) {
            let foot = plots.last().map_or(plot.area.bottom, |last| last.area.bottom);
            let bottom = foot.min(plot.area.top + 420.0);
            bar.draw(canvas, (plot.area.right + GAP, plot.area.top), bottom);
        }
        self.legend().draw_strip(canvas, (MARGIN, f64::from(self.upper_size().1) - MARGIN + 6.0));
    }
}

/// A short remark in the lower right corner of a panel, on a plate that keeps it legible over the contents.
pub(crate) fn remark(canvas: &mut Canvas, plot: &Plot, text: &str) {
    let face = Face { bold: false, em: NOTE };
    let (right, bottom) = (plot.area.right - 3.0, plot.area.bottom - 3.0);
    let plate = Rect { left: right - face.width(text) - 8.0, top: bottom - NOTE - 6.0, right, bottom };
    canvas.rect(plate, fade(PAPER, 0.85));
    let label = Label::new(text, NOTE).align(Align::End).color(AXIS).centred();
    canvas.text(&label, (right - 4.0, plate.middle().1));
}

/// The title of a figure, in its upper left corner.
pub(crate) fn title(canvas: &mut Canvas, text: &str) {
    let face = Face { bold: true, em: TITLE };
    let short = face.shorten(text, canvas.bounds().width() - 2.0 * MARGIN);
    let place: Place = (MARGIN, MARGIN + TITLE * 0.8);
    canvas.text(&Label::new(&short, TITLE).bold(), place);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(count: usize, limits: Limits) -> Sheet<'static> {
        Sheet {
            title: "t",
            panels: vec!["p"; count],
            x_label: "x",
            y_label: "y",
            limits,
            scale: Scale::Linear,
            equal: true,
            bar: None,
            legend: Vec::new(),
        }
    }

    #[test]
    fn units_are_equal_on_both_axes() {
        for limits in [[(-1.0, 1.0), (-1.0, 1.0)], [(-4.0, 4.0), (0.0, 0.1)], [(0.0, 0.1), (-40.0, 40.0)]] {
            for plot in sheet(3, limits).plots() {
                let (a, b) = (plot.place((0.0, 0.0)), plot.place((1.0, 1.0)));
                assert!(((b.0 - a.0) - (a.1 - b.1)).abs() < 1e-6 * (b.0 - a.0), "{limits:?}");
            }
        }
    }

    #[test]
    fn panels_fill_rows_evenly() {
        let columns = |count| sheet(count, [(0.0, 1.0); 2]).columns();
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8, 9, 12].map(columns), [1, 2, 3, 4, 3, 3, 4, 4, 3, 4]);
    }

    #[test]
    fn a_diverged_panel_does_not_set_the_limits() {
        let good: Vec<[f64; 2]> = (0..100).map(|i| [f64::from(i) / 100.0, 0.5]).collect();
        let bad: Vec<[f64; 2]> = good.iter().map(|point| [point[0] * 1e9, f64::NAN]).collect();
        let [x, _] = limits(&[vec![good.clone()], vec![bad]]);
        assert!(x.1 < 10.0, "{x:?}");
        let [x, _] = limits(&[vec![[&good[..], &[[1e9, 0.0], [-1e9, 0.0]]].concat()]]);
        assert!(x.1 < 10.0, "{x:?}");
        assert_eq!(limits(&[vec![], vec![vec![]]]), [(0.0, 1.0); 2]);
    }
}
