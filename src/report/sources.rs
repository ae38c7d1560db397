//! Where the error of samples comes from.

use super::axis::extent;
use super::canvas::{Canvas, Stroke};
use super::figure::Figure;
use super::panels::Sheet;
use super::plot::{Plot, Sample};
use super::theme::{INK, Mark, PALETTE, Style};

/// The error of samples and its parts against evaluations, both on logarithmic axes that all panels share, one panel a
/// solver.
#[derive(Clone, Debug)]
pub struct ErrorSources {
    /// The title; may be empty.
    pub title: String,
    /// What the abscissa counts.
    pub x_label: String,
    /// What the ordinate is.
    pub y_label: String,
    /// The panels, in reading order, up to four in a row.
    pub panels: Vec<SourcePanel>,
}

/// The error of one solver.
#[derive(Clone, Debug, Default)]
pub struct SourcePanel {
    /// The title.
    pub title: String,
    /// All of it.
    pub total: Source,
    /// That of the model: its score in place of the true one.
    pub score: Source,
    /// That of the solver: finite steps in place of the exact flow.
    pub discretisation: Source,
    /// That of stopping before t = 0.
    pub truncation: Source,
    /// That of the start: a normal prior in place of the law at the last time.
    pub prior: Source,
}

/// One error.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// By the number of evaluations, in any order; what is not positive and finite is left out.
    Curve(Vec<(f64, f64)>),
    /// The same for any number of evaluations: a horizontal line.
    Constant(f64),
}

impl Default for Source {
    /// Nothing: it is not drawn.
    fn default() -> Self {
        Source::Curve(Vec::new())
    }
}

impl Default for ErrorSources {
    fn default() -> Self {
        ErrorSources {
            title: String::new(),
            x_label: "evaluations".to_owned(),
            y_label: "RMS error".to_owned(),
            panels: Vec::new(),
        }
    }
}

const MARK: f64 = 2.8;
const BOLD: f64 = 2.75;
const THIN: f64 = 1.5;

/// The names of the total and of its parts, each with its look and the width of its line. The total is drawn first and
/// broadest, so that the part that dominates can be seen on top of it.
const LOOKS: [(&str, Style, f64); 5] = [
    ("total", Style { color: INK, mark: Mark::Polygon(32, 0.0), dash: &[] }, BOLD),
    ("discretisation", Style { color: PALETTE[0], mark: Mark::Polygon(4, 45.0), dash: &[] }, THIN),
    ("score error", Style { color: PALETTE[1], mark: Mark::Polygon(3, 90.0), dash: &[7.0, 3.0] }, THIN),
    ("truncation", Style { color: PALETTE[2], mark: Mark::Polygon(4, 0.0), dash: &[2.0, 3.0] }, THIN),
    ("prior mismatch", Style { color: PALETTE[3], mark: Mark::Polygon(3, 270.0), dash: &[9.0, 3.0, 2.0, 3.0] }, THIN),
];

impl SourcePanel {
    /// In the order of their looks.
    fn sources(&self) -> [&Source; 5] {
        [&self.total, &self.discretisation, &self.score, &self.truncation, &self.prior]
    }
}

impl Source {
    /// What has a place on logarithmic axes, by increasing cost.
    fn drawn(&self) -> Vec<(f64, f64)> {
        let Source::Curve(points) = self else { return Vec::new() };
        let shown = |(x, y): &(f64, f64)| [x, y].iter().all(|value| value.is_finite() && **value > 0.0);
        let mut points: Vec<(f64, f64)> = points.iter().copied().filter(shown).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    }

    fn constant(&self) -> Option<f64> {
        match *self {
            Source::Constant(value) if value.is_finite() && value > 0.0 => Some(value),
            _ => None,
        }
    }

    fn is_shown(&self) -> bool {
        self.constant().is_some() || !self.drawn().is_empty()
    }
}

impl ErrorSources {
    fn sources(&self) -> impl Iterator<Item = &Source> {
        self.panels.iter().flat_map(SourcePanel::sources)
    }

    fn sheet(&self) -> Sheet<'_> {
        let points: Vec<(f64, f64)> = self.sources().flat_map(Source::drawn).collect();
        let x = extent(points.iter().map(|point| point.0));
        // A part that is far below all totals matters no more: it may leave through the floor.
        let totals = extent(self.panels.iter().flat_map(|panel| panel.total.drawn()).map(|point| point.1));
        let all = points.iter().map(|point| point.1).chain(self.sources().filter_map(Source::constant));
        let least = totals.map_or(0.0, |(low, _)| low / DEPTH);
        let y = extent(all.filter(|value| *value >= least));
        let titles = self.panels.iter().map(|panel| panel.title.as_str()).collect();
        Sheet::log(&self.title, titles, [&self.x_label, &self.y_label], [x, y]).with_legend(self.legend())
    }

    /// The looks of what is drawn in any panel.
    fn legend(&self) -> Vec<(String, Sample)> {
        let shown = |&index: &usize| self.panels.iter().any(|panel| panel.sources()[index].is_shown());
        let entries = (0..LOOKS.len()).filter(shown).map(|index| {
            let (name, style, width) = LOOKS[index];
            let marked = self.panels.iter().any(|panel| !panel.sources()[index].drawn().is_empty());
            (name.to_owned(), Sample::Line { style, width, marked })
        });
        entries.collect()
    }
}

/// The axis reaches down to the least total divided by this.
const DEPTH: f64 = 1e3;

fn draw_source(canvas: &mut Canvas, plot: &Plot, source: &Source, (_, look, width): (&str, Style, f64)) {
    let stroke = Stroke { color: look.color, width, dash: look.dash };
    if let Some(value) = source.constant() {
        plot.curve(canvas, &[(plot.x.low, value), (plot.x.high, value)], &stroke);
    }
    let points = source.drawn();
    plot.curve(canvas, &points, &stroke);
    plot.inside(points).for_each(|place| canvas.mark(look.mark, place, MARK, look.color));
}

impl Figure for ErrorSources {
    fn size(&self) -> (u32, u32) {
        self.sheet().size()
    }

    fn draw(&self, canvas: &mut Canvas) {
        let sheet = self.sheet();
        for (panel, plot) in self.panels.iter().zip(sheet.plots()) {
            plot.draw_grid(canvas);
            panel.sources().into_iter().zip(LOOKS).for_each(|(source, look)| draw_source(canvas, &plot, source, look));
        }
        sheet.draw(canvas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_holds_totals_and_what_matters_of_the_parts() {
        let panel = SourcePanel {
            total: Source::Curve(vec![(10.0, 1.0), (5.0, 2.0), (20.0, f64::NAN)]),
            truncation: Source::Constant(1e-9),
            score: Source::Constant(0.01),
            prior: Source::Constant(f64::NAN),
            ..SourcePanel::default()
        };
        assert_eq!(panel.total.drawn(), [(5.0, 2.0), (10.0, 1.0)]);
        let [x, y] = ErrorSources { panels: vec![panel], ..ErrorSources::default() }.sheet().limits;
        assert!(x.0 < 5.0 && x.1 > 10.0, "{x:?}");
        assert!(y.0 < 0.01 && y.0 > 1e-4 && y.1 > 2.0, "{y:?}");
    }
}
