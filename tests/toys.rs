//! The toy data sets: supports, moments and densities against closed forms and independent computations.

use std::sync::Arc;

use std::f64::consts::{PI, TAU};

use ndarray::Array2;
use ornstein::data::Dataset;
use ornstein::error::Settings;
use ornstein::experiment::DataSpec;
use ornstein::rng::{Purpose, Stream};
use ornstein::tensor::to_rows;
use tch::{Kind, Tensor};

/// A data set as an experiment writes it.
fn set(yaml: &str) -> Arc<dyn Dataset> {
    let spec: DataSpec = serde_yaml::from_str(yaml).unwrap_or_else(|e| panic!("{yaml}: {e}"));
    spec.check().unwrap_or_else(|e| panic!("{yaml}: {e:?}"));
    spec.without_files().expect("checked settings").expect("a law")
}

/// Every toy with its defaults.
const TOYS: [&str; 13] = [
    "two_moons",
    "eight_gaussians",
    "checkerboard",
    "swiss_roll",
    "circles",
    "rings",
    "pinwheel",
    "spirals",
    "s_curve",
    "funnel",
    "gaussian_grid",
    "orthogonal_mixture",
    "manifold",
];

fn stream(seed: u64) -> Stream {
    Stream::new(seed, Purpose::Data)
}

fn points(yaml: &str, count: usize) -> Array2<f64> {
    to_rows(&set(yaml).draw(stream(1), 0, count))
}

/// Asserts that the mean of f over samples is `exact`, within 5 standard errors.
#[track_caller]
fn mean_is(what: &str, values: impl Iterator<Item = f64>, exact: f64) {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let error = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n / n).sqrt();
    assert!((mean - exact).abs() <= 5.0 * error + 1e-12, "{what}: {mean} ± {error}, not {exact}");
}

#[test]
fn sample_i_is_a_function_of_the_stream_and_i() {
    for name in TOYS {
        let set = set(name);
        let whole = set.draw(stream(3), 0, 40);
        assert_eq!((whole.kind(), whole.size()[1..].to_vec()), (Kind::Double, set.shape()), "{name}");
        for (first, count) in [(0, 1), (13, 20), (39, 1)] {
            // A product with a frame may round differently in a batch of another size.
            let error = (set.draw(stream(3), first, count) - whole.narrow(0, first as i64, count as i64)).abs().max();
            assert!(error.double_value(&[]) < 1e-14, "{name}: {first}..+{count}");
        }
        assert_ne!(set.draw(stream(4), 0, 40), whole, "{name}: another stream");
        assert_eq!(self::set(name).draw(stream(3), 0, 40), whole, "{name}: built again");
    }
}

/// E ‖x‖²/D from a closed form, of order one by default; and a mean of zero where the law is symmetric.
#[test]
fn moments_are_those_of_the_law() {
    let square = |x: f64| x * x;
    for (yaml, centred, exact) in [
        ("two_moons", true, (1.3125 - 1.0 / PI) / 2.0 + square(0.05)),
        ("checkerboard", true, 4.0 / 3.0),
        ("swiss_roll", false, 9.75 * PI * PI / 50.0 + square(0.05)),
        ("eight_gaussians", true, 2.0 + square(0.1)),
        ("circles", true, square(1.8) * 1.25 / 4.0 + square(0.1)),
        ("{circles: {radius: 3, factor: 0.2, noise: 0}}", true, 9.0 * 1.04 / 4.0),
        ("rings", true, 4.0 * 30.0 / 16.0 / 8.0 + square(0.05)),
        ("{rings: {count: 2, radius: 1, noise: 0.3}}", true, 1.25 / 4.0 + square(0.3)),
        ("pinwheel", true, square(1.35) * (1.0 + square(0.3) + square(0.1)) / 2.0),
        ("spirals", true, 1.0 + square(0.05)),
        ("{spirals: {arms: 3, turns: 0.7, radius: 4, noise: 0.5}}", true, 4.0 + 0.25),
        ("s_curve", true, (2.0 + 4.0 / (3.0 * PI) + 1.0 / 3.0) / 3.0 + square(0.05)),
        ("{s_curve: {dim: 2, noise: 0}}", true, 1.0 + 2.0 / (3.0 * PI)),
        ("funnel", true, (1.0 + 0.5f64.exp()) / 2.0),
        ("{funnel: {dim: 6, std: 0.5}}", true, (0.25 + 5.0 * 0.125f64.exp()) / 6.0),
        ("gaussian_grid", true, 2.0 * square(0.7) + square(0.05)),
        ("orthogonal_mixture", false, 1.0 + square(0.25)),
        ("{orthogonal_mixture: {dim: 5, modes: 10, radius: 2, std: 0.5}}", true, 4.25),
        ("manifold", true, 1.0 + square(0.05)),
        ("{manifold: {surface: circle, dim: 3, noise: 0.2}}", true, 1.04),
        ("{manifold: {surface: sphere, dim: 64, noise: 0}}", true, 1.0),
        ("{manifold: {surface: torus, dim: 20}}", true, 1.0 + square(0.05)),
        ("{manifold: {surface: swiss_roll, dim: 4}}", false, 1.0 + square(0.05)),
        ("{manifold: {surface: s_curve, dim: 3}}", true, 1.0 + square(0.05)),
    ] {
        let points = points(yaml, 20_000);
        let dim = points.ncols() as f64;
        mean_is(yaml, points.rows().into_iter().map(|x| x.dot(&x) / dim), exact);
        for i in 0..points.ncols() * usize::from(centred) {
            mean_is(&format!("{yaml}, coordinate {i}"), points.column(i).iter().copied(), 0.0);
        }
        if TOYS.contains(&yaml) {
            assert!((0.65..1.45).contains(&exact.sqrt()), "{yaml}: {exact} is not of order one");
        }
    }
}

