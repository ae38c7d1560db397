//! What the statistics of a comparison promise, counted on comparisons whose truth is known.

use ornstein::statistics::{LEVEL, Paired, interval, rank};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Gamma, StandardNormal};

/// How the values of a repeat scatter about their truth.
#[derive(Clone, Copy, Debug)]
enum Scatter {
    /// Alike in both directions.
    Normal,
    /// As distances do, which are positive: skewed by 2/√6.
    Skewed,
}

impl Scatter {
    /// Of mean 0 and standard deviation 1.
    fn draw(self, rng: &mut Xoshiro256PlusPlus) -> f64 {
        match self {
            Scatter::Normal => StandardNormal.sample(rng),
            Scatter::Skewed => (Gamma::new(6.0, 1.0).unwrap().sample(rng) - 6.0) / 6.0_f64.sqrt(),
        }
    }
}

/// A comparison `[budget][solver][repeat]` of solvers with given errors: what all share in a repeat has the standard
/// deviation 0.1, ten times that of what each has for itself.
fn comparison(
    truth: &[Vec<f64>],
    repeats: usize,
    scatter: Scatter,
    rng: &mut Xoshiro256PlusPlus,
) -> Vec<Vec<Vec<f64>>> {
    let shared: Vec<f64> = (0..repeats).map(|_| 0.1 * Scatter::Normal.draw(rng)).collect();
    let mut solver = |&error: &f64| shared.iter().map(|shared| error + shared + 0.01 * scatter.draw(rng)).collect();
    truth.iter().map(|budget| budget.iter().map(&mut solver).collect()).collect()
}

/// Six solvers at four budgets: two are as good as one another everywhere, the others are not.
fn truth() -> Vec<Vec<f64>> {
    let at = |scale: f64| vec![0.3 * scale, 0.3 * scale, 0.32 * scale, 0.5 * scale, 0.8 * scale, 2.0 * scale];
    [1.0, 0.7, 0.5, 0.4].map(at).to_vec()
}

/// Up to 200 comparisons with each scatter and number of repeats: of the intervals of all differences 95 % hold the truth, at
/// most one contest in twenty says of any two equals that they differ, and at most one comparison in twenty leaves out, at
/// any budget, a solver that is truly best.
#[test]
fn intervals_cover_and_false_findings_are_rare() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    // More than eight repeats draw their resamples, which takes its time.
    let settings =
        [(Scatter::Normal, 5, 200), (Scatter::Skewed, 5, 200), (Scatter::Normal, 12, 30), (Scatter::Skewed, 12, 30)];
    for (scatter, repeats, comparisons) in settings {
        let (truth, mut held, mut all, mut wrong, mut missed, mut found) = (truth(), 0, 0, 0, 0, 0);
        for _ in 0..comparisons {
            let values = comparison(&truth, repeats, scatter, &mut rng);
            let rankings = rank(&values, Paired::sampled);
            for (ranking, truth) in rankings.iter().zip(&truth) {
                let mut false_finding = false;
                for pair in &ranking.pairs {
                    let actual = truth[pair.of.0] - truth[pair.of.1];
                    let interval = pair.paired.interval;
                    held += usize::from(interval.low <= actual && actual <= interval.high);
                    all += 1;
                    false_finding |= actual == 0.0 && pair.differs();
                }
                wrong += usize::from(false_finding);
                found += (2..6).filter(|&worse| !ranking.is_tied(worse)).count();
            }
            missed += usize::from(rankings.iter().any(|ranking| !(ranking.is_tied(0) && ranking.is_tied(1))));
        }
        let coverage = held as f64 / all as f64;
        let (contests, n) = (comparisons * truth.len(), comparisons as f64);
        let power = found as f64 / (4 * contests) as f64;
        println!(
            "{scatter:?}, {repeats} repeats: coverage {coverage:.4}, {wrong} of {contests} contests with a false finding, \
             {missed} of {comparisons} comparisons without a best, power {power:.3}"
        );
        assert!((0.93..=0.97).contains(&coverage), "{scatter:?}, {repeats} repeats: {coverage}");
        // Five in a hundred, and two standard errors of the count.
        let most = |n: f64| 0.05 * n + 2.0 * (0.05 * 0.95 * n).sqrt();
        assert!(
            wrong as f64 <= most(contests as f64),
            "{scatter:?}, {repeats} repeats: {wrong} of {contests} contests"
        );
        assert!(missed as f64 <= most(n), "{scatter:?}, {repeats} repeats: {missed} of {comparisons} comparisons");
        assert!(power > 0.5, "{scatter:?}, {repeats} repeats: {power}");
    }
}

/// Where nothing differs, Holm's procedure is at its limit.
#[test]
fn equals_are_seldom_told_apart() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(12);
    let false_finding = |_: &usize| {
        let values = comparison(&[vec![0.5; 5]], 5, Scatter::Normal, &mut rng);
        let ranking = &rank(&values, Paired::sampled)[0];
        ranking.pairs.iter().any(|pair| pair.differs())
    };
    let wrong = (0..400).filter(false_finding).count();
    // 5 % of 400, and two standard errors.
    assert!(wrong <= 28, "{wrong} of 400");
}

/// The intervals of single means, from as few values as a bootstrap may have.
#[test]
fn intervals_of_means_cover() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(13);
    for (scatter, n) in [(Scatter::Normal, 4), (Scatter::Normal, 5), (Scatter::Skewed, 5), (Scatter::Skewed, 10)] {
        let holds = |_: &usize| {
            let values: Vec<f64> = (0..n).map(|_| scatter.draw(&mut rng)).collect();
            let interval = interval(&values);
            interval.low <= 0.0 && 0.0 <= interval.high
        };
        let coverage = (0..4000).filter(holds).count() as f64 / 4000.0;
        println!("{scatter:?}, {n} values: {coverage:.4}");
        assert!((coverage - LEVEL).abs() < 0.02, "{scatter:?}, {n} values: {coverage}");
    }
}
