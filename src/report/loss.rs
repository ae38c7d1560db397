//! The loss in the course of training.

use super::axis::{Axis, Scale, extent, quantile};
use super::canvas::{Canvas, Rect, Stroke};
use super::figure::Figure;
use super::panels::title;
use super::plot::{Furniture, Legend, Plot, Sample, nothing};
use super::theme::{LINE, MARGIN, fade, style};

/// The loss over training steps: each series as a line; a smoothed one, if it stands alone, over its own values as a
/// faint line. The ordinate is logarithmic if the losses are positive and span more than a factor of ten.
#[derive(Clone, Debug)]
pub struct LossCurve {
    /// The title; may be empty.
    pub title: String,
    /// What the abscissa counts.
    pub x_label: String,
    /// The scale of the abscissa.
    pub x_scale: Scale,
    /// Which loss it is.
    pub y_label: String,
    /// One or more series.
    pub series: Vec<LossSeries>,
}

/// One series of losses.
#[derive(Clone, Debug, Default)]
pub struct LossSeries {
    /// The name in the legend.
    pub label: String,
    /// Pairs of abscissa and loss, ascending; the line breaks at losses that are not finite.
    pub points: Vec<(f64, f64)>,
    /// Whether to draw a running mean (over a fortieth of the series) instead of the losses themselves.
    pub smooth: bool,
    /// The ends of an interval at each point, drawn as a band; empty for none.
    pub band: Vec<(f64, f64)>,
}

impl Default for LossCurve {
    fn default() -> Self {
        LossCurve {
            title: String::new(),
            x_label: "training step".to_owned(),
            x_scale: Scale::Linear,
            y_label: "weighted denoising loss".to_owned(),
            series: Vec::new(),
        }
    }
}

/// More points than this cannot be told apart on paper: the line shows the extremes of each group.
const COLUMNS: usize = 700;

impl LossCurve {
    fn axes(&self) -> (Axis, Axis) {
        let points = || self.series.iter().flat_map(|series| &series.points).filter(|point| point.1.is_finite());
        let x = extent(points().map(|point| point.0)).map_or(nothing(Scale::Linear), |(low, high)| {
            // Steps start at an edge of the plot and end at the other.
            if high > low { Axis { scale: self.x_scale, low, high } } else { Axis::linear(low, high) }
        });
        let ends = self.series.iter().flat_map(|series| series.band.iter().flat_map(|&(low, high)| [low, high]));
        let mut losses: Vec<f64> = points().map(|point| point.1).chain(ends.filter(|end| end.is_finite())).collect();
        losses.sort_by(f64::total_cmp);
        let y = match (losses.first(), losses.last()) {
            (Some(&low), Some(&high)) => {
                if low > 0.0 && quantile(&losses, 0.998) / quantile(&losses, 0.002) > 10.0 {
                    Axis::log(low, high)
                } else {
                    // A few spikes may leave the plot, so that the rest is seen.
                    let top = quantile(&losses, 0.998);
                    Axis::linear(low, if top > low { high.min(top + 0.3 * (top - low)) } else { high })
                }
            }
            _ => nothing(Scale::Linear),
        };
        (x, y)
    }
}

impl LossCurve {
    /// The faint lines of several series would hide one another.
    fn shows_values(&self) -> bool {
        self.series.len() == 1
    }

    fn legend(&self) -> Legend {
        let entries = self.series.iter().enumerate().map(|(index, series)| {
            let note = match (series.smooth, self.shows_values()) {
                (true, true) => " (running mean; faint: every value)",
                _ => "",
            };
            let marked = series.points.len() <= FEW && !series.smooth;
            (format!("{}{note}", series.label), Sample::Line { style: style(index), width: LINE, marked })
        });
        Legend::new(entries.collect(), WIDTH - 2.0 * MARGIN)
    }
}

const WIDTH: f64 = 720.0;
/// The height of a figure with a legend of one row.
const HEIGHT: f64 = 420.0;

impl Figure for LossCurve {
    fn size(&self) -> (u32, u32) {
        (WIDTH as u32, (HEIGHT - Legend::ROW + self.legend().strip_height().max(Legend::ROW)).ceil() as u32)
    }

