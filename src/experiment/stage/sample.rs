//! Sampling into files.

use std::io::{BufReader, ErrorKind, Read as _};
use std::ops::Range;
use std::path::Path;

use ndarray::ArrayD;
use ndarray_npy::ReadNpyExt;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::tick;
use crate::error::{Error, Result};
use crate::experiment::observer::Observer;
use crate::experiment::plan::Plan;
use crate::experiment::run_dir::RunDir;
use crate::file::write_whole;
use crate::npy;
use crate::score::Model;
use crate::solve::{NoiseSource, Sampler, prior_of};
use crate::tensor;

/// The outcome of a sampling run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// The name of the solver.
    pub solver: String,
    /// How many samples.
    pub count: usize,
    /// Evaluations of the denoiser per sample, measured.
    pub nfe: f64,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// What may replace the experiment's own initial state and noise, and where trajectories go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Door<'a> {
    /// A `.npy` file with the state at the first time of the grid `[B, …]`.
    pub init: Option<&'a Path>,
    /// A `.npy` file with standard normals `[draws, B, …]`, used in the order drawn.
    pub noise: Option<&'a Path>,
    /// A folder for the state at every time of the grid.
    pub trajectory: Option<&'a Path>,
}

/// A sampling run whose files are known to fit, and which has written nothing yet.
#[derive(Debug)]
pub struct Ready<'a> {
    sampler: Sampler,
    /// The given state at the first time of the grid.
    init: Option<Tensor>,
    count: usize,
    trajectory: Option<&'a Path>,
}

impl<'a> Door<'a> {
    /// Reads and checks the files, before anything is written or drawn.
    ///
    /// # Errors
    /// Files that cannot be read or do not fit, fewer normals than the solver draws.
    pub fn open(self, plan: &Plan) -> Result<Ready<'a>> {
        let spec = &plan.spec.sample;
        let mut sampler =
            plan.sampler(&plan.sample_choice(), spec.steps(), plan.spec.seed).expect("the experiment was checked");
        let shape = plan.data().shape();
        let init = match self.init {
            None => None,
            Some(path) => {
                let array = read_npy(path)?;
                fits(path, &array, &shape)?;
                Some(tensor::from_array(&array, plan.options()))
            }
        };
        let count = init.as_ref().map_or(spec.count, |init| init.size()[0] as usize);
        if let Some(path) = self.noise {
            let array = read_npy(path)?;
            let whole: Vec<i64> = [count as i64].into_iter().chain(shape).collect();
            fits(path, &array, &whole)?;
            plan.rehearse(&sampler, array.shape()[0])?;
            sampler.noise = NoiseSource::Replay(array);
        }
        Ok(Ready { sampler, init, count, trajectory: self.trajectory })
    }
}

/// Numbers of samples that are held at once: 64 MiB of float32.
const HELD: usize = 1 << 24;

impl Ready<'_> {
    /// x_T of some samples.
    fn init(&self, plan: &Plan, samples: Range<usize>) -> Tensor {
        match &self.init {
            Some(init) => init.narrow(0, samples.start as i64, samples.len() as i64),
            None => prior_of(&*plan.sde, self.sampler.seed, samples, &plan.data().shape(), plan.options()),
        }
    }

    /// The samples that are drawn before any of them is written: whole rounds of chunks on all threads.
    fn slab(&self, plan: &Plan) -> usize {
        let each = plan.data().shape().iter().product::<i64>() as usize;
        let round = self.sampler.chunk * plan.compute.workers.count();
        (HELD / (each * round).max(1)).max(1) * round
    }
}

/// Draws samples as the experiment's `sample` says, into a `.npy` file in the units of the data. They are written as they
/// come, so that there may be more of them than fit into memory.
///
/// # Errors
/// A folder that cannot be written, a state that is not finite, an interrupt.
pub fn sample(plan: &Plan, model: &dyn Model, ready: Ready, output: &Path, observer: &dyn Observer) -> Result<Sampled> {
    if let Some(folder) = ready.trajectory {
        std::fs::create_dir_all(folder).map_err(|source| Error::Unwritable { path: folder.to_owned(), source })?;
    }
    let (count, slab) = (ready.count, ready.slab(plan));
    observer.begin("sampling", (count * ready.sampler.schedule.ticks()) as u64);
    let drawn = draw(plan, model, &ready, slab, output, observer);
    observer.end();
    let sampled = drawn?;
    if let Some(folder) = ready.trajectory {
        trajectory(plan, &ready.sampler, model, &ready.init(plan, 0..count), folder)?;
    }
    Ok(sampled)
}

