//! Ends a container whose first process has forgotten the wish to die with us.
//!
//! The kernel drops that wish, PR_SET_PDEATHSIG, when a process changes its user or executes a
//! set-user-ID program (prctl(2)), and many a command begins with just that (`su`, `gosu`). So
//! beside each container waits a second process of ours, which never changes anything: it looks
//! at both sides through pidfds, and when we are gone and the container is not, it kills it.

use crate::{Child, signals};
use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_name;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{Pid, chdir, setsid};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use std::os::fd::{AsFd, OwnedFd};
use sys::Fork;

/// A process that watches over a container for as long as this value lives.
#[derive(Default)]
pub struct Guard(Option<Child>);

impl Guard {
    /// Watches over the container whose first process is `pid`: to be called before it runs.
    pub fn watch_over(&mut self, pid: Pid) -> Result<()> {
        let open = |pid| pidfd_open(pid, PidfdFlags::empty()).context("cannot open a pidfd");
        let container = rustix::process::Pid::from_raw(pid.as_raw()).context("no such process")?;
        let (us, container) = (open(getpid())?, open(container)?);
        match sys::clone3(0, None).context("cannot start a guard")? {
            Fork::Child => watch(&us, Child { pid, pidfd: container }),
            Fork::Parent { pid, pidfd } => {
                self.0 = Some(Child { pid: Pid::from_raw(pid), pidfd });
                Ok(())
            }
        }
    }
}

/// Waits for either end. Nothing that reaches us by a terminal, a process group or a signal shall
/// disturb that, and nothing of our caller's shall stay in use because of us.
fn watch(us: &OwnedFd, container: Child) -> ! {
    let _ = set_name(c"guard"); // for whoever reads `ps`
    let _ = setsid();
    let _ = chdir("/");
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    let _ = sys::close_all_but(&[us.as_fd(), container.pidfd.as_fd()]);
    let mut ends = [us, &container.pidfd].map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN));
    while poll(&mut ends, PollTimeout::NONE).is_err() {}
    let _ = signals::send(&container, Signal::SIGKILL); // no harm if it has ended
    sys::exit_now(0)
}
