//! Several runs beside one another: one page and one table of all their losses and comparisons.

use std::path::{Path, PathBuf};

use super::compare::{Comparison, Summary, best as direction};
use super::curves::{Curve, table};
use super::findings::{Ordinate, evaluations, label, ordinate};
use super::log::losses;
use crate::error::{Error, Result};
use crate::experiment::differences::{Difference, differences};
use crate::experiment::run_dir::RunDir;
use crate::experiment::spec::{FLOOR, Spec};
use crate::file::write_whole;
use crate::report::{
    Block, Figure, LossCurve, LossSeries, NoiseFloor, Page, QualityCurves, QualitySeries, Section, Table, plus_minus,
    save,
};
use crate::statistics::mean;

/// A run and what it is called beside others.
#[derive(Clone, Debug)]
pub struct Member {
    /// The name in figures and tables.
    pub label: String,
    /// The run.
    pub run: RunDir,
}

/// Several runs and all that their folders say.
#[derive(Debug)]
pub struct Overview {
    runs: Vec<Results>,
    differences: Vec<Difference>,
}

#[derive(Debug)]
struct Results {
    label: String,
    run: RunDir,
    spec: Spec,
    losses: Vec<(f64, f64)>,
    comparison: Comparison,
}

/// Curves of one figure that can be told apart.
const CURVES: usize = 12;

/// The differences that a table has room for, and the longest value that it shows.
const COLUMNS: usize = 8;
const LONGEST: usize = 40;

/// The share of the log, at its end, whose mean is called the final loss.
const FINAL: usize = 10;

impl Overview {
    /// Reads what the runs have left behind: losses, comparisons, or nothing yet.
    ///
    /// # Errors
    /// Files that are not what this program writes.
    pub fn read(members: Vec<Member>) -> Result<Self> {
        let read = |Member { label, run }: Member| {
            let path = run.file("compare.csv");
            let comparison = if path.is_file() { Comparison::read(&path)? } else { Comparison::default() };
            Ok(Results { label, spec: run.spec()?, losses: losses(&run.file("metrics.csv")), comparison, run })
        };
        let runs: Vec<Results> = members.into_iter().map(read).collect::<Result<_>>()?;
        let differences = differences(&runs.iter().map(|results| &results.spec).collect::<Vec<_>>());
        Ok(Overview { runs, differences })
    }

    /// A line a run: in what it differs, its final loss, its best distances.
    pub fn table(&self) -> Table {
        let shown = &self.differences[..self.differences.len().min(COLUMNS)];
        let trained = self.runs.iter().any(|results| !results.losses.is_empty());
        let mut columns = vec!["run".to_owned()];
        columns.extend(shown.iter().map(|difference| difference.name.clone()));
        columns.extend(trained.then(|| ["steps", "final loss"].map(str::to_owned)).into_iter().flatten());
        for metric in self.metrics() {
            columns.extend([format!("best {}", label(&metric)), "by".to_owned()]);
        }
        let row = |(index, results): (usize, &Results)| {
            let mut row = vec![results.label.clone()];
            row.extend(shown.iter().map(|difference| shorten(&difference.values[index])));
            if trained {
                let steps = results.losses.last().map_or(String::new(), |(step, _)| format!("{step:.0}"));
                row.extend([
                    steps,
                    results.final_loss().map_or(String::new(), |(loss, error)| plus_minus(loss, error)),
                ]);
            }
            for metric in self.metrics() {
                let summaries = results.comparison.summaries();
                row.extend(best(&summaries, &metric).map_or([String::new(), String::new()], |best| {
                    [plus_minus(best.value, best.standard_error), format!("{}, {}", best.entry, evaluations(best.nfe))]
                }));
            }
            row
        };
        let more = self.differences.len() - shown.len();
        let caption = match more {
            0 => String::new(),
            more => format!("{more} more settings differ; they are in the table of all numbers"),
        };
        Table { caption, columns, rows: self.runs.iter().enumerate().map(row).collect() }
    }

