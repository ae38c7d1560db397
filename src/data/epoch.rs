//! The order of a finite data set: every epoch visits each row once, in an order of its own.

use crate::rng::Stream;

/// Rounds of the network: with 12, the orders of five rows are equally likely to within a few per cent.
const ROUNDS: u32 = 12;

/// Where a bijection of [0, n) takes `position`; each `epoch` of a stream has its own.
///
/// A Feistel network on Z_a × Z_b with a = ⌈√n⌉ and ab ≥ n, (l, r) ↦ (l + F(r) mod a, r) and (l, r + F(l) mod b) in
/// turns, where F is Philox with the round and the half as its counter; what falls on n or above goes through the
/// network again (Black & Rogaway 2002, "generalized Feistel" with cycle walking). A bijection whatever F is, and a
/// function of its arguments alone: there is no shuffled list to save.
///
/// # Panics
/// If `position` is not below `n`, or `n` is above 2³².
pub fn place(stream: Stream, epoch: u64, position: u64, n: u64) -> u64 {
    assert!(position < n && n <= 1 << 32, "position {position} of {n} rows");
    let a = root(n);
    let b = n.div_ceil(a);
    // Both halves are at most 2¹⁶ − 1, so that a round and a half fit into one word.
    let word = |round: u32, half: u64| u64::from(stream.word(epoch, round << 16 | half as u32));
    let mut at = position;
    loop {
        let (mut l, mut r) = (at / b, at % b);
        for round in (0..ROUNDS).step_by(2) {
            l = (l + word(round, r)) % a;
            r = (r + word(round + 1, l)) % b;
        }
        at = l * b + r;
        if at < n {
            return at;
        }
    }
}

/// ⌈√n⌉ for n ≤ 2³², where the square root of a double is exact enough.
fn root(n: u64) -> u64 {
    (n as f64).sqrt().ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use proptest::prelude::*;

    fn order(seed: u64, epoch: u64, n: u64) -> Vec<u64> {
        let stream = Stream::new(seed, Purpose::Data);
        (0..n).map(|position| place(stream, epoch, position, n)).collect()
    }

    fn is_a_bijection(mut order: Vec<u64>) -> bool {
        let n = order.len() as u64;
        order.sort_unstable();
        order.into_iter().eq(0..n)
    }

    #[test]
    fn every_size_up_to_500_is_permuted() {
        assert!((1..=500).all(|n| is_a_bijection(order(n, 3, n))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_epoch_is_a_bijection(seed: u64, epoch: u64, n in 1u64..5_000) {
            prop_assert!(is_a_bijection(order(seed, epoch, n)));
        }

        #[test]
        fn large_sizes_stay_in_range_and_apart(seed: u64, n in 1u64 << 20..=1 << 32, start: u32) {
            let first = u64::from(start) % (n - 100);
            let stream = Stream::new(seed, Purpose::Data);
            let mut rows: Vec<u64> = (first..first + 100).map(|position| place(stream, 0, position, n)).collect();
            prop_assert!(rows.iter().all(|&row| row < n));
            rows.sort_unstable();
            rows.dedup();
            prop_assert_eq!(rows.len(), 100);
        }
    }

    /// Over many epochs each row comes equally often at each position, and each pair of rows equally often first.
    #[test]
    fn orders_are_uniform() {
        let (n, epochs) = (10usize, 20_000u64);
        let (mut single, mut pair) = (vec![0.0; n * n], vec![0.0; n * n]);
        for epoch in 0..epochs {
            let order = order(1, epoch, n as u64);
            for (position, &row) in order.iter().enumerate() {
                single[position * n + row as usize] += 1.0;
            }
            pair[order[0] as usize * n + order[1] as usize] += 1.0;
        }
        // Pearson's χ² with k degrees of freedom has mean k and variance 2k.
        let chi = |counts: &[f64], expected: f64| counts.iter().map(|c| (c - expected).powi(2) / expected).sum::<f64>();
        let k = ((n - 1) * (n - 1)) as f64;
        let found = chi(&single, epochs as f64 / n as f64);
        assert!((found - k).abs() < 5.0 * (2.0 * k).sqrt(), "χ² = {found} of {k}");
        let apart: Vec<f64> = (0..n * n).filter(|i| i / n != i % n).map(|i| pair[i]).collect();
        let (k, expected) = (apart.len() as f64 - 1.0, epochs as f64 / apart.len() as f64);
        let found = chi(&apart, expected);
        assert!((found - k).abs() < 5.0 * (2.0 * k).sqrt(), "χ² = {found} of {k}");
    }

    #[test]
    fn epochs_and_seeds_differ() {
        let all: Vec<Vec<u64>> = [(0, 0), (0, 1), (1, 0)].map(|(seed, epoch)| order(seed, epoch, 100)).into();
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
    }
}
