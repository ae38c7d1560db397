//! What is said of networks, data, comparisons and texts that cannot be.

use super::parse;
use super::settings::{refused, with_line};

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
            "model: {noise_level: {time_step: {beta_end: 1}}}",
            "4: model.noise_level.time_step.beta_end: 1 is not between 0 and 1; \
             write the share of noise that a step adds, such as 0.02",
        ),
        (
            "data: {image_shape: {width: 0}}",
            "2: data.image_shape.width: 0 is too small; write a whole number of at least 1",
        ),
        (
            "data: image_shape",
            "4: model.sigma_data: without examples of the data it cannot be measured; \
             write the standard deviation that the network was trained with",
        ),
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
