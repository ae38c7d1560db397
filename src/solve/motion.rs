//! Brownian motions of samples that each have a time of their own, and that may ask again for a shorter step.

use ndarray::{ArrayD, Axis};
use tch::Tensor;

use super::BrownianPath;
use crate::rng::{Purpose, Stream};
use crate::tensor::from_f64;

/// A Brownian motion W in t for each sample, downwards from one time.
///
/// What has been asked for stays known until the sample has passed it. Between two known points a value is drawn from the
/// Brownian bridge, beyond the last one as W + √Δt z: so W is one Brownian path whatever is asked in whatever order, and
/// to reject a step for its noise does not change the law of the noise (Rackauckas & Nie 2017).
#[derive(Debug)]
pub struct Motion {
    source: Source,
    /// What is known of each sample, from its present time down.
    known: Vec<Vec<Known>>,
}

/// Where values come from that are not known yet.
#[derive(Debug)]
enum Source {
    /// Draw j of sample i is a function of (seed, i, j).
    Fresh { stream: Stream, first: u64, draws: Vec<u32> },
    /// Draw j of sample i is given, at `[j, i]` of `[draws, B, …]`.
    Replay { normals: ArrayD<f64>, draws: Vec<usize> },
    /// One path that every solver on the clock t shares.
    Path(BrownianPath),
}

/// W at a time.
#[derive(Debug)]
struct Known {
    t: f64,
    w: Vec<f64>,
}

impl Motion {
    /// New noise for the samples `first..first + count` of `seed`.
    pub fn fresh(seed: u64, first: u64, count: usize) -> Self {
        Motion::of(Source::Fresh { stream: Stream::new(seed, Purpose::Brownian), first, draws: vec![0; count] }, count)
    }

    /// Given standard normals `[draws, B, …]`, those of each sample used in the order in which it draws.
    pub fn replay(normals: ArrayD<f64>) -> Self {
        let count = normals.len_of(Axis(1));
        Motion::of(Source::Replay { normals, draws: vec![0; count] }, count)
    }

    /// Values read off a path.
    pub fn along(path: BrownianPath, count: usize) -> Self {
        Motion::of(Source::Path(path), count)
    }

    fn of(source: Source, count: usize) -> Self {
        Motion { source, known: (0..count).map(|_| Vec::new()).collect() }
    }

    /// W(s_i) − W(t_i) of the samples `samples`, shaped like `like` `[n, …]`; t_i is where sample i now is for good.
    pub fn increments(&mut self, like: &Tensor, samples: &[usize], t: &[f64], s: &[f64]) -> Tensor {
        let mut out = vec![0.0; like.numel()];
        let dim = (like.numel() / samples.len().max(1)).max(1);
        for (((row, &sample), &t), &s) in out.chunks_mut(dim).zip(samples).zip(t).zip(s) {
            self.pass(sample, t, dim);
            let end = self.learn(sample, s);
            let known = &self.known[sample];
            row.iter_mut().zip(&known[end].w).zip(&known[0].w).for_each(|((out, w), here)| *out = w - here);
        }
        from_f64(out, &like.size(), (like.kind(), like.device()))
    }

    /// Forgets what was drawn for times ahead of the present one of a sample.
    pub fn forget(&mut self, sample: usize) {
        self.known[sample].truncate(1);
    }

    /// Why the noise given is not enough, if it is not.
    pub fn fault(&self) -> Option<String> {
        let Source::Replay { normals, draws } = &self.source else { return None };
        let given = normals.len_of(Axis(0));
        draws.iter().any(|&draws| draws > given).then(|| format!("it has {given} draws and the solver needs more"))
    }

    /// Moves a sample on to a time that is known, or to its first.
    fn pass(&mut self, sample: usize, t: f64, dim: usize) {
        let known = &mut self.known[sample];
        if known.is_empty() {
            let w = match &self.source {
                Source::Path(path) => path.value(sample, dim, t).w,
                _ => vec![0.0; dim],
            };
            known.push(Known { t, w });
        }
        let here = known.iter().position(|known| known.t == t).expect("a sample moves to where it asked for its noise");
        known.drain(..here);
    }

    /// Makes W at a time known; where in the list it then stands.
    fn learn(&mut self, sample: usize, s: f64) -> usize {
        let known = &self.known[sample];
        let place = known.iter().position(|known| known.t <= s).unwrap_or(known.len());
        if known.get(place).is_some_and(|known| known.t == s) {
            return place;
        }
        let (above, below) = (&known[place - 1], known.get(place));
        let mut w = vec![0.0; above.w.len()];
        match &mut self.source {
            Source::Path(path) => w = path.value(sample, w.len(), s).w,
            Source::Fresh { stream, first, draws } => {
                stream.normals(*first + sample as u64, draws[sample], w.len(), &mut w);
                draws[sample] += 1;
                between(above, below, s, &mut w);
            }
            Source::Replay { normals, draws } => {
                if draws[sample] < normals.len_of(Axis(0)) {
                    let given = normals.index_axis(Axis(0), draws[sample]);
                    w.iter_mut().zip(given.index_axis(Axis(0), sample)).for_each(|(z, given)| *z = *given);
                }
                draws[sample] += 1;
                between(above, below, s, &mut w);
            }
        }
        self.known[sample].insert(place, Known { t: s, w });
        place
    }
}