    /// Writes `report.html`, `figures/` and `runs.csv` into a folder; returns the page's path. `remarks` stand at the
    /// top, `experiment` at the end.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(
        &self,
        folder: &Path,
        heading: Heading,
        remarks: Vec<String>,
        experiment: Option<String>,
    ) -> Result<PathBuf> {
        let figures = folder.join("figures");
        std::fs::create_dir_all(&figures).map_err(Error::write(&figures))?;
        let mut all: Vec<Block> = remarks.into_iter().map(Block::Paragraph).collect();
        all.push(Block::Table(self.table()));
        if self.runs.iter().any(|results| !results.losses.is_empty()) {
            let text = "The final loss is the mean over the last tenth of the log, with the standard error over its lines. \
                        Losses of different processes, predictions or weightings measure different things.";
            all.push(Block::Paragraph(text.into()));
        }
        all.push(Block::Links(self.links(folder)));
        let sections = [
            ("Runs", all),
            ("Training", self.training(&figures)?),
            ("Quality and cost", self.quality(&figures)?),
            ("Experiment", experiment.into_iter().map(Block::Preformatted).collect()),
        ];
        let sections = sections.into_iter().filter(|(_, blocks)| !blocks.is_empty());
        let page = Page {
            title: heading.title,
            summary: heading.summary,
            provenance: heading.provenance,
            sections: sections.map(|(heading, blocks)| Section { heading: heading.into(), blocks }).collect(),
        };
        write_whole(&folder.join("runs.csv"), &self.csv())?;
        let path = folder.join("report.html");
        page.save(&path)?;
        Ok(path)
    }

    /// The pages of the runs, as seen from a folder.
    fn links(&self, folder: &Path) -> Vec<(String, String)> {
        let link = |results: &Results| {
            let page = results.run.file("report.html");
            let seen = page.strip_prefix(folder).map(Path::to_owned).or_else(|_| std::path::absolute(&page)).ok()?;
            page.is_file().then(|| (results.label.clone(), seen.display().to_string()))
        };
        self.runs.iter().filter_map(link).collect()
    }

    fn training(&self, figures: &Path) -> Result<Vec<Block>> {
        let trained = self.runs.iter().filter(|results| !results.losses.is_empty());
        let series = |results: &Results| LossSeries {
            label: results.label.clone(),
            points: results.losses.clone(),
            smooth: true,
            ..Default::default()
        };
        let curve = LossCurve { series: trained.map(series).collect(), ..LossCurve::default() };
        if curve.series.is_empty() {
            return Ok(Vec::new());
        }
        let caption = "The weighted denoising loss of each run: running means of the log.";
        Ok(vec![block(&curve, figures, "loss", caption.into())?])
    }

    /// For each metric figures and a table of all curves.
    fn quality(&self, figures: &Path) -> Result<Vec<Block>> {
        let mut blocks = Vec::new();
        let (curves, seeds) = self.curves();
        let mut entries: Vec<&str> = Vec::new();
        for curve in &curves {
            if !entries.contains(&curve.entry.as_str()) {
                entries.push(&curve.entry);
            }
        }
        let bars = match seeds {
            true => "Means over seeds; bars are standard errors over them, training included.",
            false => "Bars are standard errors.",
        };
        for metric in self.metrics() {
            let figure = |of: &[&str], stem: String, whose: &str| {
                let mine = curves.iter().filter(|curve| of.contains(&curve.entry.as_str()));
                let name = |curve: &Curve| match (of.len(), entries.len()) {
                    (1, _) => curve.run.clone(),
                    _ => format!("{} · {}", curve.run, curve.entry),
                };
                let Ordinate { label: y_label, scale, shown, .. } = ordinate(&metric);
                let series =
                    mine.map(|curve| QualitySeries { label: name(curve), points: curve.points(&metric, shown) });
                let quality = QualityCurves {
                    x_label: "evaluations per sample".into(),
                    y_label,
                    scale,
                    series: series.filter(|series| !series.points.is_empty()).collect(),
                    floor: self.floor(&metric),
                    ..QualityCurves::default()
                };
                let floor = match quality.floor {
                    Some(_) => " The dashed line is fresh data against fresh data, the mean over runs.",
                    None => "",
                };
                let caption = format!("{}{whose} against evaluations per sample. {bars}{floor}", label(&metric));
                block(&quality, figures, &stem, caption)
            };
            if curves.len() <= CURVES || entries.len() == 1 {
                blocks.push(figure(&entries, format!("{metric}-nfe"), "")?);
            } else {
                for (index, entry) in entries.iter().enumerate() {
                    let (stem, whose) = (format!("{metric}-nfe-{}", index + 1), format!(" of {entry}"));
                    blocks.push(figure(&[entry], stem, &whose)?);
                }
            }
            blocks.push(Block::Table(table(&curves, &metric, bars)));
        }
        Ok(blocks)
    }

    /// A curve for each run and entry; of runs that differ by their seed alone one curve, if there are such runs.
    fn curves(&self) -> (Vec<Curve>, bool) {
        let mut groups: Vec<(Vec<&str>, Vec<usize>)> = Vec::new();
        for index in 0..self.runs.len() {
            let key: Vec<&str> = self.settings().map(|difference| difference.values[index].as_str()).collect();
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, members)) => members.push(index),
                None => groups.push((key, vec![index])),
            }
        }
        let seeds = groups.iter().any(|(_, members)| members.len() > 1);
        let mut curves = Vec::new();
        for (key, members) in &groups {
            let name = match members.as_slice() {
                [only] => self.runs[*only].label.clone(),
                [first, ..] if key.is_empty() => format!("{}, {} seeds", self.runs[*first].spec.name, members.len()),
                members => {
                    let settings = self.settings().zip(key).map(|(d, value)| format!("{}={}", d.name, shorten(value)));
                    format!("{}, {} seeds", settings.collect::<Vec<_>>().join(", "), members.len())
                }
            };
            let all: Vec<Summary> = members.iter().flat_map(|index| self.runs[*index].comparison.summaries()).collect();
            for summary in all.iter().filter(|summary| summary.entry != FLOOR) {
                if !curves.iter().any(|curve: &Curve| curve.run == name && curve.entry == summary.entry) {
                    curves.push(Curve { run: name.clone(), entry: summary.entry.clone(), summaries: Vec::new() });
                }
                let curve = curves.iter_mut().find(|curve| curve.run == name && curve.entry == summary.entry);
                curve.expect("it was just made").summaries.push(summary.clone());
            }
        }
        curves.iter_mut().for_each(Curve::merge);
        (curves, seeds)
    }

    /// The differences that are not of the seed.
    fn settings(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.path != "seed")
    }

    /// The noise floor, where it is the same for all runs up to chance.
    fn floor(&self, metric: &str) -> Option<NoiseFloor> {
        let decides = |difference: &Difference| {
            difference.path.starts_with("data") || ["compare.count", "sample.count"].contains(&difference.path.as_str())
        };
        if self.differences.iter().any(decides) {
            return None;
        }
        let summaries = self.runs.iter().flat_map(|results| results.comparison.summaries());
        let floors: Vec<Summary> = summaries.filter(|s| s.entry == FLOOR && s.metric == metric).collect();
        // Runs with the same seed share their floor, so the errors are averaged and not divided.
        let mean = |of: fn(&Summary) -> f64| floors.iter().map(of).sum::<f64>() / floors.len() as f64;
        let (value, error) = (mean(|s| s.value), mean(|s| s.standard_error));
        (!floors.is_empty()).then(|| NoiseFloor { label: "data".into(), value, error })
    }

    fn metrics(&self) -> Vec<String> {
        let mut names = Vec::new();
        for metric in self.runs.iter().flat_map(|results| results.comparison.metrics()) {
            if !names.iter().any(|name| name == metric) {
                names.push(metric.to_owned());
            }
        }
        names
    }

    /// A line for each number that a comparison measured, or for each run without one.
    fn csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut header = vec!["run", "folder"];
        header.extend(self.differences.iter().map(|difference| difference.path.as_str()));
        header.extend(["steps", "loss", "loss_error"]);
        header.extend(["entry", "budget", "nfe", "seconds", "metric", "value", "standard_error"]);
        let mut lines = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
        for (index, results) in self.runs.iter().enumerate() {
            let mut start = vec![results.label.clone(), results.run.path().display().to_string()];
            start.extend(self.differences.iter().map(|difference| difference.values[index].clone()));
            start.push(results.losses.last().map_or(String::new(), |(step, _)| step.to_string()));
            let (loss, error) = results.final_loss().unzip();
            start.extend([loss, error].map(|number| number.map_or(String::new(), |number| number.to_string())));
            let summaries = results.comparison.summaries();
            if summaries.is_empty() {
                lines.push([start.clone(), vec![String::new(); 7]].concat());
            }
            lines.extend(summaries.into_iter().map(|s| {
                let budget = s.budget.map_or(String::new(), |budget| budget.to_string());
                let numbers = [s.nfe, s.seconds].map(|number| number.to_string());
                let [nfe, seconds] = numbers;
                let rest = [s.entry, budget, nfe, seconds, s.metric, s.value.to_string(), s.standard_error.to_string()];
                [start.clone(), rest.to_vec()].concat()
            }));
        }
        for line in lines {
            writer.write_record(line).expect("lines of one length can be written to memory");
        }
        writer.into_inner().expect("writing to memory does not fail")
    }
}

