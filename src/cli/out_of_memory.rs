//! Work that asks for more memory than there is ends with a sentence, not with a panic.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind};

use crate::error::{Error, Result};

/// The result of `work`; where LibTorch was refused an allocation, an error that says so. tch panics with LibTorch's message,
/// and rayon carries the panic of a thread to its caller.
pub fn told<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info: &PanicHookInfo| {
        if refused(info.payload()).is_none() {
            usual(info);
        }
    }));
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Err(Error::Torch(error))) => Err(of_text(&error.to_string()).unwrap_or(Error::Torch(error))),
        Ok(result) => result,
        Err(payload) => Err(refused(&*payload).unwrap_or_else(|| resume_unwind(payload))),
    }
}

fn refused(payload: &dyn Any) -> Option<Error> {
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied())?;
    of_text(text)
}

/// What LibTorch's message is about, if it is about memory. On the CPU it says how many bytes it tried to allocate, on a GPU
/// how many GiB.
fn of_text(text: &str) -> Option<Error> {
    if !(text.contains("can't allocate memory") || text.contains("out of memory")) {
        return None;
    }
    let tried = text.to_lowercase();
    let tried = tried.split_once("tried to allocate ").map_or("", |(_, rest)| rest);
    let mut words = tried.split_whitespace();
    let what = match (words.next(), words.next()) {
        (Some(bytes), Some(unit)) if unit.starts_with("byte") => bytes.parse().map_or(0.0, |bytes: f64| bytes / GIB),
        (Some(number), Some(unit)) if unit.starts_with("gib") => number.parse().unwrap_or(0.0),
        (Some(number), Some(unit)) if unit.starts_with("mib") => number.parse().unwrap_or(0.0) / 1024.0,
        _ => 0.0,
    };
    Some(Error::Memory {
        what: if what > 0.0 { format!("{what:.2} GiB more were asked for") } else { "LibTorch asked for more".into() },
        remedy: "lower sample.chunk, train.micro_batch or train.batch, or take a smaller network; `ornstein check` estimates \
                 what is needed, and a training goes on from its last checkpoint with --resume"
            .into(),
    })
}

const GIB: f64 = (1u64 << 30) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_libtorch_are_understood() {
        let cpu = "called `Result::unwrap()` on an `Err` value: Torch(\"[enforce fail at alloc_cpu.cpp:124] err == 0. \
                   DefaultCPUAllocator: can't allocate memory: you tried to allocate 10737418240 bytes. Error code 12\")";
        let gpu = "CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total capacity of 79.11 GiB";
        for (text, what) in [(cpu, "10.00 GiB more were asked for"), (gpu, "0.50 GiB more were asked for")] {
            let error = told::<()>(|| panic!("{text}")).expect_err("a refusal");
            assert!(error.to_string().starts_with(&format!("out of memory ({what}); lower sample.chunk")), "{error}");
            assert_eq!(error.exit_code(), 1);
        }
        assert!(of_text("index out of range").is_none());
    }
}