/// The parts of a law are as likely as they should be.
#[test]
fn parts_have_their_shares() {
    let radii = |yaml: &str| points(yaml, 20_000).rows().into_iter().map(|x| x[0].hypot(x[1])).collect::<Vec<_>>();
    let circles = radii("{circles: {radius: 2, factor: 0.25, noise: 0}}");
    assert!(circles.iter().all(|r| (r - 2.0).abs() < 1e-12 || (r - 0.5).abs() < 1e-12));
    mean_is("outer circle", circles.iter().map(|&r| f64::from(r > 1.0)), 0.5);
    let rings = radii("{rings: {count: 5, radius: 2.5, noise: 0}}");
    for k in 1..=5 {
        let on = |r: &f64| f64::from((r - 0.5 * f64::from(k)).abs() < 1e-12);
        mean_is(&format!("ring {k}"), rings.iter().map(on), 0.2);
    }
    // Uniform in u = (r/R)²: mean and variance of a uniform number.
    let spirals = radii("{spirals: {radius: 3, noise: 0}}");
    mean_is("along the arms", spirals.iter().map(|r| (r / 3.0).powi(2)), 0.5);
    mean_is("along the arms", spirals.iter().map(|r| (r / 3.0).powi(4)), 1.0 / 3.0);
    let grid = points("{gaussian_grid: {side: 3, spacing: 2, std: 0.01}}", 20_000);
    for (x, y) in (0..9).map(|i| (2.0 * f64::from(i / 3) - 2.0, 2.0 * f64::from(i % 3) - 2.0)) {
        mean_is("a Gaussian", grid.rows().into_iter().map(|p| f64::from((p[0] - x).hypot(p[1] - y) < 0.5)), 1.0 / 9.0);
    }
}

#[test]
fn points_without_noise_lie_on_their_curves() {
    for (arms, turns) in [(2, 1.5), (3, 0.6)] {
        let yaml = format!("{{spirals: {{arms: {arms}, turns: {turns}, radius: 2, noise: 0}}}}");
        for x in points(&yaml, 2000).rows() {
            let radius = x[0].hypot(x[1]);
            let arm = (x[1].atan2(x[0]) / TAU - turns * radius / 2.0) * f64::from(arms);
            assert!((arm - arm.round()).abs() < 1e-9, "{x}");
        }
    }
    for x in points("{pinwheel: {arms: 7, radius: 2, radial_std: 0.1, tangential_std: 0, rate: 0.4}}", 2000).rows() {
        let along = x[0].hypot(x[1]) / 2.0;
        let arm = (x[1].atan2(x[0]) - 0.4 * along.exp()) / TAU * 7.0;
        assert!((arm - arm.round()).abs() < 1e-9, "{x}");
    }
    let (sheet, section) = (points("{s_curve: {noise: 0}}", 2000), points("{s_curve: {dim: 2, noise: 0}}", 2000));
    for (x, y) in sheet.rows().into_iter().zip(section.rows()) {
        assert!((x[0].powi(2) + (x[2].abs() - 1.0).powi(2) - 1.0).abs() < 1e-12 && x[1].abs() <= 1.0, "{x}");
        assert_eq!((x[0], x[2]), (y[0], y[1]));
    }
}

