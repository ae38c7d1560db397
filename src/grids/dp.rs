//! Dynamic programming over the nodes of a fine solution, with the solver's own steps.

mod walk;

#[cfg(test)]
mod tests;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use walk::Walkers;

use super::{Tick, equal};
use crate::error::{Fault, Result, Settings, between, positive};
use crate::score::{Model, parts};
use crate::solve::{Ddim, Solver};
use crate::threads::Workers;

/// The grid through nodes of a fine solution (the teacher) that serves the *actual* solver best, by dynamic programming
/// over the step count and the node.
///
/// Along its own states (`along: student`): the best ways of the solver to each node in k steps follow from those in k − 1
/// steps, each with the state and the past that the solver really has there. Their worth is the error against the teacher,
/// carried to the end as the flow carries it, so that errors of several steps may cancel. `beam` ways are kept for each node,
/// with different last steps; all of them would be an exhaustive search.
///
/// Along the teacher (`along: teacher`): each step starts on the teacher, with the past on it too, and costs are added,
/// weighted γ^k for step k from 0. The state is the node and as many before it as the solver remembers, and the sum is least
/// over all paths, exactly. GITS (Chen, Zhou, Wang, Shen & Lyu 2024, “On the trajectory regularity of ODE-based diffusion
/// sampling”, Algorithm 1) is the special case `{along: teacher, step: ddim, distance: deviation, gamma: 1.15}`. Sums of local
/// errors know nothing of cancellation: of solvers of order two and higher, expect less.
///
/// Methods that draw noise have no teacher to be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dp {
    /// The steps of the fine solution: its nodes are those of the grids, at equal distances in ln κ.
    #[schemars(range(min = 2, max = 1000))]
    pub teacher_steps: usize,
    /// The trajectories. In many dimensions few do: of 3,072 numbers 16 find as good a grid as 128, with 1.3 GB of memory
    /// instead of 9 (it grows with their number and with `teacher_steps` and `beam`).
    #[schemars(range(min = 1))]
    pub trajectories: usize,
    /// Where steps start.
    pub along: Along,
    /// How far from the teacher is measured.
    pub distance: Distance,
    /// Whose steps are judged.
    pub step: Judged,
    /// For `along: teacher`: the weight of a step relative to the one before.
    pub gamma: f64,
    /// For `along: student`: the ways that are kept for each node.
    #[schemars(range(min = 1))]
    pub beam: usize,
}

/// Where the steps start that are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Along {
    /// Where the solver's earlier steps have led.
    #[default]
    Student,
    /// On the fine solution.
    Teacher,
}

/// How far a state is from the fine solution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// The root mean square of the error as the flow carries it to the end.
    #[default]
    Carried,
    /// The root mean square.
    L2,
    /// By how much more than the teacher the line from the state to the end of the trajectory misses its start.
    Deviation,
}

/// Whose steps are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// The solver's.
    #[default]
    Solver,
    /// Those of DDIM, which is Euler in κ, whatever the solver.
    Ddim,
}

impl Default for Dp {
    fn default() -> Self {
        let (along, distance, step) = (Along::Student, Distance::Carried, Judged::Solver);
        Dp { teacher_steps: 60, trajectories: 128, along, distance, step, gamma: 1.0, beam: 4 }
    }
}

impl Settings for Dp {
    fn check(&self) -> Result<(), Fault> {
        between("teacher_steps", self.teacher_steps, (2, 1000))?;
        between("trajectories", self.trajectories, (1, 1_000_000))?;
        between("beam", self.beam, (1, 10_000))?;
        positive("gamma", self.gamma)
    }
}

impl Dp {
    /// The levels of the best grid for a solver that draws no noise, from trajectories that start at `init` `[B, …]`.
    ///
    /// # Errors
    /// A trajectory that is not finite, whatever `tick` returns.
    pub fn find(
        &self,
        model: &dyn Model,
        solver: &dyn Solver,
        init: &Tensor,
        steps: usize,
        workers: &Workers,
        tick: &Tick,
    ) -> Result<Vec<f64>> {
        let levels = equal(model.sde(), self.teacher_steps.max(steps));
        let ddim = Ddim::default();
        let solver: &dyn Solver = match self.step {
            Judged::Solver => solver,
            Judged::Ddim => &ddim,
        };
        let count = init.size()[0];
        let each = (count as usize).div_ceil(workers.count()) as i64;
        let parts: Vec<_> = parts(model, init, each).collect();
        let walkers = workers.install(|| {
            let walker = |(_, model, init)| Walkers::new(model, &levels, init);
            parts.into_par_iter().map(walker).collect::<Result<Vec<_>>>()
        })?;
        let mut paths = Paths { settings: *self, solver, walkers, steps, last: levels.len() - 1, count: count as f64 };
        let path = workers.install(|| paths.best(tick))?;
        Ok(path.into_iter().map(|node| levels[node]).collect())
    }
}

