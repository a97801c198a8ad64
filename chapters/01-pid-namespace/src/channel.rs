//! The line between a parent and the child it has just cloned.
//!
//! One socket pair carries both messages: one byte down ("go on"), one text up ("it failed").
//! Both ends are close-on-exec, so the kernel itself tells the parent of success: at the exec the
//! child's end closes and the parent reads the end of the file. A socket pair of the SEQPACKET
//! kind keeps messages whole (unix(7)), and the death of either side is seen by the other.

use crate::Failure;
use anyhow::{Context, Result, bail};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::unistd::{read, write};
use std::convert::Infallible;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The parent's end.
pub struct Parent(OwnedFd);

/// The child's end.
pub struct Child(OwnedFd);

/// A new channel.
pub fn pair() -> Result<(Parent, Child)> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .context("cannot make a socket pair")?;
    Ok((Parent(ours), Child(theirs)))
}

impl Parent {
    /// Tells the child that all is ready for it outside.
    pub fn let_go_on(&self) -> Result<()> {
        // A child that is dead already is reported by `outcome`; SIGPIPE would be no help here.
        let _ = send(self.0.as_raw_fd(), &[0], MsgFlags::MSG_NOSIGNAL);
        Ok(())
    }

    /// Waits until the child has become the command, or has failed and said why.
    pub fn outcome(&self) -> Result<()> {
        let mut message = [0; 4096];
        loop {
            return match read(&self.0, &mut message) {
                Ok(0) => Ok(()),
                Ok(length) => Err(Failure::from_bytes(&message[..length]).into()),
                Err(nix::Error::EINTR) => continue,
                // The child died without a word, with our byte still unread.
                Err(nix::Error::ECONNRESET) => Ok(()),
                Err(errno) => Err(errno).context("cannot hear from the child"),
            };
        }
    }
}

impl Child {
    /// Waits for the parent's word. An end of file means that the parent has died.
    pub fn wait(&self) -> Result<()> {
        let said = self.hear(MsgFlags::empty()).context("cannot hear from the parent")?;
        // A parent may say its word and die before we ask to die with it; then no signal comes.
        // So we look again, now that we have asked: after a death there is an end of file.
        if said == 0 || self.hear(MsgFlags::MSG_DONTWAIT) == Ok(0) {
            bail!("the parent has died");
        }
        Ok(())
    }

    /// Reads a message and returns its length; 0 at the end of the file.
    fn hear(&self, flags: MsgFlags) -> nix::Result<usize> {
        loop {
            match recv(self.0.as_raw_fd(), &mut [0], flags) {
                Err(nix::Error::EINTR) => continue,
                other => return other,
            }
        }
    }

    /// Runs the child's side of a clone: it never comes back into the code that cloned it,
    /// neither by an error nor by a panic. (A release build aborts at a panic, and cleans up less.)
    pub fn run(&self, begin: impl FnOnce() -> Result<Infallible>) -> ! {
        let failure = match catch_unwind(AssertUnwindSafe(begin)) {
            Ok(Ok(never)) => match never {},
            Ok(Err(error)) => Failure::from_error(&error),
            Err(_) => Failure { status: 101, message: "the child panicked, see above".into() },
        };
        let _ = write(&self.0, &failure.to_bytes());
        sys::exit_now(failure.status)
    }
}
