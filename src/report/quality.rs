//! The quality of samples against what they cost.

use super::axis::{Axis, Scale, extent};
use super::canvas::{Align, Canvas, Label, Rect, Stroke};
use super::figure::Figure;
use super::front::{Better, FRONT, draw_front, draw_members, pareto};
use super::panels::title;
use super::plot::{Furniture, Legend, Plot, Sample, nothing};
use super::theme::{AXIS, GRID, HAIR, LINE, MARGIN, NOTE, TICK, fade, rgb, style};
use crate::statistics::Interval;
use plotters::prelude::RGBAColor;

/// A metric against evaluations or seconds, one series a solver, with intervals or standard errors. Costs are on a
/// logarithmic axis, and distances too; shares are on a linear one.
///
/// Unbiased estimates of a distance can be zero or less, which a logarithmic axis cannot hold: these are hollow marks
/// in a strip below it.
#[derive(Clone, Debug)]
pub struct QualityCurves {
    /// The title; may be empty.
    pub title: String,
    /// What the abscissa counts, such as `evaluations of the network`.
    pub x_label: String,
    /// The metric, and which direction is better.
    pub y_label: String,
    /// One series a solver; a dozen are told apart by colour, mark and dash.
    pub series: Vec<QualitySeries>,
    /// What a perfect sampler would score with so many samples.
    pub floor: Option<NoiseFloor>,
    /// Whether the intervals of neighbouring points are joined to a band along the curve; else each is a bar.
    pub bands: bool,
    /// How values spread over the ordinate.
    pub scale: Scale,
    /// Of which values the Pareto front of all series is drawn, the best for at most that cost; none is drawn without.
    pub front: Option<Better>,
}

/// The metric of one solver.
#[derive(Clone, Debug, Default)]
pub struct QualitySeries {
    /// The name in the legend.
    pub label: String,
    /// The measurements, in any order.
    pub points: Vec<QualityPoint>,
}

/// One measurement.
#[derive(Clone, Copy, Debug, Default)]
pub struct QualityPoint {
    /// The cost, in the unit of the abscissa; a point without a positive cost is left out.
    pub x: f64,
    /// The estimate; left out if it is not finite.
    pub value: f64,
    /// Its standard error; no bar is drawn if it is zero or not finite.
    pub error: f64,
    /// An interval that holds the true value, drawn in place of the standard error; one that is not finite, as that of a
    /// single repeat, is left out.
    pub interval: Option<Interval>,
}

impl QualityPoint {
    /// An estimate with its standard error.
    pub fn new(x: f64, value: f64, error: f64) -> Self {
        QualityPoint { x, value, error, interval: None }
    }

    /// The same with an interval, which need not be symmetric.
    pub fn within(self, interval: Interval) -> Self {
        QualityPoint { interval: Some(interval), ..self }
    }

    /// The ends of what is drawn around the estimate: of its interval, or one standard error to both sides.
    pub(crate) fn ends(&self) -> Option<(f64, f64)> {
        let error = self.error.abs();
        let (low, high) = match self.interval {
            Some(Interval { low, high }) => (low, high),
            None => (self.value - error, self.value + error),
        };
        (low.is_finite() && high.is_finite() && low < high).then_some((low, high))
    }
}

/// The metric between two independent sets of data.
#[derive(Clone, Debug)]
pub struct NoiseFloor {
    /// The name in the legend.
    pub label: String,
    /// The estimate.
    pub value: f64,
    /// Its standard error, drawn as a band.
    pub error: f64,
}

impl Default for QualityCurves {
    fn default() -> Self {
        QualityCurves {
            title: String::new(),
            x_label: "network evaluations".to_owned(),
            y_label: "distance to the data".to_owned(),
            series: Vec::new(),
            floor: None,
            bands: true,
            scale: Scale::Log,
            front: None,
        }
    }
}

const FLOOR: RGBAColor = rgb(90, 90, 90);
const PLOT_WIDTH: f64 = 520.0;
const LEGEND_ROOM: f64 = 290.0;
const GAP: f64 = 22.0;
/// The height of the strip for estimates of zero or less.
const STRIP: f64 = 24.0;
const MARK: f64 = 4.0;
/// How far, as a multiple of the estimate, an interval may widen the axis; beyond, it is cut off.
const REACH: f64 = 4.0;

