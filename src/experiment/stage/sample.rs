//! Sampling into files.

use std::io::{BufReader, Read as _};
use std::path::Path;

use ndarray::ArrayD;
use ndarray_npy::{ReadNpyExt, WriteNpyExt};
use serde::Serialize;
use tch::{Kind, Tensor};

use super::tick;
use crate::error::{Error, Result};
use crate::experiment::observer::Observer;
use crate::experiment::plan::Plan;
use crate::file::write_whole;
use crate::npy;
use crate::score::Model;
use crate::solve::{NoiseSource, Sampler, prior};
use crate::tensor;

/// The outcome of a sampling run.
#[derive(Debug, Serialize)]
pub struct Sampled {
    /// The samples `[B, …]`, in the units of the data.
    #[serde(skip)]
    pub x: Tensor,
    /// How many.
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
    init: Tensor,
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
            None => prior(&*plan.sde, plan.spec.seed, spec.count, &shape, plan.options()),
            Some(path) => {
                let array = read_npy(path)?;
                fits(path, &array, &shape)?;
                tensor::from_array(&array, plan.options())
            }
        };
        if let Some(path) = self.noise {
            let array = read_npy(path)?;
            let whole: Vec<i64> = init.size();
            fits(path, &array, &whole)?;
            plan.rehearse(&sampler, array.shape()[0])?;
            sampler.noise = NoiseSource::Replay(array);
        }
        Ok(Ready { sampler, init, trajectory: self.trajectory })
    }
}

/// Draws samples as the experiment's `sample` says.
///
/// # Errors
/// A folder that cannot be written, a state that is not finite, an interrupt.
pub fn sample(plan: &Plan, model: &dyn Model, ready: Ready, observer: &dyn Observer) -> Result<Sampled> {
    let Ready { sampler, init, trajectory: folder } = ready;
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(|source| Error::Unwritable { path: folder.to_owned(), source })?;
    }
    let count = init.size()[0] as usize;
    // Under error control samples are counted that have come to their ends.
    let steps = sampler.schedule.steps().unwrap_or(1);
    observer.begin("sampling", (count * steps) as u64);
    let outcome = sampler.run(model, &init, &plan.compute.workers, &tick(observer));
    observer.end();
    let run = outcome?;
    if let Some(folder) = folder {
        trajectory(plan, &sampler, model, &init, folder)?;
    }
    Ok(Sampled { x: plan.data().restore(&run.x), count, nfe: run.nfe, seconds: run.seconds })
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
fn fits(path: &Path, array: &ArrayD<f64>, shape: &[i64]) -> Result<()> {
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

/// Writes a tensor as a `.npy` file, whole or not at all: uint8 for tensors of bytes, float64 for those of doubles, else
/// float32.
///
/// # Errors
/// When the file cannot be written.
pub fn write_npy(path: &Path, x: &Tensor) -> Result<()> {
    let array = tensor::to_array(x);
    let mut data = Vec::new();
    let written = match x.kind() {
        Kind::Double => array.write_npy(&mut data),
        Kind::Uint8 => array.mapv(|v| v as u8).write_npy(&mut data),
        _ => array.mapv(|v| v as f32).write_npy(&mut data),
    };
    written.expect("writing to memory does not fail");
    write_whole(path, &data)
}
