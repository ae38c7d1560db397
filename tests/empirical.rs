//! The exact denoiser of a finite data set, against brute force, closed forms and its limits; and in experiments.

mod common;
mod place;

use std::sync::Arc;

use common::{DOUBLE, FLOAT, Process, distance, processes, run, sampler};
use ndarray::{Array1, Array2, ArrayView1, Axis};
use ornstein::data::Library;
use ornstein::experiment::{Compute, Plan, Spec};
use ornstein::rng::{Purpose, Stream};
use ornstein::score::empirical::Empirical;
use ornstein::score::exact::{Exact, Law};
use ornstein::score::{Denoiser, Eval, Model};
use ornstein::sde::{Edm, Kernel, Sde};
use ornstein::solve::{Ddim, Grid, Heun, Karras, prior};
use ornstein::tensor::{normals, to_rows};
use ornstein::threads::Workers;
use place::{LEARNED, Place};
use tch::{Device, Kind, Tensor};

/// Standard normals, one set for each seed.
fn cloud(seed: u64, shape: &[i64]) -> Tensor {
    normals(Stream::new(seed, Purpose::Data), 0, 0, &Tensor::empty(shape, DOUBLE))
}

fn edm() -> Arc<dyn Sde> {
    Arc::new(Edm::default())
}

fn empirical(points: &Tensor, sde: &Arc<dyn Sde>) -> Empirical {
    Empirical::new(points, sde.clone(), Device::Cpu)
}

/// w ∝ exp(−‖x − α y‖²/(2σ²)), from differences, in plain f64.
fn weights(points: &Array2<f64>, x: ArrayView1<f64>, Kernel { alpha, sigma }: Kernel) -> Array1<f64> {
    let square = |y: ArrayView1<f64>| y.iter().zip(x).map(|(y, x)| (x - alpha * y).powi(2)).sum::<f64>();
    let exponents: Array1<f64> = points.rows().into_iter().map(|y| -square(y) / (2.0 * sigma * sigma)).collect();
    let top = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights = exponents.mapv(|e| (e - top).exp());
    &weights / weights.sum()
}

#[test]
fn it_is_the_softmax_over_the_data() {
    for Process { name, sde } in processes() {
        let points = cloud(0, &[150, 3]);
        let empirical = empirical(&points, &sde);
        for relative in [1e-3, 0.03, 0.3, 1.0, 10.0, 100.0] {
            let t = sde.time_of_ratio(relative);
            let k = sde.kernel(t);
            // States where they are at that time, and some far from where they ever are.
            let x = (cloud(1, &[40, 3]) * k.alpha + cloud(2, &[40, 3]) * k.sigma) * 1.5;
            let found = to_rows(&empirical.denoise(&x, t));
            for (x, found) in to_rows(&x).rows().into_iter().zip(found.rows()) {
                let exact = weights(&to_rows(&points), x, k).dot(&to_rows(&points));
                let error = (&exact - &found).iter().fold(0.0, |m: f64, e| m.max(e.abs()));
                // The exponents have round-off ε ‖x‖ ‖y‖ α/σ², in either way of computing them.
                assert!(error < 1e-14 * (1.0 + 30.0 / relative.powi(2)), "{name}, κ = {relative}: {error:e}");
            }
        }
    }
}

/// Narrow Gaussians at the points have nearly the same denoiser: their relative variance is (10⁻⁶/σ)².
#[test]
fn it_is_the_limit_of_narrow_gaussians() {
    for Process { name, sde } in processes() {
        let points = cloud(3, &[50, 4]);
        let exact = Exact::new(&Law::isotropic(&points, 1e-12), sde.clone(), DOUBLE);
        let empirical = empirical(&points, &sde);
        for ratio in [0.05, 0.5, 5.0] {
            let t = sde.time_of_ratio(ratio);
            let k = sde.kernel(t);
            let x = points.narrow(0, 0, 30) * k.alpha + cloud(4, &[30, 4]) * k.sigma;
            let error = distance(&empirical.denoise(&x, t), &exact.denoise(&x, t));
            assert!(error < 1e-7, "{name}, κ = {ratio}: {error:e}");
            let [a, b]: [&dyn Denoiser; 2] = [&empirical, &exact];
            let error = distance(&Eval::new(a, x.shallow_clone(), t).score(), &Eval::new(b, x, t).score());
            assert!(error < 1e-6, "{name}, κ = {ratio}: score {error:e}");
        }
    }
}

