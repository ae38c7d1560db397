//! What is said of settings whose values cannot be, one by one, word for word; beside it, those of training.

use super::parse;

/// An experiment in which the line of one key is as given; the keys stand on lines 1 to 4, what is added on line 5.
fn with_line(line: &str) -> String {
    let key = line.split(':').next().unwrap();
    let mut lines = vec!["name: x", "data: two_moons", "sde: vp", "model: {}"];
    match lines.iter().position(|default| default.starts_with(&format!("{key}:"))) {
        Some(position) => lines[position] = line,
        None => lines.push(line),
    }
    lines.join("\n")
}

/// Asserts what is said of some lines, each in an otherwise sound experiment.
#[track_caller]
pub(super) fn refused(cases: &[(&str, &str)]) {
    for (line, said) in cases {
        match parse(&with_line(line), &[]) {
            Ok(_) => panic!("{line} is accepted"),
            Err(message) => assert_eq!(message, format!("moons.yaml:{said}"), "{line}"),
        }
    }
}

#[test]
fn processes() {
    refused(&[
        ("sde: {vp: {beta_min: 0}}", "3: sde.vp.beta_min: 0 is not a positive number; write a number greater than 0"),
        (
            "sde: {vp: {beta_max: 0.01}}",
            "3: sde.vp.beta_max: 0.01 is below beta_min = 0.1; write a number of at least beta_min",
        ),
        (
            "sde: {vp: {t_max: -1}}",
            "3: sde.vp.t_max: -1 is not a time of this process; write a time greater than t_min",
        ),
        ("sde: {vp: {t_min: 2}}", "3: sde.vp.t_min: 2 is not between 0 and t_max = 1; write a small positive time"),
        (
            "sde: {vp: {t_train: 0.1}}",
            "3: sde.vp.t_train: 0.1 is not between 0 and t_min = 0.001; train down to t_min or below",
        ),
        (
            "sde: {vp: {beta_max: 4000}}",
            "3: sde.vp: at t_max = 1 the noise level σ/α is inf; choose values nearer to the defaults",
        ),
        (
            "sde: {vp: {beta_max: 1.0e+300}}",
            "3: sde.vp: at t_train = 0.00001 the noise level σ/α is inf; choose values nearer to the defaults",
        ),
        (
            "sde: {sub_vp: {beta_max: 0.01}}",
            "3: sde.sub_vp.beta_max: 0.01 is below beta_min = 0.1; write a number of at least beta_min",
        ),
        (
            "sde: {ve: {sigma_max: 0.001}}",
            "3: sde.ve.sigma_max: 0.001 is not above sigma_min = 0.01; write a number greater than sigma_min",
        ),
        ("sde: {ve: {sigma_min: 0}}", "3: sde.ve.sigma_min: 0 is not a positive number; write a number greater than 0"),
        (
            "sde: {edm: {sigma_max: 0.001}}",
            "3: sde.edm.sigma_max: 0.001 is not above sigma_min = 0.002; write a number greater than sigma_min",
        ),
        ("sde: {cosine: {s: 1}}", "3: sde.cosine.s: 1 is not between 0 and 1; the published value is 0.008"),
        (
            "sde: {cosine: {t_max: 1}}",
            "3: sde.cosine.t_max: 1 is not a time of this process; write a time between t_min and 0.999999",
        ),
        (
            "sde: {flow: {t_max: 1}}",
            "3: sde.flow.t_max: 1 is not a time of this process; write a time between t_min and 0.999999999",
        ),
    ]);
}

