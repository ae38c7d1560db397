//! The figures and the page of a run, from its files and its model.

use std::path::PathBuf;

use ndarray::{Array2, ArrayView2, s};
use tch::Tensor;

use super::board::write_images;
use super::compare::{Comparison, Summary, best};
use super::findings::{evaluations, label, summary, tables};
use super::losses::{calibration_curve, level_curve, loss_curve};
use super::sample::read_npy;
use crate::data::Part;
use crate::error::{Error, Result};
use crate::experiment::observer::Observer;
use crate::experiment::plan::{Choice, Plan};
use crate::experiment::run_dir::RunDir;
use crate::experiment::spec::FLOOR;
use crate::metric::Best;
use crate::report::{
    Block, Figure, NoiseFloor, Page, PointPanel, PointPanels, QualityCurves, QualityPoint, QualitySeries, ScoreField,
    ScorePanel, Section, TrajectoryPanel, TrajectoryPanels, save,
};
use crate::score::{Eval, Model};
use crate::solve::{State, prior};
use crate::tensor;
use crate::train::Checkpoint;

/// Points in a scatter panel, particles in a trajectory panel, nodes along an axis of a score field.
const POINTS: usize = 5_000;
const PARTICLES: usize = 64;
const NODES: usize = 64;

/// Draws the figures of a run into `figures/` and writes `report.html`; returns the page's path.
///
/// # Errors
/// Files of the run that cannot be read, a disk that is full, an interrupt.
pub fn report(plan: &Plan, model: &dyn Model, run: &RunDir, observer: &dyn Observer) -> Result<PathBuf> {
    let drawer = Drawer { plan, model, folder: run.folder("figures")? };
    let path = run.file("compare.csv");
    let comparison = if path.is_file() { Some(Comparison::read(&path)?) } else { None };
    let mut sections = Vec::new();
    let mut section = |heading: &str, blocks: Vec<Block>| {
        if !blocks.is_empty() {
            sections.push(Section { heading: heading.into(), blocks });
        }
        if observer.stopped() {
            return Err(Error::Interrupted { remedy: "draw it again with `ornstein report RUN`".into() });
        }
        Ok(())
    };
    section("Training", drawer.training(run)?)?;
    section("Quality and cost", comparison.as_ref().map_or(Ok(Vec::new()), |comparison| drawer.quality(comparison))?)?;
    section("Samples", drawer.samples(run)?)?;
    section("Score", drawer.score_field()?)?;
    section("Experiment", vec![Block::Preformatted(plan.spec.to_yaml())])?;
    let manifest = run.chosen_checkpoint(plan.spec.sample.checkpoint);
    write_images(&drawer.folder, manifest.and_then(|path| Checkpoint::step_of(&path)).unwrap_or(0))?;
    let page = Page {
        title: plan.spec.name.clone(),
        summary: summary(plan, comparison.as_ref()),
        provenance: provenance(run)?,
        sections,
    };
    let path = run.file("report.html");
    page.save(&path)?;
    Ok(path)
}

/// Draws a model's figures into a folder.
struct Drawer<'a> {
    plan: &'a Plan,
    model: &'a dyn Model,
    folder: PathBuf,
}

