//! How a number spreads over the members of several sets.

use super::axis::{Axis, Scale, extent, quantile};
use super::bins::{Bins, sorted};
use super::canvas::{Align, Canvas, Label, Rect, Stroke};
use super::figure::Figure;
use super::panels::title;
use super::plot::{Furniture, Legend, Plot, Sample, nothing};
use super::table::plus_minus;
use super::theme::{AXIS, LABEL, LINE, MARGIN, NOTE, fade, style};

/// Histograms of one number of several sets, each with the share of its own in every bin, and their means.
///
/// Bins reach from the least 0.5 % quantile of a set to the greatest 99.5 % quantile, lest a stray number make specks of
/// the others; what lies beyond is in the outer bins, and a remark counts it.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// The title; may be empty.
    pub title: String,
    /// What the number is, and its unit.
    pub x_label: String,
    /// The sets, in the order of their looks; more than three hide one another.
    pub sets: Vec<HistogramSet>,
}

/// The number of each member of a set.
#[derive(Clone, Debug, Default)]
pub struct HistogramSet {
    /// The name in the legend.
    pub name: String,
    /// The numbers, in any order; what is not finite is left out.
    pub values: Vec<f64>,
    /// The mean and its standard error: a line with a band of two standard errors to both sides, and in the legend. A mean
    /// far from the bins stands in the legend only.
    pub mean: Option<(f64, f64)>,
}

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
const TAIL: f64 = 0.005;
/// The height of the remark above the plot.
const REMARK: f64 = 16.0;

impl HistogramSet {
    fn kept(&self) -> Vec<f64> {
        sorted(&self.values, f64::NEG_INFINITY)
    }

    fn finite_mean(&self) -> Option<(f64, f64)> {
        self.mean.filter(|(mean, _)| mean.is_finite())
    }

    fn mean_in_words(&self) -> Option<String> {
        let (mean, error) = self.finite_mean()?;
        // A proper minus, as along the axis.
        let minus = if mean < 0.0 { "−" } else { "" };
        Some(format!("mean {minus}{}", plus_minus(mean.abs(), error)))
    }
}

impl Histogram {
    fn bins(&self) -> Bins {
        let sets: Vec<Vec<f64>> = self.sets.iter().map(HistogramSet::kept).collect();
        let ends = |set: &Vec<f64>| [TAIL, 1.0 - TAIL].map(|share| quantile(set, share));
        let Some((low, high)) = extent(sets.iter().filter(|set| !set.is_empty()).flat_map(ends)) else {
            return Bins::nothing();
        };
        let (low, high) = (low.clamp(-1e300, 1e300), high.clamp(-1e300, 1e300));
        // Numbers that are all the same still need a neighbourhood.
        let around = if high > low { Axis { low, high, ..nothing(Scale::Linear) } } else { Axis::linear(low, high) };
        Bins::between(around.low, around.high, &sets)
    }

    /// The bins and the means that are not far from them.
    fn abscissa(&self, bins: Bins) -> Axis {
        let reach = 0.5 * (bins.high - bins.low);
        let near = |mean: &f64| (bins.low - reach..=bins.high + reach).contains(mean);
        let means = self.sets.iter().filter_map(HistogramSet::finite_mean).map(|(mean, _)| mean).filter(near);
        let (low, high) = extent(means.chain([bins.low, bins.high])).unwrap_or((bins.low, bins.high));
        Axis::linear(low, high)
    }

    /// How many numbers lie beyond the bins, in words.
    fn remark(&self) -> Option<String> {
        let bins = self.bins();
        let all: Vec<f64> = self.sets.iter().flat_map(HistogramSet::kept).collect();
        let beyond = all.iter().filter(|value| !(bins.low..=bins.high).contains(value)).count();
        (beyond > 0).then(|| format!("{beyond} of {} lie beyond the bins and are in the outer ones", all.len()))
    }

    fn legend(&self) -> Legend {
        let entry = |(index, set): (usize, &HistogramSet)| {
            let name = [set.name.clone(), set.mean_in_words().unwrap_or_default()].into_iter();
            let name = name.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
            (name, Sample::Swatch(fade(style(index).color, 0.45)))
        };
        let means = self.sets.iter().any(|set| set.finite_mean().is_some());
        let means = means.then(|| ("mean ± 2 standard errors".to_owned(), Sample::Band(AXIS)));
        Legend::new(self.sets.iter().enumerate().map(entry).chain(means).collect(), WIDTH)
    }

    fn header(&self) -> f64 {
        let title = if self.title.is_empty() { 0.0 } else { 28.0 };
        let remark = if self.remark().is_some() { REMARK } else { 0.0 };
        MARGIN + title + self.legend().strip_height() + 4.0 + remark
    }

