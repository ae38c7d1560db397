//! What is drawn of a comparison.

use std::path::PathBuf;

use super::compare::{Cloud, Contest, Sources, Standings, Store, Summary, best, clouds, distinct, metric as metric_of};
use super::features::features_folder;
use super::findings::{Findings, Ordinate, Shown, label, ordinate};
use super::report::{Drawer, first_two};
use crate::data::Part;
use crate::error::Result;
use crate::experiment::choices::MetricSpec;
use crate::experiment::observer::Observer;
use crate::experiment::run_dir::RunDir;
use crate::experiment::spec::CompareSpec;
use crate::feature::Card;
use crate::metric::{Best, Need};
use crate::order::{Point, fit};
use crate::report::{
    Better, Block, ErrorSources, GridRow, NoiseFloor, OrderFit, OrderFits, OrderPanel, PointCell, PointGrid, PointRow,
    QualityCurves, QualityPoint, QualitySeries, SignificanceMatrix, Source, SourcePanel, TimeGrids, number,
};
use crate::solve::Schedule;
use crate::statistics::Interval;
use crate::tensor;

/// Metrics that fall to zero with the length of steps, so that orders can be read off.
const CONVERGING: [&str; 2] = ["trajectory_error", "law_wasserstein"];

/// Points of the data below those of solvers.
const REFERENCE: usize = 1000;

/// What the marks in the tables promise.
const PROMISE: &str = "Differences are paired: all solvers of a repeat share x_T, the stream of the noise and the reference data. \
                       The marked solvers hold, with 95 %, the best one at every budget of a table at once.";

