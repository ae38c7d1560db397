//! The figures of training: the loss of each step, and of each noise level.

use super::levels::{LEVELS, read_levels};
use super::log::{METRICS, VALIDATION, losses};
use crate::experiment::{Plan, RunDir};
use crate::report::{LossCurve, LossSeries, Scale};

/// A figure with the stem of its files and its caption.
pub(super) struct Drawn {
    pub(super) curve: LossCurve,
    pub(super) stem: &'static str,
    pub(super) caption: String,
}

/// The loss in the course of training; none without a log.
pub(super) fn loss_curve(run: &RunDir) -> Option<Drawn> {
    let points = losses(&run.file(METRICS));
    if points.is_empty() {
        return None;
    }
    let mut series = vec![LossSeries { label: "training".into(), points, smooth: true, ..Default::default() }];
    let points = losses(&run.file(VALIDATION));
    if points.len() > 1 {
        series.push(LossSeries { label: "validation (averaged parameters)".into(), points, ..Default::default() });
    }
    let caption = "The weighted denoising loss: means between lines of the log, and a running mean of them; of the \
                   averaged parameters on fixed data that are not trained on.";
    Some(Drawn { curve: LossCurve { series, ..LossCurve::default() }, stem: "loss", caption: caption.into() })
}

/// The loss of each noise level in units of EDM's target, in which a denoiser that knows nothing but σ_data has 1; none
/// where it was not measured.
pub(super) fn level_curve(run: &RunDir, plan: &Plan) -> Option<Drawn> {
    let levels = read_levels(&run.file(LEVELS));
    if levels.is_empty() {
        return None;
    }
    let sigma_data = plan.sigma_data();
    let unit = |ratio: f64| sigma_data.powi(-2) + ratio.powi(-2);
    let of_model = levels.iter().map(|row| (row.ratio, row.loss.0 * unit(row.ratio))).collect();
    let best: Vec<(f64, f64)> =
        levels.iter().filter_map(|row| Some((row.ratio, row.optimum? * unit(row.ratio)))).collect();
    let mut series = vec![LossSeries { label: "model".into(), points: of_model, ..Default::default() }];
    let mut caption =
        "The denoising loss of each noise level, in units of the loss of the best linear denoiser of data \
                       with variance σ_data²."
            .to_owned();
    if !best.is_empty() {
        series.push(LossSeries { label: "exact denoiser".into(), points: best, ..Default::default() });
        caption += " The exact denoiser on the same points has the least that there is.";
    }
    let distance: Vec<(f64, f64)> =
        levels.iter().filter_map(|row| Some((row.ratio, row.distance? * unit(row.ratio)))).collect();
    if !distance.is_empty() {
        series.push(LossSeries { label: "between the two".into(), points: distance, ..Default::default() });
        caption += " Between the two: E‖D − D*‖²/d, what training has left to learn.";
    }
    let curve = LossCurve {
        title: String::new(),
        x_label: "noise level κ = σ/α".into(),
        x_scale: Scale::Log,
        y_label: "E‖D − x₀‖²/d · (κ⁻² + σ_data⁻²)".into(),
        series,
    };
    Some(Drawn { curve, stem: "levels", caption })
}

/// Whether the model is calibrated at each noise level; none where it was not measured.
pub(super) fn calibration_curve(run: &RunDir) -> Option<Drawn> {
    let slopes: Vec<(f64, (f64, f64))> =
        read_levels(&run.file(LEVELS)).iter().filter_map(|row| Some((row.ratio, row.calibration?))).collect();
    // Where the denoiser hardly knows anything, chance decides.
    let known: Vec<_> = slopes.into_iter().filter(|(_, (_, error))| *error < 0.2).collect();
    let (&(first, _), &(last, _)) = (known.first()?, known.last()?);
    let series = vec![
        LossSeries {
            label: "model ± 2 standard errors".into(),
            points: known.iter().map(|&(ratio, (slope, _))| (ratio, slope)).collect(),
            band: known.iter().map(|&(_, (slope, error))| (slope - 2.0 * error, slope + 2.0 * error)).collect(),
            smooth: false,
        },
        // A line without marks.
        LossSeries {
            label: "calibrated".into(),
            points: vec![(first, 1.0), (last, 1.0)],
            smooth: true,
            ..Default::default()
        },
    ];
    let caption = "Calibration of the denoiser at each noise level: the slope of the regression of x₀ on D. Below 1 the model \
                   varies more with x_t than it should, above 1 less.";
    let curve = LossCurve {
        title: String::new(),
        x_label: "noise level κ = σ/α".into(),
        x_scale: Scale::Log,
        y_label: "slope of x₀ on D".into(),
        series,
    };
    Some(Drawn { curve, stem: "calibration", caption: caption.into() })
}
