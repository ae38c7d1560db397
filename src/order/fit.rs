//! An order as the slope of errors, with its confidence interval.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The error of a run of so many steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// N, the number of steps.
    pub steps: usize,
    /// The error, positive.
    pub error: f64,
    /// Its standard error; zero where nothing is random.
    pub standard_error: f64,
}

/// A fitted order with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// p in error ∝ N^{−p}.
    pub order: f64,
    /// Half the width of the interval.
    pub half_width: f64,
    /// The least and the greatest N of the fit.
    pub steps: (usize, usize),
}

impl Fit {
    /// The ends of the interval.
    pub fn interval(&self) -> (f64, f64) {
        (self.order - self.half_width, self.order + self.half_width)
    }
}

/// The fewest points that a fit may rest on: two are explained by any line, and two more judge it.
pub const FEWEST: usize = 4;

/// A weighted least-squares fit of ln error = a + ln(N^{−p} − R^{−p}) [+ b/N], where R is the number of steps of the
/// solution that errors are measured against; infinite if that is exact.
///
/// Points at or below `floor`, or within three standard errors of zero, say nothing and are left out. Errors follow a
/// power only from some N on, and nobody knows from which. Therefore all windows of at least four points that end at the
/// finest one are tried, and, with five points or more, the next term b/N of the expansion of the error as well; of these
/// fits that with the narrowest interval is taken. Where slopes still drift it has few points or the further term; where
/// they scatter, many points and none. The interval is Student's t on the scatter about the model, and, where errors have
/// standard errors, not narrower than these allow.
///
/// # Errors
/// Why there is no fit.
pub fn fit(points: &[Point], floor: f64, reference: Option<usize>) -> Result<Fit, String> {
    let says_something =
        |point: &&Point| point.error.is_finite() && point.error > floor && point.error > 3.0 * point.standard_error;
    let mut usable: Vec<Point> = points.iter().filter(says_something).copied().collect();
    usable.sort_by_key(|point| point.steps);
    let windows = (0..(usable.len() + 1).saturating_sub(FEWEST)).map(|first| &usable[first..]);
    let fits = windows.flat_map(|window| {
        let drifting = (window.len() > FEWEST).then_some(true);
        [Some(false), drifting].into_iter().flatten().map(move |drifts| line(window, reference, drifts))
    });
    let narrowest = |best: Fit, next: Fit| if next.half_width < best.half_width { next } else { best };
    fits.filter(|fit| fit.half_width.is_finite() && fit.order.is_finite()).reduce(narrowest).ok_or_else(|| {
        let (all, left) = (points.len(), usable.len());
        format!("{left} of {all} errors stand out from round-off and chance, fewer than {FEWEST}")
    })
}

/// So little do errors scatter about a power at best, relatively; it keeps points without a standard error from
/// outweighing all others.
const SCATTER: f64 = 1e-3;