impl QualitySeries {
    /// What can be drawn, by increasing cost.
    pub(crate) fn drawn(&self) -> Vec<QualityPoint> {
        let finite = |point: &QualityPoint| point.x > 0.0 && point.x.is_finite() && point.value.is_finite();
        let mut points: Vec<QualityPoint> = self.points.iter().copied().filter(finite).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        points
    }
}

impl QualityCurves {
    fn points(&self) -> Vec<QualityPoint> {
        self.series.iter().flat_map(QualitySeries::drawn).collect()
    }

    fn has_strip(&self) -> bool {
        self.points().iter().any(|point| !self.scale.holds(point.value))
    }

    fn axes(&self) -> (Axis, Axis) {
        let points = self.points();
        let x = extent(points.iter().map(|point| point.x));
        let floor = self.floor.as_ref().map(|floor| QualityPoint::new(1.0, floor.value, floor.error));
        let held: Vec<QualityPoint> =
            points.iter().copied().chain(floor).filter(|point| self.scale.holds(point.value)).collect();
        // An error as large as its estimate reaches down to zero, and an interval from two repeats is enormous: neither
        // may set the ends.
        let span = extent(held.iter().map(|point| point.value)).map_or(0.0, |(low, high)| high - low);
        let ends = held.iter().flat_map(|point| {
            let (low, high) = point.ends().unwrap_or((point.value, point.value));
            let (least, most) = match self.scale {
                Scale::Log => (point.value / 2.0, REACH * point.value),
                Scale::Linear => (point.value - span / 2.0, point.value + span / 2.0),
            };
            [low.max(least), point.value, high.min(most)]
        });
        let y = extent(ends);
        let log = |ends: Option<(f64, f64)>| ends.map_or(nothing(Scale::Log), |(low, high)| Axis::log(low, high));
        match self.scale {
            Scale::Log => (log(x), log(y)),
            Scale::Linear => (log(x), y.map_or(nothing(Scale::Linear), |(low, high)| Axis::linear(low, high))),
        }
    }

    fn legend(&self) -> Legend {
        let series = self.series.iter().enumerate().map(|(index, series)| {
            (series.label.clone(), Sample::Line { style: style(index), width: LINE, marked: true })
        });
        let floor = self.floor.iter().map(|floor| {
            let hidden = if self.scale.holds(floor.value) { "" } else { " (not positive, not shown)" };
            (format!("{}{hidden}", floor.label), Sample::Band(FLOOR))
        });
        let front = self.front.map(|_| ("Pareto front".to_owned(), Sample::Ring(FRONT)));
        Legend::new(series.chain(floor).chain(front).collect(), LEGEND_ROOM)
    }

    fn header(&self) -> f64 {
        if self.title.is_empty() { MARGIN } else { MARGIN + 28.0 }
    }

    fn draw_floor(&self, canvas: &mut Canvas, plot: &Plot) {
        let Some(floor) = self.floor.as_ref().filter(|floor| self.scale.holds(floor.value)) else {
            return;
        };
        let Rect { left, right, .. } = plot.area;
        if floor.error.is_finite() {
            let (top, bottom) = (floor.value + floor.error.abs(), floor.value - floor.error.abs());
            let band = Rect { left, right, top: plot.height_within(top), bottom: plot.height_within(bottom) };
            canvas.rect(band, fade(FLOOR, 0.18));
        }
        let y = plot.height_within(floor.value);
        canvas.line((left, y), (right, y), &Stroke { color: FLOOR, width: 1.25, dash: &[5.0, 3.0] });
    }

