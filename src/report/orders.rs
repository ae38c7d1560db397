//! Orders of convergence as fitted to errors.

use super::axis::extent;
use super::canvas::{Align, Canvas, Label, Stroke};
use super::figure::Figure;
use super::panels::Sheet;
use super::plot::{Plot, Sample};
use super::theme::{LINE, Mark, NOTE, PALETTE, Style, rgb};
use crate::statistics::Interval;

/// Errors against steps, both on logarithmic axes that all panels share, one panel a solver with the line that was fitted:
/// an order of p is a slope of −p.
#[derive(Clone, Debug)]
pub struct OrderFits {
    /// The title; may be empty.
    pub title: String,
    /// What the abscissa counts.
    pub x_label: String,
    /// What the ordinate is.
    pub y_label: String,
    /// The panels, in reading order, up to four in a row.
    pub panels: Vec<OrderPanel>,
}

/// The errors of one solver.
#[derive(Clone, Debug, Default)]
pub struct OrderPanel {
    /// The title.
    pub title: String,
    /// Steps and errors; what is not positive and finite is left out.
    pub points: Vec<(f64, f64)>,
    /// The fit, if there is one.
    pub fit: Option<OrderFit>,
    /// The order that the method claims, if it claims one: a dashed guide.
    pub claimed: Option<f64>,
}

/// A line through some of the points: error = c · steps^(−order).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderFit {
    /// The order.
    pub order: f64,
    /// Its interval.
    pub interval: Interval,
    /// The least and the greatest number of steps that it was fitted to; points outside are hollow.
    pub range: (f64, f64),
}

impl Default for OrderFits {
    fn default() -> Self {
        OrderFits { title: String::new(), x_label: "steps".to_owned(), y_label: "error".to_owned(), panels: Vec::new() }
    }
}

const MARK: f64 = 3.2;
const POINTS: Style = Style { color: PALETTE[0], mark: Mark::Polygon(32, 0.0), dash: &[] };
const GUIDE: Style = Style { color: rgb(120, 120, 120), mark: Mark::Polygon(32, 0.0), dash: &[5.0, 3.0] };
const FIT: Style = Style { color: PALETTE[1], mark: Mark::Polygon(32, 0.0), dash: &[] };

impl OrderFit {
    fn holds(&self, steps: f64) -> bool {
        (self.range.0..=self.range.1).contains(&steps)
    }

    /// Such as `order 1.98 [1.95, 2.02]`.
    fn text(&self) -> String {
        if !self.order.is_finite() {
            return "no fit".to_owned();
        }
        let order = decimals(self.order);
        let Interval { low, high } = self.interval;
        match low.is_finite() && high.is_finite() {
            true => format!("order {order} [{}, {}]", decimals(low), decimals(high)),
            false => format!("order {order}"),
        }
    }
}

fn decimals(value: f64) -> String {
    format!("{value:.2}").replace('-', "−")
}

impl OrderPanel {
    /// What has a place on the axes, by increasing steps.
    fn drawn(&self) -> Vec<(f64, f64)> {
        let shown = |(x, y): &(f64, f64)| [x, y].iter().all(|value| value.is_finite() && **value > 0.0);
        let mut points: Vec<(f64, f64)> = self.points.iter().copied().filter(shown).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    }

    /// The points that were fitted: all, if nothing is known of a fit.
    fn fitted(&self) -> Vec<(f64, f64)> {
        let holds = |&(steps, _): &(f64, f64)| self.fit.is_none_or(|fit| fit.holds(steps));
        self.drawn().into_iter().filter(holds).collect()
    }

    /// The line of a slope through the middle of the points that were fitted, from the first of them to the last.
    fn line(&self, order: f64) -> Option<[(f64, f64); 2]> {
        let points = self.fitted();
        let ((first, _), (last, _)) = (points.first()?, points.last()?);
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
        let (x, y) = (mean(|point| point.0.ln()), mean(|point| point.1.ln()));
        (first < last && order.is_finite()).then(|| [*first, *last].map(|at| (at, (y - order * (at.ln() - x)).exp())))
    }