    fn draw(&self, canvas: &mut Canvas) {
        title(canvas, &self.title);
        let bounds = canvas.bounds();
        let legend = self.legend();
        let header = if self.title.is_empty() { MARGIN } else { MARGIN + 24.0 };
        legend.draw_strip(canvas, (MARGIN, header));
        let (x, y) = self.axes();
        let plot = Plot::within(
            Rect {
                left: MARGIN,
                top: header + legend.strip_height() + 8.0,
                right: bounds.right - MARGIN - 8.0,
                bottom: bounds.bottom - MARGIN + 6.0,
            },
            x,
            y,
        );
        plot.draw_grid(canvas);
        let faint = |(_, series): &(usize, &LossSeries)| series.smooth && self.shows_values();
        for (index, series) in self.series.iter().enumerate().filter(faint) {
            let faint = Stroke::solid(fade(style(index).color, 0.28), HAIRLINE);
            plot.curve(canvas, &extremes(&series.points), &faint);
        }
        for (index, series) in self.series.iter().enumerate() {
            let ends = series.points.iter().zip(&series.band).map(|(&(x, _), &(low, high))| (x, low, high));
            plot.band(canvas, &ends.collect::<Vec<_>>(), fade(style(index).color, 0.18));
        }
        for (index, series) in self.series.iter().enumerate() {
            draw_series(canvas, &plot, series, index);
        }
        let furniture =
            Furniture { x_label: &self.x_label, y_label: &self.y_label, boxed: false, x_ticks: true, y_ticks: true };
        plot.draw_axes(canvas, &furniture);
    }
}

const HAIRLINE: f64 = 0.75;
/// Up to so many points are marked one by one.
const FEW: usize = 40;

fn draw_series(canvas: &mut Canvas, plot: &Plot, series: &LossSeries, index: usize) {
    let look = style(index);
    let stroke = Stroke { color: look.color, width: LINE, dash: look.dash };
    let smoothed = if series.smooth { running_mean(&series.points) } else { series.points.clone() };
    plot.curve(canvas, &extremes(&smoothed), &stroke);
    if (series.points.len() <= FEW && !series.smooth) || series.points.len() == 1 {
        plot.inside(series.points.iter().copied()).for_each(|place| canvas.mark(look.mark, place, 3.5, look.color));
    }
}

/// The mean of each loss and its neighbours within a fortieth of the series; fewer towards the ends.
fn running_mean(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let finite: Vec<(f64, f64)> = points.iter().copied().filter(|point| point.1.is_finite()).collect();
    let mut sums = vec![0.0];
    sums.extend(finite.iter().scan(0.0, |sum, point| {
        *sum += point.1;
        Some(*sum)
    }));
    let (reach, last) = (finite.len() / 80, finite.len().saturating_sub(1));
    (0..finite.len())
        .map(|index| {
            // A window with as many on either side leaves slopes as they are; at the very ends that would be no mean.
            let reach = reach.min(index.max(reach / 3)).min((last - index).max(reach / 3));
            let (from, to) = (index.saturating_sub(reach), (index + reach).min(last) + 1);
            (finite[index].0, (sums[to] - sums[from]) / (to - from) as f64)
        })
        .collect()
}

/// The least and the greatest of every group of neighbours, in their order, if there are too many points to be seen.
fn extremes(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= 3 * COLUMNS {
        return points.to_vec();
    }
    let finite: Vec<(f64, f64)> = points.iter().copied().filter(|point| point.1.is_finite()).collect();
    finite
        .chunks(finite.len().div_ceil(COLUMNS).max(1))
        .flat_map(|group| {
            let by_loss = |&a: &usize, &b: &usize| group[a].1.total_cmp(&group[b].1);
            let (low, high) = ((0..group.len()).min_by(by_loss), (0..group.len()).max_by(by_loss));
            let (first, second) = (low.min(high), low.max(high).filter(|_| low != high));
            first.into_iter().chain(second).map(|index| group[index]).collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_mean_keeps_lines_straight() {
        let line: Vec<(f64, f64)> = (0..1000).map(|step| (f64::from(step), 3.0 - f64::from(step) / 500.0)).collect();
        for (index, (mean, point)) in running_mean(&line).iter().zip(&line).enumerate() {
            let tolerance = if (4..996).contains(&index) { 1e-9 } else { 5e-3 };
            assert!((mean.1 - point.1).abs() < tolerance, "{index}");
        }
        assert_eq!(running_mean(&[(1.0, 2.0), (2.0, f64::NAN)]), [(1.0, 2.0)]);
    }

    #[test]
    fn thinning_keeps_spikes() {
        let mut noisy: Vec<(f64, f64)> = (0..100_000).map(|step| (f64::from(step), 1.0)).collect();
        noisy[54_321].1 = 9.0;
        noisy[54_322].1 = f64::NAN;
        let thin = extremes(&noisy);
        assert!(thin.len() <= 2 * COLUMNS + 2);
        assert!(thin.contains(&(54_321.0, 9.0)));
        assert!(thin.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }

    #[test]
    fn wide_ranges_are_logarithmic_and_others_are_not() {
        let curve = |losses: &[f64]| LossCurve {
            series: vec![LossSeries {
                points: losses.iter().map(|&loss| (loss, loss)).collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(curve(&[1.0, 0.01]).axes().1.scale, Scale::Log);
        assert_eq!(curve(&[1.0, 0.5]).axes().1.scale, Scale::Linear);
        assert_eq!(curve(&[1.0, 0.0]).axes().1.scale, Scale::Linear);
        assert_eq!(curve(&[]).axes().1, nothing(Scale::Linear));
    }
}
