//! Every figure with ordinary and with odd data, in both formats.

mod spread;

use super::*;
use crate::error::Error;
use crate::statistics::Interval;
use ndarray::Array2;
use std::path::Path;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;
const ODD_NAME: &str =
    "<λ & σ> W₂² ü \"long\" label of a solver \u{1} that does not know when to stop 漢字 — and goes on";

/// Numbers that look random and are the same every time, from 0 to 1.
fn noise(seed: usize) -> f64 {
    (43_758.545_3 * (12.989_8 * seed as f64).sin()).rem_euclid(1.0)
}

fn loss(points: Vec<(f64, f64)>, smooth: bool) -> LossCurve {
    let series = vec![LossSeries { label: "training".into(), points, smooth, ..Default::default() }];
    LossCurve { title: "Loss".into(), series, ..LossCurve::default() }
}

fn points(sets: Vec<Vec<[f64; 2]>>) -> PointPanels {
    let panel = |points| PointPanel { title: ODD_NAME.into(), points };
    PointPanels { title: "Points".into(), panels: sets.into_iter().map(panel).collect(), ..PointPanels::default() }
}

fn trajectories(paths: Vec<Vec<[f64; 2]>>) -> TrajectoryPanels {
    let panels = vec![TrajectoryPanel { title: "heun".into(), paths }; 2];
    TrajectoryPanels { panels, ..TrajectoryPanels::default() }
}

fn score(x: &[f64], y: &[f64], field: impl Fn(f64, f64) -> (f64, f64)) -> ScoreField {
    let at = |(row, column): (usize, usize)| field(x[column], y[row]);
    let panel = ScorePanel {
        title: "σ = 0.1".into(),
        u: Array2::from_shape_fn((y.len(), x.len()), |node| at(node).0),
        v: Array2::from_shape_fn((y.len(), x.len()), |node| at(node).1),
    };
    let data = vec![[0.0, 0.0], [NAN, 1.0], [1e9, 0.5]];
    ScoreField { x: x.to_vec(), y: y.to_vec(), panels: vec![panel; 3], data, ..ScoreField::default() }
}

fn quality(solvers: usize, values: &[(f64, f64, f64)], floor: Option<(f64, f64)>) -> QualityCurves {
    let measured = values.iter().map(|&(x, value, error)| QualityPoint::new(x, value, error));
    let series = QualitySeries { label: ODD_NAME.into(), points: measured.collect() };
    let floor = floor.map(|(value, error)| NoiseFloor { label: "data against data".into(), value, error });
    QualityCurves { title: "Quality".into(), series: vec![series; solvers], floor, ..QualityCurves::default() }
}

fn grid(count: usize) -> Vec<f64> {
    (0..count).map(|node| -1.0 + 2.0 * node as f64 / (count - 1) as f64).collect()
}

/// Renders a figure, checks both formats, and returns the share of the pixels that are not white.
fn check(name: &str, figure: &dyn Figure) -> f64 {
    let rendered = render(figure).unwrap_or_else(|error| panic!("{name}: {error}"));
    // For a look at them all: set the variable to a folder.
    if let Some(folder) = std::env::var_os("REPORT_TEST_FIGURES") {
        rendered.save(Path::new(&folder), name).unwrap();
    }
    let document = roxmltree::Document::parse(&rendered.svg).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (width, height) = rendered.size;
    let root = document.root_element();
    assert_eq!(root.attribute("width"), Some(width.to_string().as_str()), "{name}");
    assert_eq!(root.attribute("viewBox"), Some(format!("0 0 {} {}", 4 * width, 4 * height).as_str()), "{name}");
    assert!(!rendered.svg.contains("NaN") && !rendered.svg.contains("inf\""), "{name}");
    let image = image::load_from_memory(&rendered.png).unwrap_or_else(|error| panic!("{name}: {error}")).to_rgb8();
    assert_eq!(image.dimensions(), (2 * width, 2 * height), "{name}");
    let inked = image.pixels().filter(|pixel| pixel.0 != [255; 3]).count();
    inked as f64 / (4 * width * height) as f64
}

