//! What is said of settings whose values cannot be, one by one, word for word; beside it, those of training.

use super::parse;

/// An experiment in which the line of one key is as given; the keys stand on lines 1 to 4, what is added on line 5.
pub(super) fn with_line(line: &str) -> String {
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
            "sample: {grid: tabulated}",
            "5: sample.grid.tabulated: a table without a grid; \
             list grids from noise to data, such as {tabulated: [[1.0, 0.5, 1.0e-3]]}",
        ),
        (
            "sample: {grid: {tabulated: [[1, 0.1], [1, 0.5, 0.1], [1, 0.2]]}}",
            "5: sample.grid.tabulated[2]: grid 0 has 1 steps too; keep one grid for each number of steps",
        ),
        (
            "sample: {grid: {tabulated: [[1, 0.1, 0.5]]}}",
            "5: sample.grid.tabulated[0][2]: 0.5 comes after 0.1; \
             list the times in strictly decreasing order, from noise to data",
        ),
        (
            "sample: {grid: {tabulated: [[1.5, 0.1]]}}",
            "5: sample.grid.tabulated[0][0]: the grid ends at the time 1.5, and the process at 1; \
             find a grid for this process with `ornstein grid`, or write its ends",
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
