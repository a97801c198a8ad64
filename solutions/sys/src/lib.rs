//! The system calls that nix and rustix lack, one safe function each.
//!
//! This is the only crate of the house that contains `unsafe`. Whoever wants to know whether
//! Coracle can corrupt memory reads these few pages and nothing else. Each function is safe to
//! call because it refuses, at run time, the arguments that would make it unsafe; the SAFETY
//! comments name the condition and where it is met.
//!
//! Errors are [`std::io::Error`] with the kernel's errno; the callers add the path and the hint.

mod clone3;
mod descriptors;
mod device_filter;
mod exit;
mod keyring;
mod mount_setattr;
mod seccomp;
mod signals;

pub use clone3::{Fork, clone3};
pub use descriptors::close_all_but;
pub use device_filter::attach_device_filter;
pub use exit::exit_now;
pub use keyring::new_session_keyring;
pub use mount_setattr::{MountAttributes, mount_setattr};
pub use seccomp::{Instruction, NEW_LISTENER, seccomp};
pub use signals::default_signal_handlers;

/// Turns the return value of a raw system call into a result.
fn result(returned: libc::c_long) -> std::io::Result<libc::c_long> {
    if returned < 0 { Err(std::io::Error::last_os_error()) } else { Ok(returned) }
}