    fn draw_mean(&self, canvas: &mut Canvas, plot: &Plot, index: usize) {
        let Some((mean, error)) = self.sets[index].finite_mean() else { return };
        let (color, Rect { top, bottom, .. }) = (style(index).color, plot.area);
        let across = |value: f64| plot.place((value.clamp(plot.x.low, plot.x.high), 0.0)).0;
        if !(plot.x.low..=plot.x.high).contains(&mean) {
            return;
        }
        if error.is_finite() {
            let [left, right] = [-2.0, 2.0].map(|errors| across(mean + errors * error.abs()));
            canvas.rect(Rect { left, top, right, bottom }, fade(color, 0.18));
        }
        canvas.line((across(mean), top), (across(mean), bottom), &Stroke { color, width: 1.25, dash: &[5.0, 3.0] });
    }
}

impl Figure for Histogram {
    fn size(&self) -> (u32, u32) {
        ((WIDTH + 2.0 * MARGIN + 60.0).ceil() as u32, (self.header() + HEIGHT + MARGIN).ceil() as u32)
    }

    fn draw(&self, canvas: &mut Canvas) {
        title(canvas, &self.title);
        let (bins, bounds) = (self.bins(), canvas.bounds());
        let shares: Vec<Vec<f64>> = self.sets.iter().map(|set| bins.shares(&set.kept())).collect();
        let most = extent(shares.iter().flatten().copied()).map_or(1.0, |(_, most)| most).max(1e-6);
        let y = Axis { low: 0.0, high: 1.06 * most, ..nothing(Scale::Linear) };
        let (top, bottom) = (self.header(), bounds.bottom - MARGIN + 6.0);
        let outer = Rect { left: MARGIN, top, right: bounds.right - MARGIN, bottom };
        let plot = Plot::within(outer, self.abscissa(bins), y);
        plot.draw_grid(canvas);
        let outlines: Vec<_> = shares.iter().map(|shares| bins.outline(&plot, shares)).collect();
        for (index, outline) in outlines.iter().enumerate() {
            canvas.polygon(outline, fade(style(index).color, 0.3));
        }
        // All lines above all areas.
        for (index, outline) in outlines.iter().enumerate() {
            canvas.path(outline, &Stroke::solid(style(index).color, LINE));
        }
        (0..self.sets.len()).for_each(|index| self.draw_mean(canvas, &plot, index));
        if shares.iter().flatten().all(|share| *share == 0.0) {
            canvas.text(&Label::new("no values to show", LABEL).align(Align::Middle).centred(), plot.area.middle());
        }
        let y_label = "share of each in a bin";
        let along = Furniture { x_label: &self.x_label, y_label, boxed: false, x_ticks: true, y_ticks: true };
        plot.draw_axes(canvas, &along);
        let strip = MARGIN + if self.title.is_empty() { 0.0 } else { 28.0 };
        self.legend().draw_strip(canvas, (plot.area.left, strip));
        if let Some(remark) = self.remark() {
            let place = (plot.area.right, top - REMARK / 2.0 - 2.0);
            canvas.text(&Label::new(&remark, NOTE).color(AXIS).align(Align::End).centred(), place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers, and their mean.
    type Set<'a> = (&'a [f64], Option<(f64, f64)>);

    fn histogram(sets: &[Set]) -> Histogram {
        let set = |&(values, mean): &Set| HistogramSet { values: values.to_vec(), mean, ..Default::default() };
        Histogram { sets: sets.iter().map(set).collect(), ..Default::default() }
    }

    #[test]
    fn a_stray_number_does_not_set_the_bins() {
        let mut values: Vec<f64> = (0..1000).map(|i| -0.5 + f64::from(i % 100) / 100.0).collect();
        values[7] = 1e9;
        let figure = histogram(&[(&values, None), (&[0.25, f64::NAN, 0.3], None)]);
        let bins = figure.bins();
        assert!(bins.low >= -0.5 && bins.high < 0.5, "{bins:?}");
        assert!(figure.remark().is_some_and(|remark| remark.contains(" of 1002 ")));
        let sum: f64 = bins.shares(&figure.sets[0].kept()).iter().sum();
        assert!((sum - 1.0).abs() < 1e-9, "what is beyond is counted too: {sum}");
    }

    #[test]
    fn the_axis_holds_near_means_only() {
        let values = [0.0, 1.0, 2.0, 3.0, 4.0];
        let high = |mean: f64| {
            let figure = histogram(&[(&values, Some((mean, 0.1)))]);
            figure.abscissa(figure.bins()).high
        };
        assert!((4.0..4.5).contains(&high(1.0)) && (5.5..6.0).contains(&high(5.5)) && high(1e9) < 5.0);
        assert!(high(f64::NAN) < 5.0 && high(f64::INFINITY) < 5.0);
    }

    #[test]
    fn numbers_without_a_range_have_bins() {
        assert_eq!(histogram(&[]).bins(), Bins::nothing());
        assert_eq!(histogram(&[(&[f64::NAN], None)]).bins(), Bins::nothing());
        for value in [0.0, -3.5, 1e300, -1e308] {
            let bins = histogram(&[(&[value; 7], None)]).bins();
            assert!(bins.low < bins.high && bins.count >= 10, "{value}: {bins:?}");
        }
    }
}
