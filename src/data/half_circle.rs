//! The density of a point on a half circle with Gaussian noise, by quadrature: its integral over the angle has no closed form.

use std::f64::consts::{PI, TAU};

use tch::{Kind, Tensor};

/// Nodes and weights of the Gauss–Legendre rule of five points on [−1, 1].
const RULE: [(f64, f64); 5] = [
    (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
    (-0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
    (0.906_179_845_938_664, 0.236_926_885_056_189_1),
];

/// Distances between points and nodes that are held at once.
const HELD: usize = 1 << 22;

/// ln p `[N]` in nats of x `[N, 2]`, float64, for the points `at(θ)` of curves of unit speed, each with θ uniform on (0, π) and
/// chosen as often as the others, and noise of the standard deviation s > 0. Panels are no wider than the noise, so that the
/// rule is exact to nine digits.
pub(super) fn log_density(curves: &[fn(f64) -> [f64; 2]], noise: f64, x: &Tensor) -> Tensor {
    let panels = (PI / noise.min(0.5)).ceil();
    let width = PI / panels;
    let nodes: Vec<(f64, f64)> = (0..panels as usize)
        .flat_map(|panel| {
            RULE.map(|(at, weight)| (width * (panel as f64 + 0.5 * (at + 1.0)), 0.5 * width * weight / PI))
        })
        .collect();
    let all = || curves.iter().flat_map(|at| nodes.iter().map(move |&(angle, weight)| (at(angle), weight)));
    let points: Vec<f64> = all().flat_map(|(point, _)| point).collect();
    let log_weights: Vec<f64> = all().map(|(_, weight)| (weight / curves.len() as f64).ln()).collect();
    let (count, x) = (log_weights.len(), x.to_kind(Kind::Double));
    let (points, log_weights) = (Tensor::from_slice(&points).view([1, -1, 2]), Tensor::from_slice(&log_weights));
    let peak = -(TAU * noise * noise).ln();
    let part = |x: &Tensor| {
        let squares = (x.unsqueeze(1) - &points).square().sum_dim_intlist([2i64].as_slice(), false, Kind::Double);
        (squares * (-0.5 / (noise * noise)) + &log_weights).logsumexp([1i64].as_slice(), false) + peak
    };
    let parts: Vec<Tensor> = x.split((HELD / count).max(1) as i64, 0).iter().map(part).collect();
    Tensor::cat(&parts, 0)
}
