//! How numbers spread, over a set, over classes, over the plane, and with the tolerance of a solver.

use super::*;

/// A normal number, nearly.
fn normal(seed: usize) -> f64 {
    (0..12).map(|draw| noise(12 * seed + draw)).sum::<f64>() - 6.0
}

fn set(name: &str, values: Vec<f64>, mean: Option<(f64, f64)>) -> HistogramSet {
    HistogramSet { name: name.into(), values, mean }
}

/// A set of normal numbers with their own mean and its standard error.
fn normals(name: &str, count: usize, middle: f64, width: f64) -> HistogramSet {
    let values: Vec<f64> = (0..count).map(|i| middle + width * normal(i + 7919 * name.len())).collect();
    let mean = crate::statistics::mean(&values);
    set(name, values, Some(mean))
}

fn histogram(sets: Vec<HistogramSet>) -> Histogram {
    Histogram { title: "Negative log-likelihood".into(), x_label: "bits per dimension".into(), sets }
}

#[test]
fn histograms_are_drawn() {
    let mut held_out = normals("held-out images", 256, 3.42, 0.3);
    held_out.values.extend([f64::INFINITY, 9.0, -4.0]);
    let sets = vec![held_out, normals("training images", 2048, 3.21, 0.27)];
    assert!(check("ordinary-histogram", &histogram(sets)) > 0.05);
    let one = Histogram { title: String::new(), ..histogram(vec![normals("", 64, -1.5, 0.4)]) };
    assert!(check("ordinary-histogram-one", &one) > 0.05);
    check("odd-histogram-none", &Histogram::default());
    check("odd-histogram-empty", &histogram(vec![set("", vec![], Some((1.0, NAN))), set(ODD_NAME, vec![NAN], None)]));
    check("odd-histogram-same", &histogram(vec![set(ODD_NAME, vec![-2.0; 9], Some((-2.0, 0.0))); 4]));
    check("odd-histogram-one", &histogram(vec![set("", vec![3.0], Some((NAN, INF)))]));
    let wild = vec![NAN, INF, -INF, 1e308, -1e308, 1e-320, 0.0];
    check("odd-histogram-wild", &histogram(vec![set(ODD_NAME, wild, Some((1e300, 1e308))); 9]));
    check("odd-histogram-far", &histogram(vec![set("", vec![1.0, 2.0, 4.0], Some((1e9, INF)))]));
}

#[test]
fn spreads_are_drawn() {
    let classes = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot";
    let bits = |class: usize, i: usize| 3.1 + 0.09 * (class * 7 % 10) as f64 + 0.22 * normal(100 * class + i);
    let row = |(class, name): (usize, &str)| SpreadRow {
        label: name.replace('_', " "),
        values: (0..20 + (class * 5) % 13).map(|i| bits(class, i)).collect(),
    };
    let spreads = |rows| Spreads {
        title: "Negative log-likelihood of each class".into(),
        x_label: "bits per dimension".into(),
        rows,
    };
    let rows: Vec<SpreadRow> = classes.split(' ').enumerate().map(row).collect();
    assert!(check("ordinary-spreads", &spreads(rows)) > 0.03);
    let odd = |values: &[f64]| SpreadRow { label: ODD_NAME.into(), values: values.to_vec() };
    check("odd-spreads-none", &Spreads::default());
    check("odd-spreads-empty", &spreads(vec![odd(&[]), odd(&[NAN, INF])]));
    check("odd-spreads-one", &spreads(vec![odd(&[3.0])]));
    check("odd-spreads-same", &spreads(vec![odd(&[-3.0; 9]); 3]));
    check(
        "odd-spreads-wild",
        &spreads(vec![odd(&[1e308, -1e308, NAN, 1e-320]), odd(&[1.0, 2.0, -INF]), odd(&[1e308; 3])]),
    );
}

/// A title and a log-density.
type Named<'a> = (&'a str, &'a dyn Fn(f64, f64) -> f64);

fn densities(x: Vec<f64>, y: Vec<f64>, panels: &[Named]) -> DensityMap {
    let panel = |(title, log): &Named| DensityPanel {
        title: (*title).to_owned(),
        log_density: Array2::from_shape_fn((y.len(), x.len()), |(row, column)| log(x[column], y[row])),
    };
    let panels = panels.iter().map(panel).collect();
    DensityMap { x, y, panels, ..DensityMap::default() }
}

/// A point of two moons, at a share of the way along one of them.
fn moon(upper: bool, share: f64) -> [f64; 2] {
    let angle = std::f64::consts::PI * share;
    if upper { [angle.cos(), angle.sin()] } else { [1.0 - angle.cos(), 0.5 - angle.sin()] }
}

/// The log-density of two moons with so much noise, which is zero where it is less than a number can hold.
fn two_moons(noise: f64) -> impl Fn(f64, f64) -> f64 {
    move |x, y| {
        let density = |upper: bool| -> f64 {
            let nodes = (0..200).map(|node| moon(upper, (f64::from(node) + 0.5) / 200.0));
            nodes.map(|[a, b]| (-((x - a).powi(2) + (y - b).powi(2)) / (2.0 * noise * noise)).exp()).sum()
        };
        ((density(true) + density(false)) / (400.0 * std::f64::consts::TAU * noise * noise)).ln()
    }
}

