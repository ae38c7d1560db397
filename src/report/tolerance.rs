//! What the tolerance of a solver changes, and what it costs.

use super::axis::{Axis, Scale, extent};
use super::canvas::{Canvas, Rect};
use super::figure::Figure;
use super::panels::title;
use super::plot::{Furniture, Legend, Plot, Sample, nothing};
use super::quality::{QualityPoint, QualitySeries, draw_bars, draw_series};
use super::theme::{LINE, MARGIN, style};

/// A number against the tolerance of its solver and against the evaluations that it took: two panels with one ordinate.
/// Tolerances decrease from left to right, so that both panels become more exact that way; at each, the series stand side
/// by side.
#[derive(Clone, Debug, Default)]
pub struct ToleranceCurves {
    /// The title; may be empty.
    pub title: String,
    /// What the number is, and its unit.
    pub y_label: String,
    /// The series, in the order of their looks; a single one has no legend.
    pub series: Vec<ToleranceSeries>,
}

/// The number at several tolerances of one solver.
#[derive(Clone, Debug, Default)]
pub struct ToleranceSeries {
    /// The name in the legend.
    pub name: String,
    /// The measurements, in any order.
    pub points: Vec<TolerancePoint>,
}

/// One measurement.
#[derive(Clone, Copy, Debug, Default)]
pub struct TolerancePoint {
    /// The tolerance; a point is left out of a panel in which it has no positive abscissa.
    pub tolerance: f64,
    /// The evaluations that it took.
    pub nfe: f64,
    /// The estimate; left out if it is not finite.
    pub value: f64,
    /// Its standard error, drawn as a bar to both sides; none is drawn if it is zero or not finite.
    pub standard_error: f64,
}

const PANEL: (f64, f64) = (300.0, 250.0);
const GAP: f64 = 30.0;
/// How far series are apart that were measured at the same tolerance, and from the first to the last, about.
const APART: f64 = 6.0;
const MOST_ASIDE: f64 = 18.0;
/// The room below the panels, for ticks and labels.
const BELOW: f64 = 44.0;

impl ToleranceCurves {
    /// The series with the abscissae of a panel.
    fn against(&self, abscissa: fn(&TolerancePoint) -> f64) -> Vec<QualitySeries> {
        let point = |point: &TolerancePoint| QualityPoint::new(abscissa(point), point.value, point.standard_error);
        let series = |series: &ToleranceSeries| QualitySeries {
            label: series.name.clone(),
            points: series.points.iter().map(point).collect(),
        };
        self.series.iter().map(series).collect()
    }

    /// The series of each panel.
    fn panels(&self) -> [Vec<QualitySeries>; 2] {
        [self.against(|point| point.tolerance), self.against(|point| point.nfe)]
    }

    fn plots(&self) -> [Plot; 2] {
        let drawn = self.panels().map(|panel| panel.iter().flat_map(QualitySeries::drawn).collect::<Vec<_>>());
        let ends = |point: &QualityPoint| {
            let (low, high) = point.ends().unwrap_or((point.value, point.value));
            [low, high]
        };
        let y = extent(drawn.iter().flatten().flat_map(ends));
        let y = y.map_or(nothing(Scale::Linear), |(low, high)| Axis::linear(low, high));
        let [tolerances, evaluations] = drawn.map(|points| {
            let ends = extent(points.iter().map(|point| point.x));
            ends.map_or(nothing(Scale::Log), |(low, high)| Axis::log(low, high))
        });
        let top = MARGIN + if self.title.is_empty() { 4.0 } else { 28.0 };
        let area = Rect { left: 0.0, top, right: PANEL.0, bottom: top + PANEL.1 };
        let left = MARGIN + Plot { area, x: evaluations, y }.room_left();
        let at = |left: f64, x: Axis| Plot { area: Rect { left, right: left + PANEL.0, ..area }, x, y };
        [at(left, tolerances.reversed()), at(left + PANEL.0 + GAP, evaluations)]
    }

    fn legend(&self, room: f64) -> Legend {
        let entry = |(index, series): (usize, &ToleranceSeries)| {
            (series.name.clone(), Sample::Line { style: style(index), width: LINE, marked: true })
        };
        let entries = self.series.iter().enumerate().map(entry);
        Legend::new(if self.series.len() > 1 { entries.collect() } else { Vec::new() }, room)
    }
}

