//! The figures and the page of a run, from its files and its model.

use std::path::PathBuf;

use ndarray::{Array2, ArrayView2, s};
use tch::Tensor;

use super::board::write_images;
use super::compare::Comparison;
use super::findings::{Findings, summary};
use super::losses::{calibration_curve, level_curve, loss_curve};
use super::sample::{SAMPLES, heading, read_npy};
use crate::data::Part;
use crate::error::{Error, Result};
use crate::experiment::observer::Observer;
use crate::experiment::plan::{Choice, Plan};
use crate::experiment::run_dir::RunDir;
use crate::report::{
    Block, Figure, Page, PointPanel, PointPanels, ScoreField, ScorePanel, Section, TrajectoryPanel, TrajectoryPanels,
    save,
};
use crate::score::{Eval, Model};
use crate::solve::{State, prior};
use crate::tensor;
use crate::train::Checkpoint;

/// Points in a scatter panel, particles in a trajectory panel, nodes along an axis of a score field.
const POINTS: usize = 5_000;
const PARTICLES: usize = 64;
const NODES: usize = 64;

/// Draws the figures of a run into `figures/` and writes `report.html`; returns the page's path. The first model is the one
/// that was compared, the second drew the samples.
///
/// # Errors
/// Files of the run that cannot be read, a disk that is full, an interrupt.
pub fn report(
    plan: &Plan,
    (model, of_samples): (&dyn Model, &dyn Model),
    run: &RunDir,
    observer: &dyn Observer,
) -> Result<PathBuf> {
    plan.needs_examples("a report")?;
    let drawer = Drawer::new(plan, (model, of_samples), run)?;
    let path = run.file("compare.csv");
    let comparison = if path.is_file() { Some(Comparison::read(&path)?) } else { None };
    let findings = comparison.as_ref().map(Findings::of);
    let mut sections = Vec::new();
    let mut section = |heading: &str, blocks: Vec<Block>| {
        if !blocks.is_empty() {
            sections.push(Section { heading: heading.into(), blocks });
        }
        observer.go_on("draw it again with `ornstein report RUN`")
    };
    section("Training", drawer.training(run)?)?;
    if let (Some(findings), Some(spec)) = (&findings, &plan.spec.compare) {
        section("Quality and cost", drawer.quality(findings)?)?;
        section("Sources of error", drawer.sources(run)?)?;
        let images = drawer.shows_images();
        let kept = if images { Drawer::solver_images } else { Drawer::clouds };
        section("Samples of each solver", kept(&drawer, findings, spec, run, observer)?)?;
        section("Time grids", drawer.grids(spec)?)?;
    }
    section("Samples", if drawer.shows_images() { drawer.images(run)? } else { drawer.samples(run)? })?;
    section("Likelihood", drawer.likelihood(run)?)?;
    section("Score", drawer.score_field()?)?;
    section("Experiment", vec![Block::Preformatted(plan.spec.to_yaml())])?;
    let manifest = run.chosen_checkpoint(plan.spec.sample.checkpoint);
    write_images(&drawer.folder, manifest.and_then(|path| Checkpoint::step_of(&path)).unwrap_or(0))?;
    let page = Page {
        title: plan.spec.name.clone(),
        summary: summary(plan, findings.as_ref()),
        provenance: provenance(run)?,
        sections,
    };
    let path = run.file("report.html");
    page.save(&path)?;
    Ok(path)
}

/// Draws a model's figures into a folder.
pub(super) struct Drawer<'a> {
    pub(super) plan: &'a Plan,
    pub(super) model: &'a dyn Model,
    /// The model with which the samples were drawn.
    pub(super) of_samples: &'a dyn Model,
    folder: PathBuf,
}

impl<'a> Drawer<'a> {
    /// Of a run, with the model that was compared and that which drew its samples.
    pub(super) fn new(
        plan: &'a Plan,
        (model, of_samples): (&'a dyn Model, &'a dyn Model),
        run: &RunDir,
    ) -> Result<Self> {
        Ok(Drawer { plan, model, of_samples, folder: run.folder("figures")? })
    }
}

