//! Gaussians and Gaussian mixtures, whose densities and denoisers are known.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Dataset, MOST_COORDINATES, not_negative};
use crate::error::{Fault, Settings, positive};
use crate::rng::Stream;
use crate::score::exact::Law;

/// A data set whose law is known in closed form.
#[derive(Debug)]
pub struct Known(pub Law);

impl Dataset for Known {
    fn shape(&self) -> Vec<i64> {
        vec![self.0.dim() as i64]
    }

    fn draw(&self, stream: Stream, first: u64, count: usize) -> Tensor {
        self.0.draw(stream, first, count)
    }

    fn law(&self) -> Option<&Law> {
        Some(&self.0)
    }

    fn log_density(&self, x: &Tensor) -> Option<Tensor> {
        self.0.log_density(x)
    }
}

/// One Gaussian, given by its mean and either its covariance or the eigenvalues of its covariance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gaussian {
    /// The mean; its length is the dimension of the data.
    pub mean: Vec<f64>,
    /// The covariance, row by row; symmetric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covariance: Option<Vec<Vec<f64>>>,
    /// The eigenvalues of the covariance, instead of the covariance itself; none negative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spectrum: Option<Vec<f64>>,
}

impl Gaussian {
    /// The data set.
    ///
    /// # Errors
    /// A covariance with a negative eigenvalue.
    pub fn build(&self) -> Result<Known, Fault> {
        Ok(Known(match (&self.covariance, &self.spectrum) {
            (Some(covariance), _) => Law::gaussian(&self.mean, covariance)?,
            (None, spectrum) => Law::spectrum(&self.mean, spectrum.as_deref().unwrap_or_default()),
        }))
    }
}

impl Settings for Gaussian {
    fn check(&self) -> Result<(), Fault> {
        mean_is_usable("mean", &self.mean)?;
        match (&self.covariance, &self.spectrum) {
            (Some(covariance), None) => {
                covariance_is_usable("covariance", covariance, self.mean.len())?;
                // The decomposition finds negative eigenvalues.
                self.build().map(|_| ())
            }
            (None, Some(spectrum)) => spectrum_is_usable(spectrum, self.mean.len()),
            (Some(_), Some(_)) => Err(Fault::new(
                "spectrum",
                "both `covariance` and `spectrum` are given",
                "keep one of them: the spectrum is the eigenvalues of the covariance",
            )),
            (None, None) => Err(Fault::new(
                "",
                "neither `covariance` nor `spectrum` is given",
                "add one of them, such as `covariance: [[1, 0], [0, 1]]` or `spectrum: [1, 1]`",
            )),
        }
    }
}

/// A weighted sum of Gaussians.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianMixture {
    /// The weight of each component; positive, and one in sum.
    pub weights: Vec<f64>,
    /// The mean of each component; all of one length, the dimension of the data.
    pub means: Vec<Vec<f64>>,
    /// The covariance of each component, row by row; symmetric.
    pub covariances: Vec<Vec<Vec<f64>>>,
}

/// How far the weights of a mixture may sum from one: room for `[0.1, 0.2, 0.7]`, not for a forgotten component.
const WEIGHT_SUM_TOLERANCE: f64 = 1e-9;

impl GaussianMixture {
    /// The data set.
    ///
    /// # Errors
    /// A covariance with a negative eigenvalue.
    pub fn build(&self) -> Result<Known, Fault> {
        Ok(Known(Law::mixture(&self.weights, &self.means, &self.covariances)?))
    }
}

impl Settings for GaussianMixture {
    fn check(&self) -> Result<(), Fault> {
        let components = self.weights.len();
        if components == 0 {
            return Err(Fault::new("weights", "there are no components", "give at least one, such as `weights: [1]`"));
        }
        for (i, &weight) in self.weights.iter().enumerate() {
            positive(&format!("weights[{i}]"), weight)?;
        }
        let sum: f64 = self.weights.iter().sum();
        if (sum - 1.0).abs() > WEIGHT_SUM_TOLERANCE {
            return Err(Fault::new(
                "weights",
                format!("the weights sum to {}, not to 1", (sum * 1e12).round() / 1e12),
                "divide each weight by the sum",
            ));
        }
        for (key, length) in [("means", self.means.len()), ("covariances", self.covariances.len())] {
            if length != components {
                return Err(Fault::new(
                    key,
                    format!("its length is {length}, that of `weights` {components}"),
                    "give one weight, one mean and one covariance for each component",
                ));
            }
        }
        let dimension = self.means[0].len();
        for (i, (mean, covariance)) in self.means.iter().zip(&self.covariances).enumerate() {
            let key = format!("means[{i}]");
            mean_is_usable(&key, mean)?;
            if mean.len() != dimension {
                return Err(Fault::new(
                    key,
                    format!("its length is {}, that of the first {dimension}", mean.len()),
                    "give all means the same length",
                ));
            }
            covariance_is_usable(&format!("covariances[{i}]"), covariance, dimension)?;
        }
        self.build().map(|_| ())
    }
}

fn finite(key: String, value: f64) -> Result<(), Fault> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Fault::new(key, format!("{value} is not a finite number"), "write a finite number"))
}

fn mean_is_usable(key: &str, mean: &[f64]) -> Result<(), Fault> {
    if mean.is_empty() {
        return Err(Fault::new(key, "the mean is empty", "give one entry for each dimension, such as [0, 0]"));
    }
    if mean.len() > MOST_COORDINATES {
        let problem = format!("{} coordinates are too many", mean.len());
        return Err(Fault::new(key, problem, format!("give at most {MOST_COORDINATES}")));
    }
    mean.iter().enumerate().try_for_each(|(i, &entry)| finite(format!("{key}[{i}]"), entry))
}

fn spectrum_is_usable(spectrum: &[f64], dimension: usize) -> Result<(), Fault> {
    if spectrum.len() != dimension {
        return Err(Fault::new(
            "spectrum",
            format!("its length is {}, that of the mean {dimension}", spectrum.len()),
            "give one eigenvalue for each dimension",
        ));
    }
    spectrum.iter().enumerate().try_for_each(|(i, &eigenvalue)| not_negative(&format!("spectrum[{i}]"), eigenvalue))
}

/// Square, as wide as the mean is long, finite and symmetric.
fn covariance_is_usable(key: &str, covariance: &[Vec<f64>], dimension: usize) -> Result<(), Fault> {
    let rows = covariance.iter().enumerate().map(|(i, row)| (format!("{key}[{i}]"), row.len()));
    for (key, length) in std::iter::once((key.to_owned(), covariance.len())).chain(rows) {
        if length != dimension {
            return Err(Fault::new(
                key,
                format!("its length is {length}, that of the mean {dimension}"),
                format!("write a square matrix of {dimension} by {dimension}"),
            ));
        }
    }
    for (i, row) in covariance.iter().enumerate() {
        for (j, &entry) in row.iter().enumerate() {
            finite(format!("{key}[{i}][{j}]"), entry)?;
            let mirror = covariance[j][i];
            if i < j && entry != mirror {
                return Err(Fault::new(
                    format!("{key}[{i}][{j}]"),
                    format!("{key}[{i}][{j}] = {entry} but {key}[{j}][{i}] = {mirror}"),
                    "a covariance is symmetric: make them equal",
                ));
            }
        }
    }
    Ok(())
}