impl Figure for ToleranceCurves {
    fn size(&self) -> (u32, u32) {
        let [left, right] = self.plots().map(|plot| plot.area);
        let legend = self.legend(right.right - left.left).strip_height();
        let height = right.bottom + BELOW + legend + MARGIN - 8.0;
        ((right.right + 2.0 * MARGIN).ceil() as u32, height.ceil() as u32)
    }

    fn draw(&self, canvas: &mut Canvas) {
        title(canvas, &self.title);
        let plots = self.plots();
        let [tolerances, evaluations] = self.panels();
        for (plot, panel, apart) in [(plots[0], tolerances, APART), (plots[1], evaluations, 0.0)] {
            plot.draw_grid(canvas);
            for (index, points) in panel.iter().map(QualitySeries::drawn).enumerate() {
                let plot = beside(plot, apart, index, panel.len());
                draw_bars(canvas, &plot, &points, index, false);
                draw_series(canvas, &plot, &points, index);
            }
        }
        let labels = [("tolerance", self.y_label.as_str(), true), ("network evaluations", "", false)];
        for (plot, (x_label, y_label, y_ticks)) in plots.iter().zip(labels) {
            plot.draw_axes(canvas, &Furniture { x_label, y_label, boxed: true, x_ticks: true, y_ticks });
        }
        let (left, right, bottom) = (plots[0].area.left, plots[1].area.right, plots[0].area.bottom);
        self.legend(right - left).draw_strip(canvas, (left, bottom + BELOW));
    }
}

/// The plot for one of several series that would hide one another at the same place.
fn beside(plot: Plot, apart: f64, index: usize, count: usize) -> Plot {
    let aside = apart.min(MOST_ASIDE / count as f64) * (index as f64 - (count - 1) as f64 / 2.0);
    let Rect { left, right, .. } = plot.area;
    Plot { area: Rect { left: left + aside, right: right + aside, ..plot.area }, ..plot }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curves(points: &[[f64; 4]]) -> ToleranceCurves {
        let point = |&[tolerance, nfe, value, standard_error]: &[f64; 4]| TolerancePoint {
            tolerance,
            nfe,
            value,
            standard_error,
        };
        let series = ToleranceSeries { points: points.iter().map(point).collect(), ..Default::default() };
        ToleranceCurves { series: vec![series], ..Default::default() }
    }

    #[test]
    fn both_panels_become_more_exact_to_the_right() {
        let curves = curves(&[[1e-2, 40.0, 3.5, 0.1], [1e-5, 200.0, 3.4, 0.1]]);
        let [tolerances, evaluations] = curves.plots();
        assert!(tolerances.place((1e-2, 3.4)).0 < tolerances.place((1e-5, 3.4)).0);
        assert!(evaluations.place((40.0, 3.4)).0 < evaluations.place((200.0, 3.4)).0);
        assert_eq!(tolerances.y, evaluations.y);
        assert!(tolerances.y.low < 3.3 && tolerances.y.high > 3.6, "errors are held");
    }

    #[test]
    fn a_point_without_an_abscissa_is_in_the_other_panel() {
        let [tolerances, evaluations] = curves(&[[0.0, 50.0, 1.0, f64::NAN], [1e-3, f64::NAN, 2.0, 0.0]]).panels();
        let drawn = |series: &[QualitySeries]| series[0].drawn().iter().map(|point| point.value).collect::<Vec<_>>();
        assert_eq!((drawn(&tolerances), drawn(&evaluations)), (vec![2.0], vec![1.0]));
    }

    #[test]
    fn series_stand_side_by_side_within_the_panel() {
        let plot = curves(&[]).plots()[0];
        let lefts =
            |count: usize| (0..count).map(move |index| beside(plot, APART, index, count).area.left - plot.area.left);
        assert_eq!(lefts(1).collect::<Vec<_>>(), [0.0]);
        assert_eq!(lefts(3).collect::<Vec<_>>(), [-6.0, 0.0, 6.0]);
        assert!(lefts(40).all(|aside| aside.abs() < 9.0));
    }

    #[test]
    fn a_single_series_has_no_legend() {
        let one = curves(&[]);
        assert_eq!(one.legend(500.0).strip_height(), 0.0);
        let two = ToleranceCurves { series: vec![ToleranceSeries::default(); 2], ..one };
        assert!(two.legend(500.0).strip_height() > 0.0);
    }
}