#[test]
fn without_noise_it_is_the_nearest_neighbour_and_with_much_the_mean() {
    // Far from the origin, where squares of coordinates would swallow the differences.
    for offset in [0.0, 1e4] {
        let points = cloud(5, &[200, 2]) + offset;
        let empirical = empirical(&points, &edm());
        let x = cloud(6, &[50, 2]) * 2.0 + offset;
        let squares =
            (x.unsqueeze(1) - points.unsqueeze(0)).square().sum_dim_intlist([2i64].as_slice(), false, Kind::Double);
        let nearest = points.index_select(0, &squares.argmin(1, false));
        for sigma in [0.0, 1e-300, 1e-20, 1e-8, 1e-5] {
            let error = (empirical.denoise(&x, sigma) - &nearest).abs().max().double_value(&[]);
            assert!(error <= 1e-15 * (1.0 + 4.0 * offset), "σ = {sigma}, offset {offset}: {error:e}");
        }
        let mean = points.mean_dim([0i64].as_slice(), true, Kind::Double);
        for sigma in [1e6, 1e12, 1e200] {
            let error = (empirical.denoise(&x, sigma) - &mean).abs().max().double_value(&[]);
            assert!(error < 20.0 / (sigma * sigma) + 1e-15 * (1.0 + 4.0 * offset), "σ = {sigma}: {error:e}");
        }
    }
    // Between two equal neighbours, their mean; the same point twice counts twice.
    let points = Tensor::from_slice(&[-1.0, 1.0, 1.0, 5.0]).view([4, 1]);
    let empirical = empirical(&points, &edm());
    let at = |x: f64, sigma| empirical.denoise(&Tensor::from_slice(&[x]).view([1, 1]), sigma).double_value(&[0, 0]);
    assert!((at(0.0, 0.0) - 1.0 / 3.0).abs() < 1e-15);
    assert!((at(0.0, 0.01) - 1.0 / 3.0).abs() < 1e-15);
    assert!((at(1e9, 1.0) - 5.0).abs() < 1e-15, "a state far away");
}

/// The denoiser of shifted data is the shifted denoiser.
#[test]
fn it_follows_the_data() {
    for Process { name, sde } in processes() {
        let (points, shift) = (cloud(7, &[80, 5]), cloud(8, &[1, 5]) * 1e3);
        let t = sde.time_of_ratio(0.4);
        let k = sde.kernel(t);
        let x = cloud(9, &[30, 5]) * k.sigma * 2.0;
        let plain = empirical(&points, &sde).denoise(&x, t) + &shift;
        let shifted = empirical(&(points + &shift), &sde).denoise(&(x + shift * k.alpha), t);
        assert!(distance(&shifted, &plain) < 1e-12, "{name}");
    }
}

/// The residual of the minimiser of the denoising loss is orthogonal to every function of (x_t, t).
#[test]
fn it_minimises_the_denoising_loss() {
    let points = cloud(10, &[30, 2]);
    let (empirical, n) = (empirical(&points, &edm()), 100_000);
    for sigma in [0.1, 0.5, 2.0] {
        let which: Vec<i64> = (0..n).map(|i| i % 30).collect();
        let x0 = points.index_select(0, &Tensor::from_slice(&which));
        let x = &x0 + cloud(11, &[n, 2]) * sigma;
        let residual = x0 - empirical.denoise(&x, sigma);
        for (what, of_x) in [
            ("1", x.ones_like()),
            ("x", x.shallow_clone()),
            ("x²", x.square()),
            ("cos 3x", (&x * 3.0).cos()),
            ("D", empirical.denoise(&x, sigma)),
        ] {
            let products = &residual * of_x;
            let mean = products.mean_dim([0i64].as_slice(), false, Kind::Double);
            let error = products.std_dim([0i64].as_slice(), true, false) / (n as f64).sqrt();
            let worst = (mean.abs() / error).max().double_value(&[]);
            assert!(worst < 5.0, "σ = {sigma}, {what}: {worst} standard errors");
        }
    }
}

/// ∂D/∂x = Cov(x₀ given x_t) α/σ² (Tweedie, second order), through LibTorch's own derivatives.
#[test]
fn its_derivative_is_a_covariance() {
    let points = cloud(12, &[40, 2]);
    let empirical = empirical(&points, &edm());
    let sigma = 0.6;
    let x = cloud(13, &[8, 2]).set_requires_grad(true);
    let denoised = empirical.denoise(&x, sigma);
    let rows =
        (0..2).map(|j| Tensor::run_backward(&[denoised.select(1, j).sum(Kind::Double)], &[&x], true, false).remove(0));
    let jacobian = Tensor::stack(&rows.collect::<Vec<_>>(), 1);
    let points = to_rows(&points);
    for (i, x) in to_rows(&x.detach()).rows().into_iter().enumerate() {
        let weights = weights(&points, x, Kernel { alpha: 1.0, sigma });
        let centred = &points - &weights.dot(&points);
        let exact = centred.t().dot(&(&centred * &weights.insert_axis(Axis(1)))) / (sigma * sigma);
        for (j, l) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let found = jacobian.double_value(&[i as i64, j, l]);
            assert!((found - exact[[j as usize, l as usize]]).abs() < 1e-12, "{found} {exact}");
        }
    }
}