#[test]
fn ordinary_figures_have_ink() {
    let moon = |count: usize| -> Vec<[f64; 2]> {
        (0..count)
            .map(|i| (std::f64::consts::PI * noise(i), noise(i + 7)))
            .map(|(t, r)| [t.cos() + 0.2 * r, t.sin()])
            .collect()
    };
    let losses: Vec<(f64, f64)> =
        (0..5000).map(|step| (step as f64, 1.0 / (1.0 + step as f64) + 0.1 * noise(step))).collect();
    let paths = (0..50).map(|i| (0..30).map(|j| [noise(i) * j as f64, noise(i + 50)]).collect()).collect();
    let measured = [(5.0, 0.5, 0.05), (50.0, 0.1, 0.02), (500.0, -0.01, 0.02)];
    let figures: [(&str, Box<dyn Figure>); 6] = [
        ("ordinary-loss", Box::new(loss(losses, true))),
        ("ordinary-points", Box::new(points(vec![moon(10_000), moon(300), moon(20)]))),
        ("ordinary-trajectories", Box::new(trajectories(paths))),
        ("ordinary-score", Box::new(score(&grid(20), &grid(16), |x, y| (-x, -2.0 * y)))),
        ("ordinary-quality", Box::new(quality(1, &measured, Some((0.02, 0.005))))),
        ("ordinary-quality-12", Box::new(quality(12, &measured, Some((-0.02, 0.005))))),
    ];
    for (name, figure) in figures {
        let inked = check(name, &*figure);
        assert!(inked > 0.03, "{name} is nearly blank: {inked}");
    }
}

/// A picture of a ball with a shade of its own.
fn ball(side: usize, shade: usize) -> Picture {
    let middle = side as f64 / 2.0;
    let bright = |at: usize| {
        let (x, y) = ((at % side) as f64 - middle, (at / side) as f64 - middle);
        (255.0 * (1.0 - (x * x + y * y) / (middle * middle)).max(0.0)) as u8
    };
    let grey: Vec<u8> = (0..side * side).map(bright).collect();
    let planes: Vec<u8> = grey.iter().chain(&vec![shade as u8; side * side]).chain(&grey).copied().collect();
    Picture::planes(&planes, [3, side, side])
}

#[test]
fn images_are_drawn() {
    let cell = |i: usize| ImageCell { picture: ball(28, 20 * i), note: format!("{}.5", i) };
    let blank = ImageCell { note: "diverged".into(), ..ImageCell::default() };
    let row = |label: &str| ImageRow { label: label.into(), cells: (0..6).map(cell).chain([blank.clone()]).collect() };
    let columns = ["5", "10", "20", "50", "100", "200", "1000"].map(String::from).to_vec();
    let grid = ImageGrid { title: "Samples".into(), columns, rows: vec![row("heun"), row(ODD_NAME)] };
    assert!(check("ordinary-images", &grid) > 0.2);
    let tiles = Picture::tiled(&(0..64).map(|i| ball(32, 4 * i)).collect::<Vec<_>>(), 8);
    let cells = vec![ImageCell { picture: tiles, note: String::new() }; 2];
    let mosaics = ImageGrid {
        columns: vec!["data".into(), "samples".into()],
        rows: vec![ImageRow { label: String::new(), cells }],
        ..ImageGrid::default()
    };
    assert!(check("ordinary-mosaics", &mosaics) > 0.5);
    check("odd-images-none", &ImageGrid::default());
    check("odd-images-empty", &ImageGrid { rows: vec![ImageRow::default(); 2], ..ImageGrid::default() });
}

#[test]
fn odd_losses_are_drawn() {
    check("odd-loss-none", &LossCurve::default());
    check("odd-loss-empty", &loss(vec![], true));
    check("odd-loss-one", &loss(vec![(3.0, 0.5)], true));
    check("odd-loss-constant", &loss(vec![(0.0, 0.5), (10.0, 0.5), (20.0, 0.5)], false));
    check("odd-loss-nan", &loss(vec![(0.0, NAN), (1.0, INF), (2.0, 1.0), (3.0, NAN), (4.0, 2.0), (NAN, 1.0)], true));
    check("odd-loss-only-nan", &loss(vec![(0.0, NAN); 5000], true));
    check("odd-loss-huge", &loss(vec![(0.0, 1e-300), (1.0, 1e300), (2.0, -1e308), (3.0, 1e308)], false));
}