/// What stands at the top of a page.
#[derive(Clone, Debug, Default)]
pub struct Heading {
    /// The title.
    pub title: String,
    /// What it is about.
    pub summary: String,
    /// Where the numbers come from.
    pub provenance: Vec<(String, String)>,
}

impl Results {
    /// The mean loss over the last tenth of the log, and its standard error.
    fn final_loss(&self) -> Option<(f64, f64)> {
        let count = self.losses.len().div_ceil(FINAL);
        let last: Vec<f64> = self.losses[self.losses.len() - count..].iter().map(|(_, loss)| *loss).collect();
        (count > 0).then(|| mean(&last))
    }
}

fn block(figure: &dyn Figure, folder: &Path, stem: &str, caption: String) -> Result<Block> {
    Ok(Block::Figure { figure: save(figure, folder, stem)?, caption })
}

/// The best distance of a run.
fn best<'a>(summaries: &'a [Summary], metric: &str) -> Option<&'a Summary> {
    let mine = summaries.iter().filter(|s| s.metric == metric && s.entry != FLOOR && s.value.is_finite());
    let loss = |summary: &Summary| direction(metric).loss(summary.value);
    mine.min_by(|a, b| loss(a).total_cmp(&loss(b)))
}

/// A value with no more characters than a table has room for.
fn shorten(value: &str) -> String {
    if value.chars().count() <= LONGEST {
        return value.to_owned();
    }
    value.chars().take(LONGEST - 1).chain(['…']).collect()
}
