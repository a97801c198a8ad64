//! Reads files of `/proc/PID`, and finds the reader's own number there.
//!
//! `/proc` is made up by the kernel at the moment of reading (`proc(5)`): nothing is stored, a
//! file of it is an answer to a question. A `/proc` belongs to one PID namespace, that of the
//! process which mounted it, and all the numbers in it are that namespace's.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io;

/// The text of `/proc/PID/FILE`. Bytes that are not UTF-8 (a process may call itself anything)
/// become `U+FFFD`.
///
/// # Errors
/// The path and the errno: `ENOENT` or `ESRCH` if the process is gone, `EACCES` or `EPERM` if
/// the reader may not see this.
pub fn read(pid: u32, file: &str) -> Result<String> {
    let bytes = read_bytes(pid, file)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The bytes of `/proc/PID/FILE`; see [`read`].
pub fn read_bytes(pid: u32, file: &str) -> Result<Vec<u8>> {
    let path = format!("/proc/{pid}/{file}");
    fs::read(&path).with_context(|| format!("cannot read {path}"))
}

/// What the link `/proc/PID/FILE` says; errors as in [`read`].
pub fn read_link(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    let target = fs::read_link(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(target.to_string_lossy().into_owned())
}

/// The PID of the calling process as this `/proc` counts, which is not what `getpid(2)` says if
/// `/proc` was mounted from another PID namespace.
///
/// # Errors
/// `/proc` is not mounted, or its namespace does not contain the caller. Both carry a hint.
pub fn own_pid() -> Result<u32> {
    const HINT: &str = "hint: mount -t proc proc /proc";
    if fs::symlink_metadata("/proc/self").is_err() {
        bail!("cannot read /proc: it is not mounted\n{HINT}");
    }
    let link = fs::read_link("/proc/self").with_context(|| {
        format!("cannot read /proc/self: this /proc is of a PID namespace you are not in\n{HINT}")
    })?;
    let link = link.to_string_lossy();
    link.parse().with_context(|| format!("/proc/self is {link:?}, not a PID"))
}

/// Whether an error means that the kernel refused, rather than that there is nothing.
pub fn is_refusal(error: &anyhow::Error) -> bool {
    kind(error) == Some(io::ErrorKind::PermissionDenied)
}

/// Whether an error means that the process is gone: `ENOENT` on the way to its file, `ESRCH` if
/// it ended between opening and reading.
pub fn is_gone(error: &anyhow::Error) -> bool {
    const ESRCH: i32 = 3;
    kind(error) == Some(io::ErrorKind::NotFound) || errno(error) == Some(ESRCH)
}

fn errno(error: &anyhow::Error) -> Option<i32> {
    error.root_cause().downcast_ref::<io::Error>()?.raw_os_error()
}

fn kind(error: &anyhow::Error) -> Option<io::ErrorKind> {
    Some(error.root_cause().downcast_ref::<io::Error>()?.kind())
}