#[test]
fn odd_points_are_drawn() {
    check("odd-points-none", &points(vec![]));
    check("odd-points-empty", &points(vec![vec![], vec![[NAN, 1.0]]]));
    check("odd-points-one", &points(vec![vec![[2.0, 3.0]]]));
    check("odd-points-same", &points(vec![vec![[2.0, 3.0]; 100]; 5]));
    check("odd-points-line", &points(vec![(0..50).map(|i| [f64::from(i), 0.0]).collect(); 2]));
    check("odd-points-huge", &points(vec![vec![[1e308, -1e308], [-1e308, 1e308], [0.0, INF]]]));
}

#[test]
fn odd_trajectories_are_drawn() {
    check("odd-paths-none", &TrajectoryPanels::default());
    check("odd-paths-empty", &trajectories(vec![vec![], vec![[1.0, 1.0]], vec![[NAN, NAN]; 3]]));
    check("odd-paths-still", &trajectories(vec![vec![[1.0, 1.0]; 10]]));
    let diverging = (0..40).map(|step| [10_f64.powi(step * 8), 0.1 * f64::from(step)]).collect();
    check("odd-paths-diverging", &trajectories(vec![diverging, vec![[0.0, 0.0], [1.0, 1.0]]]));
}

#[test]
fn odd_scores_are_drawn() {
    check("odd-score-none", &ScoreField::default());
    check("odd-score-zero", &score(&grid(5), &grid(5), |_, _| (0.0, 0.0)));
    check("odd-score-constant", &score(&grid(5), &grid(3), |_, _| (1.0, 0.0)));
    check("odd-score-nan", &score(&grid(9), &grid(9), |x, y| if x < 0.0 { (NAN, INF) } else { (x, y) }));
    check("odd-score-one-node", &score(&[1.0], &[1.0], |_, _| (1.0, 1.0)));
    check("odd-score-huge", &score(&grid(9), &grid(9), |x, y| (1e300 * x, 1e-300 * y)));
    let mut wrong = score(&grid(9), &grid(9), |x, y| (x, y));
    wrong.panels[0].u = Array2::zeros((2, 2));
    check("odd-score-wrong-shape", &wrong);
}

#[test]
fn odd_qualities_are_drawn() {
    check("odd-quality-none", &QualityCurves::default());
    check("odd-quality-empty", &quality(3, &[], Some((0.1, NAN))));
    check("odd-quality-one", &quality(1, &[(50.0, 0.1, 0.01)], None));
    check("odd-quality-constant", &quality(2, &[(5.0, 0.1, 0.0), (10.0, 0.1, NAN)], None));
    check("odd-quality-negative", &quality(9, &[(5.0, -0.1, 0.2), (10.0, 0.0, 0.1)], Some((-1.0, 0.1))));
    check("odd-quality-nan", &quality(1, &[(0.0, 0.1, 0.1), (NAN, 1.0, 0.1), (5.0, NAN, INF)], Some((NAN, NAN))));
    check("odd-quality-huge", &quality(40, &[(1e-300, 1e300, 1e300), (1e300, 1e-320, INF)], Some((INF, 0.0))));
}

#[test]
fn odd_grids_of_points_are_drawn() {
    let cell = |points: Vec<[f64; 2]>| PointCell { points, note: ODD_NAME.into() };
    let row = |cells| PointRow { label: ODD_NAME.into(), cells };
    let grid =
        |rows, reference| PointGrid { columns: vec![ODD_NAME.into(); 2], rows, reference, ..PointGrid::default() };
    check("odd-point-grid-none", &PointGrid::default());
    check("odd-point-grid-empty", &grid(vec![row(vec![]), row(vec![cell(vec![])])], vec![]));
    check("odd-point-grid-one", &grid(vec![row(vec![cell(vec![[1.0, 2.0]])])], vec![[1.0, 2.0]]));
    let astray = vec![[NAN, 0.0], [1e308, -1e308], [INF, 1.0], [0.5, 0.5]];
    check("odd-point-grid-astray", &grid(vec![row(vec![cell(astray.clone()); 3]); 2], astray));
    check("odd-point-grid-line", &grid(vec![row(vec![cell((0..9).map(|i| [f64::from(i), 0.0]).collect())])], vec![]));
}