    fn draw_strip(&self, canvas: &mut Canvas, strip: &Plot) {
        let Rect { left, right, bottom, .. } = strip.area;
        let y = bottom - STRIP / 2.0;
        canvas.text(&Label::new("≤ 0", TICK).align(Align::End).centred(), (left - 8.0, y));
        canvas.line((left, bottom - STRIP), (right, bottom - STRIP), &Stroke::solid(GRID, HAIR));
        let mut marks: Vec<(f64, usize)> = Vec::new();
        for (index, series) in self.series.iter().enumerate() {
            let hollow = series.drawn().into_iter().filter(|point| point.value <= 0.0);
            marks.extend(hollow.map(|point| (strip.place((point.x, 1.0)).0, index)));
        }
        marks.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Marks at the same cost stand side by side.
        for group in marks.chunk_by(|a, b| b.0 - a.0 < 1.0) {
            let apart = (48.0 / group.len() as f64).min(2.4 * MARK);
            let reach = (group.len() - 1) as f64 / 2.0 * apart + MARK + 2.0;
            for (rank, &(x, index)) in group.iter().enumerate() {
                let x = x.max(left + reach).min(right - reach) + (rank as f64 - (group.len() - 1) as f64 / 2.0) * apart;
                canvas.hollow_mark(style(index).mark, (x, y), MARK, style(index).color);
            }
        }
    }
}

impl Figure for QualityCurves {
    fn size(&self) -> (u32, u32) {
        let legend = self.legend();
        let width =
            MARGIN + 60.0 + PLOT_WIDTH + GAP + legend.column_width().max(if self.has_strip() { 130.0 } else { 0.0 });
        let rows = self.series.len() + usize::from(self.floor.is_some()) + usize::from(self.front.is_some());
        let height = (self.header() + rows as f64 * 19.0 + 80.0).max(430.0);
        ((width + MARGIN).ceil() as u32, height.ceil() as u32)
    }

    fn draw(&self, canvas: &mut Canvas) {
        title(canvas, &self.title);
        let (x, y) = self.axes();
        let legend = self.legend();
        let bounds = canvas.bounds();
        let right = MARGIN + 60.0 + PLOT_WIDTH;
        let outer = Rect { left: MARGIN, top: self.header() + 4.0, right, bottom: bounds.bottom - MARGIN + 6.0 };
        let whole = Plot::within(outer, x, y);
        let mut plot = whole;
        if self.has_strip() {
            plot.area.bottom -= STRIP;
        }
        plot.draw_grid(canvas);
        self.draw_floor(canvas, &plot);
        let drawn: Vec<Vec<QualityPoint>> = self.series.iter().map(QualitySeries::drawn).collect();
        if self.bands {
            // All bands below all curves.
            drawn.iter().enumerate().for_each(|(index, points)| draw_band(canvas, &plot, points, index, drawn.len()));
        }
        let places = || drawn.iter().flatten().map(|point| (point.x, point.value));
        let front = self.front.map_or(Vec::new(), |better| pareto(places(), better));
        draw_front(canvas, &plot, &front);
        for (index, points) in drawn.iter().enumerate() {
            draw_bars(canvas, &plot, points, index, self.bands);
            draw_series(canvas, &plot, points, index);
        }
        draw_members(canvas, &plot, &front);
        let mut below = Furniture { x_label: &self.x_label, y_label: "", boxed: false, x_ticks: true, y_ticks: false };
        if self.has_strip() {
            self.draw_strip(canvas, &whole);
            let place = (right + GAP, whole.area.bottom - STRIP / 2.0);
            canvas.text(&Label::new("hollow: estimate ≤ 0", NOTE).color(AXIS).centred(), place);
        }
        whole.draw_axes(canvas, &below);
        (below.x_label, below.y_label, below.x_ticks, below.y_ticks) = ("", &self.y_label, false, true);
        plot.draw_axes(canvas, &below);
        legend.draw_column(canvas, (right + GAP, whole.area.top - 4.0));
    }
}

/// Neighbours whose intervals are joined to one band: estimates on the axis with an interval. A series of one has none.
fn banded(points: &[QualityPoint], scale: Scale) -> impl Iterator<Item = &[QualityPoint]> {
    let bounded =
        move |point: &QualityPoint| scale.holds(point.value) && point.interval.is_some() && point.ends().is_some();
    let runs = points.chunk_by(move |a, b| bounded(a) && bounded(b));
    runs.filter(|run| run.len() > 1)
}

/// The bands of one of `count` series: many of them are fainter.
fn draw_band(canvas: &mut Canvas, plot: &Plot, points: &[QualityPoint], index: usize, count: usize) {
    let color = fade(style(index).color, if count > 6 { 0.11 } else { 0.18 });
    for run in banded(points, plot.y.scale) {
        let ends = run.iter().filter_map(|point| point.ends().map(|(low, high)| (point.x, low, high)));
        plot.band(canvas, &ends.collect::<Vec<_>>(), color);
    }
}