/// Given v, the others are N(0, e^v).
#[test]
fn the_funnel_narrows() {
    let points = points("{funnel: {dim: 4, std: 3}}", 20_000);
    mean_is("v²", points.column(0).iter().map(|v| v * v), 9.0);
    for i in 1..4 {
        let scaled = || points.rows().into_iter().map(move |x| x[i] * (-0.5 * x[0]).exp());
        mean_is("mean", scaled(), 0.0);
        mean_is("variance", scaled().map(|z| z * z), 1.0);
        mean_is("fourth moment", scaled().map(|z| z.powi(4)), 3.0);
    }
}

#[test]
fn embedded_points_lie_in_a_fixed_subspace() {
    // Those of the second moment, in descending order.
    let eigenvalues = |x: &Array2<f64>| {
        let moment = Tensor::from_slice(&(x.t().dot(x) / x.nrows() as f64).into_raw_vec_and_offset().0).view([12, 12]);
        Vec::<f64>::try_from(moment.linalg_eigvalsh("L").flip([0])).expect("a vector")
    };
    for (surface, dim) in
        [("circle", 2), ("two_moons", 2), ("sphere", 3), ("torus", 3), ("swiss_roll", 3), ("s_curve", 3)]
    {
        let yaml = |frame| format!("{{manifold: {{surface: {surface}, dim: 12, noise: 0, frame: {frame}}}}}");
        let (points, other) = (points(&yaml(0), 300), points(&yaml(1), 300));
        let values = eigenvalues(&points);
        assert!(values[dim - 1] > 0.5 && values[dim] < 1e-12, "{surface}: {values:?}");
        if ["circle", "sphere"].contains(&surface) {
            assert!(points.rows().into_iter().all(|x| (x.dot(&x) - 12.0).abs() < 1e-9), "{surface}");
        }
        // The same points in another subspace: distances are the same, places are not.
        assert!((points.dot(&points.t()) - other.dot(&other.t())).iter().all(|d| d.abs() < 1e-9), "{surface}");
        assert!((&points - &other).iter().any(|d| d.abs() > 1.0), "{surface}");
    }
    let modes = points("{orthogonal_mixture: {dim: 9, modes: 13, radius: 1, std: 1.0e-9}}", 500);
    let products = modes.dot(&modes.t()) / 9.0;
    assert!(products.iter().all(|p| (p - p.round()).abs() < 1e-6 && p.abs() < 1.5), "modes are ± orthonormal");
    assert!(products.iter().any(|p| *p < -0.5), "modes beyond D are opposite");
}

/// The square [−reach, reach]^D as the midpoints of n^D cells, `[n^D, D]`, and the volume of a cell.
fn cells(dim: usize, reach: f64, n: usize) -> (Tensor, f64) {
    let side = 2.0 * reach / n as f64;
    let place = |i: usize| (i as f64 + 0.5) * side - reach;
    let cell = |mut i: usize| {
        (0..dim)
            .map(|_| {
                let at = place(i % n);
                i /= n;
                at
            })
            .collect::<Vec<_>>()
    };
    let places: Vec<f64> = (0..n.pow(dim as u32)).flat_map(cell).collect();
    (Tensor::from_slice(&places).view([-1, dim as i64]), side.powi(dim as i32))
}