impl Drawer<'_> {
    /// For each metric a table, curves against evaluations and against seconds, which solvers differ, and orders.
    pub(super) fn quality(&self, findings: &Findings) -> Result<Vec<Block>> {
        let mut blocks = vec![Block::Paragraph(PROMISE.into())];
        blocks.extend(self.about_features(findings).map(Block::Paragraph));
        blocks.extend(findings.tables().into_iter().map(Block::Ranked));
        for metric in findings.comparison.metrics() {
            let label = label(metric);
            let floor = match findings.floor(metric).is_some() {
                true if metric_of(metric).and_then(|metric| metric.needs()).is_some_and(Need::is_of_unseen) => {
                    " The dashed line is held-out images in their place."
                }
                true if self.plan.data().digest().is_some() => " The dashed line is training rows in their place.",
                true => " The dashed line is fresh data, the best that any sampler can reach with as many points.",
                false => "",
            };
            for (against, x_label) in [("nfe", "evaluations per sample"), ("seconds", self.seconds())] {
                let cost = |s: &Summary| if against == "nfe" { s.nfe } else { s.seconds };
                let curves = quality_curves(findings, metric, x_label, cost);
                let front = if curves.front.is_some() { " The broad line is the Pareto front." } else { "" };
                let caption = format!(
                    "{label} of the samples against {x_label}{}, both measured. Bands are Student's 95 % intervals of the mean over \
                     repeats.{front}{floor}",
                    self.units()
                );
                blocks.push(self.block(&curves, &format!("{metric}-{against}"), caption)?);
            }
            blocks.extend(self.orders(findings, metric)?);
        }
        blocks.extend(findings.standings.iter().filter_map(|standings| matrices(findings, standings)));
        Ok(blocks)
    }

    /// What features of images distances were measured on, if any were.
    fn about_features(&self, findings: &Findings) -> Option<String> {
        let spec = self.plan.spec.compare.as_ref()?;
        let metrics = findings.comparison.metrics();
        let measured = |choice: &MetricSpec| {
            metrics.contains(&choice.name()) && choice.build().needs().is_some_and(Need::is_of_images)
        };
        spec.metrics.iter().find(|choice| measured(choice))?;
        let folder = spec.features.as_ref().map_or_else(|| features_folder(self.plan), PathBuf::from);
        let about = match Card::read(&folder) {
            Ok(Card { accuracy, hash, .. }) => format!(
                "a classifier of these data (right for {:.1} % of {} images that it has not seen; hash {})",
                100.0 * accuracy.value,
                accuracy.count,
                &hash[..12]
            ),
            Err(_) => format!("{}", folder.display()),
        };
        Some(format!(
            "Features of images are those of {about}; numbers on other features cannot be compared with these."
        ))
    }

    /// The error against steps of each solver, with the order that fits.
    fn orders(&self, findings: &Findings, metric: &str) -> Result<Option<Block>> {
        if !CONVERGING.contains(&metric) {
            return Ok(None);
        }
        let panel = |entry: &str| {
            let mine = findings.summaries.iter().filter(|s| s.entry == entry && s.metric == metric);
            let points: Vec<Point> = mine
                .filter_map(|s| Some(Point { steps: s.steps?, error: s.value, standard_error: s.standard_error }))
                .collect();
            let fit = fit(&points, 0.0, None).ok().map(|fit| {
                let (low, high) = fit.interval();
                let range = (fit.steps.0 as f64, fit.steps.1 as f64);
                OrderFit { order: fit.order, interval: Interval { low, high }, range }
            });
            let spec = self.plan.spec.compare.as_ref();
            let chosen = spec.and_then(|spec| spec.entries.iter().find(|other| other.label() == entry));
            OrderPanel {
                title: entry.to_owned(),
                points: points.iter().map(|point| (point.steps as f64, point.error)).collect(),
                fit,
                claimed: chosen.and_then(|entry| entry.solver.chosen().method(1).solver.order().ode),
            }
        };
        let panels: Vec<OrderPanel> =
            findings.comparison.entries().into_iter().map(panel).filter(|panel| panel.points.len() > 1).collect();
        if panels.is_empty() {
            return Ok(None);
        }
        let figure = OrderFits { y_label: label(metric), panels, ..OrderFits::default() };
        let caption = format!(
            "{} against steps, and the order that fits best with its 95 % interval; dashed, the order that the method \
             claims for small steps.",
            label(metric)
        );
        self.block(&figure, &format!("{metric}-orders"), caption).map(Some)
    }

    /// Where the error of each solver comes from, where that is known.
    pub(super) fn sources(&self, run: &RunDir) -> Result<Vec<Block>> {
        let path = run.file("sources.csv");
        let sources = if path.is_file() { Sources::read(&path)? } else { Vec::new() };
        let entries = distinct(sources.iter().filter(|source| source.budget.is_some()).map(|source| &*source.entry));
        let Some(first) = sources.first() else { return Ok(Vec::new()) };
        let panel = |entry: &&str| {
            let mine: Vec<&Sources> = sources.iter().filter(|s| s.entry == *entry && s.budget.is_some()).collect();
            let curve = |of: fn(&Sources) -> f64| Source::Curve(mine.iter().map(|s| (s.nfe, of(s))).collect());
            SourcePanel {
                title: (*entry).to_owned(),
                total: curve(|s| s.total),
                score: Source::Constant(mine[0].score),
                discretisation: curve(|s| s.discretisation),
                truncation: Source::Constant(mine[0].truncation),
                prior: Source::Constant(mine[0].prior),
            }
        };
        let panels = entries.iter().map(panel).collect();
        let caption = format!(
            "Where the error comes from: root mean squares of what separates a solver's samples from the ideal ones, by \
             flows from the same noise: of the solver from that of the model (discretisation), of the model from that of \
             the exact denoiser (score), of that from its end at σ → 0 (truncation), and from the same start as drawn from \
             p_T (prior, {} before it flows). Parts add up to the total at most. Solvers that draw noise follow no flow.",
            number(first.prior_at_start)
        );
        Ok(vec![self.block(&ErrorSources { panels, ..ErrorSources::default() }, "sources", caption)?])
    }

    /// Samples of each solver at each budget, of those that the comparison has kept.
    pub(super) fn clouds(
        &self,
        findings: &Findings,
        spec: &CompareSpec,
        run: &RunDir,
        observer: &dyn Observer,
    ) -> Result<Vec<Block>> {
        let data = self.plan.measured(Part::Training, 0, REFERENCE);
        let reference = tensor::to_rows(&self.plan.data().restore(&data));
        // Two pixels of an image show nothing.
        if reference.ncols() < 2 || self.plan.data().shape().len() > 1 {
            return Ok(Vec::new());
        }
        let clouds = clouds(self.plan, spec, self.model, &Store::new(run.cells()), observer);
        let cell = |cloud: Option<&Cloud>, note| PointCell {
            points: cloud.map_or(Vec::new(), |cloud| first_two(cloud.points.view())),
            note,
        };
        let Some(Shown { columns, rows, metric }) = findings.shown(&clouds, cell) else { return Ok(Vec::new()) };
        let figure = PointGrid {
            columns,
            rows: rows.into_iter().map(|(label, cells)| PointRow { label, cells }).collect(),
            reference: first_two(reference.view()),
            ..PointGrid::default()
        };
        let note = if reference.ncols() > 2 { ", in the first two coordinates" } else { "" };
        let caption = format!(
            "The first samples of each solver at each budget of evaluations, from the same noise, over points of the \
             data{note}; below each, {}.",
            label(&metric)
        );
        Ok(vec![self.block(&figure, "solvers", caption)?])
    }

    /// Where each solver stops on its way.
    pub(super) fn grids(&self, spec: &CompareSpec) -> Result<Vec<Block>> {
        let mut rows: Vec<GridRow> = Vec::new();
        for entry in &spec.entries {
            let budgets = spec.budgets(entry);
            let Some(&budget) = budgets.get(1).or(budgets.first()) else { continue };
            let choice = self.plan.choice(entry);
            let Some(steps) = self.plan.steps_within(&choice, budget) else { continue };
            let sampler = self.plan.sampler(&choice, steps, 0).expect("the experiment was checked");
            let Schedule::Times(times) = &sampler.schedule else { continue };
            let nodes: Vec<f64> = times.iter().map(|&t| self.plan.sde.kernel(t).ratio()).collect();
            match rows.iter_mut().find(|row| row.nodes == nodes) {
                Some(row) => row.label = format!("{}, {}", row.label, entry.label()),
                None => rows.push(GridRow { label: entry.label(), nodes }),
            }
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let caption = "The noise levels κ = σ/α at which solvers stop at one of their smaller budgets; solvers with the same \
                       grid share a row.";
        Ok(vec![self.block(&TimeGrids { rows, ..TimeGrids::default() }, "grids", caption)?])
    }

    /// What seconds are counted.
    fn seconds(&self) -> &'static str {
        match self.plan.compute.device {
            tch::Device::Cpu => "seconds of one processor for all samples",
            _ => "seconds for all samples",
        }
    }
}

