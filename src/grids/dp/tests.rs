//! Against exhaustive searches.

use std::sync::Arc;

use tch::{Device, Kind};

use super::*;
use crate::grids::teacher::Teacher;
use crate::score::Denoiser;
use crate::score::exact::{Exact, Law};
use crate::sde::{Edm, Sde};
use crate::solve::{Dpmpp2m, Dpmpp3m, Fresh, Integrator, Start, UniPc, prior};

const OPTIONS: (Kind, Device) = (Kind::Double, Device::Cpu);

fn mixture() -> (Exact, Tensor) {
    let sde: Arc<dyn Sde> = Arc::new(Edm { sigma_max: 10.0, ..Default::default() });
    let identity = vec![vec![0.01, 0.0], vec![0.0, 0.04]];
    let law = Law::mixture(&[0.4, 0.6], &[vec![-1.0, 0.3], vec![0.8, -0.5]], &[identity.clone(), identity]).unwrap();
    let init = prior(&*sde, 5, 40, &[2], OPTIONS);
    (Exact::new(&law, sde, OPTIONS), init)
}

/// All paths of so many steps from 0 to `last`.
fn all(steps: usize, last: usize) -> Vec<Vec<usize>> {
    let grow = |paths: Vec<Vec<usize>>| {
        paths
            .into_iter()
            .flat_map(|path| (path[path.len() - 1] + 1..last).map(move |node| [&path[..], &[node]].concat()))
            .collect()
    };
    let inner = (1..steps).fold(vec![vec![0]], |paths: Vec<Vec<usize>>, _| grow(paths));
    inner.into_iter().map(|path| [&path[..], &[last]].concat()).collect()
}

