//! Closes descriptors that nobody asked for: `close_range(2)`, since Linux 5.9.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// Closes every descriptor above 2 except those in `keep`.
///
/// A descriptor is a key: whoever started us may have left the key to a folder of the host in
/// the lock, and a container that inherits it walks out through it (CVE-2024-21626). Call this
/// where nothing else is open that somebody still means to use: first thing in `main`, or in a
/// process that will never return to the code that opened the rest.
pub fn close_all_but(keep: &[BorrowedFd]) -> io::Result<()> {
    let mut kept: Vec<RawFd> = keep.iter().map(|fd| fd.as_raw_fd()).filter(|fd| *fd > 2).collect();
    kept.sort_unstable();
    let mut first = 3;
    for fd in kept {
        close_range(first, fd - 1)?;
        first = fd + 1;
    }
    close_range(first, RawFd::MAX)
}

/// Closes `first..=last`; an empty range is nothing to do.
fn close_range(first: RawFd, last: RawFd) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: the call touches no memory of ours. That no owner of a closed descriptor uses it
    // later is what the doc comment of `close_all_but` asks of its callers.
    crate::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}
