//! What is said of settings whose values cannot be, one by one, word for word.

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
fn training() {
    refused(&[
        ("train: {batch: 0}", "5: train.batch: 0 is too small; write a whole number of at least 1"),
        (
            "train: {batch: 1000000000000000000}",
            "5: train.batch: 1000000000000000000 is too large; write at most 1000000000",
        ),
        ("train: {log_every: 0}", "5: train.log_every: 0 is too small; write a whole number of at least 1"),
        (
            "train: {checkpoint_every: 0}",
            "5: train.checkpoint_every: 0 is too small; write a whole number of at least 1",
        ),
        ("train: {keep: 0}", "5: train.keep: 0 is too small; write a whole number of at least 1"),
        ("train: {clip: 0}", "5: train.clip: 0 is not a positive number; write a number greater than 0"),
        ("train: {clip: .nan}", "5: train.clip: NaN is not a positive number; write a number greater than 0"),
        (
            "train: {validate: {every: 0}}",
            "5: train.validate.every: 0 is too small; write a whole number of at least 1",
        ),
        (
            "train: {validate: {count: 1}}",
            "5: train.validate.count: 1 points have no mean with a standard error; write for example 4096",
        ),
        (
            "train: {validate: ~, early_stop: {}}",
            "5: train.early_stop: there is no validation loss to stop by; \
             give `validate`, for example `validate: {every: 500}`",
        ),
        (
            "train: {early_stop: {patience: 0}}",
            "5: train.early_stop.patience: 0 is too small; write a whole number of at least 1",
        ),
        ("train: {snapshot_every: 0}", "5: train.snapshot_every: 0 is too small; write a whole number of at least 1"),
        (
            "train: {snapshot_every: 10}",
            "5: train.snapshot_every: snapshots are of power averages, and `train.ema` has none; \
             write `ema: [{power: {std: 0.05}}, {power: {std: 0.1}}]`",
        ),
        (
            "train: {uncertainty: {features: 0}}",
            "5: train.uncertainty.features: 0 is too small; write a whole number of at least 1",
        ),
        (
            "train: {uncertainty: {features: 100000}}",
            "5: train.uncertainty.features: 100000 is too large; write at most 65536",
        ),
    ]);
}

#[test]
fn averages() {
    refused(&[
        ("train: {ema: []}", "5: train.ema: the list is empty; name at least one, as in `ema: {half_life: 500}`"),
        (
            "train: {ema: [{half_life: 10}, {power: {std: 0.1}}, {half_life: 10}]}",
            "5: train.ema[2]: the same as ema[0]; list each average once",
        ),
        (
            "train: {ema: {half_life: 0}}",
            "5: train.ema.half_life: 0 is not a positive number; write a number greater than 0",
        ),
        (
            "train: {ema: [{half_life: 10}, {power: {std: 0.3}}]}",
            "5: train.ema[1].power.std: 0.3 is not in [0.0001, 0.2887), the widths that a power function can have; \
             usual values are 0.05 and 0.1",
        ),
        (
            "train: {ema: {power: {std: 0}}}",
            "5: train.ema.power.std: 0 is not in [0.0001, 0.2887), the widths that a power function can have; \
             usual values are 0.05 and 0.1",
        ),
        (
            "train: {ema: 3}",
            "5: train.ema: expected a moving average such as {half_life: 500}, or a list of them, found the number 3; \
             write one, or remove the key",
        ),
        (
            "sample: {ema: {half_life: 7}}",
            "5: sample.ema: `train.ema` does not track this average; add it to `train.ema`; \
             a power average can also be put together from snapshots of others: set `train.snapshot_every`",
        ),
        (
            "sample: {ema: {power: {std: 0.5}}}",
            "5: sample.ema.power.std: 0.5 is not in [0.0001, 0.2887), the widths that a power function can have; \
             usual values are 0.05 and 0.1",
        ),
    ]);
    let exact = "{name: x, data: eight_gaussians, sde: vp, model: exact, sample: {ema: {half_life: 7}}}";
    assert_eq!(
        parse(exact, &[]).unwrap_err(),
        "moons.yaml:1: sample.ema: a model that is not trained has no moving average; remove `ema`"
    );
}

#[test]
fn laws_weightings_schedules_and_optimizers() {
    refused(&[
        (
            "train: {time: {log_normal: {mean: .inf}}}",
            "5: train.time.log_normal.mean: inf is not finite; EDM's value is -1.2",
        ),
        (
            "train: {time: {log_normal: {std: 0}}}",
            "5: train.time.log_normal.std: 0 is not a positive number; write a number greater than 0",
        ),
        (
            "train: {weighting: {min_snr: {gamma: 0}}}",
            "5: train.weighting.min_snr.gamma: 0 is not a positive number; write a number greater than 0",
        ),
        (
            "train: {weighting: {p2: {k: 0}}}",
            "5: train.weighting.p2.k: 0 is not a positive number; write a number greater than 0",
        ),
        (
            "train: {weighting: {p2: {gamma: -1}}}",
            "5: train.weighting.p2.gamma: -1 is not a number of at least 0; the published value is 1",
        ),
        ("train: {schedule: {cosine: {end: 2}}}", "5: train.schedule.cosine.end: 2 is not in [0, 1]; 0 ends at rest"),
        (
            "train: {schedule: {cosine: {steps: 0}}}",
            "5: train.schedule.cosine.steps: 0 is too small; write a whole number of at least 1",
        ),
        (
            "train: {schedule: {inverse_sqrt: {reference: 0}}}",
            "5: train.schedule.inverse_sqrt.reference: 0 is too small; write a whole number of at least 1",
        ),
        (
            "train: {optimizer: {adamw: {lr: -1}}}",
            "5: train.optimizer.adamw.lr: -1 is not a positive number; write a number greater than 0",
        ),
        (
            "train: {optimizer: {adamw: {eps: 0}}}",
            "5: train.optimizer.adamw.eps: 0 is not a positive number; write a number greater than 0",
        ),
        (
            "train: {optimizer: {adamw: {beta2: 1}}}",
            "5: train.optimizer.adamw.beta2: 1 is not in [0, 1); usual values are 0.9 and 0.999",
        ),
        (
            "train: {optimizer: {adamw: {weight_decay: -0.1}}}",
            "5: train.optimizer.adamw.weight_decay: -0.1 is negative or not finite; write 0 for none",
        ),
    ]);
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
            "3: sde.vp.t_max: -1 is not a time of this process; write a time between t_min and inf",
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
            "3: sde.vp: at t_min = 0.001 the noise level σ/α is inf; choose values nearer to the defaults",
        ),
        (
            "sde: {vp: {beta_min: 1.0e-300, beta_max: 1.0e-300}}",
            "3: sde.vp: at t_train = 0.00001 the noise level σ/α is 0; choose values nearer to the defaults",
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