/// The samples of a run.
pub const SAMPLES: &str = "samples.npy";
/// How they were drawn, which need not be as its experiment says.
const OUTCOME: &str = "samples.json";

/// Draws the samples of a run, and writes down how.
///
/// # Errors
/// Those of [`sample`].
pub fn sample_run(
    plan: &Plan,
    model: &dyn Model,
    ready: Ready,
    run: &RunDir,
    observer: &dyn Observer,
) -> Result<Sampled> {
    let outcome = run.file(OUTCOME);
    // First, so that it never stands beside samples that were drawn in another way.
    match std::fs::remove_file(&outcome) {
        Err(source) if source.kind() != ErrorKind::NotFound => return Err(Error::Unwritable { path: outcome, source }),
        _ => {}
    }
    let sampled = sample(plan, model, ready, &run.file(SAMPLES), observer)?;
    write_whole(&outcome, &serde_json::to_vec_pretty(&sampled).expect("an outcome is plain data"))?;
    Ok(sampled)
}

/// What stands over the samples of a run: the solver that drew them and its evaluations, where that was written down.
pub(super) fn heading(run: &RunDir) -> String {
    let outcome = std::fs::read(run.file(OUTCOME)).ok().and_then(|text| serde_json::from_slice::<Sampled>(&text).ok());
    outcome.map_or("samples".into(), |Sampled { solver, nfe, .. }| format!("{solver}, {nfe:.0} evaluations"))
}

fn draw(
    plan: &Plan,
    model: &dyn Model,
    ready: &Ready,
    slab: usize,
    output: &Path,
    observer: &dyn Observer,
) -> Result<Sampled> {
    let count = ready.count;
    let (mut evaluations, mut seconds) = (0.0, 0.0);
    let mut writer = None;
    for first in (0..count).step_by(slab) {
        let samples = first..count.min(first + slab);
        let init = ready.init(plan, samples.clone());
        let part = model.part(first as i64, samples.len() as i64);
        let run = ready.sampler.run_from(first, &*part, &init, &plan.compute.workers, &tick(observer))?;
        // A number of evaluations, before it was divided.
        evaluations += (run.nfe * samples.len() as f64).round();
        seconds += run.seconds;
        let x = plan.data().restore(&run.x);
        if writer.is_none() {
            let shape: Vec<i64> = std::iter::once(count as i64).chain(x.size()[1..].iter().copied()).collect();
            writer = Some(npy::Writer::create(output, &shape, &x)?);
        }
        writer.as_mut().expect("it was just made").write(&x)?;
    }
    writer.map_or(Ok(()), npy::Writer::finish)?;
    Ok(Sampled { solver: plan.spec.sample.solver.name().into(), count, nfe: evaluations / count as f64, seconds })
}

/// Writes `step-0000.npy` … and `times.csv` of one integration of the whole batch; under error control, the times of each
/// sample after each round of tries in which a step was accepted.
fn trajectory(plan: &Plan, sampler: &Sampler, model: &dyn Model, init: &Tensor, folder: &Path) -> Result<()> {
    let shared = sampler.schedule.steps().is_some();
    let mut times = String::from(if shared { "step,t,alpha,sigma\n" } else { "step,sample,t,alpha,sigma\n" });
    for state in sampler.trajectory(model, init)? {
        for (sample, &t) in state.t.iter().enumerate() {
            let k = plan.sde.kernel(t);
            let whose = if shared { String::new() } else { format!("{sample},") };
            times += &format!("{},{whose}{t:e},{:e},{:e}\n", state.step, k.alpha, k.sigma);
        }
        write_npy(&folder.join(format!("step-{:04}.npy", state.step)), &state.x)?;
    }
    write_whole(&folder.join("times.csv"), times.as_bytes())
}

