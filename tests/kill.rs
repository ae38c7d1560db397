//! SIGKILL at any moment loses no more than the steps since the last checkpoint, and changes nothing that comes after.
#![cfg(unix)]

mod alike;
mod place;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use alike::{files, same_course};
use ornstein::rng::{Purpose, Stream};
use ornstein::train::Checkpoint;
use place::Place;

/// All that a checkpoint can hold, in an odd rhythm: checkpoints fall between lines of the log, between validations, and
/// between snapshots, and now and then together with them.
const SETTINGS: &str = "\
name: relentless
data: two_moons
sde: vp
model: {network: {mlp: {width: 96, depth: 3}}, predict: edm}
train:
  steps: 420
  batch: 32
  time: log_normal
  quantiles: stratified
  weighting: edm
  uncertainty: {features: 16}
  optimizer: {adamw: {lr: 2.0e-3, weight_decay: 0.01}}
  schedule: cosine
  warmup: 20
  ema: [{power: {std: 0.05}}, {power: {std: 0.1}}, {half_life: 50}]
  log_every: 3
  validate: {every: 5, count: 128}
  checkpoint_every: 7
  snapshot_every: 10
sample: {count: 16, steps: 5}
";
const STEPS: usize = 420;
const CHECKPOINT_EVERY: usize = 7;

/// Kills on the way, and kills of copies of the run as they are about to end.
const KILLS: usize = 20;
const LAST: usize = 4;

/// What a kill waits for; then it waits for a random moment more.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Aim {
    /// Nothing: the program is starting, or reading what it left.
    Start,
    /// Nothing after some progress.
    Step,
    /// A checkpoint, the best one or a snapshot that is half-written.
    Write(&'static str),
    /// Tensors that have no manifest yet.
    Orphan,
    /// A log that grows.
    Log(&'static str),
    /// The last line of the log; then the last checkpoint, the levels and the end.
    End,
}

const AIMS: [Aim; 9] = [
    Aim::Write(""),
    Aim::Start,
    Aim::Log("validation.csv"),
    Aim::Write("best"),
    Aim::Step,
    Aim::Write("snapshots"),
    Aim::Orphan,
    Aim::Log("metrics.csv"),
    Aim::Start,
];

/// A run that is watched from outside.
struct Run<'a> {
    place: &'a Place,
    name: String,
    hash: String,
    random: Stream,
    log: Vec<String>,
    kills: usize,
}

impl Run<'_> {
    fn path(&self) -> PathBuf {
        self.place.path(&self.name)
    }

    fn checkpoints(&self, folder: &str) -> PathBuf {
        self.path().join("checkpoints").join(folder)
    }

    /// The step of the newest checkpoint, 0 where there is none yet.
    fn newest(&self) -> usize {
        let last = Checkpoint::all(&self.checkpoints("")).pop();
        last.and_then(|manifest| Checkpoint::step_of(&manifest)).unwrap_or(0)
    }

    /// The bytes of a log, 0 where there is none yet.
    fn length(&self, log: &str) -> u64 {
        fs::metadata(self.path().join(log)).map_or(0, |metadata| metadata.len())
    }

    /// Whether the last line of the log is of the last step.
    fn is_logged(&self) -> bool {
        let text = fs::read_to_string(self.path().join("metrics.csv")).unwrap_or_default();
        text.lines().last().is_some_and(|line| line.starts_with(&format!("{STEPS},")))
    }

    /// Files in a folder of checkpoints that are half-written.
    fn partial(&self, folder: &str) -> Vec<String> {
        names(&self.checkpoints(folder)).into_iter().filter(|name| name.ends_with(".partial")).collect()
    }

    /// Tensors in a folder of checkpoints without a manifest.
    fn orphans(&self, folder: &str) -> Vec<String> {
        let tensors = names(&self.checkpoints(folder)).into_iter().filter(|name| name.ends_with(".safetensors"));
        tensors.filter(|name| !self.checkpoints(folder).join(name).with_extension("json").is_file()).collect()
    }

    /// Starts or resumes the run.
    fn start(&self) -> Child {
        let mut arguments = vec!["train", "relentless.yaml", "--out", &self.name, "-q"];
        if self.path().join("experiment.yaml").is_file() {
            arguments.push("--resume");
        }
        self.place.command(&arguments).stderr(Stdio::inherit()).spawn().expect("the program starts")
    }

    /// Lets the program run to `target` and to what is aimed at, and kills it up to `patience` later; whether it was
    /// still at work.
    fn live(&mut self, aim: Aim, target: usize, patience: Duration) -> bool {
        let number = self.kills as u64;
        // Each life makes some progress, but for those that end as they start.
        let target = target.max(self.newest() + 1);
        let mut child = self.start();
        let born = Instant::now();
        let mut at_work = || {
            assert!(born.elapsed() < Duration::from_secs(120), "no step {target} in two minutes");
            sleep(Duration::from_micros(200));
            child.try_wait().expect("a child").is_none()
        };
        let mut works = true;
        if !matches!(aim, Aim::Start | Aim::End) {
            while works && self.newest() < target {
                works = at_work();
            }
        }
        let lengths = ["validation.csv", "metrics.csv"].map(|log| self.length(log));
        // What never comes, such as a better validation loss, is not waited for long.
        while works && (aim == Aim::End || self.newest() < target + 4 * CHECKPOINT_EVERY) {
            let met = match aim {
                Aim::Start | Aim::Step => true,
                Aim::Write(folder) => !self.partial(folder).is_empty(),
                Aim::Orphan => ["", "best", "snapshots"].iter().any(|folder| !self.orphans(folder).is_empty()),
                Aim::Log(log) => self.length(log) > lengths[usize::from(log == "metrics.csv")],
                Aim::End => self.is_logged(),
            };
            if met {
                break;
            }
            works = at_work();
        }
        if !matches!(aim, Aim::Write(_) | Aim::Orphan) {
            sleep(patience.mul_f64(self.random.uniform(number, 1)));
        }
        child.kill().expect("a child can be killed");
        let killed = child.wait().expect("a child").code().is_none();
        if killed {
            self.kills += 1;
            let line = format!(
                "{:>3}  {:<22} {:>6.0} ms  checkpoint {:>3}  {}",
                self.kills,
                format!("{aim:?}"),
                born.elapsed().as_secs_f64() * 1e3,
                self.newest(),
                self.there()
            );
            println!("{line}");
            self.log.push(line);
        }
        self.check();
        killed
    }

    /// What a kill has left behind.
    fn there(&self) -> String {
        let mut there = Vec::new();
        for folder in ["", "best", "snapshots"] {
            let name = |name: &String| Path::new(folder).join(name).display().to_string();
            there.extend(self.partial(folder).iter().map(name));
            there.extend(self.orphans(folder).iter().map(|orphan| name(orphan) + " without manifest"));
        }
        let newest = Checkpoint::all(&self.checkpoints("")).pop();
        if let Some(checkpoint) = newest.and_then(|manifest| Checkpoint::load(&manifest, &self.hash).ok()) {
            for (log, length) in &checkpoint.manifest.logs {
                match self.length(log) - length {
                    0 => {}
                    more => there.push(format!("{log} +{more}")),
                }
            }
        }
        there.join(", ")
    }

    /// Whatever has a manifest is whole, and no log is shorter than its checkpoint says. (The best one and snapshots may be
    /// of steps that are made anew.)
    fn check(&self) {
        for folder in ["", "best", "snapshots"] {
            for manifest in Checkpoint::all(&self.checkpoints(folder)) {
                let checkpoint = Checkpoint::load(&manifest, &self.hash).unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(Checkpoint::step_of(&manifest), Some(checkpoint.manifest.step));
                let shorter = |(log, length): (&String, &u64)| self.length(log) < *length;
                let lost = folder.is_empty() && checkpoint.manifest.logs.iter().any(shorter);
                assert!(!lost, "{}", manifest.display());
            }
        }
    }

    /// Resumes to the end, and compares with the uninterrupted run.
    #[track_caller]
    fn finish(&self) {
        assert!(self.start().wait().expect("a child").success());
        self.is_whole();
    }

    #[track_caller]
    fn is_whole(&self) {
        same_course(self.place, "whole", &self.name);
        let left = files(&self.path());
        assert!(!left.iter().any(|path| path.extension().is_some_and(|e| e == "partial")), "{left:?}");
    }
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Copies a folder while nobody works in it.
fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).expect("below the folder"));
        fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
        fs::copy(&path, target).expect("a copy");
    }
}