/// A bar for each interval or standard error that no band shows.
pub(crate) fn draw_bars(canvas: &mut Canvas, plot: &Plot, points: &[QualityPoint], index: usize, bands: bool) {
    let stroke = Stroke::solid(style(index).color, 1.1);
    let in_band: Vec<f64> = banded(points, plot.y.scale).flatten().map(|point| point.x).filter(|_| bands).collect();
    let shown = points.iter().filter(|point| plot.area.contains(plot.place((point.x, point.value))));
    for point in shown.filter(|point| point.interval.is_none() || !in_band.contains(&point.x)) {
        let Some((low, high)) = point.ends() else { continue };
        let x = plot.place((point.x, point.value)).0;
        let ends = [low, high].map(|end| plot.height_within(end));
        canvas.line((x, ends[0]), (x, ends[1]), &stroke);
        for end in ends {
            canvas.line((x - 3.0, end), (x + 3.0, end), &stroke);
        }
    }
}

/// A curve through the points, and a mark at each.
pub(crate) fn draw_series(canvas: &mut Canvas, plot: &Plot, points: &[QualityPoint], index: usize) {
    let look = style(index);
    // A point without a place on the axis breaks the line.
    let places: Vec<(f64, f64)> = points.iter().map(|point| (point.x, point.value)).collect();
    plot.curve(canvas, &places, &Stroke { color: look.color, width: LINE, dash: look.dash });
    plot.inside(places).for_each(|place| canvas.mark(look.mark, place, MARK, look.color));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curves(values: &[(f64, f64)]) -> QualityCurves {
        let points = values.iter().map(|&(value, error)| QualityPoint::new(10.0, value, error)).collect();
        QualityCurves { series: vec![QualitySeries { label: "a".into(), points }], ..Default::default() }
    }

    #[test]
    fn the_axis_holds_every_positive_estimate() {
        let (_, y) = curves(&[(1.0, 0.1), (1e-3, 2e-3), (-1e-4, 1e-4)]).axes();
        assert!(y.low < 1e-3 && y.low > 1e-4 && y.high > 1.1, "{y:?}");
        assert!(curves(&[(-1.0, 0.1)]).has_strip() && !curves(&[(1.0, 2.0)]).has_strip());
    }

    #[test]
    fn shares_have_a_linear_axis_with_room_for_none() {
        let shares = QualityCurves { scale: Scale::Linear, ..curves(&[(0.0, 0.01), (0.9, 0.02), (0.4, 50.0)]) };
        let (x, y) = shares.axes();
        assert_eq!((x.scale, y.scale), (Scale::Log, Scale::Linear));
        assert!(!shares.has_strip() && y.low < 0.0 && y.low > -0.2 && y.high < 1.5, "{y:?}");
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        assert!(curves(&[(f64::NAN, 0.1), (f64::INFINITY, 0.1)]).points().is_empty());
        assert_eq!(curves(&[]).axes(), (nothing(Scale::Log), nothing(Scale::Log)));
    }

    #[test]
    fn intervals_replace_errors_and_join_to_bands() {
        let point = |x, value, low, high| QualityPoint::new(x, value, 0.1).within(Interval { low, high });
        let infinite = point(3.0, 1.0, f64::NEG_INFINITY, f64::INFINITY);
        assert_eq!(infinite.ends(), None);
        assert_eq!(point(1.0, 1.0, 0.5, 3.0).ends(), Some((0.5, 3.0)));
        assert_eq!(QualityPoint::new(1.0, 1.0, 0.25).ends(), Some((0.75, 1.25)));
        let points = [point(1.0, 1.0, 0.5, 3.0), point(2.0, 1.0, 0.5, 2.0), infinite, point(4.0, 1.0, 0.9, 1.1)];
        let bands: Vec<usize> = banded(&points, Scale::Log).map(<[QualityPoint]>::len).collect();
        assert_eq!(bands, [2]);
        let curves = QualityCurves {
            series: vec![QualitySeries { label: String::new(), points: vec![point(1.0, 1.0, -50.0, 50.0)] }],
            ..Default::default()
        };
        assert!(curves.axes().1.high < 10.0, "an enormous interval may not set the axis");
    }
}
