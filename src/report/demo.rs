//! A whole page with made-up numbers that behave as those of a comparison do: twelve solvers at eight budgets.
//!
//! To look at it, or to run `scripts/check-report` on it, set `REPORT_TEST_FIGURES` to a folder.

use super::*;
use crate::statistics::{Interval, Paired, Ranking, interval, mean, rank};
use std::path::Path;

/// Name, order of convergence, error at five evaluations, evaluations per step, whether its steps are random.
type Solver = (&'static str, f64, f64, usize, bool);

const SOLVERS: [Solver; 12] = [
    ("Euler–Maruyama", 0.9, 2.5, 1, true),
    ("DDPM ancestral", 1.0, 1.9, 1, true),
    ("DDIM", 1.05, 0.62, 1, false),
    ("Heun (EDM)", 2.0, 0.95, 2, false),
    ("DPM-Solver-2", 2.0, 0.8, 2, false),
    ("DPM-Solver-3", 2.8, 1.2, 3, false),
    ("DPM-Solver++(2M)", 2.0, 0.30, 1, false),
    ("DPM-Solver++(3M)", 2.7, 0.28, 1, false),
    ("DEIS (order 3)", 2.8, 0.27, 1, false),
    ("UniPC (order 3)", 2.9, 0.21, 1, false),
    ("SA-Solver, τ = 0.4, predictor 3 and corrector 2", 1.9, 0.5, 1, true),
    ("Predictor–corrector (reverse diffusion, Langevin with signal-to-noise 0.16)", 0.8, 4.0, 2, true),
];
const BUDGETS: [usize; 8] = [5, 8, 10, 15, 20, 30, 50, 100];
const REPEATS: u64 = 5;
/// What the model's error leaves, however many evaluations are spent.
const LEFT: f64 = 0.011;

/// A number from 0 to 1 that looks random and is the same every time.
fn uniform(seed: u64) -> f64 {
    let mut word = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (word >> 11) as f64 / (1u64 << 53) as f64
}

/// A standard normal number.
fn normal(seed: u64) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(2 * seed)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(2 * seed + 1)).cos()
}

/// The error of finite steps; not finite where a solver has diverged.
fn discretisation(solver: usize, budget: usize) -> f64 {
    let (_, order, error, ..) = SOLVERS[solver];
    if (solver, budget) == (11, 5) { f64::NAN } else { error * (budget as f64 / 5.0).powf(-order) }
}

/// The metric in every repeat, whose noise the solvers share for the most part.
fn repeats(solver: usize, budget: usize) -> Vec<f64> {
    let truth = discretisation(solver, budget) + LEFT;
    let noise = |repeat: u64| {
        let shared = 0.0012 * normal(1000 + 50 * budget as u64 + repeat);
        shared + (0.0004 + 0.02 * truth) * normal(7919 * (solver as u64 + 1) + 50 * budget as u64 + repeat)
    };
    (0..REPEATS).map(|repeat| truth + noise(repeat)).collect()
}

fn names() -> Vec<String> {
    SOLVERS.iter().map(|solver| solver.0.to_owned()).collect()
}

fn rankings() -> Vec<Ranking> {
    let contest = |&budget: &usize| (0..SOLVERS.len()).map(|solver| repeats(solver, budget)).collect();
    rank(&BUDGETS.iter().map(contest).collect::<Vec<_>>(), Paired::sampled)
}

fn curves(seconds: bool) -> QualityCurves {
    let point = |solver: usize, budget: usize| {
        let values = repeats(solver, budget);
        let (value, error) = mean(&values);
        let (_, _, _, each, random) = SOLVERS[solver];
        let cost = 0.012 * budget as f64 * if random { 1.15 } else { 1.0 } + 0.004 * (budget / each) as f64;
        QualityPoint::new(if seconds { cost } else { budget as f64 }, value, error).within(interval(&values))
    };
    let series = |solver: usize| QualitySeries {
        label: SOLVERS[solver].0.to_owned(),
        points: BUDGETS.iter().map(|&budget| point(solver, budget)).collect(),
    };
    QualityCurves {
        x_label: if seconds { "seconds for all samples" } else { "evaluations per sample" }.into(),
        y_label: "sliced Wasserstein distance (lower is better)".into(),
        series: (0..SOLVERS.len()).map(series).collect(),
        floor: Some(NoiseFloor { label: "data against data".into(), value: 0.009, error: 0.0008 }),
        front: Some(Better::Less),
        ..QualityCurves::default()
    }
}