#[test]
fn solvers_correctors_and_grids() {
    refused(&[
        (
            "sample: {solver: {ddim: {eta: 1.5}}}",
            "5: sample.solver.ddim.eta: 1.5 is not between 0 and 1; write 0 for the ODE, 1 for ancestral noise",
        ),
        (
            "sample: {solver: {edm_heun: {s_churn: -1}}}",
            "5: sample.solver.edm_heun.s_churn: -1 is negative or not finite; write a number of at least 0",
        ),
        (
            "sample: {solver: {edm_heun: {s_min: 2, s_max: 1}}}",
            "5: sample.solver.edm_heun.s_max: 1 is not above s_min = 2; write a number greater than s_min, or .inf",
        ),
        (
            "sample: {solver: {dopri5: {rtol: 0}}}",
            "5: sample.solver.dopri5.rtol: 0 is not a positive number; write a number greater than 0",
        ),
        (
            "sample: {solver: {bosh3: {atol: -1}}}",
            "5: sample.solver.bosh3.atol: -1 is not a positive number; write a number greater than 0",
        ),
        (
            "sample: {solver: {predictor_corrector: {corrector: {langevin: {steps: 0}}}}}",
            "5: sample.solver.predictor_corrector.corrector.langevin.steps: 0 is too small; \
             write a whole number of at least 1",
        ),
        (
            "sample: {solver: {predictor_corrector: {corrector: {annealed_langevin: {steps: 1001}}}}}",
            "5: sample.solver.predictor_corrector.corrector.annealed_langevin.steps: 1001 is too large; \
             write at most 1000",
        ),
        (
            "sample: {solver: {predictor_corrector: {corrector: {annealed_langevin: {snr: 0}}}}}",
            "5: sample.solver.predictor_corrector.corrector.annealed_langevin.snr: 0 is not a positive number; \
             write a number greater than 0",
        ),
        (
            "sample: {grid: {karras: {rho: 0}}}",
            "5: sample.grid.karras.rho: 0 is not a positive number; write a number greater than 0",
        ),
        (
            "sample: {grid: explicit}",
            "5: sample.grid.explicit: a grid of fewer than two times; \
             list the times from noise to data, such as {explicit: [1.0, 0.5, 1.0e-3]}",
        ),
        (
            "sample: {grid: {explicit: [1, .nan, 0.1]}}",
            "5: sample.grid.explicit[1]: NaN is not a finite time; write a finite number; only the last time may be -.inf",
        ),
        (
            "sample: {grid: {karras: {rho: 1.0e-300}}}",
            "5: sample.grid: with 20 steps the time NaN comes after 1; take fewer steps, or another grid",
        ),
        ("sample: {steps: 100001}", "5: sample.steps: 100001 is too large; write at most 100000"),
        ("sample: {count: 0}", "5: sample.count: 0 is too small; write a whole number of at least 1"),
        ("sample: {chunk: 0}", "5: sample.chunk: 0 is too small; write a whole number of at least 1"),
        (
            "sample: {chunk: 18446744073709551615}",
            "5: sample.chunk: 18446744073709551615 is too large; write at most 1000000000",
        ),
    ]);
}

#[test]
fn checkpoints_of_samples() {
    let never = "{name: x, data: two_moons, sde: vp, model: {}, train: {validate: ~}, sample: {checkpoint: best}}";
    assert_eq!(
        parse(never, &[]).unwrap_err(),
        "moons.yaml:1: sample.checkpoint: no checkpoint is the best without a validation loss; \
         give `train.validate`, or write `checkpoint: last`"
    );
}

#[test]
fn networks_and_data() {
    refused(&[
        (
            "model: {network: {mlp: {width: 65537}}}",
            "4: model.network.mlp.width: 65537 is too large; write at most 65536",
        ),
        (
            "model: {network: {mlp: {depth: 0}}}",
            "4: model.network.mlp.depth: 0 is too small; write a whole number of at least 1",
        ),
        (
            "model: {network: {mlp: {features: 7}}}",
            "4: model.network.mlp.features: 7 is not an even number of at least 2; write for example 64",
        ),
        ("model: {sigma_data: 0}", "4: model.sigma_data: 0 is not a positive number; write a number greater than 0"),
        (
            "data: {two_moons: {noise: -1}}",
            "2: data.two_moons.noise: -1 is not a number of at least 0; write 0 or a positive number",
        ),
        (
            "data: {eight_gaussians: {radius: 0}}",
            "2: data.eight_gaussians.radius: 0 is not a positive number; write a number greater than 0",
        ),
        (
            "data: {eight_gaussians: {std: 1.0e+300}}",
            "2: data.eight_gaussians.std: the matrix has no eigenvalues in float64; \
             scale the data: entries near 1 serve best",
        ),
        (
            "data: gaussian_mixture",
            "2: data.gaussian_mixture.weights: there are no components; give at least one, such as `weights: [1]`",
        ),
        (
            "data: {gaussian_mixture: {weights: [1], means: [[0], [1]], covariances: [[[1]]]}}",
            "2: data.gaussian_mixture.means: its length is 2, that of `weights` 1; \
             give one weight, one mean and one covariance for each component",
        ),
        (
            "data: {gaussian_mixture: {weights: [0.5, 0.5], means: [[0], [1, 2]], covariances: [[[1]], [[1]]]}}",
            "2: data.gaussian_mixture.means[1]: its length is 2, that of the first 1; give all means the same length",
        ),
        (
            "data: {gaussian: {mean: [.inf], spectrum: [1]}}",
            "2: data.gaussian.mean[0]: inf is not a finite number; write a finite number",
        ),
        (
            "data: {gaussian: {mean: [0, 1], spectrum: [1]}}",
            "2: data.gaussian.spectrum: its length is 1, that of the mean 2; give one eigenvalue for each dimension",
        ),
    ]);
    let zeros = vec!["0"; 1025].join(", ");
    refused(&[(
        &format!("data: {{gaussian: {{mean: [{zeros}]}}}}"),
        "2: data.gaussian.mean: 1025 coordinates are too many; give at most 1024",
    )]);
}

