//! The solver on many ways through the nodes of a fine solution.

use tch::{Kind, Tensor};

use super::{Along, Distance, Dp, Way};
use crate::error::Result;
use crate::grids::teacher::Teacher;
use crate::score::{Eval, Model};
use crate::solve::{Context, Fresh, Solver};

/// Where the solver is on one way.
struct Walk {
    x: Tensor,
    /// The evaluation at x, once made.
    now: Option<Eval>,
    /// Newest first.
    past: Vec<Eval>,
}

/// Some of the samples on all ways.
pub(super) struct Walkers {
    model: Box<dyn Model>,
    pub(super) teacher: Teacher,
    /// The distance of the start of each trajectory from the line through it and the end, at each node: a sum.
    deviations: Vec<f64>,
    /// One for each way.
    here: Vec<Walk>,
    /// What has been tried for one node.
    tried: Vec<Walk>,
    /// What was kept.
    next: Vec<Walk>,
}

/// The same evaluation once more, sharing its numbers.
fn shared(Eval { t, kernel, x, x0 }: &Eval) -> Eval {
    Eval { t: *t, kernel: *kernel, x: x.shallow_clone(), x0: x0.shallow_clone() }
}

impl Walkers {
    pub(super) fn new(model: Box<dyn Model>, levels: &[f64], init: Tensor) -> Result<Self> {
        let teacher = Teacher::new(&*model, levels, init.shallow_clone())?;
        let here = vec![Walk { x: init, now: None, past: Vec::new() }];
        let mut walkers = Walkers { model, teacher, deviations: Vec::new(), here, tried: Vec::new(), next: Vec::new() };
        let points = 0..walkers.teacher.points.len();
        walkers.deviations = points.map(|node| walkers.deviation(node, &walkers.teacher.points[node].x)).collect();
        Ok(walkers)
    }

    /// Tries a step of each way in `moves` to a node: the sum over the samples of (squared) distances.
    pub(super) fn step(
        &mut self,
        settings: Dp,
        solver: &dyn Solver,
        ways: &[Way],
        moves: &[usize],
        (target, left): (usize, usize),
    ) -> Vec<f64> {
        let try_one = |&i: &usize| {
            let way = &ways[i];
            let (now, past) = self.stand(settings.along, solver, way, i);
            let made = way.nodes.len() - 1;
            let mut noise = Fresh::new(0, 0);
            let mut cx = Context::new(&*self.model, &mut noise, &past, made, left);
            let t = self.teacher.points[target].t;
            let step = solver.step(&mut cx, &now, t);
            let (x, next) = (step.x, step.next);
            let own = match next {
                Some(next) => next,
                // The last evaluation serves no step.
                None if left == 0 || settings.distance != Distance::Carried => {
                    Eval { t, kernel: self.teacher.points[target].kernel, x: x.shallow_clone(), x0: x.shallow_clone() }
                }
                None => Eval::new(&*self.model, x.shallow_clone(), t),
            };
            let cost = match settings.distance {
                Distance::Deviation => self.deviation(target, &x) - self.deviations[target],
                Distance::Carried if left > 0 => self.teacher.carried(target, &x, &own.x0),
                _ => {
                    let gap = (&x - &self.teacher.points[target].x) / self.teacher.points[target].kernel.alpha;
                    gap.square().sum(Kind::Double).double_value(&[])
                }
            };
            let known = left > 0 && settings.distance == Distance::Carried;
            let mut past: Vec<Eval> = std::iter::once(now).chain(past).collect();
            past.truncate(solver.memory());
            (cost, Walk { x, now: known.then_some(own), past })
        };
        let (costs, tried) = tch::no_grad(|| moves.iter().map(try_one).unzip());
        self.tried = tried;
        costs
    }

    /// The evaluation from which a step of a way starts, and those before it.
    fn stand(&self, along: Along, solver: &dyn Solver, way: &Way, i: usize) -> (Eval, Vec<Eval>) {
        match along {
            Along::Student => {
                let Walk { x, now, past } = &self.here[i];
                let t = self.teacher.points[way.nodes[way.nodes.len() - 1]].t;
                let now = now.as_ref().map(shared);
                (
                    now.unwrap_or_else(|| Eval::new(&*self.model, x.shallow_clone(), t)),
                    past.iter().map(shared).collect(),
                )
            }
            Along::Teacher => {
                let mut back = way.nodes.iter().rev().map(|&node| shared(&self.teacher.points[node]));
                let now = back.next().expect("a way starts somewhere");
                (now, back.take(solver.memory()).collect())
            }
        }
    }

    /// Σ of the distances of the starts from the lines through x at a node and the ends of the trajectories.
    fn deviation(&self, node: usize, x: &Tensor) -> f64 {
        let rows = |eval: &Eval| (&eval.x / eval.kernel.alpha).flatten(1, -1);
        let points = &self.teacher.points;
        let (start, end) = (rows(&points[0]), rows(&points[points.len() - 1]));
        let x = x.flatten(1, -1) / points[node].kernel.alpha;
        let (way, line) = (start - &end, x - end);
        let dot = |a: &Tensor, b: &Tensor| (a * b).sum_dim_intlist([1i64].as_slice(), true, Kind::Double);
        // At the end itself there is no line, and the distance from the point is that of the start.
        let along = (dot(&way, &line) / dot(&line, &line)).nan_to_num(0.0, 0.0, 0.0);
        (way - line * along)
            .square()
            .sum_dim_intlist([1i64].as_slice(), false, Kind::Double)
            .sqrt()
            .sum(Kind::Double)
            .double_value(&[])
    }

    /// Keeps the tried steps that started from the ways `chosen` among `moves`.
    pub(super) fn keep(&mut self, chosen: &[usize], moves: &[usize]) {
        let mut tried: Vec<Option<Walk>> = std::mem::take(&mut self.tried).into_iter().map(Some).collect();
        for from in chosen {
            let place = moves.iter().position(|i| i == from).expect("a way that was tried");
            self.next.push(tried[place].take().expect("each way leads to a node once"));
        }
    }

    /// Goes on to the next step.
    pub(super) fn advance(&mut self) {
        self.here = std::mem::take(&mut self.next);
    }
}
