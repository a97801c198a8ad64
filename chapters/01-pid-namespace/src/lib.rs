//! Starts a command that believes it is the first process in the world.
//!
//! Linux starts a program in two steps: *clone* makes a new process as a copy of the caller, and
//! in that copy *exec* replaces the program by another. What a container differs in is arranged
//! at the first step, or between the two.
//!
//! A *PID namespace* is a numbering of processes. The first process cloned into a new one is its
//! PID 1, and no process in there can name one outside. We, outside, see all of them under other
//! numbers (pid_namespaces(7)). So does `ps` in the container: it reads /proc, which is still the
//! host's until chapter 02. Being number 1 is an office, with duties that this file teaches:
//!
//! - the kernel ends the whole namespace when PID 1 ends, so a container lives as long as it does;
//! - orphans become children of PID 1, which has to collect them ([`init`]);
//! - a signal without a handler does nothing to PID 1: it must be asked politely ([`signals`]).
//!
//! Every later chapter builds on [`start`], the only clone in the house. `Result<Infallible>` is
//! what a function returns that comes back only if it fails: in success the process has become
//! another program, or has ended.

mod channel;
mod clone3;
mod exec;
mod finish;
mod guard;
pub mod signals;

pub use clone3::Birthplace;
pub use exec::{Failure, cstrings, environment, exec};
pub use finish::{finish, parse};
pub use guard::Guard;
pub use signals::Signals;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{set_dumpable, set_pdeathsig};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::Pid;
use rustix::process::{WaitId, WaitIdOptions, WaitOptions, waitid};
use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use sys::Fork;

/// The naive first try: ask for a new PID namespace, then become the command.
///
/// It does not work, and that is the lesson: a process never changes its own PID. `unshare(2)`
/// only decides where the *children* to come will be born, so the command runs on under its old
/// number, and the first child it makes is PID 1 of a world it does not live in. When that child
/// ends, its world ends, and the command can make no further child (ENOMEM).
pub fn unshare_and_exec(argv: &[CString]) -> Result<Infallible> {
    unshare(CloneFlags::CLONE_NEWPID)
        .context("cannot unshare the PID namespace\nhint: only root may: run it again with sudo")?;
    exec(argv, &environment())
}

/// A process that [`start`] made. Dropping it kills the process, if it still lives, and buries it.
pub struct Child {
    /// The process ID that we see; inside its namespace the child is PID 1.
    pub pid: Pid,
    /// A descriptor of this very process, even if its number is used again (pidfd_open(2)).
    pub pidfd: OwnedFd,
}

/// Starts a process in new `namespaces` and returns when it has become the command.
///
/// The child waits until `parent_setup` has run with its PID, then runs `child`, which prepares
/// the container and ends in [`exec`]. If any of the three fails, nothing is left running and the
/// error, also one from inside the child, is returned here: a [`Failure`] says with which status
/// to exit. The caller must be single-threaded, because a clone copies one thread alone; its own
/// namespaces, folder and signal mask stay.
pub fn start(
    namespaces: impl Into<Birthplace>,
    parent_setup: impl FnOnce(Pid) -> Result<()>,
    child: impl FnOnce() -> Result<Infallible>,
) -> Result<Child> {
    let (ours, theirs) = channel::pair()?;
    // Exercise 1, pid_start: clone into the namespaces; the child begins, the parent lets it go on
    // Child: begin, inside theirs.run. Parent: parent_setup, ours.let_go_on, ours.outcome.
    // clone3::into_namespaces returns in both, as a Fork; each holds both ends of the channel.
    todo!("pid_start")
}

/// The first steps of every child, in the order in which nothing can slip through.
fn begin(
    parent: &channel::Child,
    child: impl FnOnce() -> Result<Infallible>,
) -> Result<Infallible> {
    die_with_parent()?; // from here on, a SIGKILL to our parent is one to us
    parent.wait()?; // if it died before that line, this ends us instead
    sys::default_signal_handlers(); // what our parent ignores is no business of the command,
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?; // nor what it blocks
    child()
}

/// Asks the kernel to SIGKILL us when the thread that cloned us ends (PR_SET_PDEATHSIG, prctl(2)).
///
/// The death of PID 1 takes the rest of its namespace along, so nothing of a container survives
/// the program that runs it. The kernel forgets the wish when we change user or group, or execute
/// a set-user-ID program. A command that does so is ended by its [`Guard`].
pub fn die_with_parent() -> Result<()> {
    set_pdeathsig(Signal::SIGKILL).context("cannot ask to die with the parent")
}

/// Waits for the end of `child` and returns the status with which to exit ourselves.
///
/// A shell expects the command's own status, and 128 + N when signal N ended it (bash(1), EXIT
/// STATUS), because a status is one byte and a signal has no place in it.
pub fn wait(child: &Child) -> Result<u8> {
    let ended = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED)
        .with_context(|| format!("cannot wait for process {}", child.pid))?
        .context("waitid(2) came back without waiting")?;
    Ok(exit_code(ended.exit_status(), ended.terminating_signal()))
}

/// A process has either exited by itself, with a status, or was ended by a signal. One is there.
fn exit_code(status: Option<i32>, signal: Option<i32>) -> u8 {
    // Exercise 2, pid_wait: make one byte of the two, so that a shell can tell what happened
    todo!("pid_wait")
}

/// PID 1 for a command that does not know how to be PID 1: starts it as PID 2, passes signals on
/// to it, collects every orphan, and exits with the command's status.
///
/// A process that has ended stays in the table, as a *zombie*, until its parent asks for its status
/// (wait(2)). Orphans' zombies pile up where PID 1 never asks. This is what `docker run --init`
/// puts into a container.
pub fn init(child: impl FnOnce() -> Result<Infallible>) -> Result<Infallible> {
    set_dumpable(false)?; // we never exec: our memory is our caller's, and no business of the command
    let signals = Signals::block_with_sigchld()?;
    let command = start(CloneFlags::empty(), |_| Ok(()), child)?;
    // We never exec, so close-on-exec never comes. Among what we close is the channel to our own
    // parent, which learns in this way that the command is running.
    sys::close_all_but(&[signals.as_fd(), command.pidfd.as_fd()])?;
    // Exercise 3, pid_reap: collect whoever has ended; exit when it is the command; pass signals on
    // signals.read waits for the next signal; SIGCHLD says that at least one child has ended.
    // You need reap below, received.pass_on_to and sys::exit_now.
    todo!("pid_reap")
}

/// Collects one child that has ended, ours or adopted; `None` if all that are left still run.
fn reap() -> Result<Option<(Pid, u8)>> {
    let ended = rustix::process::wait(WaitOptions::NOHANG).context("cannot wait for children")?;
    Ok(ended.map(|(pid, status)| {
        let code = exit_code(status.exit_status(), status.terminating_signal());
        (Pid::from_raw(pid.as_raw_pid()), code)
    }))
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail, and harmlessly, for a child that has been waited for.
        let _ = signals::send(self, Signal::SIGKILL);
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
    }
}
