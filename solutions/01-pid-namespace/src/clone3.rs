//! Wraps `sys::clone3` with the errors of a first try: no privilege, no kernel support, a limit.

use anyhow::{Context, Result};
use nix::Error;
use nix::sched::CloneFlags;
use nix::unistd::geteuid;
use std::os::fd::{AsFd, OwnedFd};
use sys::Fork;

/// Where a process is born: in which new namespaces, and in whose group.
///
/// Flags alone become one by themselves; the group is a matter of chapter 06.
pub struct Birthplace {
    /// The new namespaces.
    pub namespaces: CloneFlags,
    /// The folder of a cgroup of version 2; `None` for that of the parent.
    pub cgroup: Option<OwnedFd>,
}

impl From<CloneFlags> for Birthplace {
    fn from(namespaces: CloneFlags) -> Birthplace {
        Birthplace { namespaces, cgroup: None }
    }
}

/// Clones the calling process into new namespaces.
pub fn into_namespaces(place: impl Into<Birthplace>) -> Result<Fork> {
    let Birthplace { namespaces, cgroup } = place.into();
    sys::clone3(namespaces.bits() as u64, cgroup.as_ref().map(AsFd::as_fd))
        .map_err(|error| {
            let errno = Error::from_raw(error.raw_os_error().unwrap_or(0));
            let hint = match errno {
                // Chapter 04 knows why.
                Error::EPERM | Error::ENOSPC if namespaces.contains(CloneFlags::CLONE_NEWUSER) => "",
                Error::EPERM if geteuid().is_root() => {
                    "\nhint: root without CAP_SYS_ADMIN, as in another container, may not do this"
                }
                Error::EPERM => "\nhint: only root may do this: run it again with sudo",
                Error::ENOSPC => {
                    "\nhint: PID namespaces nest 32 deep at most; other limits are in /proc/sys/user"
                },
                Error::ENOSYS => "\nhint: clone3 needs Linux 5.3, or is filtered here by seccomp",
                Error::EBUSY if cgroup.is_some() => {
                    "\nhint: the cgroup hands controllers on to others, so no process may be in it"
                }
                Error::EBUSY => "\nhint: only a single-threaded process may clone itself",
                Error::EOPNOTSUPP => "\nhint: its cgroup is one of threads: cat cgroup.type",
                Error::EAGAIN => "\nhint: a limit of processes is reached: ulimit -u, or pids.max",
                Error::EACCES if cgroup.is_some() => {
                    "\nhint: into a cgroup comes whoever may write to its cgroup.procs and to that \
                     of the group above both"
                }
                _ => "",
            };
            anyhow::Error::new(error)
                .context(format!("cannot clone into new namespaces ({}){hint}", names(namespaces)))
        })
        .context("cannot start a process")
}

/// The namespaces by their names in /proc/PID/ns: `pid, mnt`.
fn names(namespaces: CloneFlags) -> String {
    let known = [
        (CloneFlags::CLONE_NEWPID, "pid"),
        (CloneFlags::CLONE_NEWNS, "mnt"),
        (CloneFlags::CLONE_NEWUTS, "uts"),
        (CloneFlags::CLONE_NEWIPC, "ipc"),
        (CloneFlags::CLONE_NEWUSER, "user"),
        (CloneFlags::CLONE_NEWNET, "net"),
        (CloneFlags::CLONE_NEWCGROUP, "cgroup"),
    ];
    let asked = known.iter().filter(|(flag, _)| namespaces.contains(*flag));
    asked.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}