/// Refuses an array whose shape after the first axis is not `shape`.
pub(super) fn fits(path: &Path, array: &ArrayD<f64>, shape: &[i64]) -> Result<()> {
    let have: Vec<i64> = array.shape().iter().map(|&n| n as i64).collect();
    if have.len() == 1 + shape.len() && have[1..] == *shape && have[0] > 0 {
        return Ok(());
    }
    let wanted: Vec<String> = shape.iter().map(i64::to_string).collect();
    let problem = format!("the array has the shape {have:?}");
    Err(Error::file(path, problem, format!("save one of the shape [N, {}]", wanted.join(", "))))
}

/// Reads a `.npy` file of float64 or float32.
///
/// # Errors
/// When it is missing, truncated or of another type.
pub fn read_npy(path: &Path) -> Result<ArrayD<f64>> {
    let remedy = "save a float64 or float32 array with numpy.save";
    // No number takes less than four bytes here.
    if let Ok(array) = ArrayD::<f64>::read_npy(open_npy(path, 4, remedy)?) {
        return Ok(array);
    }
    let single = ArrayD::<f32>::read_npy(open_npy(path, 4, remedy)?);
    let problem = |e| format!("this is not a .npy file of floating-point numbers ({})", npy::in_one_line(&e));
    single.map(|array| array.mapv(f64::from)).map_err(|e| Error::file(path, problem(e), remedy))
}

/// Opens a `.npy` file whose header can be believed: none of its numbers takes less than `bytes`.
pub(super) fn open_npy(path: &Path, bytes: u64, remedy: &str) -> Result<BufReader<std::fs::File>> {
    let unreadable = |e: std::io::Error| Error::file(path, e.to_string(), remedy);
    let open = || std::fs::File::open(path).map(BufReader::new);
    let mut start = Vec::new();
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    open().map_err(unreadable)?.take(npy::LONGEST).read_to_end(&mut start).map_err(unreadable)?;
    match npy::implausible(&start, size / bytes) {
        Some(problem) => Err(Error::file(path, problem, remedy)),
        None => open().map_err(unreadable),
    }
}

/// Writes a tensor as a `.npy` file, whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write_npy(path: &Path, x: &Tensor) -> Result<()> {
    let mut writer = npy::Writer::create(path, &x.size(), x)?;
    writer.write(x)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tch::{Device, Kind};

    use super::*;
    use crate::data::Library;
    use crate::experiment::observer::Nobody;
    use crate::experiment::{Compute, Spec};
    use crate::threads::Workers;

    /// A file that was written in parts is that which was written at once, also of given states and noise.
    #[test]
    fn samples_are_written_as_they_come() {
        let text = "{name: x, data: two_moons, sde: vp, model: {empirical: {points: 20}}, sample: {count: 11, steps: 3, \
                    solver: ancestral, chunk: 2}}";
        let compute = Compute { device: Device::Cpu, kind: Kind::Double, workers: Arc::new(Workers::new(2).unwrap()) };
        let plan = Plan::new(Spec::parse(text, "x", &[]).unwrap(), compute, &Library::new(None)).unwrap();
        let model = plan.untrained().expect("a model");
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        write_npy(&path("init.npy"), &Tensor::randn([11, 2], (Kind::Double, Device::Cpu))).expect("writable");
        write_npy(&path("noise.npy"), &Tensor::randn([3, 11, 2], (Kind::Double, Device::Cpu))).expect("writable");
        let (init, noise) = (path("init.npy"), path("noise.npy"));
        for door in [Door::default(), Door { init: Some(&init), noise: Some(&noise), trajectory: None }] {
            let drawn = |slab: usize| {
                let ready = door.open(&plan).expect("files that fit");
                let output = path("x.npy");
                let sampled = draw(&plan, &*model, &ready, slab, &output, &Nobody).expect("samples");
                assert_eq!((sampled.count, sampled.nfe), (11, 3.0));
                std::fs::read(&output).expect("samples")
            };
            assert!(drawn(4) == drawn(100), "slabs of 4");
        }
    }
}