    fn draw(&self, canvas: &mut Canvas, plot: &Plot) {
        if let Some([from, to]) = self.claimed.and_then(|order| self.line(order)) {
            // Beside the points, lest it hide the fit.
            let lower = |(x, y): (f64, f64)| (x, y / ASIDE);
            let stroke = Stroke { color: GUIDE.color, width: 1.25, dash: GUIDE.dash };
            plot.curve(canvas, &[lower(from), lower(to)], &stroke);
        }
        if let Some(line) = self.fit.and_then(|fit| self.line(fit.order)) {
            plot.curve(canvas, &line, &Stroke::solid(FIT.color, LINE));
        }
        for point in self.drawn() {
            let place = plot.place(point);
            if !plot.area.contains(place) {
                continue;
            }
            match self.fit.is_none_or(|fit| fit.holds(point.0)) {
                true => canvas.mark(POINTS.mark, place, MARK, POINTS.color),
                false => canvas.hollow_mark(POINTS.mark, place, MARK, POINTS.color),
            }
        }
        // In the corner that errors leave as they fall.
        let text = self.fit.map_or("no fit".to_owned(), |fit| fit.text());
        let place = (plot.area.right - 6.0, plot.area.top + 10.0);
        canvas.text(&Label::new(&text, NOTE).align(Align::End).centred(), place);
    }
}

/// How far the guide of the claimed order lies below the points, as a ratio.
const ASIDE: f64 = 2.5;

impl OrderFits {
    fn sheet(&self) -> Sheet<'_> {
        let points: Vec<(f64, f64)> = self.panels.iter().flat_map(OrderPanel::drawn).collect();
        let ends = [extent(points.iter().map(|point| point.0)), extent(points.iter().map(|point| point.1))];
        let titles = self.panels.iter().map(|panel| panel.title.as_str()).collect();
        Sheet::log(&self.title, titles, [&self.x_label, &self.y_label], ends).with_legend(self.legend())
    }

    fn legend(&self) -> Vec<(String, Sample)> {
        let mut entries = vec![("fit".to_owned(), Sample::Line { style: FIT, width: LINE, marked: false })];
        if self.panels.iter().any(|panel| panel.claimed.is_some()) {
            let guide = Sample::Line { style: GUIDE, width: 1.25, marked: false };
            entries.push(("slope of the claimed order".to_owned(), guide));
        }
        entries
    }
}

impl Figure for OrderFits {
    fn size(&self) -> (u32, u32) {
        self.sheet().size()
    }

    fn draw(&self, canvas: &mut Canvas) {
        let sheet = self.sheet();
        for (panel, plot) in self.panels.iter().zip(sheet.plots()) {
            plot.draw_grid(canvas);
            panel.draw(canvas, &plot);
        }
        sheet.draw(canvas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_follows_a_power_law() {
        let points = [8.0, 16.0, 32.0, 64.0].map(|n: f64| (n, 3.0 * n.powi(-2))).to_vec();
        let fit = OrderFit { order: 2.0, interval: Interval { low: 1.95, high: 2.05 }, range: (16.0, 64.0) };
        let panel = OrderPanel { points, fit: Some(fit), ..OrderPanel::default() };
        let [(from, high), (to, low)] = panel.line(2.0).unwrap();
        assert_eq!((from, to), (16.0, 64.0));
        assert!((high * 256.0 - 3.0).abs() < 1e-9 && (low * 4096.0 - 3.0).abs() < 1e-9, "{high} {low}");
        assert_eq!(fit.text(), "order 2.00 [1.95, 2.05]");
        let unbounded = Interval { low: f64::NEG_INFINITY, high: f64::INFINITY };
        assert_eq!(OrderFit { order: -0.5, interval: unbounded, ..fit }.text(), "order −0.50");
    }

    #[test]
    fn too_few_points_have_no_line() {
        let panel = |points: Vec<(f64, f64)>| OrderPanel { points, ..OrderPanel::default() };
        assert_eq!(panel(vec![]).line(1.0), None);
        assert_eq!(panel(vec![(8.0, 1.0), (16.0, f64::NAN)]).line(1.0), None);
        assert_eq!(panel(vec![(8.0, 1.0), (16.0, 0.5)]).line(f64::NAN), None);
    }
}
