//! Worker threads for chunks of a batch, each with one LibTorch thread.
//!
//! LibTorch's own OpenMP threads collapse when cores are shared with other work; chunks that run side by side do not,
//! and keep their activations in cache.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rayon::prelude::*;

use crate::error::{Error, Result};

/// A pool whose threads run LibTorch operators on themselves alone.
#[derive(Debug)]
pub struct Workers {
    pool: rayon::ThreadPool,
}

/// Beyond this a system may kill the program rather than refuse it threads.
const MOST: usize = 1024;

impl Workers {
    /// `threads` workers; 0 means one for each core.
    ///
    /// # Errors
    /// When the operating system refuses to start threads.
    pub fn new(threads: usize) -> Result<Self> {
        if threads > MOST {
            let problem = format!("{threads} threads are more than any machine can use");
            return Err(Error::argument("--threads", problem, format!("write at most {MOST}, or 0 for one a core")));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("worker-{i}"))
            // The setting is per thread (OpenMP's and MKL's own), so the caller's threads keep theirs.
            .start_handler(|_| tch::set_num_threads(1))
            .build()
            .map_err(|e| {
                Error::argument("--threads", format!("cannot start {threads} threads: {e}"), "ask for fewer")
            })?;
        Ok(Workers { pool })
    }

    /// The number of workers.
    pub fn count(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs rayon work on these threads.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// Does `work` on the items side by side and hands each result to `take` in the order of the items, so that a sum of
    /// floating-point numbers does not depend on the number of threads.
    ///
    /// Items are begun in their order, so that few results wait for their turn at a time, however many there are.
    pub fn in_order<I: Send, R: Send>(
        &self,
        items: impl Iterator<Item = I> + Send,
        work: impl Fn(I) -> R + Sync,
        take: impl FnMut(R) + Send,
    ) {
        let turns = Mutex::new((0, BTreeMap::new(), take));
        let each = |(i, item)| {
            let result = work(item);
            let mut turns = turns.lock().expect("a panic of another worker ends the work");
            let (next, waiting, take) = &mut *turns;
            waiting.insert(i, result);
            while let Some(result) = waiting.remove(&*next) {
                take(result);
                *next += 1;
            }
        };
        self.install(|| items.enumerate().par_bridge().for_each(each));
    }
}

/// Seconds of the processor that this thread has had so far; where the system does not tell, of the clock.
pub fn cpu_seconds() -> f64 {
    #[cfg(unix)]
    {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes into `time` alone.
        if unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) } == 0 {
            return time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64;
        }
    }
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn waiting_takes_no_time_of_the_processor() {
        let start = cpu_seconds();
        std::thread::sleep(Duration::from_millis(50));
        let slept = cpu_seconds();
        assert!(slept - start < 0.04);
        let clock = std::time::Instant::now();
        while clock.elapsed() < Duration::from_millis(50) {}
        assert!(cpu_seconds() > slept);
    }

    #[test]
    fn results_are_taken_in_order_on_any_number_of_threads() {
        for threads in [1, 3] {
            let mut taken = Vec::new();
            // Later items are done sooner.
            let work = |i: u64| {
                std::thread::sleep(Duration::from_micros(50 * (20 - i)));
                i
            };
            Workers::new(threads).expect("threads").in_order(0..20, work, |i| taken.push(i));
            assert!(taken.into_iter().eq(0..20), "{threads} threads");
        }
    }
}