#[test]
fn comparisons() {
    let compare = |more: &str| format!("compare: {{entries: [{{solver: heun}}], nfe: [4], {more}}}");
    for (more, said) in [
        ("repeats: 0", "5: compare.repeats: 0 is too small; write a whole number of at least 1"),
        ("count: 3", "5: compare.count: 3 points are too few to compare; write at least 4"),
        ("count: 1000000001", "5: compare.count: 1000000001 is too large; write at most 1000000000"),
        (
            "metrics: []",
            "5: compare.metrics: the list is empty; name at least one, as in `metrics: [sliced_wasserstein]`",
        ),
        (
            "metrics: [{mmd: {bandwidth: 0}}]",
            "5: compare.metrics[0].mmd.bandwidth: 0 is not a positive number; write a number greater than 0",
        ),
        (
            "metrics: [{sliced_wasserstein: {projections: 0}}]",
            "5: compare.metrics[0].sliced_wasserstein.projections: 0 is too small; write a whole number of at least 1",
        ),
    ] {
        refused(&[(&compare(more), said)]);
    }
    refused(&[
        (
            "compare: {entries: [], nfe: [4]}",
            "5: compare.entries: the list is empty; \
             name at least one, as in `entries: [{solver: heun}, {solver: dpmpp_2m}]`",
        ),
        (
            "compare: {entries: [{solver: heun}], nfe: [0]}",
            "5: compare.nfe[0]: 0 is too small; write a whole number of at least 1",
        ),
        (
            "compare: {entries: [{solver: heun}], nfe: [100001]}",
            "5: compare.nfe[0]: 100001 is too large; write at most 100000",
        ),
        (
            "compare: {entries: [{solver: heun, grid: {karras: {rho: -1}}}], nfe: [4]}",
            "5: compare.entries[0].grid.karras.rho: -1 is not a positive number; write a number greater than 0",
        ),
        (
            "compare: {entries: [{solver: heun, grid: {karras: {rho: 1.0e-300}}}], nfe: [4]}",
            "5: compare.entries[0].grid: with 4 steps the time NaN comes after 1; take fewer steps, or another grid",
        ),
    ]);
}

/// What a user wrote is quoted on one line and in part.
#[test]
fn long_and_strange_texts_are_quoted_in_part() {
    let long = "k".repeat(1000);
    let message = parse(&with_line(&format!("{long}: 1")), &[]).unwrap_err();
    assert!(message.starts_with(&format!("moons.yaml:5: unknown key `{}…`; ", "k".repeat(60))), "{message}");
    let message = parse(&with_line("data: \"two\\nmoons\\e[31m\""), &[]).unwrap_err();
    assert!(message.starts_with("moons.yaml:2: data: unknown data set `two\\nmoons\\u{1b}[31m`; "), "{message}");
    let message = parse(&with_line(&format!("name: {long}")), &[]).unwrap_err();
    assert_eq!(
        message,
        "moons.yaml:1: name: a name of 1000 characters; write at most 100; `description` may be longer"
    );
    let message = parse(&with_line(&format!("seed: {long}")), &[]).unwrap_err();
    assert!(message.starts_with(&format!(
        "moons.yaml:5: seed: expected a whole number, found the text \"{}…\"; ",
        "k".repeat(60)
    )));
    let deep = format!("{}=1", vec!["a"; 100].join("."));
    assert_eq!(
        parse(&with_line("seed: 1"), &[&deep]).unwrap_err(),
        format!("--set {deep}: a path of 100 steps, deeper than any setting; write at most 32")
    );
}
