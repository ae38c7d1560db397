//! What is said of files that cannot be, word for word.

use super::super::SolverSpec;
use super::{parse, with};

/// The names of solvers, as a message lists them.
fn solvers() -> String {
    SolverSpec::NAMES.join(", ")
}

/// Asserts what is said of the example with one change.
#[track_caller]
fn says(old: &str, new: &str, message: &str) {
    assert_eq!(parse(&with(old, new), &[]).unwrap_err(), message);
}

#[test]
fn unknown_names() {
    let solvers = solvers();
    says(
        "{lr: 1.0e-3}",
        "{lrr: 1.0e-3}",
        "moons.yaml:11: train.optimizer.adamw: unknown key `lrr`; did you mean `lr`? \
         allowed: lr, beta1, beta2, eps, weight_decay",
    );
    says(
        "train:",
        "trian:",
        "moons.yaml:8: unknown key `trian`; did you mean `train`? \
         allowed: name, description, seed, data, sde, model, train, sample, compare, likelihood",
    );
    says(
        "solver: heun",
        "solver: huen",
        &format!(
            "moons.yaml:18: compare.entries[2].solver: unknown solver `huen`; did you mean `heun`? allowed: {solvers}"
        ),
    );
    says(
        "{vp: {beta_min: 0.1, beta_max: 20}}",
        "\n  vq:\n    beta_min: 0.1",
        "moons.yaml:5: sde: unknown SDE `vq`; allowed: vp, sub_vp, ve, edm, cosine, flow",
    );
    says(
        "solver: heun",
        "solver: {heun: {order: 2}}",
        "moons.yaml:18: compare.entries[2].solver.heun: unknown key `order`; remove it, for nothing can be set here",
    );
    says(
        "predict: noise",
        "predict: noisee",
        "moons.yaml:7: model.predict: unknown word `noisee`; did you mean `noise`? \
         allowed: data, noise, velocity, flow, edm, \
         score, trig_flow",
    );
    says(
        "model:\n  network: {mlp: {width: 256, depth: 4}}\n  predict: noise",
        "model: exacct",
        "moons.yaml:5: model: unknown model `exacct`; did you mean `exact`? \
         allowed: exact, empirical, {network: …, predict: …}",
    );
}

#[test]
fn no_choice_or_two() {
    let solvers = solvers();
    says(
        "solver: heun",
        "solver: {heun: {}, ddim: {}}",
        "moons.yaml:18: compare.entries[2].solver: both `heun` and `ddim` where one solver belongs; keep one of them",
    );
    says(
        "solver: heun",
        "solver: {}",
        &format!("moons.yaml:18: compare.entries[2].solver: an empty map where one solver belongs; allowed: {solvers}"),
    );
    says(
        "solver: heun",
        "solver: 3",
        &format!(
            "moons.yaml:18: compare.entries[2].solver: expected a choice of solver, found the number 3; \
             allowed: {solvers}"
        ),
    );
}

/// A model is a word, `empirical` with settings, or the settings of a network; never two of them.
#[test]
fn models() {
    let model = "model:\n  network: {mlp: {width: 256, depth: 4}}\n  predict: noise";
    says(
        model,
        "model: {empirical: {pints: 3}}",
        "moons.yaml:5: model.empirical: unknown key `pints`; did you mean `points`? allowed: points",
    );
    says(
        model,
        "model:\n  empirical:\n    points: 0",
        "moons.yaml:7: model.empirical.points: 0 is too small; write a whole number of at least 1",
    );
    says(
        "  predict: noise",
        "  empirical: {}",
        "moons.yaml:5: model: both `empirical` and `network` where one model belongs; keep one of them",
    );
    says(
        "  network: {mlp",
        "  empirical: {points: 3}\n  network: {mlp",
        "moons.yaml:5: model: both `empirical` and `network` where one model belongs; keep one of them",
    );
    says(
        model,
        "model:\n  netwrok: mlp",
        "moons.yaml:6: model: unknown key `netwrok`; did you mean `network`? allowed: network, predict, sigma_data, \
         precision, input, noise_level, fourier_features",
    );
    says(
        model,
        "model: 3",
        "moons.yaml:5: model: expected a model, found the number 3; \
         write `exact`, `empirical`, or a map such as {network: mlp, predict: noise}",
    );
    says(
        model,
        "model: empirical",
        "moons.yaml:6: train: there is nothing to train with `model: empirical`; \
         remove `train`, or give `model` a network",
    );
}

#[test]
fn missing_keys() {
    says("sde: {vp: {beta_min: 0.1, beta_max: 20}}", "", "moons.yaml: missing key `sde`; add it, such as `sde: vp`");
    says(
        "  nfe: [5, 10, 20, 50, 100]\n",
        "",
        "moons.yaml:14: compare: missing key `nfe`; add it, such as `nfe: [10, 20, 50]`",
    );
    for empty in ["", "# nothing but a comment\n", "---\n"] {
        assert_eq!(
            parse(empty, &[]).unwrap_err(),
            "moons.yaml: there is nothing in this experiment; write at least the keys name, data, sde and model"
        );
    }
}

