//! What a likelihood is made of: a line a sample in `likelihood.csv`, and their means in `likelihood.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::{Error, Result};
use crate::experiment::RunDir;
use crate::file::write_whole;
use crate::report::{Table, plus_minus};
use crate::statistics::mean;
use crate::tensor;
use crate::train::Mean;

/// The files.
pub(super) const LEDGER: &str = "likelihood.csv";
const SUMMARY: &str = "likelihood.json";
pub(super) const TOLERANCES: &str = "likelihood-tolerances.csv";

/// Bits for each of `dim` dimensions in one nat of ln p, which counts against them.
pub(super) fn to_bits(dim: usize) -> f64 {
    -1.0 / (dim as f64 * std::f64::consts::LN_2)
}

/// Numbers of each sample, by name, in nats.
#[derive(Debug)]
pub(super) struct Ledger {
    count: usize,
    dim: usize,
    columns: Vec<(String, Vec<f64>)>,
    /// The names of those that add up to ln p.
    terms: Vec<String>,
    /// Evaluations for each sample in one solution.
    pub(super) nfe: f64,
    /// What all solutions took.
    pub(super) seconds: f64,
}

impl Ledger {
    /// Of `count` samples of `dim` numbers each.
    pub(super) fn new(count: usize, dim: usize) -> Self {
        Ledger { count, dim, columns: Vec::new(), terms: Vec::new(), nfe: 0.0, seconds: 0.0 }
    }

    /// A number of each sample `[N]`.
    pub(super) fn put(&mut self, name: &str, values: &Tensor) {
        self.columns.push((name.to_owned(), tensor::to_array(values).into_iter().collect()));
    }

    /// One of those that add up to ln p.
    pub(super) fn term(&mut self, name: &str, values: &Tensor) {
        self.put(name, values);
        self.terms.push(name.to_owned());
    }

    fn get(&self, name: &str) -> Option<&[f64]> {
        self.columns.iter().find(|(known, _)| known == name).map(|(_, values)| values.as_slice())
    }

    /// Writes a line for each sample, with the bits per dimension beside ln p.
    pub(super) fn write(&self, run: &RunDir) -> Result<()> {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let mut text = format!("sample,bits_per_dim,{}\n", names.join(","));
        let log_p = self.get("log_p").expect("a likelihood");
        for (i, &log_p) in log_p.iter().enumerate() {
            let values: Vec<String> = self.columns.iter().map(|(_, values)| values[i].to_string()).collect();
            text += &format!("{i},{},{}\n", log_p * to_bits(self.dim), values.join(","));
        }
        write_whole(&run.file(LEDGER), text.as_bytes())
    }

    /// The numbers under a heading of the file of a run; empty where there are none.
    pub(super) fn read(run: &RunDir, name: &str) -> Vec<f64> {
        let text = std::fs::read_to_string(run.file(LEDGER)).unwrap_or_default();
        let mut lines = text.lines();
        let place = lines.next().and_then(|header| header.split(',').position(|heading| heading == name));
        let Some(place) = place else { return Vec::new() };
        lines.map(|line| line.split(',').nth(place).and_then(|cell| cell.parse().ok()).unwrap_or(f64::NAN)).collect()
    }
}

/// A part of the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// Its name in `likelihood.csv`.
    pub name: String,
    /// What it adds, in bits per dimension.
    pub bits_per_dim: Mean,
}

/// The likelihood of data, as means over samples; standard errors hold what comes from the choice of samples and of probes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Likelihood {
    /// What was computed and how.
    pub about: String,
    /// How many samples.
    pub count: usize,
    /// The numbers of a sample.
    pub dimensions: usize,
    /// ln p in nats: of continuous data a density in their units, of discrete data a probability.
    pub log_p: Mean,
    /// −ln p/(D ln 2).
    pub bits_per_dim: Mean,
    /// What adds up to it.
    pub terms: Vec<Term>,
    /// The part of the standard error of the bits that comes from the probes of the divergence, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_error: Option<f64>,
    /// A variational bound beside, and its parts.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub bound: Vec<Term>,
    /// The bits of the law of the data itself, where its density is known: the least that there are on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<Mean>,
    /// How many nats a sample the model is above it: an estimate of the Kullback–Leibler divergence, paired by sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excess: Option<Mean>,
    /// Evaluations for each sample, measured.
    pub nfe: f64,
    /// Wall-clock seconds of all solutions.
    pub seconds: f64,
}

impl Likelihood {
    pub(super) fn new(about: String, ledger: &Ledger) -> Self {
        let to_bits = to_bits(ledger.dim);
        let log_p = ledger.get("log_p").expect("a likelihood");
        let term = |name: &str, factor: f64| {
            ledger.get(name).map(|values| Term { name: name.to_owned(), bits_per_dim: Mean::of(values).times(factor) })
        };
        let known = ledger.get("known");
        let gaps = known.map(|known| known.iter().zip(log_p).map(|(known, model)| known - model).collect::<Vec<_>>());
        let bound = ["bound_prior", "bound_diffusion", "bound_reconstruction", "bound"];
        let of_probes = |errors: &[f64]| {
            errors.iter().map(|error| error * error).sum::<f64>().sqrt() / errors.len() as f64 * to_bits.abs()
        };
        Likelihood {
            about,
            count: ledger.count,
            dimensions: ledger.dim,
            log_p: Mean::of(log_p),
            bits_per_dim: Mean::of(log_p).times(to_bits),
            terms: ledger.terms.iter().filter_map(|name| term(name, to_bits)).collect(),
            probe_error: ledger.get("probe_error").map(of_probes),
            bound: bound.iter().filter_map(|name| term(name, -to_bits)).collect(),
            known: known.map(|known| Mean::of(known).times(to_bits)),
            excess: gaps.map(|gaps| Mean::of(&gaps)),
            nfe: ledger.nfe,
            seconds: ledger.seconds,
        }
    }