#[test]
fn odd_time_grids_are_drawn() {
    let grids = |nodes: &[&[f64]]| {
        let row = |nodes: &&[f64]| GridRow { label: ODD_NAME.into(), nodes: nodes.to_vec() };
        TimeGrids { title: ODD_NAME.into(), rows: nodes.iter().map(row).collect(), ..TimeGrids::default() }
    };
    check("odd-time-grids-none", &TimeGrids::default());
    check("odd-time-grids-empty", &grids(&[&[], &[NAN, -1.0]]));
    check("odd-time-grids-one", &grids(&[&[1.0]]));
    check("odd-time-grids-ends", &grids(&[&[INF, 0.0], &[1e300, 1e-320, 0.0]]));
    check("odd-time-grids-same", &grids(&[&[2.0; 50][..]; 15]));
}

#[test]
fn odd_sources_are_drawn() {
    let panel =
        |total: Source, score: Source| SourcePanel { title: ODD_NAME.into(), total, score, ..SourcePanel::default() };
    let sources = |panels| ErrorSources { panels, ..ErrorSources::default() };
    check("odd-sources-none", &ErrorSources::default());
    check("odd-sources-empty", &sources(vec![SourcePanel::default(); 2]));
    check("odd-sources-one", &sources(vec![panel(Source::Curve(vec![(10.0, 1.0)]), Source::Constant(0.0))]));
    let odd = Source::Curve(vec![(0.0, 1.0), (NAN, 1.0), (5.0, INF), (5.0, -1.0), (7.0, 1e300), (9.0, 1e-320)]);
    check("odd-sources-nan", &sources(vec![panel(odd, Source::Constant(NAN)); 13]));
}

#[test]
fn odd_orders_are_drawn() {
    let fit = |order, low, high, range| Some(OrderFit { order, interval: Interval { low, high }, range });
    let panel = |points: &[(f64, f64)], fit| OrderPanel {
        title: ODD_NAME.into(),
        points: points.to_vec(),
        fit,
        claimed: Some(2.0),
    };
    let fits = |panels| OrderFits { panels, ..OrderFits::default() };
    check("odd-orders-none", &OrderFits::default());
    check("odd-orders-empty", &fits(vec![OrderPanel::default(), panel(&[], fit(1.0, 0.9, 1.1, (1.0, 2.0)))]));
    check("odd-orders-one", &fits(vec![panel(&[(8.0, 0.1)], None)]));
    let wild = [(8.0, 1e-300), (16.0, 1e300), (NAN, 1.0), (0.0, 1.0), (32.0, -1.0)];
    check("odd-orders-wild", &fits(vec![panel(&wild, fit(NAN, NAN, INF, (NAN, 1.0))); 5]));
    check("odd-orders-steep", &fits(vec![panel(&wild, fit(1e9, -INF, INF, (1.0, 100.0)))]));
}

#[test]
fn classes_and_distances_are_drawn() {
    let row = |label: &str, shares: [f64; 2], high: f64| ClassRow {
        label: label.into(),
        shares,
        intervals: shares.map(|share| Some(Interval { low: 0.8 * share, high: share + high })),
    };
    let classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Ankle boot"];
    let rows = (0..5).map(|i| row(classes[i], [0.2, 0.1 + 0.2 * noise(i)], 0.05)).collect();
    assert!(check("ordinary-classes", &ClassShares { rows, ..ClassShares::default() }) > 0.03);
    check("odd-classes-none", &ClassShares::default());
    let odd = vec![row(ODD_NAME, [NAN, INF], NAN), row("", [1e300, -1.0], INF), ClassRow::default()];
    check("odd-classes", &ClassShares { rows: odd, title: ODD_NAME.into(), ..ClassShares::default() });

    let normal = |i: usize| (0..12).map(|draw| noise(12 * i + draw)).sum::<f64>() - 6.0;
    let figure = |held_out: Vec<f64>, samples: Vec<f64>, at: f64| NearestDistances {
        held_out,
        samples,
        threshold: Some((at, "1 in 20 held-out images is nearer".into())),
        ..NearestDistances::default()
    };
    let far = (0..1000).map(|i| 40.0 + 8.0 * normal(i)).collect();
    let near = (0..64).map(|i| if i % 4 == 0 { 1.0 } else { 36.0 + 7.0 * normal(2000 + i) }).collect();
    assert!(check("ordinary-distances", &figure(far, near, 27.0)) > 0.05);
    check("odd-distances-none", &NearestDistances::default());
    check("odd-distances-zero", &figure(vec![0.0; 9], vec![0.0], 0.0));
    check("odd-distances", &figure(vec![NAN, INF, -1.0, 1e300], vec![1e-300, 5.0, 5.0], NAN));
    check("odd-distances-one", &figure(vec![], vec![3.0], 1e9));
}