/// The production integrator on a path, against the end of the teacher.
fn global(
    model: &Exact,
    solver: &(impl Solver + Clone + 'static),
    (init, end): (&Tensor, &Tensor),
    levels: &[f64],
) -> f64 {
    let times = crate::grids::times(model.sde(), levels);
    let (method, mut noise) = (solver.clone().into(), Fresh::new(0, 0));
    let x = Integrator::new(model, &method, &times, &mut noise, init.shallow_clone()).run(|_| Ok(())).unwrap();
    (x - end).square().sum(Kind::Double).double_value(&[])
}

fn find(dp: Dp, model: &Exact, solver: &dyn Solver, init: &Tensor, steps: usize) -> Vec<f64> {
    dp.find(model, solver, init, steps, &Workers::new(2).unwrap(), &|_| Ok(())).unwrap()
}

/// With all ways kept it is an exhaustive search, whatever the solver remembers.
#[test]
fn with_a_wide_beam_it_is_brute_force() {
    let (model, init) = mixture();
    let levels = equal(model.sde(), 9);
    let grid = |path: &Vec<usize>| path.iter().map(|&node| levels[node]).collect::<Vec<f64>>();
    fn check(model: &Exact, init: &Tensor, solver: impl Solver + Clone + 'static, grids: &[Vec<f64>]) {
        let teacher = Teacher::new(model, &equal(model.sde(), 9), init.shallow_clone()).unwrap();
        let ends = (init, &teacher.points[9].x);
        let errors: Vec<f64> = grids.iter().map(|grid| global(model, &solver, ends, grid)).collect();
        let best = (0..grids.len()).min_by(|&i, &j| errors[i].total_cmp(&errors[j])).unwrap();
        let dp = Dp { teacher_steps: 9, beam: 10_000, ..Default::default() };
        assert_eq!(find(dp, model, &solver, init, 4), grids[best], "{solver:?}");
        // A narrow beam is not far from it.
        let narrow = find(Dp { beam: 3, ..dp }, model, &solver, init, 4);
        assert!(global(model, &solver, ends, &narrow) < 2.0 * errors[best], "{solver:?}");
    }
    let grids: Vec<Vec<f64>> = all(4, 9).iter().map(grid).collect();
    check(&model, &init, Dpmpp2m::default(), &grids);
    check(&model, &init, Dpmpp2m { lower_order_final: true, ..Default::default() }, &grids);
    check(&model, &init, Dpmpp3m { start: Start::Euler, ..Default::default() }, &grids);
    check(&model, &init, UniPc { start: Start::Euler, ..Default::default() }, &grids);
}

/// Along the teacher the sum of weighted local costs is least over all paths.
#[test]
fn along_the_teacher_it_is_the_least_sum() {
    let (model, init) = mixture();
    let levels = equal(model.sde(), 9);
    let mut walkers = Walkers::new(Box::new(model), &levels, init.shallow_clone()).unwrap();
    for (solver, distance) in [
        (&Dpmpp2m::default() as &dyn Solver, Distance::Carried),
        (&Dpmpp2m::default(), Distance::L2),
        (&Dpmpp3m { start: Start::Euler, ..Default::default() }, Distance::Carried),
        (&Ddim::default(), Distance::Deviation),
    ] {
        let dp = Dp { teacher_steps: 9, along: Along::Teacher, distance, gamma: 1.15, ..Default::default() };
        let sum = |path: &Vec<usize>, walkers: &mut Walkers| -> f64 {
            let step = |k: usize| {
                let way = Way { nodes: path[..=k].to_vec(), cost: 0.0 };
                let own = walkers.step(dp, solver, &[way], &[0], (path[k + 1], path.len() - 2 - k))[0] / 40.0;
                1.15f64.powi(k as i32) * if distance == Distance::Deviation { own } else { own.sqrt() }
            };
            (0..path.len() - 1).map(step).sum()
        };
        let paths = all(4, 9);
        let sums: Vec<f64> = paths.iter().map(|path| sum(path, &mut walkers)).collect();
        let best = (0..paths.len()).min_by(|&i, &j| sums[i].total_cmp(&sums[j])).unwrap();
        let expected: Vec<f64> = paths[best].iter().map(|&node| levels[node]).collect();
        let (model, init) = mixture();
        assert_eq!(find(dp, &model, solver, &init, 4), expected, "{solver:?}");
    }
}

/// The cost of GITS written out: Euler in σ from the teacher, and by how much more its line misses the start.
#[test]
fn the_deviation_of_a_ddim_step_is_that_of_gits() {
    let (model, init) = mixture();
    let levels = equal(model.sde(), 9);
    let mut walkers = Walkers::new(Box::new(model), &levels, init).unwrap();
    let dp = Dp { along: Along::Teacher, distance: Distance::Deviation, step: Judged::Ddim, ..Default::default() };
    let (i, j) = (2, 5);
    let way = Way { nodes: vec![0, i], cost: 0.0 };
    let found = walkers.step(dp, &Ddim::default(), &[way], &[0], (j, 3))[0];
    let row = |node: usize, sample: i64| {
        let x = walkers.teacher.points[node].x.get(sample);
        [x.double_value(&[0]), x.double_value(&[1])]
    };
    let mut expected = 0.0;
    for sample in 0..40 {
        let (start, end, from, to) = (row(0, sample), row(9, sample), row(i, sample), row(j, sample));
        let x0 = walkers.teacher.points[i].x0.get(sample);
        let (sigma, s) = (levels[i].exp(), levels[j].exp());
        let euler = [0, 1].map(|d| from[d] + (s - sigma) * (from[d] - x0.double_value(&[d as i64])) / sigma);
        // In the plane the distance from a line is a cross product over a length.
        let deviation = |z: [f64; 2]| {
            let (line, way) = ([z[0] - end[0], z[1] - end[1]], [start[0] - end[0], start[1] - end[1]]);
            (line[0] * way[1] - line[1] * way[0]).abs() / line[0].hypot(line[1])
        };
        expected += deviation(euler) - deviation(to);
    }
    approx::assert_relative_eq!(found, expected, max_relative = 1e-9);
}