#[test]
fn keys_that_stand_twice() {
    says(
        "  batch: 512\n",
        "  batch: 512\n  steps: 300\n",
        "moons.yaml:11: train: the key `steps` stands here twice; keep one of them",
    );
    says("\nseed: 0", "\nname: 0", "moons.yaml:2: the key `name` stands here twice; keep one of them");
}

#[test]
fn whole_numbers() {
    for (written, said) in [
        ("many", "expected a whole number, found the text \"many\"; write digits only, such as 100"),
        ("5.0e3", "expected a whole number, found the number 5000.0; write 5000"),
        ("2.5", "expected a whole number, found the number 2.5; write 2 or 3"),
        ("5_000", "expected a whole number, found the text \"5_000\"; write 5000"),
        ("", "expected a whole number, found nothing; write digits only, such as 100"),
        ("[1]", "expected a whole number, found a list; write digits only, such as 100"),
        ("-5", "-5 is negative; write a whole number of at least 0"),
        ("0", "0 is too small; write a whole number of at least 1"),
        ("99999999999999999999", "99999999999999999999 is too large; write at most 18446744073709551615"),
    ] {
        says("steps: 5000", &format!("steps: {written}"), &format!("moons.yaml:9: train.steps: {said}"));
    }
}

#[test]
fn other_types() {
    says(
        "1.0e-3",
        "'1e-3'",
        "moons.yaml:11: train.optimizer.adamw.lr: expected a number, found the text \"1e-3\"; \
         write 0.001, without quotes, commas or underscores",
    );
    says(
        "1.0e-3",
        "fast",
        "moons.yaml:11: train.optimizer.adamw.lr: expected a number, found the text \"fast\"; \
         write a number, such as 0.5",
    );
    says(
        "nfe: [5, 10, 20, 50, 100]",
        "nfe: 5",
        "moons.yaml:21: compare.nfe: expected a list, found the number 5; put the values in brackets, as in [1, 2]",
    );
    says(
        "- {solver: heun}",
        "- heun",
        "moons.yaml:18: compare.entries[2]: expected a map of settings, found the text \"heun\"; \
         write `key: value` with any of: solver, grid, label, denoise, nfe",
    );
    says(
        "name: two-moons-vp",
        "name: 2024",
        "moons.yaml:1: name: expected a text, found the number 2024; write one, in quotes if it looks like a number",
    );
    says(
        "steps: 20}",
        "denoise: yes}",
        "moons.yaml:13: sample.denoise: expected `true` or `false`, found the text \"yes\"; write one of these words",
    );
    says(
        "predict: noise",
        "predict: 3",
        "moons.yaml:7: model.predict: expected a word, found the number 3; allowed: data, noise, velocity, flow, edm, \
         score, trig_flow",
    );
    says(
        "- {solver: heun}",
        "- {solver: {heun: 4}}",
        "moons.yaml:18: compare.entries[2].solver.heun: expected no settings, found the number 4; remove the value",
    );
}

#[test]
fn values_that_do_not_fit() {
    says(
        "two-moons-vp",
        "Two Moons",
        "moons.yaml:1: name: \"Two Moons\" cannot name a folder everywhere; \
         use lower-case letters, digits, `-` and `_`, and start with a letter or a digit, as in `two-moons-vp`",
    );
    says(
        "model:\n  network: {mlp: {width: 256, depth: 4}}\n  predict: noise",
        "model: exact",
        "moons.yaml:6: train: there is nothing to train with `model: exact`; \
         remove `train`, or give `model` a network",
    );
    says(
        "predictor: reverse_diffusion",
        "predictor: predictor_corrector",
        "moons.yaml:17: compare.entries[1].solver.predictor_corrector.predictor: \
         a predictor_corrector inside a predictor_corrector; \
         choose a plain solver, such as `predictor: reverse_diffusion`",
    );
    says(
        "predictor: reverse_diffusion",
        "predictor: {dopri5: {rtol: 1.0e-3}}",
        "moons.yaml:17: compare.entries[1].solver.predictor_corrector.predictor: \
         dopri5 takes each sample through times of its own, and a corrector acts at one time for all; \
         choose a predictor on a grid, such as `predictor: reverse_diffusion`, or leave out its tolerances",
    );
    says(
        "predictor: reverse_diffusion",
        "predictor: gotta_go_fast",
        "moons.yaml:17: compare.entries[1].solver.predictor_corrector.predictor: \
         gotta_go_fast takes each sample through times of its own, and a corrector acts at one time for all; \
         choose a predictor on a grid, such as `predictor: reverse_diffusion`",
    );
    says(
        "snr: 0.16",
        "snr: 0",
        "moons.yaml:17: compare.entries[1].solver.predictor_corrector.corrector.langevin.snr: \
         0 is not a positive number; write a number greater than 0",
    );
    says(
        "DPM-Solver++(2M)",
        "heun",
        "moons.yaml:19: compare.entries[3].label: entries[2] is already called \"heun\"; \
         give each entry a `label` of its own",
    );
    says(
        "DPM-Solver++(2M)",
        "data",
        "moons.yaml:19: compare.entries[3].label: \"data\" is what tables call fresh data compared with data; \
         give the entry another `label`",
    );
    says(
        "[5, 10, 20",
        "[10, 5, 20",
        "moons.yaml:21: compare.nfe[1]: 5 comes after 10; list the budgets in ascending order, each once",
    );
    says(
        "[5, 10, 20, 50, 100]",
        "[]",
        "moons.yaml:21: compare.nfe: the list is empty; name at least one, as in `nfe: [10, 20, 50]`",
    );
    says(
        "karras: {rho: 7}",
        "explicit: [1.0, 0.5, 0.1]",
        "moons.yaml:13: sample.steps: 20 contradicts the explicit grid of 3 times; remove `steps`, or set it to null",
    );
    says(
        "grid: log_snr",
        "grid: {explicit: [1.0, 0.5, 0.1]}",
        "moons.yaml:19: compare.entries[3].grid: an explicit grid fixes the number of steps, \
         which `compare.nfe` varies; give this entry another grid, such as `grid: karras`",
    );
}