impl Drawer<'_> {
    fn block(&self, figure: &dyn Figure, stem: &str, caption: impl Into<String>) -> Result<Block> {
        Ok(Block::Figure { figure: save(figure, &self.folder, stem)?, caption: caption.into() })
    }

    /// What is drawn of the training, for a trained model.
    fn training(&self, run: &RunDir) -> Result<Vec<Block>> {
        let curves = [loss_curve(run), level_curve(run, self.plan), calibration_curve(run)];
        curves.into_iter().flatten().map(|drawn| self.block(&drawn.curve, drawn.stem, drawn.caption)).collect()
    }

    /// For each metric a table, and curves against evaluations and against seconds.
    fn quality(&self, comparison: &Comparison) -> Result<Vec<Block>> {
        let mut blocks = Vec::new();
        for table in tables(comparison) {
            blocks.push(Block::Table(table));
        }
        for metric in comparison.metrics() {
            let label = label(metric);
            let floor = comparison.cells.iter().any(|cell| cell.entry == FLOOR && cell.metric == metric);
            let floor = match floor {
                true if self.plan.data().digest().is_some() => " The dashed line is training rows in their place.",
                true => " The dashed line is fresh data, the best that any sampler can reach with as many points.",
                false => "",
            };
            for (against, x_label) in [("nfe", "evaluations per sample"), ("seconds", self.seconds())] {
                let cost = |s: &Summary| if against == "nfe" { s.nfe } else { s.seconds };
                let curves = quality_curves(comparison, metric, x_label, cost);
                let caption = format!(
                    "{label} of the samples against {x_label}{}, both measured. Bars are standard errors.{floor}",
                    self.units()
                );
                blocks.push(self.block(&curves, &format!("{metric}-{against}"), caption)?);
            }
        }
        Ok(blocks)
    }

    /// Data beside samples, solvers beside one another, and the way there; in the first two coordinates.
    fn samples(&self, run: &RunDir) -> Result<Vec<Block>> {
        let path = run.file("samples.npy");
        let restored = |x: &Tensor| tensor::to_rows(&self.plan.data().restore(x));
        let data = restored(&self.plan.measured(Part::Training, 0, POINTS));
        let dim = data.ncols();
        if dim < 2 || !path.is_file() {
            return Ok(Vec::new());
        }
        let samples = read_npy(&path)?;
        let rows = samples.len() / dim;
        let samples = samples
            .into_shape_with_order((rows, dim))
            .map_err(|e| Error::file(&path, e.to_string(), "draw them again with `ornstein sample`"))?;
        let spec = &self.plan.spec.sample;
        let sampled = format!("{}, {} steps", spec.solver.name(), spec.steps());
        // As many of each, so that they look equally dense.
        let count = POINTS.min(rows);
        let data = data.slice(s![..data.nrows().min(count), ..]);
        let data = PointPanel { title: "data".into(), points: first_two(data) };
        let panels = vec![data, PointPanel { title: sampled, points: first_two(samples.view()) }];
        let note = if dim > 2 { " Only the first two coordinates are shown." } else { "" };
        let caption = format!("Data beside the samples of this run (at most {POINTS} points each).{note}");
        let mut blocks = vec![self.block(&self.point_panels(panels), "samples", caption)?];
        let (mut points, mut paths) = (Vec::new(), Vec::new());
        for (title, choice, steps) in self.shown() {
            let sampler = self.plan.sampler(&choice, steps, self.plan.spec.seed).expect("the experiment was checked");
            let init = |count| {
                prior(&*self.plan.sde, self.plan.spec.seed, count, &self.plan.data().shape(), self.plan.options())
            };
            // A solver that diverges here is in the table as such; its panels are left out.
            let Ok(run) = sampler.run(self.model, &init(count), &self.plan.compute.workers, &|_| Ok(())) else {
                continue;
            };
            let title = format!("{title}, {} evaluations", evaluations(run.nfe));
            points.push(PointPanel { title: title.clone(), points: first_two(restored(&run.x).view()) });
            let trajectory = sampler.trajectory(self.model, &init(PARTICLES))?;
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
        if !points.is_empty() {
            let caption =
                format!("Each solver of the comparison at one of its smaller budgets, from the same noise.{note}");
            blocks.push(self.block(&self.point_panels(points), "solvers", caption)?);
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

    /// What seconds are counted.
    fn seconds(&self) -> &'static str {
        match self.plan.compute.device {
            tch::Device::Cpu => "seconds of one processor for all samples",
            _ => "seconds for all samples",
        }
    }

    /// A remark on the units of what is not shown in those of the data.
    fn units(&self) -> &'static str {
        if self.plan.data().labels().is_empty() { "" } else { ", in the units of training" }
    }

    /// The solvers whose samples and trajectories are shown: those compared, at the second of the budgets, or the one
    /// that samples.
    fn shown(&self) -> Vec<(String, Choice<'_>, usize)> {
        let sample = &self.plan.spec.sample;
        let Some(compare) = &self.plan.spec.compare else {
            let choice = Choice { solver: &sample.solver, grid: &sample.grid, denoise: sample.denoise };
            return vec![(sample.solver.name().into(), choice, sample.steps())];
        };
        compare
            .entries
            .iter()
            .filter_map(|entry| {
                let choice = self.plan.choice(entry);
                let budgets = compare.budgets(entry);
                let steps = match budgets.get(1).or(budgets.first()) {
                    Some(&budget) => self.plan.steps_within(&choice, budget)?,
                    None => 1,
                };
                Some((entry.label(), choice, steps))
            })
            .collect()
    }

    /// The score of the model at four noise levels; for data in the plane.
    fn score_field(&self) -> Result<Vec<Block>> {
        if self.plan.data().shape() != [2] {
            return Ok(Vec::new());
        }
        let data = tensor::to_rows(&self.plan.measured(Part::Training, 0, POINTS));
        let axis = |column: usize| {
            let values = data.column(column);
            let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(l, h), &v| (l.min(v), h.max(v)));
            let margin = 0.3 * (high - low);
            let step = (high - low + 2.0 * margin) / (NODES - 1) as f64;
            (0..NODES).map(|i| low - margin + step * i as f64).collect::<Vec<f64>>()
        };
        let (x, y) = (axis(0), axis(1));
        let nodes: Vec<f64> = y.iter().flat_map(|&y| x.iter().flat_map(move |&x| [x, y])).collect();
        let nodes = Tensor::from_slice(&nodes)
            .view([-1, 2])
            .to_kind(self.plan.compute.kind)
            .to_device(self.plan.compute.device);
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

/// The first two coordinates of the first points.
fn first_two(rows: ArrayView2<f64>) -> Vec<[f64; 2]> {
    rows.rows().into_iter().take(POINTS).map(|row| [row[0], row[1]]).collect()
}

/// One series a solver, in the order of the experiment.
fn quality_curves(
    comparison: &Comparison,
    metric: &str,
    x_label: &str,
    cost: impl Fn(&Summary) -> f64,
) -> QualityCurves {
    let summaries = comparison.summaries();
    let label = label(metric);
    // On a logarithmic axis what may have either sign shows its size.
    let (y_label, shown): (String, fn(f64) -> f64) = match best(metric) {
        Best::Least => (format!("{label} (lower is better)"), |value| value),
        Best::Zero => (format!("|{label}| (lower is better)"), f64::abs),
        Best::Most => (format!("{label} (higher is better)"), |value| value),
    };
    // Every solver keeps its place, and so its colour, in the figures of all metrics.
    let entries = comparison.entries();
    let mine: Vec<&Summary> = summaries.iter().filter(|s| s.metric == metric).collect();
    let point = |s: &Summary| QualityPoint::new(cost(s), shown(s.value), s.standard_error);
    let series = entries.into_iter().map(|entry| {
        let points: Vec<QualityPoint> = mine.iter().filter(|s| s.entry == entry).map(|s| point(s)).collect();
        let none = if points.is_empty() { " (not defined)" } else { "" };
        QualitySeries { label: format!("{entry}{none}"), points }
    });
    let series = series.collect();
    let floor = mine.iter().find(|s| s.entry == FLOOR);
    QualityCurves {
        x_label: x_label.into(),
        y_label,
        series,
        floor: floor.map(|s| NoiseFloor { label: "data".into(), value: shown(s.value), error: s.standard_error }),
        ..QualityCurves::default()
    }
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