/// Densities integrate to one, and samples agree with them: E p and the entropy by quadrature and over samples. Midpoint
/// sums of smooth functions converge faster than any power of the width, here a third of the noise or less.
#[test]
fn densities_are_those_of_the_samples() {
    for (yaml, dim, reach, n) in [
        ("{gaussian: {mean: [0.3, -0.5], covariance: [[1, 0.6], [0.6, 0.5]]}}", 2, 8.0, 200),
        (
            "{gaussian_mixture: {weights: [0.3, 0.7], means: [[1, 0], [-1, 1]], \
          covariances: [[[0.2, 0.1], [0.1, 0.3]], [[0.5, 0], [0, 0.1]]]}}",
            2,
            6.0,
            200,
        ),
        ("eight_gaussians", 2, 3.0, 200),
        ("checkerboard", 2, 2.5, 200),
        ("{circles: {noise: 0.1}}", 2, 2.6, 200),
        ("{rings: {count: 3, radius: 1.5, noise: 0.2}}", 2, 3.0, 100),
        ("{funnel: {dim: 2, std: 0.5}}", 2, 14.0, 500),
        ("{funnel: {dim: 3, std: 0.4}}", 3, 9.0, 90),
        ("{gaussian_grid: {side: 3, spacing: 0.6, std: 0.1}}", 2, 1.4, 100),
        ("{orthogonal_mixture: {dim: 2, modes: 3, std: 0.3, radius: 1}}", 2, 3.5, 100),
        ("{orthogonal_mixture: {dim: 3, modes: 2, std: 0.4, radius: 0.8}}", 3, 4.2, 60),
        ("{manifold: {surface: circle, dim: 2, noise: 0.2}}", 2, 3.0, 100),
        ("{manifold: {surface: circle, dim: 3, noise: 0.4}}", 3, 5.0, 80),
        ("{manifold: {surface: sphere, dim: 3, noise: 0.4}}", 3, 5.0, 80),
    ] {
        let set = set(yaml);
        let (places, volume) = cells(dim, reach, n);
        let log_p = set.log_density(&places).expect("a closed form");
        let p = log_p.exp();
        let integral = |of: Tensor| of.sum(Kind::Double).double_value(&[]) * volume;
        let total = integral(p.shallow_clone());
        assert!((total - 1.0).abs() < 1e-6, "{yaml}: {total}");
        let samples = set.log_density(&set.draw(stream(5), 0, 10_000)).expect("a closed form");
        let samples = Vec::<f64>::try_from(samples).expect("a vector");
        assert!(samples.iter().all(|l| l.is_finite()), "{yaml}");
        mean_is(&format!("{yaml}: entropy"), samples.iter().map(|l| -l), integral(-p.xlogy(&p)));
        mean_is(&format!("{yaml}: E p"), samples.iter().map(|l| l.exp()), integral(p.square()));
    }
}

/// p(x) = E N(x; y, s² I) over points y without noise, by Monte Carlo: another way to the same densities.
#[test]
fn densities_on_spheres_are_averages_of_gaussians() {
    for (yaml, noise) in [
        ("{circles: {radius: 1.3, factor: 0.4, noise: NOISE}}", 0.3),
        ("{rings: {count: 3, radius: 1, noise: NOISE}}", 0.2),
        ("{manifold: {surface: circle, dim: 5, noise: NOISE}}", 0.8),
        ("{manifold: {surface: sphere, dim: 6, noise: NOISE}}", 0.9),
    ] {
        let with = |noise: f64| set(&yaml.replace("NOISE", &noise.to_string()));
        let clean = to_rows(&with(0.0).draw(stream(2), 0, 100_000));
        let noisy = with(noise);
        let places = noisy.draw(stream(6), 0, 5);
        let log_p = noisy.log_density(&places).expect("a closed form");
        for (i, x) in to_rows(&places).rows().into_iter().enumerate() {
            let peak = (TAU * noise * noise).powf(-0.5 * x.len() as f64);
            let bell = |y: ndarray::ArrayView1<f64>| {
                let square: f64 = x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum();
                peak * (-0.5 * square / (noise * noise)).exp()
            };
            mean_is(yaml, clean.rows().into_iter().map(bell), log_p.double_value(&[i as i64]).exp());
        }
    }
}

