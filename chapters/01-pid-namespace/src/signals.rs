//! Passes signals on to a container while waiting for it.
//!
//! PID 1 of a namespace is immune to every signal for which it has no handler, SIGTERM and
//! Ctrl-C included (pid_namespaces(7), signal(7)); only SIGKILL and SIGSTOP from outside always
//! work. So a program that stops politely must hear the signal, and it hears it from us.
//!
//! We wait for signals and for the child's end at once: signals as reads from a descriptor
//! (signalfd(2)), the end as a pidfd that becomes readable (pidfd_open(2)).

use crate::Child;
use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, killpg, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpgrp, getpid, getsid, tcgetpgrp, tcsetpgrp};
use std::io::{IsTerminal, stdin};
use std::os::fd::{AsFd, BorrowedFd};

/// What a container hears when we hear it.
const PASSED_ON: [Signal; 7] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

/// `SI_KERNEL` of siginfo: sent by the kernel, for these signals by the terminal's driver.
const SI_KERNEL: i32 = 0x80;

/// Holds signals back from their usual effect, so that they can be read and passed on.
///
/// Made before the child, so that none is lost in between; when it is dropped, the mask is as it
/// was and the terminal is ours again.
pub struct Signals {
    descriptor: SignalFd,
    mask_before: SigSet,
    foreground: Option<Pid>,
}

/// One signal that arrived.
pub struct Received {
    /// Which one.
    pub signal: Signal,
    /// Was it the terminal that sent it (a key, a hang-up, a resize), not a process?
    pub from_terminal: bool,
}

impl Signals {
    /// Holds back the signals that a container should hear.
    pub fn block() -> Result<Signals> {
        Signals::of(PASSED_ON.into_iter().collect())
    }

    /// For an init, which must also hear of its children's end.
    pub(crate) fn block_with_sigchld() -> Result<Signals> {
        Signals::of(PASSED_ON.into_iter().chain([Signal::SIGCHLD]).collect())
    }

    fn of(set: SigSet) -> Result<Signals> {
        let mask_before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let descriptor = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { descriptor, mask_before, foreground: our_foreground() })
    }

    /// Waits for the next signal.
    pub fn read(&self) -> Result<Received> {
        loop {
            match self.descriptor.read_signal() {
                Ok(Some(info)) => {
                    return Ok(Received {
                        signal: Signal::try_from(info.ssi_signo as i32)?,
                        from_terminal: info.ssi_code == SI_KERNEL,
                    });
                }
                Ok(None) | Err(nix::Error::EINTR) => {}
                Err(errno) => return Err(errno).context("cannot read from the signalfd"),
            }
        }
    }

    /// Passes signals on to `child` until it has ended; then [`crate::wait`] collects it.
    pub fn pass_on_to(&self, child: &Child) -> Result<()> {
        loop {
            let mut ready = [
                PollFd::new(child.pidfd.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, PollTimeout::NONE) {
                Err(nix::Error::EINTR) => continue,
                other => other.context("cannot poll")?,
            };
            if ready[0].any() == Some(true) {
                return Ok(());
            }
            if ready[1].any() == Some(true) {
                self.read()?.pass_on_to(child)?;
            }
        }
    }
}

impl Received {
    /// Sends the same signal to `child`.
    ///
    /// What the terminal sends goes to the whole foreground group, and the child is in it: such a
    /// signal has reached the child already, and passed on it would arrive twice. Unless the child
    /// has left our session; and the news that the terminal itself is gone goes to one process
    /// only, the leader of the session (setsid(2)).
    pub fn pass_on_to(&self, child: &Child) -> Result<()> {
        let has_left = getsid(Some(child.pid)) != getsid(None);
        let is_to_leader = self.signal == Signal::SIGHUP && getsid(None) == Ok(getpid());
        let for_us_alone = has_left || is_to_leader;
        if self.from_terminal && !for_us_alone { Ok(()) } else { send(child, self.signal) }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        if let Some(group) = self.foreground {
            take_back_terminal(group);
        }
        let _ = self.mask_before.thread_set_mask();
    }
}

/// Sends `signal` to this very process, even if its number has been given to another by now.
pub fn send(child: &Child, signal: Signal) -> Result<()> {
    let signal =
        rustix::process::Signal::from_named_raw(signal as i32).context("no such signal")?;
    match rustix::process::pidfd_send_signal(&child.pidfd, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()), // it has just ended: also fine
        Err(errno) => Err(errno).with_context(|| format!("cannot signal process {}", child.pid)),
    }
}

/// Our process group, if it is the one that the terminal listens to.
fn our_foreground() -> Option<Pid> {
    let group = getpgrp();
    (stdin().is_terminal() && tcgetpgrp(stdin()) == Ok(group)).then_some(group)
}

/// A shell in the container makes itself the foreground group and does not undo it at its end.
/// We take over from the dead alone: a group that lives is our own, or that of the user's shell,
/// which has moved us to the background meanwhile.
/// Setting the group from the background raises SIGTTOU, so that is held back.
fn take_back_terminal(group: Pid) {
    let Ok(foreground) = tcgetpgrp(stdin()) else { return };
    if killpg(foreground, None) != Err(nix::Error::ESRCH) {
        return;
    }
    let mut ttou = SigSet::empty();
    ttou.add(Signal::SIGTTOU);
    let mut before = SigSet::empty();
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ttou), Some(&mut before));
    let _ = tcsetpgrp(stdin(), group);
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
}
