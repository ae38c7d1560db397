//! Single steps of a solver, with expectations over their noise.

use tch::{Kind, Tensor};

use super::expectation::gauss_hermite;
use super::run::Draws;
use super::target::{DOUBLE, Product};
use crate::rng::Stream;
use crate::score::Eval;
use crate::solve::{Context, Noise, Solver, Step};
use crate::tensor;

/// A solver on a grid of times, on a problem on the line.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    pub product: &'a Product,
    pub solver: &'a dyn Solver,
    pub times: &'a [f64],
}

/// A step from many states, the noise of each over all nodes of a rule.
#[derive(Debug)]
pub(super) struct Branched {
    /// The weights of the nodes.
    pub weights: Vec<f64>,
    /// z = x/α at the end, for each state a row: at the nodes, then, if there is a stream, with noise of its own.
    pub ends: Vec<Vec<f64>>,
    /// How many normals a state took.
    pub draws: usize,
    /// The evaluation that goes on from the state with noise of its own.
    pub next: Option<Eval>,
}

impl Chain<'_> {
    /// σ/α at the end of step n − 1.
    pub fn ratio(&self, n: usize) -> f64 {
        self.product.sde.kernel(self.times[n]).ratio()
    }

    /// The evaluation at states z = x/α and the start of step n.
    pub fn eval(&self, z: &[f64], n: usize) -> Eval {
        let x =
            tensor::from_f64(z.to_vec(), &[z.len() as i64, 1], DOUBLE) * self.product.sde.kernel(self.times[n]).alpha;
        Eval::new(self.product, x, self.times[n])
    }

    /// Step n.
    fn step(&self, n: usize, noise: &mut dyn Noise, past: &[Eval], now: &Eval, s: f64) -> Step {
        let left = self.times.len() - 2 - n;
        self.solver.step(&mut Context::new(self.product, noise, past, n, left), now, s)
    }

    /// Whether a step needs nothing but the state that it starts from.
    pub fn forgets(&self) -> bool {
        let (mut draws, now) = (Draws::default(), self.eval(&[0.0], 0));
        self.solver.memory() == 0 && self.step(0, &mut draws, &[], &now, self.times[1]).next.is_none()
    }

    /// The stochasticity q of the process that the solver follows in the middle of step n: the noise of a short step of h
    /// has the variance 2qh σ².
    pub fn stochasticity(&self, n: usize) -> f64 {
        const SHORT: f64 = 1e-5;
        let (sde, middle) = (&*self.product.sde, (self.ratio(n) * self.ratio(n + 1)).sqrt());
        let [t, s] = [middle, middle * (-SHORT).exp()].map(|ratio| sde.time_of_ratio(ratio));
        let now = |rows: usize| Eval::new(self.product, Tensor::zeros([rows as i64, 1], DOUBLE), t);
        let mut draws = Draws::default();
        self.step(n, &mut draws, &[], &now(1), s);
        let unit = |row: usize| (0..draws.0).map(|draw| f64::from(u8::from(row == draw))).collect::<Vec<f64>>();
        let units: Vec<Vec<f64>> = (0..=draws.0).map(unit).collect();
        let mut noise = Branches { nodes: &units, own: None, draw: 0 };
        let out = numbers(&self.step(n, &mut noise, &[], &now(units.len()), s).x);
        let variance: f64 = out[..draws.0].iter().map(|x| (x - out[draws.0]).powi(2)).sum();
        variance / (2.0 * SHORT * sde.kernel(t).sigma.powi(2))
    }

    /// Step n from all states of `now` with the noise of all nodes, and with that of a stream from draw `own.1` on.
    pub fn branch(&self, n: usize, past: &[Eval], now: &Eval, own: Option<(Stream, u32)>) -> Branched {
        let s = self.times[n + 1];
        let (mut draws, first) = (Draws::default(), Tensor::from_slice(&[0i64]));
        let of_first: Vec<Eval> = past.iter().map(|eval| rows(eval, &first)).collect();
        self.step(n, &mut draws, &of_first, &rows(now, &first), s);
        let (nodes, weights) = rule(draws.0);
        let copies = nodes.len() + usize::from(own.is_some());
        let all = Tensor::arange(now.x.size()[0], (Kind::Int64, DOUBLE.1));
        let each = all.repeat_interleave_self_int(copies as i64, 0, None);
        let mut noise = Branches { nodes: &nodes, own, draw: 0 };
        let wide: Vec<Eval> = past.iter().map(|eval| rows(eval, &each)).collect();
        let Step { x, next } = self.step(n, &mut noise, &wide, &rows(now, &each), s);
        let z = numbers(&(&x / self.product.sde.kernel(s).alpha));
        let next = own.map(|_| {
            let last = all * copies as i64 + (copies as i64 - 1);
            next.map_or_else(|| Eval::new(self.product, x.index_select(0, &last), s), |eval| rows(&eval, &last))
        });
        Branched { weights, ends: z.chunks(copies).map(<[f64]>::to_vec).collect(), draws: draws.0, next }
    }
}

fn numbers(x: &Tensor) -> Vec<f64> {
    Vec::try_from(x.view(-1)).expect("float64 on the CPU")
}

/// Some rows of an evaluation.
fn rows(eval: &Eval, which: &Tensor) -> Eval {
    let Eval { t, kernel, x, x0 } = eval;
    Eval { t: *t, kernel: *kernel, x: x.index_select(0, which), x0: x0.index_select(0, which) }
}

/// Nodes `[K][draws]` and weights for expectations over so many normals.
fn rule(draws: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let line = gauss_hermite(match draws {
        0 | 1 => 6,
        2 => 5,
        _ => 4,
    });
    let (mut nodes, mut weights) = (vec![Vec::new()], vec![1.0]);
    for _ in 0..draws {
        let along = |node: &Vec<f64>| line.iter().map(|(x, _)| [node.as_slice(), &[*x]].concat()).collect::<Vec<_>>();
        nodes = nodes.iter().flat_map(along).collect();
        weights = weights.iter().flat_map(|weight| line.iter().map(move |(_, w)| weight * w)).collect();
    }
    (nodes, weights)
}

/// The noise of one step for groups of rows: each group has the same nodes, and a row with random numbers if it has a
/// stream of its own.
#[derive(Debug)]
struct Branches<'a> {
    nodes: &'a [Vec<f64>],
    /// A stream, and the draws that earlier steps took of it.
    own: Option<(Stream, u32)>,
    draw: usize,
}

impl Noise for Branches<'_> {
    fn increment(&mut self, like: &Tensor, a: f64, b: f64) -> Tensor {
        self.normal(like) * (b - a).abs().sqrt()
    }

    fn normal(&mut self, like: &Tensor) -> Tensor {
        let copies = self.nodes.len() + usize::from(self.own.is_some());
        let groups = like.numel() / copies;
        let mut own = vec![0.0; groups];
        if let Some((stream, drawn)) = self.own {
            stream.normals(0, drawn + self.draw as u32, 1, &mut own);
        }
        let group = |own: &f64| {
            let nodes = self.nodes.iter().map(|node| node[self.draw]);
            nodes.chain(self.own.map(|_| *own)).collect::<Vec<f64>>()
        };
        let values = own.iter().flat_map(group).collect();
        self.draw += 1;
        tensor::from_f64(values, &like.size(), DOUBLE)
    }
}
