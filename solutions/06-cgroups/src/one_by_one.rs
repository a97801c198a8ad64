//! Kills a group process by process, for kernels before 5.14 and for version 1.
//!
//! They are frozen first: what stands still does not fork. A frozen process of version 2 dies of
//! SIGKILL as it stands; one of version 1 only when it is thawed.

use crate::{files, freeze, thaw};
use anyhow::Result;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;
use std::fs;
use std::path::Path;

/// Sends SIGKILL to every process of the group and of those below it.
pub fn kill(folder: &Path) -> Result<()> {
    // A process that sleeps in the kernel for long can't be frozen, nor can it fork.
    let _ = freeze(folder);
    let killed = kill_listed(folder);
    thaw(folder)?;
    killed
}

/// The same without the freezing. A number stays what it is while its process is in the group, and
/// a frozen process does not end by itself.
pub fn kill_listed(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            kill_listed(&entry.path())?;
        }
    }
    let listed = files::read(folder, "cgroup.procs")?;
    // 0 is a process that our PID namespace has no number for, and to kill(2) it is ourselves.
    for pid in listed.lines().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid > 0) {
        match send(Pid::from_raw(pid), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