/// Turns standard normals into W(s) given W above s and, where it is known, below.
fn between(above: &Known, below: Option<&Known>, s: f64, z: &mut [f64]) {
    match below {
        None => {
            let spread = (above.t - s).sqrt();
            z.iter_mut().zip(&above.w).for_each(|(z, w)| *z = w + spread * *z);
        }
        Some(below) => {
            let fraction = (above.t - s) / (above.t - below.t);
            let spread = (fraction * (s - below.t)).sqrt();
            let ends = above.w.iter().zip(&below.w);
            z.iter_mut().zip(ends).for_each(|(z, (a, b))| *z = a * (1.0 - fraction) + b * fraction + spread * *z);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const SAMPLES: usize = 20_000;

    /// The increments over the steps that stood at last, `[steps][SAMPLES]`, each divided by √Δt: for each step, where
    /// was asked in vain before.
    fn standard(motion: &mut Motion, from: f64, steps: &[(&[f64], f64)]) -> Vec<Vec<f64>> {
        let like = Tensor::zeros([SAMPLES as i64, 1], (Kind::Double, Device::Cpu));
        let samples: Vec<usize> = (0..SAMPLES).collect();
        let mut t = from;
        let mut ask = |t: f64, s: f64| motion.increments(&like, &samples, &[t; SAMPLES], &[s; SAMPLES]);
        let mut increments = Vec::new();
        for &(in_vain, s) in steps {
            for &tried in in_vain {
                let _ = ask(t, tried);
            }
            let z = ask(t, s) / (t - s).sqrt();
            increments.push(Vec::try_from(z.squeeze_dim(1)).expect("doubles"));
            t = s;
        }
        increments
    }

    fn covariance(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64
    }

    /// Whatever was asked in between, increments of disjoint steps are standard and independent.
    #[test]
    fn increments_are_brownian_whatever_is_asked() {
        let plain: &[(&[f64], f64)] = &[(&[], 0.9), (&[], 0.5), (&[], 0.0)];
        let rejections: &[(&[f64], f64)] =
            &[(&[0.2, 0.6], 0.9), (&[0.7], 0.8), (&[], 0.6), (&[0.1, 0.15, 0.5], 0.55), (&[0.3], 0.2), (&[], 0.0)];
        let path = || Motion::along(BrownianPath::new(3, 0, (0.0, 1.0)), SAMPLES);
        for (name, motion) in [("fresh", Motion::fresh(3, 0, SAMPLES)), ("path", path())] {
            let mut motion = motion;
            let z = standard(&mut motion, 1.0, if name == "fresh" { rejections } else { plain });
            for (i, a) in z.iter().enumerate() {
                for (j, b) in z.iter().enumerate().skip(i) {
                    let expected = if i == j { 1.0 } else { 0.0 };
                    let error = 4.5 * ((1.0 + expected) / SAMPLES as f64).sqrt();
                    let found = covariance(a, b);
                    assert!((found - expected).abs() < error, "{name}: steps {i} and {j}: {found}");
                }
            }
        }
        // On a shared path nothing that was asked in vain leaves a trace.
        let (coarse, again) = (standard(&mut path(), 1.0, rejections), standard(&mut path(), 1.0, &[(&[], 0.9)]));
        let gap = coarse[0].iter().zip(&again[0]).fold(0.0f64, |gap, (a, b)| gap.max((a - b).abs()));
        assert!(gap < 1e-12, "{gap}");
    }

    /// Steps that are tried again when their noise was large: with memory their law stays, without it shrinks.
    #[test]
    fn what_is_forgotten_makes_noise_smaller() {
        let like = Tensor::zeros([1, 1], (Kind::Double, Device::Cpu));
        let variance = |forget: bool| {
            let mut motion = Motion::fresh(4, 0, SAMPLES);
            let mut sum = 0.0;
            for sample in 0..SAMPLES {
                let mut first = motion.increments(&like, &[sample], &[1.0], &[0.0]).double_value(&[0, 0]);
                if first.abs() > 1.0 {
                    if forget {
                        motion.forget(sample);
                    }
                    let half = motion.increments(&like, &[sample], &[1.0], &[0.5]).double_value(&[0, 0]);
                    first = half + motion.increments(&like, &[sample], &[0.5], &[0.0]).double_value(&[0, 0]);
                }
                sum += first * first;
            }
            sum / SAMPLES as f64
        };
        let error = 4.5 * (2.0 / SAMPLES as f64).sqrt();
        assert!((variance(false) - 1.0).abs() < error, "{}", variance(false));
        assert!(variance(true) < 0.6, "{}", variance(true));
    }

    #[test]
    fn given_normals_are_used_in_the_order_drawn_by_each_sample() {
        let normals = ArrayD::from_shape_vec(vec![2, 2, 1], vec![1.0, 2.0, 3.0, 4.0]).expect("four numbers");
        let mut motion = Motion::replay(normals);
        let like = Tensor::zeros([1, 1], (Kind::Double, Device::Cpu));
        let mut ask = |sample: usize, t: f64, s: f64| {
            let w = motion.increments(&like, &[sample], &[t], &[s]).double_value(&[0, 0]);
            (w, motion.fault())
        };
        assert_eq!(ask(1, 4.0, 0.0), (4.0, None));
        assert_eq!(ask(1, 4.0, 3.0), (0.25 * 4.0 + (0.75f64).sqrt() * 4.0, None));
        assert_eq!(ask(0, 1.0, 0.0), (1.0, None));
        let lacking = "it has 2 draws and the solver needs more".to_owned();
        assert_eq!(ask(1, 3.0, 2.0).1, Some(lacking));
    }
}
