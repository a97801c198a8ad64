//! To be written.
use std::{ffi::OsStr, os::fd::BorrowedFd};

/// Turns a layer's marker for "nothing" into overlayfs's own. `false`: `name` is no marker.
pub fn whiteout(_dir: BorrowedFd, _name: &OsStr) -> anyhow::Result<bool> {
    todo!()
}
