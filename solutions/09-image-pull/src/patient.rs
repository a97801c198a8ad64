//! Calls openat2(2) again when a rename elsewhere on the machine has made the kernel unsure.
//!
//! To resolve `..` inside a root, the kernel has to be certain that nothing was moved meanwhile.
//! If any folder was, it gives up with EAGAIN and leaves it to us to try again (openat2(2), ERRORS).

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};
use rustix::path::Arg;
use std::os::fd::{AsFd, OwnedFd};

/// `rustix::fs::openat2`, and never EAGAIN.
pub(crate) fn openat2<P: Arg + Copy>(
    folder: impl AsFd,
    path: P,
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> Result<OwnedFd> {
    loop {
        match rustix::fs::openat2(&folder, path, flags, mode, resolve) {
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
}
