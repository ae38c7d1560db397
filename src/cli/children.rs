//! Other processes of this program, which stop when it is told to stop.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard};

/// The children that run, and whether no more may start.
static RUNNING: Mutex<Running> = Mutex::new(Running { ids: Vec::new(), stopping: false });

struct Running {
    ids: Vec<u32>,
    stopping: bool,
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Starts a child; none if the user wants to stop.
pub fn start(command: &mut Command) -> io::Result<Option<Child>> {
    detach(command);
    // Under the lock, so that no child starts unseen while the others are told to stop.
    let mut running = running();
    if running.stopping {
        return Ok(None);
    }
    let child = command.spawn()?;
    running.ids.push(child.id());
    Ok(Some(child))
}

/// Waits for a child that is about to end: its standard error is closed.
pub fn finish(mut child: Child) -> io::Result<ExitStatus> {
    // Under the lock, so that nobody sends a signal to a number that is free for another process.
    let mut running = running();
    let status = child.wait();
    running.ids.retain(|id| *id != child.id());
    status
}

/// Passes Ctrl-C on: children write a checkpoint, and stop at once the second time.
pub fn interrupt() {
    let mut running = running();
    running.stopping = true;
    running.ids.iter().copied().for_each(signal);
}

#[cfg(unix)]
fn signal(id: u32) {
    // SAFETY: kill takes two numbers; the process is a child that nobody has waited for yet.
    unsafe {
        libc::kill(id as libc::pid_t, libc::SIGINT);
    }
}

/// Elsewhere the terminal tells every process by itself.
#[cfg(not(unix))]
fn signal(_: u32) {}

/// Ctrl-C in a terminal goes to a whole group of processes. Children in groups of their own hear of it from us alone,
/// once each time; twice would end them without a checkpoint.
#[cfg(unix)]
fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
    // When this program is killed, its children write a checkpoint, so that they do not meet those of the next one.
    #[cfg(target_os = "linux")]
    // SAFETY: prctl with these numbers is a bare system call, which may stand between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT);
            Ok(())
        });
    }
}

#[cfg(not(unix))]
fn detach(_: &mut Command) {}