/// A way of the solver through nodes, of which the last is where it is now.
#[derive(Clone, Debug)]
struct Way {
    nodes: Vec<usize>,
    cost: f64,
}

/// The search, over all samples.
struct Paths<'a> {
    settings: Dp,
    solver: &'a dyn Solver,
    walkers: Vec<Walkers>,
    steps: usize,
    /// The last node.
    last: usize,
    count: f64,
}

impl Paths<'_> {
    fn best(&mut self, tick: &Tick) -> Result<Vec<usize>> {
        let mut ways = vec![Way { nodes: vec![0], cost: 0.0 }];
        for made in 0..self.steps {
            let left = self.steps - made - 1;
            let targets = if left == 0 { self.last..=self.last } else { made + 1..=self.last - left };
            let share = 1.0 / (self.steps * targets.clone().count()) as f64;
            let mut next = Vec::new();
            for target in targets {
                tick(share)?;
                let moves: Vec<usize> = (0..ways.len()).filter(|&i| self.leads(&ways[i], target)).collect();
                let costs = self.costs(&ways, &moves, target, left);
                let reached = moves.iter().zip(costs).map(|(&i, cost)| {
                    let nodes = ways[i].nodes.iter().copied().chain([target]).collect();
                    (i, Way { nodes, cost })
                });
                let kept = self.kept(reached.filter(|(_, way)| way.cost.is_finite()).collect());
                let chosen: Vec<usize> = kept.iter().map(|(from, _)| *from).collect();
                self.walkers.par_iter_mut().for_each(|walkers| walkers.keep(&chosen, &moves));
                next.extend(kept.into_iter().map(|(_, way)| way));
            }
            self.walkers.par_iter_mut().for_each(Walkers::advance);
            ways = next;
        }
        let best = ways.into_iter().min_by(|a, b| a.cost.total_cmp(&b.cost));
        // Where every way diverges, none is better than another.
        Ok(best.map_or_else(|| (0..=self.steps).map(|i| i * self.last / self.steps).collect(), |way| way.nodes))
    }

    /// Whether a step from the end of a way to a node is worth trying: none is several times longer than the others.
    fn leads(&self, way: &Way, target: usize) -> bool {
        let here = way.nodes[way.nodes.len() - 1];
        here < target && target - here <= (3 * self.last).div_ceil(self.steps) + 1
    }

    /// The cost of each way once it has stepped on to a node.
    fn costs(&mut self, ways: &[Way], moves: &[usize], target: usize, left: usize) -> Vec<f64> {
        let (settings, solver) = (self.settings, self.solver);
        let step = |walkers: &mut Walkers| walkers.step(settings, solver, ways, moves, (target, left));
        let parts: Vec<Vec<f64>> = self.walkers.par_iter_mut().map(step).collect();
        let total = |k: usize| parts.iter().map(|part| part[k]).sum::<f64>() / self.count;
        let cost = |(k, &i): (usize, &usize)| match (settings.distance, settings.along) {
            (Distance::Deviation, Along::Student) => total(k),
            (_, Along::Student) => total(k).sqrt(),
            (distance, Along::Teacher) => {
                let own = if distance == Distance::Deviation { total(k) } else { total(k).sqrt() };
                ways[i].cost + settings.gamma.powi(ways[i].nodes.len() as i32 - 1) * own
            }
        };
        moves.iter().enumerate().map(cost).collect()
    }

    /// Which of the ways to a node go on, each with the one that it comes from.
    fn kept(&self, mut reached: Vec<(usize, Way)>) -> Vec<(usize, Way)> {
        reached.sort_by(|a, b| a.1.cost.total_cmp(&b.1.cost));
        // What the future of a way hangs on, if it is on the teacher; else, what tells ways apart that are worth keeping.
        let (tail, most) = match self.settings.along {
            Along::Teacher => (self.solver.memory() + 1, usize::MAX),
            Along::Student => (2, self.settings.beam),
        };
        let mut kept: Vec<(usize, Way)> = Vec::new();
        for (from, way) in reached {
            let end = |way: &Way| way.nodes[way.nodes.len().saturating_sub(tail)..].to_vec();
            let exhaustive = self.settings.along == Along::Student && most > self.last;
            if kept.len() < most && (exhaustive || kept.iter().all(|(_, other)| end(other) != end(&way))) {
                kept.push((from, way));
            }
        }
        kept
    }
}