#[test]
fn metrics_that_cannot_be_told_what_they_need() {
    let metrics = "metrics: [sliced_wasserstein, mmd, energy_distance]";
    let without_density = with(metrics, "metrics: [mmd, kl]").replace("noise: 0.05", "noise: 0");
    assert_eq!(
        parse(&without_density, &[]).unwrap_err(),
        "moons.yaml:22: compare.metrics[1]: kl needs data with a density in closed form, and two_moons has none; \
         choose gaussian, gaussian_mixture, eight_gaussians, two_moons, circles, rings or funnel, with noise in every \
         direction, or write `{kl: {against: sample}}` to compare with the reference data",
    );
    says(
        metrics,
        "metrics: [mode_weights]",
        "moons.yaml:22: compare.metrics[0]: mode_weights needs data with modes in closed form, and two_moons has none; \
         choose eight_gaussians or a gaussian_mixture of several components, with covariances of full rank",
    );
    says(
        metrics,
        "metrics: [mmd, {mmd: {bandwidth: 1}}]",
        "moons.yaml:22: compare.metrics[1]: metrics[0] is mmd already; \
         keep one of them: results are listed by name",
    );
    says(
        "  metrics: [sliced_wasserstein, mmd, energy_distance]\n",
        "  metrics: [{kl: {against: sample, neighbors: 9}}]\n  count: 10\n",
        "moons.yaml:23: compare.count: 10 points are too few for kl; write at least 11",
    );
    says(
        metrics,
        "metrics: [{optimal_transport: {points: 5000}}]",
        "moons.yaml:22: compare.metrics[0].optimal_transport.points: 5000 is not between 2 and 2000; \
         write at most 2000: time grows with the cube, memory with the square",
    );
    says(
        metrics,
        "metrics: [{mode_coverage: {within: 1}}]",
        "moons.yaml:22: compare.metrics[0].mode_coverage.within: 1 is not between 0 and 1; write a share such as 0.999",
    );
    assert!(parse(&with(metrics, "metrics: [{kl: {against: sample}}, trajectory_error, classifier]"), &[]).is_ok());
}

#[test]
fn gaussians_that_are_none() {
    for (written, said) in [
        (
            "{mean: [0, 0], covariance: [[1, 0.5], [0.4, 1]]}",
            ".covariance[0][1]: covariance[0][1] = 0.5 but covariance[1][0] = 0.4; \
             a covariance is symmetric: make them equal",
        ),
        (
            "{mean: [0, 1], covariance: [[1, 2]]}",
            ".covariance: its length is 1, that of the mean 2; write a square matrix of 2 by 2",
        ),
        ("{mean: [0], spectrum: [-1]}", ".spectrum[0]: -1 is not a number of at least 0; write 0 or a positive number"),
        (
            "{mean: [0]}",
            ": neither `covariance` nor `spectrum` is given; \
             add one of them, such as `covariance: [[1, 0], [0, 1]]` or `spectrum: [1, 1]`",
        ),
        (
            "{mean: [0], covariance: [[1]], spectrum: [1]}",
            ".spectrum: both `covariance` and `spectrum` are given; \
             keep one of them: the spectrum is the eigenvalues of the covariance",
        ),
    ] {
        let data = format!("{{gaussian: {written}}}");
        says("{two_moons: {noise: 0.05}}", &data, &format!("moons.yaml:3: data.gaussian{said}"));
    }
    says(
        "{two_moons: {noise: 0.05}}",
        "gaussian",
        "moons.yaml:3: data.gaussian.mean: the mean is empty; give one entry for each dimension, such as [0, 0]",
    );
    says(
        "{two_moons: {noise: 0.05}}",
        "\n  gaussian_mixture:\n    means: [[0], [1]]\n    weights: [0.5, 0.6]\n    covariances: [[[1]], [[1]]]",
        "moons.yaml:6: data.gaussian_mixture.weights: the weights sum to 1.1, not to 1; divide each weight by the sum",
    );
}