fn table(rankings: &[Ranking]) -> RankedTable {
    let mut standings = Vec::new();
    for (column, ranking) in rankings.iter().enumerate() {
        for row in (0..SOLVERS.len()).filter(|&row| ranking.is_tied(row)) {
            let standing = if ranking.best == Some(row) { Standing::Best } else { Standing::Tied };
            standings.push((row, column + 1, standing));
        }
    }
    let cell = |solver: usize, budget: usize| {
        let (value, error) = mean(&repeats(solver, budget));
        if value.is_finite() { plus_minus(value, error) } else { "diverged".to_owned() }
    };
    let row = |solver: usize| {
        let cells = BUDGETS.iter().map(|&budget| cell(solver, budget));
        std::iter::once(SOLVERS[solver].0.to_owned()).chain(cells).collect()
    };
    let table = Table {
        caption: "Sliced Wasserstein distance ± standard error, by evaluations per sample; data against data: \
                  0.0090 ± 0.0008"
            .into(),
        columns: std::iter::once("solver".to_owned()).chain(BUDGETS.iter().map(usize::to_string)).collect(),
        rows: (0..SOLVERS.len()).map(row).collect(),
    };
    RankedTable { table, standings }
}

fn matrix(rankings: &[Ranking], column: usize) -> SignificanceMatrix {
    let budget = BUDGETS[column];
    SignificanceMatrix {
        caption: format!("Sliced Wasserstein distance at {budget} evaluations: ratios of paired repeats"),
        competitors: names(),
        values: (0..SOLVERS.len()).map(|solver| mean(&repeats(solver, budget)).0).collect(),
        pairs: rankings[column].pairs.clone(),
        better: Better::Less,
    }
}

fn moons(count: u64, seed: u64, blur: f64) -> Vec<[f64; 2]> {
    let point = |index: u64| {
        let of = |draw: u64| seed.wrapping_mul(100_003) + 8 * index + draw;
        let angle = std::f64::consts::PI * uniform(of(0));
        let [x, y] =
            if uniform(of(1)) < 0.5 { [angle.cos(), angle.sin()] } else { [1.0 - angle.cos(), 0.5 - angle.sin()] };
        [x + (0.05 + blur) * normal(of(2)), y + (0.05 + blur) * normal(of(3))]
    };
    (0..count).map(point).collect()
}

fn samples() -> PointGrid {
    let cell = |solver: usize, budget: usize| {
        let error = discretisation(solver, budget);
        let value = mean(&repeats(solver, budget)).0;
        match error.is_finite() {
            true => PointCell {
                points: moons(500, (13 * solver + budget) as u64, 0.6 * error),
                note: format!("{value:.2}"),
            },
            false => PointCell { points: vec![], note: "diverged".into() },
        }
    };
    let row = |solver: usize| PointRow {
        label: SOLVERS[solver].0.to_owned(),
        cells: BUDGETS.iter().map(|&budget| cell(solver, budget)).collect(),
    };
    PointGrid {
        columns: BUDGETS.iter().map(usize::to_string).collect(),
        rows: (0..SOLVERS.len()).map(row).collect(),
        reference: moons(500, 1, 0.0),
        ..PointGrid::default()
    }
}

fn grids() -> TimeGrids {
    let (low, high) = (0.002_f64, 80.0_f64);
    let share = |steps: usize| (0..=steps).map(move |step| step as f64 / steps as f64);
    let karras = |steps: usize, rho: f64| -> Vec<f64> {
        let (from, to) = (high.powf(1.0 / rho), low.powf(1.0 / rho));
        share(steps).map(|s| (from + s * (to - from)).powf(rho)).collect()
    };
    let log = |steps: usize| -> Vec<f64> { share(steps).map(|s| high * (low / high).powf(s)).collect() };
    let vp = |steps: usize| -> Vec<f64> {
        share(steps)
            .map(|s| (1.0 - 0.999 * s).powi(2))
            .map(|u| (10.0 * u + 0.1 * (1.0 - u).sqrt() * u).exp_m1().sqrt())
            .collect()
    };
    let flow = |steps: usize| -> Vec<f64> { share(steps).map(|s| (1.0 - s) / s).collect() };
    let row = |label: &str, nodes: Vec<f64>| GridRow { label: label.into(), nodes };
    let with_zero = |mut nodes: Vec<f64>| {
        nodes.push(0.0);
        nodes
    };
    TimeGrids {
        rows: vec![
            row("DDIM, uniform in log κ", log(10)),
            row("Heun (EDM), ρ = 7", with_zero(karras(9, 7.0))),
            row("DPM-Solver++(2M), ρ = 7", with_zero(karras(19, 7.0))),
            row("DEIS, ρ = 3", karras(10, 3.0)),
            row("UniPC, uniform in time of the variance-preserving process", vp(12)),
            row("Euler, rectified flow, uniform in time", flow(16)),
            row("Euler–Maruyama, uniform in log κ", with_zero(log(99))),
        ],
        ..TimeGrids::default()
    }
}