#[test]
fn densities_are_independent_formulas() {
    let normal = |x: f64, variance: f64| -0.5 * (x * x / variance + (TAU * variance).ln());
    let at = |yaml: &str, x: &[f64]| {
        let log_p = set(yaml).log_density(&Tensor::from_slice(x).view([1, -1])).expect("a closed form");
        log_p.double_value(&[0])
    };
    // Neal's own funnel, from its neck to its mouth.
    for v in [-8.0, -1.0, 0.0, 2.5, 7.0f64] {
        let x: Vec<f64> = (0..9).map(|i| (f64::from(i) - 4.2) * (0.4 * v).exp()).collect();
        let exact = normal(v, 9.0) + x.iter().map(|&x| normal(x, v.exp())).sum::<f64>();
        let whole: Vec<f64> = std::iter::once(v).chain(x).collect();
        let found = at("{funnel: {dim: 10, std: 3}}", &whole);
        assert!((found - exact).abs() < 1e-12 * exact.abs(), "{found} {exact}");
    }
    for (x, black) in [
        ([-1.5, -1.5], true),
        ([0.5, 1.5], false),
        ([1.5, -0.5], true),
        ([0.5, 0.5], true),
        ([2.5, 2.5], false),
        ([-2.2, -0.2], false),
    ] {
        assert_eq!(at("checkerboard", &x), if black { -8f64.ln() } else { f64::NEG_INFINITY }, "{x:?}");
    }
    // On a ring far thinner than its radius, the density is that of a line.
    let thin = at("{rings: {count: 1, radius: 3, noise: 1.0e-6}}", &[0.0, 3.0 + 2e-6]);
    assert!((thin - (normal(2e-6, 1e-12) - (TAU * 3.0).ln())).abs() < 1e-5, "{thin}");
    // At the centre of a ring and of a sphere, all points are equally far.
    let centre = at("{rings: {count: 1, radius: 0.7, noise: 0.5}}", &[0.0, 0.0]);
    assert!((centre - (normal(0.7, 0.25) + normal(0.0, 0.25))).abs() < 1e-12, "{centre}");
    let centre = at("{manifold: {surface: sphere, dim: 4, noise: 0.6}}", &[0.0; 4]);
    assert!((centre - (normal(2.0, 0.36) + 3.0 * normal(0.0, 0.36))).abs() < 1e-12, "{centre}");
}

#[test]
fn densities_without_a_closed_form_are_not_invented() {
    for yaml in [
        "{two_moons: {noise: 0}}",
        "swiss_roll",
        "pinwheel",
        "spirals",
        "s_curve",
        "manifold",
        "{circles: {noise: 0}}",
        "{rings: {noise: 0}}",
        "{manifold: {surface: sphere, noise: 0}}",
        "{manifold: {surface: torus}}",
        "{gaussian: {mean: [0, 0], spectrum: [1, 0]}}",
    ] {
        let set = set(yaml);
        assert!(set.log_density(&set.draw(stream(0), 0, 2)).is_none(), "{yaml}");
    }
}

#[test]
fn settings_that_cannot_be() {
    for (yaml, said) in [
        (
            "{circles: {factor: 1}}",
            "circles.factor: 1 is not between 0 and 1; write a number between 0 and 1, such as 0.5",
        ),
        ("{circles: {noise: -1}}", "circles.noise: -1 is not a number of at least 0; write 0 or a positive number"),
        ("{rings: {count: 0}}", "rings.count: 0 is too small; write a whole number of at least 1"),
        ("{spirals: {arms: 0}}", "spirals.arms: 0 is too small; write a whole number of at least 1"),
        ("{pinwheel: {radius: 0}}", "pinwheel.radius: 0 is not a positive number; write a number greater than 0"),
        ("{funnel: {dim: 1}}", "funnel.dim: 1 is too small; write a whole number of at least 2"),
        (
            "{s_curve: {dim: 4}}",
            "s_curve.dim: an S has 2 or 3 dimensions, not 4; write 2 or 3, or embed it: `manifold: {surface: s_curve, dim: 16}`",
        ),
        ("{gaussian_grid: {std: 0}}", "gaussian_grid.std: 0 is not a positive number; write a number greater than 0"),
        (
            "{orthogonal_mixture: {dim: 3, modes: 7}}",
            "orthogonal_mixture.modes: 7 modes do not fit on the axes of 3 dimensions; write at most 6, or raise `dim`",
        ),
        ("{manifold: {surface: sphere, dim: 2}}", "manifold.dim: 2 is too small; write a whole number of at least 3"),
    ] {
        let spec: DataSpec = serde_yaml::from_str(yaml).expect("the right types");
        let fault = spec.check().expect_err("a setting that cannot be");
        assert_eq!(format!("{}: {}; {}", fault.key, fault.problem, fault.remedy), said);
    }
}
