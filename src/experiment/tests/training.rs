//! What is said of settings of training whose values cannot be, one by one, word for word.

use super::parse;
use super::settings::refused;

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