fn sources() -> ErrorSources {
    let panel = |solver: usize| {
        let parts = |budget: usize| (discretisation(solver, budget), 0.009 + 0.002 / budget as f64, 0.0015, 0.0004);
        let total = |budget: usize| {
            let (steps, score, truncation, prior) = parts(budget);
            (steps * steps + score * score + truncation * truncation + prior * prior).sqrt()
        };
        let curve = |of: &dyn Fn(usize) -> f64| Source::Curve(BUDGETS.iter().map(|&b| (b as f64, of(b))).collect());
        SourcePanel {
            title: SOLVERS[solver].0.to_owned(),
            total: curve(&total),
            score: curve(&|budget| parts(budget).1),
            discretisation: curve(&|budget| parts(budget).0),
            truncation: Source::Constant(0.0015),
            prior: Source::Constant(0.0004),
        }
    };
    ErrorSources { panels: (0..SOLVERS.len()).map(panel).collect(), ..ErrorSources::default() }
}

fn orders() -> OrderFits {
    let panel = |solver: usize| {
        let (name, order, error, ..) = SOLVERS[solver];
        let at = |steps: f64| error * (steps / 5.0).powf(-order) * (1.0 + 2.0 / steps) + 3e-5;
        let steps = [8.0, 16.0, 32.0, 64.0, 128.0];
        let points = steps.map(|n| (n, at(n) * (0.02 * normal(solver as u64 + n as u64)).exp())).to_vec();
        let interval = Interval { low: order - 0.04, high: order + 0.05 };
        let fit = OrderFit { order, interval, range: (16.0, 64.0) };
        OrderPanel { title: name.to_owned(), points, fit: Some(fit), claimed: Some(order.round().max(0.5)) }
    };
    OrderFits { panels: (0..SOLVERS.len()).map(panel).collect(), ..OrderFits::default() }
}

fn page() -> Page {
    let figure = |figure: &dyn Figure, caption: &str| Block::Figure {
        figure: render(figure).expect("a figure"),
        caption: caption.to_owned(),
    };
    let rankings = rankings();
    let matrix_of = |column: usize| Block::Details {
        summary: format!("{} evaluations", BUDGETS[column]),
        blocks: vec![Block::Matrix(matrix(&rankings, column))],
    };
    let quality = vec![
        Block::Ranked(table(&rankings)),
        figure(&curves(false), "Distance against evaluations: means of 5 repeats with their 95 % intervals."),
        figure(&curves(true), "The same against seconds."),
    ];
    let differences = vec![
        Block::Paragraph("At 10 evaluations; the other budgets are below.".into()),
        Block::Matrix(matrix(&rankings, 2)),
        matrix_of(0),
        matrix_of(7),
    ];
    let section = |heading: &str, blocks: Vec<Block>| Section { heading: heading.into(), blocks };
    let sources = figure(&sources(), "Root mean square error of samples, and what it is made of.");
    let sections = vec![
        section("Quality and cost", quality),
        section("Differences", differences),
        section("Samples", vec![figure(&samples(), "500 samples of each solver over 500 points of the data.")]),
        section("Sources of error", vec![sources]),
        section("Orders", vec![figure(&orders(), "Errors against steps, and the order fitted to 16 to 64 of them.")]),
        section("Time grids", vec![figure(&grids(), "Where each solver evaluates the model.")]),
        section("Experiment", vec![Block::Preformatted("name: demo\nseed: 0\ndata: two_moons\n".into())]),
    ];
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Page {
        title: "Twelve solvers on two moons (made-up numbers)".into(),
        summary: "With 10 evaluations, UniPC (order 3) has the least sliced Wasserstein distance. From 30 evaluations on, no \
                  solver of order 2 or more can be told from the best: what is left is the error of the model."
            .into(),
        provenance: vec![pair("program", "ornstein 0.1.0"), pair("seed", "0"), pair("repeats", "5"), pair("device", "cpu")],
        sections,
    }
}

#[test]
fn the_page_of_a_comparison_is_whole() {
    let html = page().to_html();
    if let Some(folder) = std::env::var_os("REPORT_TEST_FIGURES") {
        std::fs::write(Path::new(&folder).join("report.html"), &html).unwrap();
    }
    assert_eq!(html.matches("<figure>").count(), 6);
    assert_eq!(html.matches("class=\"matrix\"").count(), 3);
    let (body, _script) = html.split_once("<script>").unwrap();
    // Not just "NaN", which base64 may spell.
    assert!(![">NaN", " NaN", "NaN "].iter().any(|text| body.contains(text)));
    assert!(body.contains("diverged"));
    assert!(html.contains("data:image/png"), "a hundred clouds are a picture");
    assert!(html.len() < 8_000_000, "{} bytes", html.len());
}
