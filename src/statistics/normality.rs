//! Whether numbers are standard normal.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

/// Moments of all coordinates of points `[N, D]`, and tests of the hypothesis that points are N(0, I).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normality {
    /// The mean of all coordinates; 0.
    pub mean: f64,
    /// Their variance; 1.
    pub variance: f64,
    /// Their skewness; 0.
    pub skewness: f64,
    /// Their excess kurtosis; 0.
    pub kurtosis: f64,
    /// The mean correlation, in absolute value, of different coordinates beyond what N points show by chance, √(2/(π N)).
    pub correlation: f64,
    /// The p-value of ‖x‖² against χ²_D.
    pub radius: f64,
    /// The least p-value of one coordinate against N(0, 1), times D (Bonferroni).
    pub coordinates: f64,
}

/// Pairs of coordinates whose correlation is looked at, at most.
const PAIRS: usize = 10_000;

impl Normality {
    /// Of points `[N, D]`, N ≥ 2.
    pub fn of(points: ArrayView2<f64>) -> Self {
        let (count, dim) = points.dim();
        let n = points.len() as f64;
        let moment = |k: i32, about: f64| points.iter().map(|v| (v - about).powi(k)).sum::<f64>() / n;
        let mean = moment(1, 0.0);
        let variance = moment(2, mean);
        let chi = ChiSquared::new(dim as f64).expect("a positive dimension");
        let squares = points.outer_iter().map(|row| chi.cdf(row.dot(&row))).collect();
        let normal = Normal::standard();
        let of_column =
            |column: usize| kolmogorov_smirnov(points.column(column).iter().map(|&v| normal.cdf(v)).collect());
        let least = (0..dim).map(of_column).fold(1.0, f64::min);
        Normality {
            mean,
            variance,
            skewness: moment(3, mean) / variance.powf(1.5),
            kurtosis: moment(4, mean) / variance.powi(2) - 3.0,
            correlation: correlation(points) - (2.0 / (std::f64::consts::PI * count as f64)).sqrt(),
            radius: kolmogorov_smirnov(squares),
            coordinates: (least * dim as f64).min(1.0),
        }
    }
}

/// The mean absolute correlation of different coordinates: of all pairs, or of as many with a fixed stride.
fn correlation(points: ArrayView2<f64>) -> f64 {
    let dim = points.ncols();
    let unit: Vec<_> = points
        .columns()
        .into_iter()
        .map(|column| {
            let centred = &column - column.mean().unwrap_or(0.0);
            let norm = centred.dot(&centred).sqrt();
            if norm > 0.0 { centred / norm } else { centred }
        })
        .collect();
    let pairs = dim * dim.saturating_sub(1) / 2;
    let stride = pairs.div_ceil(PAIRS).max(1);
    let all = (0..dim).flat_map(|i| (0..i).map(move |j| (i, j))).step_by(stride);
    let (total, count) = all.fold((0.0, 0), |(total, count), (i, j)| (total + unit[i].dot(&unit[j]).abs(), count + 1));
    if count == 0 { 0.0 } else { total / f64::from(count) }
}

/// The p-value of the hypothesis that `u` are uniform on [0, 1] (Kolmogorov 1933; Smirnov 1948), by the limit law with the
/// correction of Stephens (1970).
fn kolmogorov_smirnov(mut u: Vec<f64>) -> f64 {
    if u.iter().any(|u| u.is_nan()) {
        return f64::NAN;
    }
    u.sort_by(f64::total_cmp);
    let n = u.len() as f64;
    let gap = |(i, u): (usize, &f64)| ((i + 1) as f64 / n - u).max(u - i as f64 / n);
    let distance = u.iter().enumerate().map(gap).fold(0.0, f64::max);
    let scaled = (n.sqrt() + 0.12 + 0.11 / n.sqrt()) * distance;
    // Below this all terms alternate without decay, and the probability is one.
    if scaled < 0.2 {
        return 1.0;
    }
    let term = |k: i32| f64::from(1 - 2 * ((k + 1) % 2)) * (-2.0 * f64::from(k * k) * scaled * scaled).exp();
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::rng::{Purpose, Stream};

    fn normals(seed: u64, shape: (usize, usize)) -> Array2<f64> {
        let mut values = vec![0.0; shape.0 * shape.1];
        Stream::new(seed, Purpose::Data).normals(0, 0, shape.1, &mut values);
        Array2::from_shape_vec(shape, values).expect("the values fill the shape")
    }

    /// p-values of normals are uniform: a tenth is below 0.1, within 4 standard errors.
    #[test]
    fn normals_pass_as_often_as_they_should() {
        let runs = 400;
        let all: Vec<Normality> = (0..runs).map(|seed| Normality::of(normals(seed, (100, 3)).view())).collect();
        let share = |of: fn(&Normality) -> f64| all.iter().filter(|one| of(one) < 0.1).count() as f64 / runs as f64;
        let tolerance = 4.0 * (0.1 * 0.9 / runs as f64).sqrt();
        assert!((share(|one| one.radius) - 0.1).abs() < tolerance, "{}", share(|one| one.radius));
        assert!((share(|one| one.coordinates) - 0.1).abs() < tolerance, "{}", share(|one| one.coordinates));
        let mean = all.iter().map(|one| one.correlation).sum::<f64>() / runs as f64;
        assert!(mean.abs() < 0.005, "{mean}");
    }

    #[test]
    fn what_is_not_normal_fails() {
        let wide = normals(1, (500, 4)) * 1.2;
        assert!(Normality::of(wide.view()).radius < 1e-4);
        let shifted = normals(2, (500, 4)) + 0.3;
        assert!(Normality::of(shifted.view()).coordinates < 1e-4);
        let cubes = normals(3, (500, 2)).mapv(|v| v * v);
        let found = Normality::of(cubes.view());
        assert!(found.skewness > 1.5 && found.kurtosis > 3.0 && found.coordinates < 1e-6);
        let mut together = normals(4, (500, 2));
        let first = together.column(0).to_owned();
        together.column_mut(1).assign(&first);
        assert!(Normality::of(together.view()).correlation > 0.9);
    }

    /// The published 5 % point of the limit law, 1.358.
    #[test]
    fn the_limit_law_is_kolmogorovs() {
        let n = 1_000_000;
        let shift = 1.358 / (n as f64).sqrt();
        let u: Vec<f64> = (0..n).map(|i| ((i as f64 + 0.5) / n as f64 + shift).min(1.0)).collect();
        assert!((kolmogorov_smirnov(u) - 0.05).abs() < 1e-3);
    }
}
