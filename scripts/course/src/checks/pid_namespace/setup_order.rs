//! Does the child wait for `parent_setup`? Nothing outside shows it, unless time stands still.
//!
//! So the program runs as in a debugger (ptrace(2)). `parent_setup` clones a guard: the second
//! clone. There the program is held, in the middle of its setup, and the child is left alone. If it
//! becomes the command all the same, it has not waited.

use super::super::run::{PATIENCE, Run, patient, state};
use super::super::{Finding, Program};
use super::{diagnosis, finding, send};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the child may use to do what it must not. It takes a millisecond,
/// on a busy machine more.
const TEMPTATION: Duration = Duration::from_millis(60);

/// Holds the program in its setup. A program of another kind, which clones once, is left alone,
/// and so is a machine on which nobody may trace.
pub fn judge(program: &Program) -> Result<(), Finding> {
    // The shell stops itself, so that we see all that comes after.
    let script = "kill -STOP $$; exec \"$0\" true";
    let mut run = Run::start(Command::new("sh").args(["-c", script]).arg(&program.path));
    let parent = Pid::from_raw(run.pid() as i32);
    super::super::run::until(PATIENCE, || (state(run.pid()) == Some('T')).then_some(()));
    let events = [
        Options::PTRACE_O_TRACEFORK,
        Options::PTRACE_O_TRACECLONE,
        Options::PTRACE_O_TRACEEXEC,
        Options::PTRACE_O_EXITKILL,
    ];
    if ptrace::seize(parent, events.into_iter().collect()).is_err() {
        return Ok(());
    }
    let mut born = Vec::new();
    let has_not_waited = hold_and_look(parent, &mut born);
    for pid in &born {
        send(pid.as_raw() as u32, Signal::SIGKILL);
    }
    run.kill();
    match has_not_waited {
        false => Ok(()),
        true => Err(finding(
            "the child waits while the parent is in `parent_setup`",
            format!(
                "process {parent} was held in the middle of `parent_setup`, and process {} \
                 executed the command",
                born[0]
            ),
            "later chapters write the ID maps and plug the network there: too late is not at all",
            diagnosis(
                "lets-go-too-early",
                "The child is let go before `parent_setup` has ended. \
                 `ours.let_go_on()` comes after `parent_setup(pid)?`.",
            ),
        )),
    }
}

/// Whether the child executes the command while the parent is held at its second clone.
fn hold_and_look(parent: Pid, born: &mut Vec<Pid>) -> bool {
    let started = Instant::now();
    let mut executed = false;
    let mut held = None;
    send(parent.as_raw() as u32, Signal::SIGCONT);
    while started.elapsed() < patient(PATIENCE) {
        if held.is_none() {
            match next(parent) {
                Some(Seen::Birth) => {
                    let child = ptrace::getevent(parent).unwrap_or_default();
                    born.push(Pid::from_raw(child as i32));
                    match born.len() {
                        1 => go_on(parent, None),
                        _ => held = Some(Instant::now()),
                    }
                }
                Some(Seen::Exec) => go_on(parent, None),
                Some(Seen::Stop(signal)) => go_on(parent, signal),
                Some(Seen::End) => return false,
                None => {}
            }
        }
        match born.first().and_then(|child| Some((*child, next(*child)?))) {
            Some((child, Seen::Exec)) => {
                executed = true;
                go_on(child, None);
            }
            Some((child, Seen::Stop(signal))) => go_on(child, signal),
            Some((child, Seen::Birth)) => go_on(child, None),
            Some((_, Seen::End)) | None => {}
        }
        match held {
            Some(_) if executed => return true,
            Some(since) if since.elapsed() > patient(TEMPTATION) => return false,
            _ => sleep(Duration::from_micros(200)),
        }
    }
    false
}

/// What a traced process came to.
enum Seen {
    Birth,
    Exec,
    Stop(Option<Signal>),
    End,
}

fn next(pid: Pid) -> Option<Seen> {
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
    match waitpid(pid, Some(flags)) {
        Ok(WaitStatus::StillAlive) => None,
        Ok(WaitStatus::PtraceEvent(_, _, event)) => Some(match event {
            event if event == ptrace::Event::PTRACE_EVENT_FORK as i32 => Seen::Birth,
            event if event == ptrace::Event::PTRACE_EVENT_CLONE as i32 => Seen::Birth,
            event if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 => Seen::Exec,
            _ => Seen::Stop(None),
        }),
        Ok(WaitStatus::Stopped(_, signal)) => Some(Seen::Stop(Some(signal))),
        Ok(WaitStatus::PtraceSyscall(_) | WaitStatus::Continued(_)) => Some(Seen::Stop(None)),
        Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_) => Some(Seen::End),
    }
}

fn go_on(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::cont(pid, signal);
}
