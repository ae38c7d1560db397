//! `ornstein report`

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::session::{Given, SWEEP, Session};
use super::sweep::{Cells, provenance};
use super::terminal::Terminal;
use super::{Shared, print_json};
use crate::error::{Error, Result};
use crate::experiment::stage::{Heading, Member, Overview};
use crate::experiment::{Document, Observer, RunDir, now, stage};

/// Draw the figures of a run again and write its report.html, or put several runs into one report.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ornstein report runs/NAME/WHEN-HASH
  ornstein report runs/first/WHEN-HASH runs/second/WHEN-HASH runs/third/sweep-HASH --out comparison")]
pub struct Report {
    #[command(flatten)]
    shared: Shared,

    /// More runs, or sweeps, for one report on all of them (into --out, default: a new folder report-WHEN)
    #[arg(value_name = "RUN")]
    others: Vec<PathBuf>,
}

impl Report {
    /// Runs the verb.
    pub fn run(&self) -> Result<()> {
        if !self.others.is_empty() {
            return self.together();
        }
        let given = Given::read(&self.shared)?;
        if let Some(cells) = Cells::of(&given, &self.shared)? {
            return cells.report(&self.shared);
        }
        let session = Session::of(&given, &self.shared)?;
        let (model, owner) = session.model(None)?;
        let run = owner.ok_or_else(|| {
            Error::argument(
                "report",
                "an experiment without training has no run of its own",
                "give the folder of a run: runs/NAME/WHEN-HASH",
            )
        })?;
        let _lock = run.lock()?;
        let of_class = session.model_of_class(&run)?;
        let models = (&*model, of_class.as_deref().unwrap_or(&*model));
        let page = stage::report(&session.plan, models, &run, &session.terminal)?;
        session.terminal.say(&format!("    report {}", page.display()));
        if self.shared.json {
            print_json(&json!({ "run": run.path(), "report": page }))?;
        }
        Ok(())
    }

    /// One report on several runs.
    fn together(&self) -> Result<()> {
        let Shared { set, seed, out, .. } = &self.shared;
        if !set.is_empty() || seed.is_some() {
            let remedy = "leave it away, or give one run";
            return Err(Error::argument("--set", "a report on several runs changes none of them", remedy));
        }
        let mut members = Vec::new();
        for path in std::iter::once(&self.shared.experiment).chain(&self.others) {
            members.extend(self.members(path)?);
        }
        let folder = out.clone().unwrap_or_else(|| PathBuf::from(format!("report-{}", now())));
        if RunDir::open(&folder).is_ok() || folder.join(SWEEP).is_file() {
            let argument = format!("--out {}", folder.display());
            let remedy = "choose another folder";
            return Err(Error::argument(argument, "the report of a run is in this folder", remedy));
        }
        unique(&mut members);
        let terminal = Terminal::new(self.shared.quiet, self.shared.verbose);
        let overview = Overview::read(members)?;
        fs::create_dir_all(&folder).map_err(|source| Error::Unwritable { path: folder.clone(), source })?;
        let table = overview.table();
        terminal.say(&table.to_text());
        let heading =
            Heading { title: format!("{} runs", table.rows.len()), summary: String::new(), provenance: provenance([]) };
        let page = overview.write(&folder, heading, Vec::new(), None)?;
        terminal.say(&format!("    report {}", page.display()));
        if self.shared.json {
            print_json(&json!({ "report": page, "runs": table.rows.len() }))?;
        }
        Ok(())
    }

    /// The runs in a folder: one, or the cells of a sweep.
    fn members(&self, path: &Path) -> Result<Vec<Member>> {
        let sweep = path.join(SWEEP);
        if sweep.is_file() {
            let given = Given { document: Document::open(&sweep)?, folder: Some(path.to_owned()) };
            return Ok(Cells::of(&given, &self.shared)?.map_or(Vec::new(), |cells| cells.members()));
        }
        let run = RunDir::open(path)?;
        Ok(vec![Member { label: run.spec()?.name, run }])
    }
}

/// Tells runs of the same name apart by their folders.
fn unique(members: &mut [Member]) {
    let labels: Vec<String> = members.iter().map(|member| member.label.clone()).collect();
    let folders: Vec<String> = members.iter().map(|member| last(member.run.path())).collect();
    for (index, member) in members.iter_mut().enumerate() {
        let same = |other: &usize| *other != index && labels[*other] == labels[index];
        if (0..labels.len()).any(|other| same(&other)) {
            let ambiguous = (0..labels.len()).any(|other| same(&other) && folders[other] == folders[index]);
            let place = if ambiguous { member.run.path().display().to_string() } else { folders[index].clone() };
            member.label = format!("{} ({place})", member.label);
        }
    }
}

/// The last part of a path.
fn last(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