/// Which solvers differ at each budget, folded away.
fn matrices(findings: &Findings, standings: &Standings) -> Option<Block> {
    let metric = label(&standings.metric);
    let direction = best(&standings.metric);
    let better = if direction == Best::Most { Better::More } else { Better::Less };
    let matrix = |contest: &Contest| {
        let value = |entry: &String| {
            let found = findings.at(entry, Some(contest.budget), &standings.metric);
            found.map_or(f64::NAN, |s| if better == Better::More { s.value } else { direction.loss(s.value) })
        };
        Block::Matrix(SignificanceMatrix {
            caption: format!("{metric} at {} evaluations", contest.budget),
            competitors: contest.entries.clone(),
            values: contest.entries.iter().map(value).collect(),
            pairs: contest.ranking.pairs.clone(),
            better,
        })
    };
    let blocks: Vec<Block> =
        standings.contests.iter().filter(|contest| contest.entries.len() > 1).map(matrix).collect();
    let summary = format!("Which solvers differ in {metric}, pair by pair, at each budget");
    (!blocks.is_empty()).then_some(Block::Details { summary, blocks })
}

/// One series a solver, in the order of the experiment.
fn quality_curves(findings: &Findings, metric: &str, x_label: &str, cost: impl Fn(&Summary) -> f64) -> QualityCurves {
    let Ordinate { label: y_label, scale, shown, front } = ordinate(metric);
    // Every solver keeps its place, and so its colour, in the figures of all metrics.
    let entries = findings.comparison.entries();
    let mine: Vec<&Summary> = findings.summaries.iter().filter(|s| s.metric == metric).collect();
    let point = |s: &Summary| {
        let point = QualityPoint::new(cost(s), shown(s.value), s.standard_error);
        let Interval { low, high } = s.interval;
        match best(metric) {
            // The interval of a value is none of its size.
            Best::Zero => point,
            Best::Least => point.within(s.interval),
            // A share is not less than nothing.
            Best::Most | Best::Near(_) => point.within(Interval { low: low.max(0.0), high }),
        }
    };
    let series = entries.into_iter().map(|entry| {
        let points: Vec<QualityPoint> = mine.iter().filter(|s| s.entry == entry).map(|s| point(s)).collect();
        let none = if points.is_empty() { " (not defined)" } else { "" };
        QualitySeries { label: format!("{entry}{none}"), points }
    });
    let series = series.collect();
    let floor = findings.floor(metric);
    QualityCurves {
        x_label: x_label.into(),
        y_label,
        series,
        floor: floor.map(|s| NoiseFloor { label: "data".into(), value: shown(s.value), error: s.standard_error }),
        bands: true,
        scale,
        front,
        ..QualityCurves::default()
    }
}
