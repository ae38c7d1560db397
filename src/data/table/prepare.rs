//! From the columns of a file to what a model learns, and back.

use tch::{Kind, Tensor};

use crate::error::Fault;

/// An invertible map of rows: angles to unit vectors, columns to zero mean and unit variance.
///
/// Latitude φ and longitude λ become (cos φ cos λ, cos φ sin λ, sin φ), after the other columns, each of which becomes
/// (v − mean)/scale.
#[derive(Debug)]
pub(super) struct Preparation {
    /// Where latitude and longitude stand among the columns.
    sphere: Option<[usize; 2]>,
    /// The mean and the standard deviation of each coordinate; 0 and 1 for those that stay as they are.
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Preparation {
    /// The map for training rows; standardised over them if asked for.
    ///
    /// # Errors
    /// A column that has no spread, or too much for its square.
    pub(super) fn fit(
        rows: &[&Vec<f64>],
        labels: &[String],
        sphere: Option<[usize; 2]>,
        standardise: bool,
    ) -> Result<Self, Fault> {
        let dim = labels.len() + usize::from(sphere.is_some());
        let mut map = Preparation { sphere, mean: vec![0.0; dim], scale: vec![1.0; dim] };
        if !standardise {
            return Ok(map);
        }
        for (coordinate, column) in map.plain(labels.len()).enumerate() {
            let n = rows.len() as f64;
            let mean = rows.iter().map(|row| row[column]).sum::<f64>() / n;
            let variance = rows.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / n;
            let label = &labels[column];
            let first = rows[0][column];
            let problem = if rows.iter().all(|row| row[column] == first) {
                format!("`{label}` is {first} in every training row")
            } else if !(variance.is_normal() && mean.is_finite()) {
                format!("the numbers of `{label}` are too large or too small for a variance")
            } else {
                (map.mean[coordinate], map.scale[coordinate]) = (mean, variance.sqrt());
                continue;
            };
            let remedy = "leave the column out of `columns`, or write `standardise: false`";
            return Err(Fault::new("standardise", problem, remedy));
        }
        Ok(map)
    }

    /// How many coordinates a prepared row has.
    pub(super) fn dim(&self) -> usize {
        self.mean.len()
    }

    /// The columns that are no angles.
    fn plain(&self, width: usize) -> impl Iterator<Item = usize> + use<> {
        let sphere = self.sphere;
        (0..width).filter(move |column| sphere.is_none_or(|pair| !pair.contains(column)))
    }

    /// A prepared row.
    pub(super) fn apply(&self, row: &[f64]) -> Vec<f64> {
        let mut prepared: Vec<f64> = self.plain(row.len()).map(|column| row[column]).collect();
        if let Some([latitude, longitude]) = self.sphere {
            let [(sin_lat, cos_lat), (sin_lon, cos_lon)] = [latitude, longitude].map(|i| row[i].to_radians().sin_cos());
            prepared.extend([cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]);
        }
        for (value, (mean, scale)) in prepared.iter_mut().zip(self.mean.iter().zip(&self.scale)) {
            *value = (*value - mean) / scale;
        }
        prepared
    }

    /// ln |∂v/∂x| of the columns v of a row whose prepared coordinates are x.
    ///
    /// # Errors
    /// Where the two have not the same dimension.
    pub(super) fn log_volume(&self) -> Result<f64, Fault> {
        match self.sphere {
            None => Ok(self.scale.iter().map(|scale| scale.ln()).sum()),
            Some(_) => {
                let problem = "unit vectors lie on a surface, and have no density in space";
                Err(Fault::new("sphere", problem, "remove `sphere` to learn the angles as they are"))
            }
        }
    }

    /// Prepared rows `[B, D]` as columns of the file `[B, C]`, of the same kind and on the same device.
    pub(super) fn undo(&self, x: &Tensor) -> Tensor {
        let (kind, device) = (x.kind(), x.device());
        let row = |values: &[f64]| Tensor::from_slice(values).to_device(device);
        let x = x.to_kind(Kind::Double) * row(&self.scale) + row(&self.mean);
        let Some([latitude, longitude]) = self.sphere else { return x.to_kind(kind) };
        let dim = self.dim() as i64;
        let column = |i: i64| x.narrow(1, i, 1);
        let [u, v, w] = [dim - 3, dim - 2, dim - 1].map(column);
        let angles = [(latitude, w.atan2(&u.hypot(&v)).rad2deg()), (longitude, v.atan2(&u).rad2deg())];
        let mut plain = (0..dim - 3).map(column);
        let columns: Vec<Tensor> = (0..self.dim() - 1)
            .map(|i| match angles.iter().find(|(at, _)| *at == i) {
                Some((_, angle)) => angle.shallow_clone(),
                None => plain.next().expect("a column is an angle or plain"),
            })
            .collect();
        Tensor::cat(&columns, 1).to_kind(kind)
    }
}