impl Drawer<'_> {
    pub(super) fn block(&self, figure: &dyn Figure, stem: &str, caption: impl Into<String>) -> Result<Block> {
        Ok(Block::Figure { figure: save(figure, &self.folder, stem)?, caption: caption.into() })
    }

    /// What is drawn of the training, for a trained model.
    fn training(&self, run: &RunDir) -> Result<Vec<Block>> {
        let curves = [loss_curve(run), level_curve(run, self.plan), calibration_curve(run)];
        curves.into_iter().flatten().map(|drawn| self.block(&drawn.curve, drawn.stem, drawn.caption)).collect()
    }

    /// Data beside samples, and the way there; in the first two coordinates.
    fn samples(&self, run: &RunDir) -> Result<Vec<Block>> {
        let path = run.file(SAMPLES);
        let restored = |x: &Tensor| tensor::to_rows(&self.plan.data().restore(x));
        let data = restored(&self.plan.measured(Part::Training, 0, POINTS));
        let dim = data.ncols();
        // Two pixels of an image show nothing.
        if dim < 2 || self.plan.data().shape().len() > 1 || !path.is_file() {
            return Ok(Vec::new());
        }
        let samples = read_npy(&path)?;
        let rows = samples.len() / dim;
        let samples = samples
            .into_shape_with_order((rows, dim))
            .map_err(|e| Error::file(&path, e.to_string(), "draw them again with `ornstein sample`"))?;
        // As many of each, so that they look equally dense.
        let count = POINTS.min(rows);
        let data = data.slice(s![..data.nrows().min(count), ..]);
        let data = PointPanel { title: "data".into(), points: first_two(data) };
        let panels = vec![data, PointPanel { title: heading(run), points: first_two(samples.view()) }];
        let note = if dim > 2 { " Only the first two coordinates are shown." } else { "" };
        let caption = format!("Data beside the samples of this run (at most {POINTS} points each).{note}");
        let mut blocks = vec![self.block(&self.point_panels(panels), "samples", caption)?];
        let mut paths = Vec::new();
        for (title, choice, steps) in self.shown() {
            let sampler = self
                .plan
                .sampler(&choice, steps.unwrap_or(1), self.plan.spec.seed)
                .expect("the experiment was checked");
            let init = |count| {
                prior(&*self.plan.sde, self.plan.spec.seed, count, &self.plan.data().shape(), self.plan.options())
            };
            // A solver that diverges here is in the table as such; its panels are left out.
            let Ok(trajectory) = sampler.trajectory(self.model, &init(PARTICLES)) else { continue };
            let title = match steps {
                Some(steps) => format!("{title}, {steps} steps"),
                None => title,
            };
            // Divided by the scale of x_t, so that processes with and without shrinking signal look alike.
            let scale = |t: f64| (self.plan.sde.kernel(t).alpha.powi(2) + self.plan.sde.kernel(t).sigma.powi(2)).sqrt();
            let scaled = |state: &State| {
                let mut rows = tensor::to_rows(&state.x);
                rows.rows_mut().into_iter().enumerate().for_each(|(i, mut row)| row /= scale(state.time(i)));
                first_two(rows.view())
            };
            let states: Vec<Vec<[f64; 2]>> = trajectory.iter().map(scaled).collect();
            let path = |i: usize| states.iter().map(|state| state[i]).collect();
            paths.push(TrajectoryPanel { title, paths: (0..PARTICLES).map(path).collect() });
        }
        if !paths.is_empty() {
            let caption = format!(
                "The way of {PARTICLES} particles from the prior to the data, as x/√(α² + σ²){}.{note}",
                self.units()
            );
            let panels = TrajectoryPanels { panels: paths, ..TrajectoryPanels::default() };
            blocks.push(self.block(&panels, "trajectories", caption)?);
        }
        Ok(blocks)
    }

    /// Panels with the names of the first two coordinates, where they have names.
    fn point_panels(&self, panels: Vec<PointPanel>) -> PointPanels {
        match self.plan.data().labels() {
            [x, y, ..] => PointPanels { panels, x_label: x.clone(), y_label: y.clone(), ..PointPanels::default() },
            _ => PointPanels { panels, ..PointPanels::default() },
        }
    }

    /// A remark on the units of what is not shown in those of the data.
    pub(super) fn units(&self) -> &'static str {
        if self.plan.data().labels().is_empty() { "" } else { ", in the units of training" }
    }

    /// The solvers whose trajectories are shown: those compared, at the second of the budgets, or the one
    /// that samples.
    fn shown(&self) -> Vec<(String, Choice<'_>, Option<usize>)> {
        let sample = &self.plan.spec.sample;
        let Some(compare) = &self.plan.spec.compare else {
            return vec![(sample.solver.name().into(), self.plan.sample_choice(), Some(sample.steps()))];
        };
        compare
            .entries
            .iter()
            .filter_map(|entry| {
                let choice = self.plan.choice(entry);
                let budgets = compare.budgets(entry);
                let steps = match budgets.get(1).or(budgets.first()) {
                    Some(&budget) => Some(self.plan.steps_within(&choice, budget)?),
                    None => None,
                };
                Some((entry.label(), choice, steps))
            })
            .collect()
    }

    /// Points of data in the plane, and a grid around them.
    pub(super) fn plane(&self, nodes: usize, margin: f64) -> Option<Plane> {
        if self.plan.data().shape() != [2] {
            return None;
        }
        let data = tensor::to_rows(&self.plan.measured(Part::Training, 0, POINTS));
        let axis = |column: usize| {
            let values = data.column(column);
            let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(l, h), &v| (l.min(v), h.max(v)));
            let margin = margin * (high - low);
            let step = (high - low + 2.0 * margin) / (nodes - 1) as f64;
            (0..nodes).map(|i| low - margin + step * i as f64).collect::<Vec<f64>>()
        };
        let (x, y) = (axis(0), axis(1));
        let nodes: Vec<f64> = y.iter().flat_map(|&y| x.iter().flat_map(move |&x| [x, y])).collect();
        let nodes = Tensor::from_slice(&nodes).view([-1, 2]).to_device(self.plan.compute.device);
        Some(Plane { data, x, y, nodes })
    }

    /// The score of the model at four noise levels; for data in the plane.
    fn score_field(&self) -> Result<Vec<Block>> {
        let Some(Plane { data, x, y, nodes }) = self.plane(NODES, 0.3) else { return Ok(Vec::new()) };
        let nodes = nodes.to_kind(self.plan.compute.kind);
        let sde = &*self.plan.sde;
        let panel = |relative: f64| {
            let ratio = relative * data.std(0.0);
            let t = sde.time_of_ratio(ratio).clamp(sde.span().t_min, sde.span().t_max);
            let k = sde.kernel(t);
            // The score of z = x/α: ∇_z log p = α ∇_x log p.
            let score = tch::no_grad(|| Eval::new(self.model, &nodes * k.alpha, t).score() * k.alpha);
            let score = tensor::to_rows(&score);
            let component = |i: usize| {
                let column = score.column(i).to_vec();
                Array2::from_shape_vec((NODES, NODES), column).expect("one value for each node")
            };
            ScorePanel { title: format!("κ = {:.2}", k.ratio()), u: component(0), v: component(1) }
        };
        let panels = [2.0, 0.7, 0.25, 0.08].into_iter().map(panel).collect();
        let field = ScoreField { x, y, panels, data: first_two(data.view()), ..ScoreField::default() };
        let caption = "The model's score of z = x/α at four noise levels κ = σ/α: magnitude as colour, direction as \
                       arrows, over points of the data";
        Ok(vec![self.block(&field, "score", format!("{caption}{}.", self.units()))?])
    }
}

/// Points in the plane `[N, 2]` and the nodes of a grid, row by row `[NODES², 2]`, float64.
pub(super) struct Plane {
    pub(super) data: Array2<f64>,
    pub(super) x: Vec<f64>,
    pub(super) y: Vec<f64>,
    pub(super) nodes: Tensor,
}

/// The first two coordinates of the first points.
pub(super) fn first_two(rows: ArrayView2<f64>) -> Vec<[f64; 2]> {
    rows.rows().into_iter().take(POINTS).map(|row| [row[0], row[1]]).collect()
}

/// The contents of `run.json` as pairs.
fn provenance(run: &RunDir) -> Result<Vec<(String, String)>> {
    let path = run.file("run.json");
    let foreign = |problem: String| Error::file(&path, problem, "the folder is not one that `ornstein run` made");
    let text = std::fs::read(&path).map_err(|e| foreign(e.to_string()))?;
    let value: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&text).map_err(|e| foreign(e.to_string()))?;
    let plain = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(words) => words.iter().filter_map(|word| word.as_str()).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    Ok(value.iter().map(|(key, value)| (key.replace('_', " "), plain(value))).collect())
}