#[test]
fn densities_are_drawn() {
    let axis =
        |low: f64, high: f64| -> Vec<f64> { (0..80).map(|node| low + (high - low) * f64::from(node) / 79.0).collect() };
    let (exact, model) = (two_moons(0.1), two_moons(0.13));
    let rough = |x: f64, y: f64| model(x, y) + 0.4 * (3.0 * x).sin() * (4.0 * y).cos();
    let mut map = densities(axis(-1.75, 2.75), axis(-1.25, 1.75), &[("exact", &exact), ("model", &rough)]);
    map.data = (0..1000)
        .map(|i| (moon(i % 2 == 0, noise(i)), i))
        .map(|([x, y], i)| [x + 0.1 * normal(i), y + 0.1 * normal(i + 5000)])
        .collect();
    assert!(check("ordinary-density", &map) > 0.3);
    map.title = "Two moons".into();
    map.panels.truncate(1);
    assert!(check("ordinary-density-one", &map) > 0.3);
    let disc = |x: f64, y: f64| if x.hypot(y) < 0.8 { -x } else { f64::NEG_INFINITY };
    let hole = |x: f64, y: f64| if x.hypot(y) < 0.3 { NAN } else { -9.0 * x.hypot(y) };
    let panels: [Named; 3] = [("disc", &disc), ("hole", &hole), (ODD_NAME, &|_, _| INF)];
    let mut map = densities(grid(60), grid(50), &panels);
    map.data = vec![[NAN, 0.0], [INF, 1e308], [0.1, 0.2]];
    check("odd-density-holes", &map);
    check("odd-density-none", &DensityMap::default());
    let nowhere: Named = ("", &|_, _| f64::NEG_INFINITY);
    check("odd-density-nowhere", &densities(grid(9), grid(9), &[nowhere; 5]));
    check("odd-density-nan", &densities(grid(9), grid(9), &[("", &|_, _| NAN)]));
    check("odd-density-huge", &densities(grid(9), grid(9), &[("", &|x, y| 1e308 * x * y), ("", &|x, _| 1e-320 * x)]));
    check("odd-density-one-node", &densities(vec![1.0], vec![], &[("", &|_, _| 0.0)]));
    check("odd-density-strip", &densities(grid(9), vec![0.0, 1e-9], &[("", &|x, _| x)]));
    let mut wrong = densities(grid(9), grid(9), &[("", &|x, y| x * y)]);
    wrong.panels[0].log_density = Array2::zeros((2, 3));
    check("odd-density-wrong-shape", &wrong);
}

#[test]
fn tolerances_are_drawn() {
    let point = |tolerance: f64, each: f64, bias: f64| TolerancePoint {
        tolerance,
        nfe: each * tolerance.powf(-0.18),
        value: 3.41 + bias * tolerance.powf(0.8) + 2e-4 * normal((1e7 * tolerance) as usize),
        standard_error: 0.019 + 0.05 * tolerance,
    };
    let series = |name: &str, each: f64, bias: f64| ToleranceSeries {
        name: name.into(),
        points: [1e-2, 1e-3, 1e-4, 1e-5, 1e-6].map(|tolerance| point(tolerance, each, bias)).to_vec(),
    };
    let curves = |series| ToleranceCurves {
        title: "Negative log-likelihood and tolerance".into(),
        y_label: "bits per dimension".into(),
        series,
    };
    assert!(check("ordinary-tolerance", &curves(vec![series("dopri5", 18.0, 4.0)])) > 0.03);
    let three = vec![series("dopri5", 18.0, 4.0), series("bosh3", 22.0, 9.0), series("heun (adaptive)", 31.0, -6.0)];
    assert!(check("ordinary-tolerance-3", &curves(three)) > 0.03);
    let odd = |points: &[[f64; 4]]| ToleranceSeries {
        name: ODD_NAME.into(),
        points: points
            .iter()
            .map(|&[tolerance, nfe, value, standard_error]| TolerancePoint { tolerance, nfe, value, standard_error })
            .collect(),
    };
    check("odd-tolerance-none", &ToleranceCurves::default());
    check("odd-tolerance-empty", &curves(vec![odd(&[]); 2]));
    check("odd-tolerance-one", &curves(vec![odd(&[[1e-3, 50.0, 3.4, 0.0]])]));
    let wild = [[0.0, 10.0, 1.0, 0.1], [-1.0, NAN, 1.0, INF], [1e-300, 1e300, -1e308, 1e308], [1e300, INF, 1e308, NAN]];
    check("odd-tolerance-wild", &curves(vec![odd(&wild), odd(&[[NAN; 4], [INF; 4]])]));
    check("odd-tolerance-same", &curves(vec![odd(&[[1e-3, 50.0, 3.4, 0.1]; 5]); 15]));
}
