//! Gives a container a keyring of its own.
//!
//! The kernel keeps keys for programs, passwords of network file systems and the like, in
//! *keyrings* (keyrings(7)), and no namespace divides them: a container begins with the session
//! keyring of whoever started it, and may read what hangs there. A new, empty one takes its place.

use anyhow::{Context, Result};
use rustix::io::Errno;

/// Begins with an empty session keyring, which goes when the last process that uses it ends.
pub fn own() -> Result<()> {
    match sys::new_session_keyring() {
        // No keys in this kernel (CONFIG_KEYS), or somebody's filter keeps us from them all.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOSYS) => Ok(()),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => Ok(()),
        other => other.context(
            "cannot make a keyring\nhint: /proc/key-users shows how many keys a user may have",
        ),
    }
}