/// The moments of the kills come from a seed (another one with `ORNSTEIN_KILLS=SEED`). What the program does then depends
/// on the machine; every outcome must be the same as without a kill.
#[test]
fn killed_runs_resume_bit_for_bit() {
    let seed = std::env::var("ORNSTEIN_KILLS").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11);
    println!("moments of seed {seed}");
    let random = Stream::new(seed, Purpose::Data);
    let place = Place::new();
    place.write("relentless.yaml", SETTINGS);
    let start = Instant::now();
    let mut run = Run { place: &place, name: "whole".into(), hash: String::new(), random, log: Vec::new(), kills: 0 };
    let mut child = run.start();
    while run.newest() == 0 {
        assert!(child.try_wait().expect("a child").is_none() && start.elapsed() < Duration::from_secs(120));
        sleep(Duration::from_millis(1));
    }
    let start_up = start.elapsed();
    assert!(child.wait().expect("a child").success());
    let step = (start.elapsed() - start_up) / STEPS as u32;
    let manifest = Checkpoint::all(&run.checkpoints("")).pop().expect("a checkpoint");
    let value: serde_json::Value = serde_json::from_slice(&fs::read(manifest).expect("a file")).expect("JSON");
    run.hash = value["experiment"].as_str().expect("a hash").to_owned();

    let mut near_the_end = None;
    for pieces in 0.. {
        run.name = format!("pieces-{pieces}");
        let first = run.kills;
        let left = KILLS - first;
        while run.kills < KILLS {
            let aim = AIMS[run.kills % AIMS.len()];
            let done = (run.kills - first) as f64 + random.uniform(run.kills as u64, 0);
            let target = (STEPS as f64 * done / (left + 1) as f64) as usize;
            let patience = if aim == Aim::Start { start_up.mul_f64(1.2) } else { step * CHECKPOINT_EVERY as u32 };
            // On a busy machine a run may come to its end before its kill: then it is compared, and another one begun.
            if !run.live(aim, target, patience) {
                break;
            }
        }
        if run.kills == KILLS && run.newest() < STEPS {
            near_the_end = Some(run.path());
            break;
        }
        run.finish();
        assert!(pieces < 5, "the runs are over before they are killed");
    }
    let pieces = near_the_end.expect("a run that was killed often");
    for i in 0..LAST {
        run.name = format!("end-{i}");
        copy(&pieces, &run.path());
        // The last checkpoint, and 32 noise levels after it.
        run.live(Aim::End, 0, step * 10);
        run.finish();
    }
    run.name = pieces.file_name().expect("a name").display().to_string();
    run.finish();
    println!("in {:.0} s", start.elapsed().as_secs_f64());
    assert!(run.kills >= 20, "{} kills", run.kills);
    let half_written = run.log.iter().filter(|line| line.contains(".partial") || line.contains("without manifest"));
    assert!(half_written.count() >= 1, "no kill has met a write");
}