/// The fit on all of these points, with the term b/N or without, by Gauss–Newton.
fn line(points: &[Point], reference: Option<usize>, drifts: bool) -> Fit {
    let finest = points[points.len() - 1].steps as f64;
    let x: Vec<f64> = points.iter().map(|point| (point.steps as f64).ln()).collect();
    let y: Vec<f64> = points.iter().map(|point| point.error.ln()).collect();
    let next: Vec<f64> = points.iter().map(|point| if drifts { finest / point.steps as f64 } else { 0.0 }).collect();
    let weights: Vec<f64> =
        points.iter().map(|point| 1.0 / ((point.standard_error / point.error).powi(2) + SCATTER * SCATTER)).collect();
    let product = |a: &[f64], b: &[f64]| -> f64 { weights.iter().zip(a).zip(b).map(|((w, a), b)| w * a * b).sum() };
    // What is left of a column beside a constant, and beside the next term.
    let one = vec![1.0; points.len()];
    let beside = |a: &[f64], b: &[f64]| -> Vec<f64> {
        let share = product(a, b) / product(b, b);
        a.iter().zip(b).map(|(a, b)| a - share * b).collect()
    };
    let drift = beside(&next, &one);
    let rest = |a: &[f64]| if drifts { beside(&beside(a, &one), &drift) } else { beside(a, &one) };
    let far = reference.map(|steps| (steps as f64).ln());
    // ln(N^{−p} − R^{−p}) = −p ln N + ln(1 − (N/R)^p), and its derivative by p.
    let model = |p: f64, x: f64| match far {
        None => (-p * x, -x),
        Some(far) => {
            let ratio = (p * (x - far)).exp();
            (-p * x + (-ratio).ln_1p(), -x - ratio * (x - far) / (1.0 - ratio))
        }
    };
    let (mut order, mut spread, mut residual) = (1.0, 0.0, 0.0);
    for _ in 0..40 {
        let gap: Vec<f64> = x.iter().zip(&y).map(|(&x, y)| y - model(order, x).0).collect();
        let slope: Vec<f64> = x.iter().map(|&x| model(order, x).1).collect();
        let (gap, slope) = (rest(&gap), rest(&slope));
        spread = product(&slope, &slope);
        let change = product(&slope, &gap) / spread;
        order += change;
        let left: Vec<f64> = gap.iter().zip(&slope).map(|(gap, slope)| gap - change * slope).collect();
        residual = product(&left, &left);
        if change.abs() < 1e-10 {
            break;
        }
    }
    let freedom = points.len() as f64 - if drifts { 3.0 } else { 2.0 };
    let scatter = residual / freedom;
    let random = points.iter().any(|point| point.standard_error > 0.0);
    let variance = if random { scatter.max(1.0) } else { scatter } / spread;
    let t = StudentsT::new(0.0, 1.0, freedom).expect("one degree of freedom or more").inverse_cdf(0.975);
    let steps = (points[0].steps, points[points.len() - 1].steps);
    Fit { order, half_width: t * variance.sqrt(), steps }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(errors: impl Fn(f64) -> f64, steps: &[usize]) -> Vec<Point> {
        steps.iter().map(|&steps| Point { steps, error: errors(steps as f64), standard_error: 0.0 }).collect()
    }

    const STEPS: [usize; 7] = [10, 20, 40, 80, 160, 320, 640];

    #[test]
    fn a_power_is_found_exactly() {
        let fit = fit(&points(|n| 3.0 * n.powf(-2.5), &STEPS), 0.0, None).unwrap();
        assert!((fit.order - 2.5).abs() < 1e-9 && fit.half_width < 1e-6, "{fit:?}");
    }

    /// A line through −ln N² with one point off by ln 1.1: slope and interval as the textbook's formulas give them.
    #[test]
    fn the_interval_is_students() {
        let mut errors = points(|n| n.powi(-2), &[10, 20, 40, 80]);
        errors[3].error *= 1.1;
        let fit = fit(&errors, 0.0, None).unwrap();
        let (h, e) = (2f64.ln(), 1.1f64.ln());
        // x = 0, 1, 2, 3 times ln 2: Σ(x − x̄)² = 5 h²; slope error 1.5 h e/5 h²; Σ residual² = e² (1 − 1/4 − 2.25/5).
        assert!((fit.order - (2.0 - 0.3 * e / h)).abs() < 1e-9, "{fit:?}");
        let half = 4.302_652_729_749_462 * (0.3 * e * e / 2.0 / (5.0 * h * h)).sqrt();
        assert!((fit.half_width - half).abs() < 1e-6, "{fit:?} {half}");
    }

    #[test]
    fn drifting_slopes_are_seen_through() {
        let fit_of = |errors: &dyn Fn(f64) -> f64| fit(&points(errors, &STEPS), 0.0, None).unwrap();
        // The next term of the expansion is part of the model, the one after is not.
        let next = fit_of(&|n| n.powi(-2) * (8.0 / n).exp());
        assert!((next.order - 2.0).abs() < 1e-6 && next.steps == (10, 640), "{next:?}");
        let further = fit_of(&|n| n.powi(-2) + 300.0 * n.powi(-4));
        assert!((further.order - 2.0).abs() < 0.05 && further.steps.0 >= 40, "{further:?}");
    }

    #[test]
    fn a_solution_that_is_only_finer_is_allowed_for() {
        let against = points(|n| n.powf(-1.0) - 1280f64.powf(-1.0), &STEPS);
        assert!(fit(&against, 0.0, None).unwrap().order > 1.1);
        let fit = fit(&against, 0.0, Some(1280)).unwrap();
        assert!((fit.order - 1.0).abs() < 1e-8, "{fit:?}");
    }

    #[test]
    fn chance_and_round_off_are_left_out() {
        let mut errors = points(|n| n.powi(-4), &STEPS);
        let fit_of = |errors: &[Point]| fit(errors, 1e-9, None);
        assert_eq!(fit_of(&errors).unwrap().steps.1, 160);
        errors[4].standard_error = errors[4].error;
        let problem = fit_of(&errors[2..]).unwrap_err();
        assert_eq!(problem, "2 of 5 errors stand out from round-off and chance, fewer than 4");
        assert!(fit_of(&[]).is_err());
    }

    /// Standard errors widen the interval although the points happen to lie on a line.
    #[test]
    fn standard_errors_bound_the_interval_from_below() {
        let mut errors = points(|n| n.powi(-1), &STEPS);
        errors.iter_mut().for_each(|point| point.standard_error = 0.1 * point.error);
        let fit = fit(&errors, 0.0, None).unwrap();
        // σ/√Σ(x − x̄)² with 7 points ln 2 apart is 0.1/(√28 ln 2), times t with 5 degrees of freedom.
        assert!((fit.half_width - 2.5706 * 0.1 / (28f64.sqrt() * 2f64.ln())).abs() < 1e-3, "{fit:?}");
    }
}
