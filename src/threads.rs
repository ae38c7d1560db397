//! Worker threads for chunks of a batch, each with one LibTorch thread.
//!
//! LibTorch's own OpenMP threads collapse when cores are shared with other work; chunks that run side by side do not,
//! and keep their activations in cache.

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
}
