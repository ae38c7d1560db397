//! The memory of this process and of this machine, as Linux counts it; other systems give no figures.

use std::fs;

/// What this process holds, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Resident {
    /// Now.
    pub now: u64,
    /// At most, since the process started or [`forget_peak`] was called.
    pub peak: u64,
}

/// What this process holds.
pub(super) fn resident() -> Option<Resident> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(Resident { now: kibibytes(&status, "VmRSS:")?, peak: kibibytes(&status, "VmHWM:")? })
}

/// Bytes that were allocated and not freed; differences of it count, as it starts anew at 4 GiB.
pub(super) fn allocated() -> Option<i32> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it reads the allocator's counters.
        let counters = unsafe { libc::mallinfo() };
        Some(counters.uordblks.wrapping_add(counters.hblkhd))
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    None
}

/// Gives freed memory back to the system, which [`crate::tensor::keep_memory`] keeps, so that what is used next shows.
pub(super) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it touches free memory only, under the allocator's locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Makes the peak what the process holds now, where the system allows it.
pub(super) fn forget_peak() {
    // A peak that stays is one that is too high: an estimate from it is too.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// What this machine, or the group that the process runs in, has in all.
pub(super) fn installed() -> Option<u64> {
    let machine = kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    Some(group.unwrap_or(u64::MAX).min(machine))
}

/// The number in a line such as `VmRSS:     1234 kB`, in bytes.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|number| number << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read() {
        let text = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!((kibibytes(text, "VmHWM:"), kibibytes(text, "VmRSS:")), (Some(2 << 20), Some(1 << 20)));
        assert_eq!(kibibytes(text, "VmPeak:"), None);
    }

    /// What other tests allocate and free meanwhile would count too.
    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn what_is_allocated_is_seen() {
        let tests = std::env::current_exe().expect("a test binary");
        let alone = ["--exact", "experiment::memory::tests::alone_what_is_allocated_is_seen", "--ignored"];
        let outcome = std::process::Command::new(tests).args(alone).output().expect("it starts");
        let said = String::from_utf8_lossy(&outcome.stdout);
        assert!(outcome.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[ignore = "started by `what_is_allocated_is_seen`, in a process of its own"]
    fn alone_what_is_allocated_is_seen() {
        let (before, counted) = (resident().expect("Linux tells"), allocated().expect("glibc tells"));
        let block = vec![1u8; 64 << 20];
        let (after, more) = (resident().expect("Linux tells"), allocated().expect("glibc tells").wrapping_sub(counted));
        let size = 64i64 << 20;
        assert_eq!(block.len() as i64, size);
        assert!((i64::from(more) - size).abs() < 1 << 20, "{more}");
        assert!((after.now as i64 - before.now as i64 - size).abs() < 4 << 20, "{before:?} {after:?}");
        assert!(after.peak >= after.now && installed().expect("Linux tells") > after.now);
    }
}