#[test]
fn odd_intervals_and_fronts_are_drawn() {
    let mut curves = quality(3, &[(5.0, 0.5, 0.05), (50.0, 0.1, 0.02), (500.0, -0.01, 0.02)], Some((0.02, 0.005)));
    curves.front = Some(Better::Less);
    let ends = [(0.4, 0.9), (-0.1, 1e9), (NAN, INF)];
    for series in &mut curves.series {
        for (point, (low, high)) in series.points.iter_mut().zip(ends) {
            *point = point.within(Interval { low, high });
        }
    }
    check("odd-intervals-bands", &curves);
    check("odd-intervals-bars", &QualityCurves { bands: false, ..curves });
    check("odd-front-none", &QualityCurves { front: Some(Better::More), ..QualityCurves::default() });
    let negative = quality(2, &[(5.0, -0.1, 0.2)], None);
    check("odd-front-negative", &QualityCurves { front: Some(Better::Less), ..negative.clone() });
    let linear = QualityCurves { scale: Scale::Linear, front: Some(Better::More), ..negative };
    check("odd-front-linear", &linear);
    let shares = [(5.0, 0.0, 0.01), (20.0, 0.62, 0.02), (80.0, 0.87, 0.02), (320.0, NAN, 0.1)];
    let shares =
        QualityCurves { scale: Scale::Linear, front: Some(Better::More), ..quality(2, &shares, Some((0.9, 0.01))) };
    assert!(check("ordinary-shares", &shares) > 0.03);
}

#[test]
fn names_are_text_and_not_markup() {
    let rendered = render(&quality(1, &[(5.0, 0.1, 0.01)], None)).unwrap();
    assert!(rendered.svg.contains("&lt;λ &amp; σ&gt;"), "{}", rendered.svg);
    let document = roxmltree::Document::parse(&rendered.svg).unwrap();
    assert!(document.descendants().all(|node| node.tag_name().name() != "λ"));
}

#[test]
fn figures_are_saved_in_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    let rendered = save(&loss(vec![(0.0, 1.0), (1.0, 0.5)], false), folder.path(), "loss").unwrap();
    assert_eq!(std::fs::read(folder.path().join("loss.png")).unwrap(), rendered.png);
    assert_eq!(std::fs::read_to_string(folder.path().join("loss.svg")).unwrap(), rendered.svg);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn failed_writing_names_the_file_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // A folder in the place of the file fails for the superuser too, and only at the last step.
    std::fs::create_dir_all(folder.path().join("loss.svg/occupied")).unwrap();
    let failure = save(&LossCurve::default(), folder.path(), "loss").unwrap_err();
    assert!(matches!(&failure, Error::Write { path, .. } if path.ends_with("loss.svg")), "{failure}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let missing = save(&LossCurve::default(), &folder.path().join("missing"), "loss").unwrap_err();
    assert!(missing.to_string().contains("missing/loss.svg"), "{missing}");
}

#[cfg(unix)]
#[test]
fn folders_without_permission_stay_as_they_are() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let outcome = save(&LossCurve::default(), folder.path(), "loss");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // The superuser may write anywhere, and then both files are there.
    assert_eq!(left, if outcome.is_err() { 0 } else { 2 });
}
