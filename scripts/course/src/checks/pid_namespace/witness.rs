//! A standard error that tells who has written: a socket on which the kernel notes the sender.
//!
//! unix(7), SO_PASSCRED: each message comes with the PID of the process that sent it, as the
//! receiver counts. No program can write there in another's name without being root, nor does
//! a wrong one think of it.

use super::super::run::{PATIENCE, until};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, setsockopt,
    socketpair, sockopt::PassCred,
};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};

/// One line or a part of one, and who wrote it.
pub struct Said {
    /// The PID of the writer, as we count.
    pub by: u32,
    /// What it wrote.
    pub text: String,
}

/// How the program ended, and all that was written to its standard error.
pub struct Heard {
    /// The program's PID.
    pub pid: u32,
    /// Its exit code; `None` if it had to be killed.
    pub code: Option<i32>,
    /// In the order of writing.
    pub said: Vec<Said>,
}

/// Runs a command to its end and listens.
pub fn listen(command: &mut Command) -> Heard {
    let kind = (AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC);
    let (ours, theirs) = socketpair(kind.0, kind.1, None, kind.2).expect("a socket pair");
    setsockopt(&ours, PassCred, &true).expect("an option of every Unix socket");
    command.stdout(Stdio::null()).stderr(Stdio::from(theirs));
    let mut child = command.spawn().expect("the program can be executed");
    command.stderr(Stdio::null()); // drops our copy of their end
    let ended = until(PATIENCE, || child.try_wait().expect("our own child"));
    let _ = child.kill();
    let _ = child.wait();
    let mut said = Vec::new();
    while let Some(one) = receive(&ours) {
        said.push(one);
    }
    Heard { pid: child.id(), code: ended.and_then(|status| status.code()), said }
}

fn receive(socket: &OwnedFd) -> Option<Said> {
    let mut buffer = [0; 4096];
    let mut control = vec![0; 128];
    let (by, length) = {
        let mut pieces = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<()>(socket.as_raw_fd(), &mut pieces, Some(&mut control), flags).ok()?;
        let sender = message.cmsgs().ok()?.find_map(|message| match message {
            ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.pid() as u32),
            _ => None,
        });
        (sender.unwrap_or_default(), message.bytes)
    };
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    (length > 0).then_some(Said { by, text })
}
