//! Judges chapter 01: who is number 1, which code comes out at the end, and who collects the dead.
//!
//! All is seen from outside, where each process of the container has a number of ours.

mod exit_code;
mod fault;
mod init;
mod setup_order;
mod start;
mod witness;

use super::run::{Ended, Run, name, state};
use super::{Diagnosis, Finding, Program};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::process::Command;

/// Judges `pid_start`.
///
/// # Errors
/// What the kernel shows is not what it should be.
pub fn pid_start(program: &Program) -> Result<(), Finding> {
    tidily(|| start::judge(program))
}

/// Judges `pid_wait`.
///
/// # Errors
/// The exit code is not the one that a shell expects.
pub fn pid_wait(program: &Program) -> Result<(), Finding> {
    tidily(|| exit_code::judge(program))
}

/// Judges `pid_reap`.
///
/// # Errors
/// The init does not do what it must.
pub fn pid_reap(program: &Program) -> Result<(), Finding> {
    tidily(|| init::judge(program))
}

/// Ends what a wrong program has left, once that is in the finding: it is named there already.
fn tidily(judge: impl FnOnce() -> Result<(), Finding>) -> Result<(), Finding> {
    let result = judge().map_err(|finding| Finding {
        diagnosis: finding.diagnosis.or_else(|| super::panicked(&finding.seen)),
        ..finding
    });
    // We are PID 1 of the sandbox, so that -1 means all in it but us. A namespace whose PID 1 has
    // been killed waits for the last of its zombies, and some of them are ours to collect.
    if result.is_err() && std::process::id() == 1 {
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        let all_collected = || match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(nix::Error::ECHILD) => Some(()),
            _ => None,
        };
        super::run::until(super::run::PATIENCE, all_collected);
    }
    result
}

/// The program, about to run a command.
fn command(program: &Program, arguments: &[&str]) -> Command {
    let mut command = Command::new(&program.path);
    command.args(arguments);
    command
}

fn send(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid as i32), signal);
}

/// The command did not come to run: what is there instead, in words.
fn instead(run: &mut Run) -> String {
    if let Some(ended) = run.ended() {
        return described(&ended);
    }
    let family = super::run::family(run.pid());
    let member = |pid: &u32| format!("{pid} ({}, {})", name(*pid), state(*pid).unwrap_or('-'));
    format!(
        "these processes are there: {}",
        family.iter().map(member).collect::<Vec<_>>().join(", ")
    )
}

/// An end in words: the code, and what was printed.
fn described(ended: &Ended) -> String {
    // The line of a hole that says which; of any other panic also where.
    let mut lines = ended.stderr.lines().filter(|line| !line.is_empty());
    let line = lines.clone().find(|line| line.contains("not yet implemented")).or(lines.next());
    let panic = super::panicked(&ended.stderr).map(|_| super::words_of_panic(&ended.stderr));
    match panic.as_deref().or(line) {
        Some(line) => format!("the program ended with {} and said {line:?}", ended.code),
        None => format!("the program ended with {} and said nothing", ended.code),
    }
}

fn finding(
    expected: impl Into<String>,
    seen: impl Into<String>,
    why: &str,
    diagnosis: Option<Diagnosis>,
) -> Finding {
    Finding { expected: expected.into(), seen: seen.into(), why: why.to_owned(), diagnosis }
}

fn diagnosis(id: &str, text: &str) -> Option<Diagnosis> {
    Some(Diagnosis { id: id.to_owned(), text: text.to_owned() })
}
