//! The Pareto front of quality and cost.

use super::canvas::{Canvas, Place, Stroke};
use super::plot::Plot;
use super::theme::INK;
use plotters::prelude::RGBAColor;
use std::cmp::Ordering;

/// A broad pale line below the curves: it follows them, and hides none.
pub(crate) const FRONT: RGBAColor = RGBAColor(26, 26, 26, 0.26);

/// The radius of the ring around a member.
const RING: f64 = 7.5;

/// Which values are good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Better {
    /// Small ones, as of a distance.
    #[default]
    Less,
    /// Large ones, as of a share that should be hit.
    More,
}

impl Better {
    /// Whether one value beats another. Of distances one that is not positive is no better than another such one, since only
    /// chance brings an estimate there.
    fn beats(self, value: f64, other: f64) -> bool {
        match self {
            Better::Less => other > 0.0 && value < other,
            Better::More => value > other,
        }
    }

    /// The better values first.
    pub(crate) fn order(self, a: f64, b: f64) -> Ordering {
        match self {
            Better::Less => a.total_cmp(&b),
            Better::More => b.total_cmp(&a),
        }
    }
}

/// Of pairs of cost and value, those that no other beats at the same cost or below, by increasing cost.
pub(crate) fn pareto(points: impl Iterator<Item = (f64, f64)>, better: Better) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = points.collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(better.order(a.1, b.1)));
    let mut front: Vec<(f64, f64)> = Vec::new();
    for point in points {
        if front.last().is_none_or(|&(_, best)| better.beats(point.1, best)) {
            front.push(point);
        }
    }
    front
}

/// The front as a staircase: the best value for at most that cost. It ends at the right edge of the plot, or leaves a
/// logarithmic one through its floor at the cost from which on estimates are not positive.
pub(crate) fn draw_front(canvas: &mut Canvas, plot: &Plot, front: &[(f64, f64)]) {
    let mut stairs: Vec<Place> = Vec::new();
    for &(x, value) in front {
        let (x, y) = (plot.place((x, plot.y.high)).0, plot.height_within(value));
        stairs.extend(stairs.last().map(|&(_, above)| (x, above)));
        stairs.push((x, y));
    }
    if front.last().is_some_and(|&(_, value)| plot.y.scale.holds(value)) {
        stairs.extend(stairs.last().map(|&(_, y)| (plot.area.right, y)));
    }
    canvas.path(&stairs, &Stroke::solid(FRONT, 4.0));
}

/// A ring around each member that has a place on the axes.
pub(crate) fn draw_members(canvas: &mut Canvas, plot: &Plot, front: &[(f64, f64)]) {
    plot.inside(front.iter().copied()).for_each(|place| canvas.ring(place, RING, &Stroke::solid(INK, 1.25)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_has_the_least_value_for_every_cost() {
        let points = [(5.0, 1.0), (20.0, 0.2), (10.0, 0.5), (5.0, 2.0), (10.0, 0.5), (15.0, 0.3), (40.0, 0.4)];
        assert_eq!(pareto(points.into_iter(), Better::Less), [(5.0, 1.0), (10.0, 0.5), (15.0, 0.3), (20.0, 0.2)]);
        assert_eq!(pareto(points.into_iter(), Better::More), [(5.0, 2.0)]);
        let rising = [(5.0, 0.1), (10.0, 0.4), (5.0, 0.0), (20.0, 0.3), (40.0, 0.5)];
        assert_eq!(pareto(rising.into_iter(), Better::More), [(5.0, 0.1), (10.0, 0.4), (40.0, 0.5)]);
        // Nothing is beaten by what is better only by chance below zero.
        let negative = [(5.0, 1.0), (10.0, -0.1), (20.0, -0.2)];
        assert_eq!(pareto(negative.into_iter(), Better::Less), [(5.0, 1.0), (10.0, -0.1)]);
        assert!(pareto(std::iter::empty(), Better::More).is_empty());
    }
}