    pub(super) fn write(&self, run: &RunDir) -> Result<()> {
        write_whole(&run.file(SUMMARY), &serde_json::to_vec_pretty(self).expect("a likelihood is plain data"))
    }

    /// That of a run, where one was computed.
    ///
    /// # Errors
    /// A file that is not what this program writes.
    pub fn read(run: &RunDir) -> Result<Option<Self>> {
        let path = run.file(SUMMARY);
        let Ok(text) = std::fs::read(&path) else { return Ok(None) };
        let foreign = |e: serde_json::Error| foreign(&path, e.to_string());
        serde_json::from_slice(&text).map(Some).map_err(foreign)
    }

    /// Bits for each dimension with all terms, and what stands beside them.
    pub fn table(&self) -> Table {
        let row = |name: String, mean: Mean, remark: &str| {
            vec![name, plus_minus(mean.value, mean.standard_error), remark.to_owned()]
        };
        let of_term = |term: &Term| row(term.name.replace('_', " "), term.bits_per_dim, meaning(&term.name));
        let mut rows: Vec<Vec<String>> = self.terms.iter().map(of_term).collect();
        rows.push(row("−log₂ p/D".into(), self.bits_per_dim, "the sum of these"));
        if let Some(error) = self.probe_error {
            let mean = Mean { value: error, standard_error: 0.0 };
            rows.push(row("probe error".into(), mean, "the part of the standard error that comes from probes"));
        }
        rows.extend(self.bound.iter().map(of_term));
        rows.extend(self.known.map(|known| row("known".into(), known, "the law of the data itself")));
        let excess = self.excess.map(|excess| {
            let nats = plus_minus(excess.value, excess.standard_error);
            format!("; {nats} nats above the law of the data")
        });
        let log_p = plus_minus(self.log_p.value, self.log_p.standard_error);
        let caption = format!(
            "{} samples of {} numbers: ln p = {log_p} nats{}, {:.0} evaluations each",
            self.count,
            self.dimensions,
            excess.unwrap_or_default(),
            self.nfe
        );
        Table { caption, columns: ["term", "bits/dim", "what it is"].map(String::from).to_vec(), rows }
    }
}

/// What a term is.
fn meaning(name: &str) -> &'static str {
    match name {
        "prior" => "−log N(x_T; 0, s_T²)",
        "divergence" => "−∫ ∇·v dt along the flow",
        "scale" => "−D log α at t_min",
        "units" => "from the coordinates of the model to the units of the data",
        "dequantisation" => "log q(y | x) of the dequantised data",
        "decoder" => "−log p(x | x_t) at t_min",
        "entropy" => "log q(x_t | x) at t_min",
        "importance" => "what several draws gain over one",
        "bound_prior" => "L_T of a variational bound",
        "bound_diffusion" => "Σ L_t of a chain, or L in continuous time",
        "bound_reconstruction" => "L_0",
        "bound" => "the sum of these three: another bound on −log₂ p/D",
        _ => "",
    }
}

fn foreign(path: &Path, problem: String) -> Error {
    Error::file(path, problem, "compute it again with `ornstein likelihood`")
}

/// Likelihoods of the same samples at several tolerances.
#[derive(Debug)]
pub(super) struct Tolerances {
    dim: usize,
    /// Tolerance, evaluations, and bits per dimension of each sample.
    runs: Vec<(f64, f64, Vec<f64>)>,
}

/// What one tolerance gives: bits per dimension, with the standard error of the difference from the tightest.
pub(super) struct AtTolerance {
    pub(super) tolerance: f64,
    pub(super) nfe: f64,
    pub(super) bits: f64,
    pub(super) error: f64,
}

impl Tolerances {
    pub(super) fn new(dim: usize) -> Self {
        Tolerances { dim, runs: Vec::new() }
    }

    /// ln p `[N]` at a tolerance.
    pub(super) fn put(&mut self, tolerance: f64, nfe: f64, log_p: &Tensor) {
        let bits = to_bits(self.dim);
        self.runs.push((tolerance, nfe, tensor::to_array(log_p).into_iter().map(|v| v * bits).collect()));
    }

    /// Writes a line for each tolerance; nothing, and nothing old is left, where there are none.
    pub(super) fn write(&self, run: &RunDir) -> Result<()> {
        let path = run.file(TOLERANCES);
        let Some((.., tightest)) = self.runs.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else {
            return match std::fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Unwritable { path, source }),
                _ => Ok(()),
            };
        };
        let mut text = String::from("tolerance,nfe,bits_per_dim,difference,difference_error\n");
        for (tolerance, nfe, bits) in &self.runs {
            let gaps: Vec<f64> = bits.iter().zip(tightest).map(|(a, b)| a - b).collect();
            let (gap, error) = mean(&gaps);
            text += &format!("{tolerance},{nfe},{},{gap},{error}\n", mean(bits).0);
        }
        write_whole(&path, text.as_bytes())
    }

    /// The lines of the file of a run.
    pub(super) fn read(run: &RunDir) -> Vec<AtTolerance> {
        let text = std::fs::read_to_string(run.file(TOLERANCES)).unwrap_or_default();
        let line = |line: &str| {
            let cells: Vec<f64> = line.split(',').filter_map(|cell| cell.parse().ok()).collect();
            let [tolerance, nfe, bits, _, error] = cells[..] else { return None };
            Some(AtTolerance { tolerance, nfe, bits, error })
        };
        text.lines().skip(1).filter_map(line).collect()
    }
}
