//! Errors against numbers of steps, with guides for the eye.

use super::axis::extent;
use super::canvas::{Align, Canvas, Label, Stroke};
use super::figure::Figure;
use super::panels::Sheet;
use super::plot::{Plot, Sample};
use super::theme::{AXIS, LINE, NOTE, rgb, style};

/// Errors against steps, both on logarithmic axes that all panels share, one series a solver: a method of order p is a
/// line of slope −p.
#[derive(Clone, Debug, Default)]
pub struct ConvergencePanels {
    /// The title; may be empty.
    pub title: String,
    /// What the ordinate is.
    pub y_label: String,
    /// The panels, in reading order.
    pub panels: Vec<ConvergencePanel>,
    /// The names of the series, in the order of their looks.
    pub names: Vec<String>,
    /// The orders whose slopes are drawn as guides.
    pub slopes: Vec<f64>,
}

/// The errors of some solvers on one process.
#[derive(Clone, Debug, Default)]
pub struct ConvergencePanel {
    /// The title.
    pub title: String,
    /// Its series.
    pub series: Vec<ConvergenceSeries>,
}

/// The errors of one solver.
#[derive(Clone, Debug, Default)]
pub struct ConvergenceSeries {
    /// Which of the names.
    pub name: usize,
    /// Steps and errors, by increasing steps; what is not positive is left out.
    pub points: Vec<(f64, f64)>,
}

impl ConvergencePanels {
    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let points = self.panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.points);
        points.copied().filter(|(x, y)| [x, y].iter().all(|value| value.is_finite() && **value > 0.0))
    }

    /// The ends of the data along both axes.
    fn ends(&self) -> [(f64, f64); 2] {
        let x = extent(self.points().map(|point| point.0));
        let y = extent(self.points().map(|point| point.1));
        [x, y].map(|ends| ends.unwrap_or((1.0, 10.0)))
    }

    fn sheet(&self) -> Sheet<'_> {
        let titles = self.panels.iter().map(|panel| panel.title.as_str()).collect();
        Sheet::log(&self.title, titles, ["steps", &self.y_label], self.ends().map(Some)).with_legend(self.legend())
    }

    fn legend(&self) -> Vec<(String, Sample)> {
        let entry = |(index, name): (usize, &String)| {
            (name.clone(), Sample::Line { style: style(index), width: LINE, marked: true })
        };
        self.names.iter().enumerate().map(entry).collect()
    }

    /// Lines of the given slopes from the upper left corner of the data, each with its order at its end.
    fn draw_slopes(&self, canvas: &mut Canvas, plot: &Plot) {
        let [(left, right), (low, high)] = self.ends();
        if left >= right || low >= high {
            return;
        }
        let stroke = Stroke { color: rgb(150, 150, 150), width: 1.0, dash: &[4.0, 3.0] };
        for &order in &self.slopes {
            let at = |x: f64| high * (x / left).powf(-order);
            // Steep ones leave through the floor.
            let end = if at(right) >= low { right } else { left * (high / low).powf(1.0 / order) };
            plot.curve(canvas, &[(left, high), (end, at(end))], &stroke);
            let (x, y) = plot.place((end, at(end)));
            let text = format!("{order}");
            canvas.text(&Label::new(&text, NOTE).color(AXIS).align(Align::End), (x - 2.0, y - 4.0));
        }
    }
}

const MARK: f64 = 2.6;

impl Figure for ConvergencePanels {
    fn size(&self) -> (u32, u32) {
        self.sheet().size()
    }

    fn draw(&self, canvas: &mut Canvas) {
        let sheet = self.sheet();
        for (panel, plot) in self.panels.iter().zip(sheet.plots()) {
            plot.draw_grid(canvas);
            self.draw_slopes(canvas, &plot);
            for ConvergenceSeries { name, points } in &panel.series {
                let look = style(*name);
                plot.curve(canvas, points, &Stroke { color: look.color, width: LINE, dash: look.dash });
                let marks = plot.inside(points.iter().copied());
                marks.for_each(|place| canvas.mark(look.mark, place, MARK, look.color));
            }
        }
        sheet.draw(canvas);
    }
}