#[test]
fn states_keep_their_shape_and_kind() {
    let points = cloud(14, &[20, 2, 3]);
    let empirical = empirical(&points, &edm());
    let x = cloud(15, &[7, 2, 3]);
    let whole = empirical.denoise(&x, 0.5);
    assert_eq!(whole.size(), [7, 2, 3]);
    assert_eq!(
        self::empirical(&points.reshape([20, 6]), &edm()).denoise(&x.reshape([7, 6]), 0.5),
        whole.reshape([7, 6])
    );
    let single = empirical.denoise(&x.to_kind(Kind::Float), 0.5);
    assert_eq!(single.kind(), Kind::Float);
    assert!(distance(&single, &whole) < 1e-5);
    assert_eq!(empirical.denoise(&x.narrow(0, 0, 0), 0.5).size(), [0, 2, 3]);
    assert!(distance(&empirical.part(2, 3).denoise(&x.narrow(0, 2, 3), 0.5), &whole.narrow(0, 2, 3)) < 1e-13);
}

/// Sampling gives back the data, each point about equally often, whatever the chunks and threads.
#[test]
fn samples_are_the_data() {
    let (points, sde) = (cloud(16, &[10, 2]), edm());
    let empirical = empirical(&points, &sde);
    let mut times = Karras::default().times(&*sde, 40);
    times.push(0.0);
    let init = prior(&*sde, 7, 4000, &[2], DOUBLE);
    let mut sampler = sampler(Heun {}.into(), times);
    let x = run(&sampler, &empirical, &init, 2).x;
    sampler.chunk = 333;
    assert!(distance(&run(&sampler, &empirical, &init, 1).x, &x) < 1e-9);
    let distances = (x.unsqueeze(1) - points.unsqueeze(0)).norm_scalaropt_dim(2.0, [2i64].as_slice(), false);
    let (nearest, which) = distances.min_dim(1, false);
    assert!(nearest.max().double_value(&[]) < 1e-3, "{nearest}");
    let which = Vec::<i64>::try_from(which).expect("a vector");
    for i in 0..10 {
        // 400 ± 19 samples each, up to what 40 steps of Heun miss.
        let count = which.iter().filter(|&&w| w == i).count();
        assert!((300..500).contains(&count), "point {i}: {count}");
    }
    let single = run(
        &common::sampler(Ddim::default().into(), Karras::default().times(&*sde, 10)),
        &empirical,
        &prior(&*sde, 7, 64, &[2], FLOAT),
        1,
    );
    assert_eq!((single.x.kind(), single.nfe), (Kind::Float, 10.0));
}

/// `model: empirical` means the first points that training would draw.
#[test]
fn an_experiment_takes_its_points_from_the_training_data() {
    let text = "{name: x, seed: 5, data: two_moons, sde: vp, model: {empirical: {points: 300}}}";
    let spec = Spec::parse(text, "x.yaml", &[]).expect("an experiment");
    let compute =
        Compute { device: Device::Cpu, kind: Kind::Double, workers: Arc::new(Workers::new(1).expect("a thread")) };
    let plan = Plan::new(spec, compute, &Library::new(None)).expect("a law");
    let points = plan.data().draw(Stream::new(5, Purpose::Data), 0, 300);
    let x = cloud(17, &[10, 2]);
    let model = plan.untrained().expect("no network");
    assert_eq!(model.denoise(&x, 0.3), empirical(&points, &plan.sde).denoise(&x, 0.3));
    // Fresh data are other points.
    assert_ne!(plan.reference(0, 300), points);
}

/// The verbs that need no training work as they do with `model: exact`, on data without a closed form.
#[test]
fn the_program_runs_it() {
    let place = Place::new();
    let text = LEARNED.lines().filter(|line| !line.starts_with("train:")).collect::<Vec<_>>().join("\n");
    let text = text
        .replace("model: {network: {mlp: {width: 16, depth: 2}}, predict: noise}", "model: {empirical: {points: 50}}");
    place.write(
        "empirical.yaml",
        format!("{text}\ncompare: {{entries: [{{solver: heun}}], nfe: [8], repeats: 1, count: 50}}\n"),
    );
    let checked = place.run(&["check", "empirical.yaml", "--json"]).ok().json();
    assert_eq!(checked["experiment"]["model"]["empirical"]["points"], 50);
    assert_eq!(checked["parameters"], 0);
    place.run(&["sample", "empirical.yaml", "--output", "x.npy", "-q", "--precision", "float64"]).ok();
    assert_eq!(place.read_npy("x.npy").shape(), [64, 2]);
    let compared = place.run(&["compare", "empirical.yaml", "--json", "-q"]).ok().json();
    assert!(compared["compare"].as_array().is_some_and(|rows| !rows.is_empty()));
    let ran = place.run(&["run", "empirical.yaml", "--json", "-q", "--out", "run"]).ok().json();
    assert_eq!(ran["train"], serde_json::Value::Null);
    assert!(place.path("run/report.html").is_file());
}
