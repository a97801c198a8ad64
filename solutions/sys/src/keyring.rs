//! Takes a new keyring for the session: `keyctl(2)`.

use std::io;

/// Gives the calling process a new, empty session keyring in place of the one that it has.
///
/// It gets no name: one with a name would be joined by the next who asks for it.
pub fn new_session_keyring() -> io::Result<()> {
    // SAFETY: a null pointer is what the call takes for "no name"; nothing of ours is read.
    crate::result(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING as libc::c_long,
            std::ptr::null::<libc::c_char>(),
        )
    })
    .map(drop)
}
