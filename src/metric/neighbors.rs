//! Nearest neighbours, by brute force: exact in any dimension, in parallel, and without storing all distances.

use std::ops::Range;

use rayon::prelude::*;

use super::pairwise::Cloud;

/// Points that one task serves, and candidates that it looks at together: 64 × 512 distances are 256 KiB.
const ROWS: usize = 64;
const COLUMNS: usize = 512;

/// Whether the candidates are other points than those that look for neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Candidates {
    /// Another sample.
    Others,
    /// The same sample, where no point is its own neighbour.
    Own,
}

/// For each point of `x` its `k` nearest among those of `y`, nearest first: the squared distance and the index. Of
/// equal distances the lower index comes first.
///
/// Time O(N M D), memory O(N k).
///
/// # Panics
/// If there are fewer than `k` candidates, or coordinates that are not finite.
pub(super) fn nearest(x: &Cloud, y: &Cloud, k: usize, candidates: Candidates) -> Vec<Vec<(f64, usize)>> {
    let rows = |start: usize| start..x.len().min(start + ROWS);
    let starts: Vec<usize> = (0..x.len()).step_by(ROWS).collect();
    let found: Vec<Vec<(f64, usize)>> =
        starts.into_par_iter().flat_map_iter(|start| nearest_to(x, rows(start), y, k, candidates)).collect();
    assert!(found.iter().all(|list| list.len() == k), "fewer than {k} neighbours");
    found
}

fn nearest_to(x: &Cloud, rows: Range<usize>, y: &Cloud, k: usize, candidates: Candidates) -> Vec<Vec<(f64, usize)>> {
    let mut lists: Vec<Vec<(f64, usize)>> = rows.clone().map(|_| Vec::with_capacity(k + 1)).collect();
    let mut buffer = vec![0.0; ROWS * COLUMNS];
    for start in (0..y.len()).step_by(COLUMNS) {
        let columns = start..y.len().min(start + COLUMNS);
        let squares = &mut buffer[..rows.len() * columns.len()];
        x.squared_distances(rows.clone(), y, columns.clone(), squares);
        for ((i, list), squares) in rows.clone().zip(&mut lists).zip(squares.chunks_exact(columns.len())) {
            for (j, &square) in columns.clone().zip(squares) {
                let near = list.len() < k || square < list[k - 1].0;
                if !near || (candidates == Candidates::Own && i == j) {
                    continue;
                }
                let place = list.partition_point(|&(other, _)| other <= square);
                list.insert(place, (square, j));
                list.truncate(k);
            }
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::super::tests::gaussian;
    use super::*;

    #[test]
    fn agrees_with_sorting_all_distances() {
        for d in [1, 2, 12] {
            let (x, y) = (gaussian(1, 130, &vec![0.0; d], 1.0), gaussian(2, 1_100, &vec![0.0; d], 1.0));
            let centre = Array1::zeros(d);
            let (from, to) = (Cloud::new(x.view(), &centre), Cloud::new(y.view(), &centre));
            let sorted = |i: usize, candidates: &ndarray::Array2<f64>, skip: Option<usize>| {
                let square = |j: usize| (&x.row(i) - &candidates.row(j)).mapv(|gap| gap * gap).sum();
                let others = (0..candidates.nrows()).filter(|&j| Some(j) != skip);
                let mut all: Vec<(f64, usize)> = others.map(|j| (square(j), j)).collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0));
                all.into_iter().map(|(_, j)| j).take(7).collect::<Vec<_>>()
            };
            let indices = |list: &[(f64, usize)]| list.iter().map(|&(_, j)| j).collect::<Vec<_>>();
            for (i, list) in nearest(&from, &to, 7, Candidates::Others).iter().enumerate() {
                assert_eq!(indices(list), sorted(i, &y, None));
            }
            for (i, list) in nearest(&from, &from, 7, Candidates::Own).iter().enumerate() {
                assert_eq!(indices(list), sorted(i, &x, Some(i)));
            }
        }
    }

    #[test]
    fn of_equal_distances_the_lower_index_comes_first() {
        let points = ndarray::arr2(&[[0.0], [1.0], [-1.0], [1.0]]);
        let cloud = Cloud::new(points.view(), &Array1::zeros(1));
        assert_eq!(nearest(&cloud, &cloud, 2, Candidates::Own)[0], [(1.0, 1), (1.0, 2)]);
    }
}
