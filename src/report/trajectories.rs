//! The ways of particles from the prior to the data.

use super::axis::Scale;
use super::canvas::{Canvas, Stroke};
use super::figure::Figure;
use super::panels::{Sheet, limits, remark};
use super::plot::{ColorBar, Plot};
use super::theme::{INK, PAPER, fade, rgb, viridis};
use plotters::prelude::RGBAColor;

/// Sampling trajectories in the plane, one panel a solver: lines from light to dark as sampling goes on, a small
/// grey dot where a particle starts, a dark one where it ends.
#[derive(Clone, Debug)]
pub struct TrajectoryPanels {
    /// The title; may be empty.
    pub title: String,
    /// The label of the abscissa.
    pub x_label: String,
    /// The label of the ordinate.
    pub y_label: String,
    /// What goes on from light to dark, and its two ends.
    pub progress: (String, [String; 2]),
    /// The panels, in reading order, up to four in a row.
    pub panels: Vec<TrajectoryPanel>,
}

/// The trajectories of one solver.
#[derive(Clone, Debug, Default)]
pub struct TrajectoryPanel {
    /// The title of the panel; long ones take two lines.
    pub title: String,
    /// The positions of each particle, from the first to the last; positions that are not finite are left out. A
    /// hundred to two hundred particles are enough; more than that cannot be followed by eye.
    pub paths: Vec<Vec<[f64; 2]>>,
}

impl Default for TrajectoryPanels {
    fn default() -> Self {
        TrajectoryPanels {
            title: String::new(),
            x_label: "x₁".to_owned(),
            y_label: "x₂".to_owned(),
            progress: ("progress of sampling".to_owned(), ["prior", "end"].map(str::to_owned)),
            panels: Vec::new(),
        }
    }
}

/// Colours between start and end: enough for a smooth change, few enough for a small file.
const SHADES: usize = 20;

/// The colour of the dots where particles start.
const START: RGBAColor = rgb(150, 150, 150);

/// Viridis from its light to its dark end, without the yellow that white paper swallows.
fn progress(share: f64) -> RGBAColor {
    viridis(0.88 * (1.0 - share))
}

impl TrajectoryPanels {
    fn sheet(&self) -> Sheet<'_> {
        // Where particles start and end must be seen; on their way they may leave the panel.
        let ends = |panel: &TrajectoryPanel| {
            let starts = panel.paths.iter().filter_map(|path| path.first().copied()).collect();
            vec![starts, panel.paths.iter().filter_map(|path| path.last().copied()).collect()]
        };
        let ends: Vec<_> = self.panels.iter().map(ends).collect();
        Sheet {
            title: &self.title,
            panels: self.panels.iter().map(|panel| panel.title.as_str()).collect(),
            x_label: &self.x_label,
            y_label: &self.y_label,
            limits: limits(&ends),
            scale: Scale::Linear,
            equal: true,
            bar: Some(ColorBar {
                label: &self.progress.0,
                ticks: [0.0, 1.0].into_iter().zip(self.progress.1.clone()).collect(),
                color: progress,
            }),
            legend: Vec::new(),
        }
    }
}

impl Figure for TrajectoryPanels {
    fn size(&self) -> (u32, u32) {
        self.sheet().size()
    }

    fn draw(&self, canvas: &mut Canvas) {
        let sheet = self.sheet();
        for (panel, plot) in self.panels.iter().zip(sheet.plots()) {
            plot.draw_grid(canvas);
            draw_paths(canvas, &plot, &panel.paths);
        }
        sheet.draw(canvas);
    }
}

fn draw_paths(canvas: &mut Canvas, plot: &Plot, paths: &[Vec<[f64; 2]>]) {
    // Opaque: the overlapping ends of see-through parts would show as dots.
    let width = (12.0 / paths.len().max(1) as f64).sqrt().clamp(0.6, 1.5);
    // All particles at once, shade by shade, so that late parts lie over early ones.
    for shade in 0..SHADES {
        let stroke = Stroke::solid(progress((shade as f64 + 0.5) / SHADES as f64), width);
        for path in paths {
            let last = path.len().saturating_sub(1);
            let (from, to) = (shade * last / SHADES, (shade + 1) * last / SHADES);
            if from < to {
                let part: Vec<(f64, f64)> = path[from..=to].iter().map(|point| (point[0], point[1])).collect();
                plot.curve(canvas, &part, &stroke);
            }
        }
    }
    let finite = |path: &&Vec<[f64; 2]>| path.iter().flatten().all(|value| value.is_finite());
    let mut outside = 0;
    for path in paths {
        if let Some(&[x, y]) = path.first() {
            dot(canvas, plot, (x, y), 1.25, START);
        }
        let end = path.last().map(|&[x, y]| dot(canvas, plot, (x, y), 1.6, INK));
        outside += usize::from(end == Some(false));
    }
    let broken = paths.iter().filter(|path| !finite(path)).count();
    let mut remarks = Vec::new();
    remarks.extend((outside > 0).then(|| format!("{outside} end outside")));
    remarks.extend((broken > 0).then(|| format!("{broken} not finite")));
    if !remarks.is_empty() {
        remark(canvas, plot, &remarks.join(", "));
    }
}

/// A dot with a thin white rim, if it lies within the plot.
fn dot(canvas: &mut Canvas, plot: &Plot, point: (f64, f64), radius: f64, color: RGBAColor) -> bool {
    let place = plot.place(point);
    if !plot.area.contains(place) {
        return false;
    }
    canvas.disc(place, radius + 0.5, fade(PAPER, 0.7));
    canvas.disc(place, radius, color);
    true
}
