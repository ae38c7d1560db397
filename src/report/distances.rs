//! How far samples are from what a model was trained on, beside how far other data are.

use super::axis::{Axis, Scale, extent};
use super::bins::{Bins, sorted};
use super::canvas::{Canvas, Label, Rect, Stroke};
use super::figure::Figure;
use super::panels::title;
use super::plot::{Furniture, Legend, Plot, Sample, nothing};
use super::theme::{AXIS, LINE, MARGIN, NOTE, PALETTE, fade, rgb};
use plotters::prelude::RGBAColor;

/// Histograms of the distances to the nearest training example: of held-out data as a grey area, of samples as a coloured
/// one with a line around it, each with the share of its own in every bin; and the distance below which few held-out data
/// lie.
#[derive(Clone, Debug)]
pub struct NearestDistances {
    /// The title; may be empty.
    pub title: String,
    /// What the distance is, and its unit.
    pub x_label: String,
    /// The distances of held-out data, in any order; what is not finite or negative is left out.
    pub held_out: Vec<f64>,
    /// Those of samples.
    pub samples: Vec<f64>,
    /// A distance to be marked, and what it is called.
    pub threshold: Option<(f64, String)>,
}

impl Default for NearestDistances {
    fn default() -> Self {
        NearestDistances {
            title: String::new(),
            x_label: "distance to the nearest training example".to_owned(),
            held_out: Vec::new(),
            samples: Vec::new(),
            threshold: None,
        }
    }
}

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
const GREY: RGBAColor = rgb(120, 120, 120);

impl NearestDistances {
    /// The distances of held-out data and of samples that can be drawn.
    fn sets(&self) -> [Vec<f64>; 2] {
        [&self.held_out, &self.samples].map(|distances| sorted(distances, 0.0))
    }

    /// Bins that start at zero: a copy is nowhere else.
    fn bins(&self) -> Bins {
        let sets = self.sets();
        let high = extent(sets.iter().flatten().copied()).map(|(_, high)| high).filter(|high| *high > 0.0);
        high.map_or(Bins::nothing(), |high| Bins::between(0.0, high, &sets))
    }

    fn header(&self) -> f64 {
        MARGIN + if self.title.is_empty() { 0.0 } else { 28.0 } + self.legend().strip_height() + 4.0
    }

    fn legend(&self) -> Legend {
        let entries =
            [("held-out data", Sample::Swatch(fade(GREY, 0.45))), ("samples", Sample::Swatch(fade(PALETTE[0], 0.45)))];
        Legend::new(entries.map(|(name, sample)| (name.to_owned(), sample)).to_vec(), WIDTH)
    }
}

impl Figure for NearestDistances {
    fn size(&self) -> (u32, u32) {
        ((WIDTH + 2.0 * MARGIN + 60.0).ceil() as u32, (self.header() + HEIGHT + MARGIN).ceil() as u32)
    }

    fn draw(&self, canvas: &mut Canvas) {
        title(canvas, &self.title);
        let bins = self.bins();
        let sets = self.sets().map(|distances| bins.shares(&distances));
        let most = extent(sets.iter().flatten().copied()).map_or(1.0, |(_, most)| most).max(1e-6);
        let marked = self.threshold.as_ref().map_or(0.0, |(at, _)| if at.is_finite() { *at } else { 0.0 });
        let axis = |high: f64| Axis { high: 1.04 * high, low: 0.0, ..nothing(Scale::Linear) };
        let bounds = canvas.bounds();
        let outer = Rect {
            left: MARGIN,
            top: self.header(),
            right: bounds.right - MARGIN,
            bottom: bounds.bottom - MARGIN + 6.0,
        };
        let plot = Plot::within(outer, axis(bins.high.max(marked)), axis(1.06 * most));
        plot.draw_grid(canvas);
        let outlines = sets.map(|shares| bins.outline(&plot, &shares));
        canvas.polygon(&outlines[0], fade(GREY, 0.45));
        canvas.polygon(&outlines[1], fade(PALETTE[0], 0.3));
        canvas.path(&outlines[1], &Stroke::solid(PALETTE[0], LINE));
        if let Some((at, name)) = self.threshold.as_ref().filter(|(at, _)| at.is_finite() && *at >= 0.0) {
            let (x, top) = (plot.place((*at, 0.0)).0, plot.area.top);
            let dashed = Stroke { color: AXIS, width: 1.25, dash: &[5.0, 3.0] };
            canvas.line((x, top), (x, plot.area.bottom), &dashed);
            canvas.text(&Label::new(name, NOTE).color(AXIS).centred(), (x + 6.0, top + 8.0));
        }
        let along = Furniture {
            x_label: &self.x_label,
            y_label: "share of each in a bin",
            boxed: false,
            x_ticks: true,
            y_ticks: true,
        };
        plot.draw_axes(canvas, &along);
        self.legend().draw_strip(canvas, (plot.area.left, self.header() - self.legend().strip_height() - 4.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_each_set_add_up() {
        let held_out: Vec<f64> = (0..1000).map(|i| 10.0 + f64::from(i % 100) / 10.0).collect();
        let figure =
            NearestDistances { held_out, samples: vec![0.0, 0.0, f64::NAN, 15.0, -1.0, 12.0], ..Default::default() };
        let [held_out, samples] = figure.sets().map(|distances| figure.bins().shares(&distances));
        assert!((held_out.iter().sum::<f64>() - 1.0).abs() < 1e-9 && held_out.len() == samples.len());
        // Copies are in the first bin; what has no distance is in none.
        assert!((samples[0] - 0.5).abs() < 1e-9 && held_out[0] == 0.0, "{samples:?}");
        assert_eq!(NearestDistances::default().bins(), Bins::nothing());
    }
}
