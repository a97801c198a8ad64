//! Sees to it that nothing stays when a program that runs sandboxes is killed.
//!
//! Processes and mounts go with the sandbox, whoever dies: the kernel sees to that. The folders of
//! the safety cgroup do not, nor those for the files of a bare check. So a process of our own waits until this one has ended, in whatever
//! way, and removes them. It does nothing else, and it is in a session of its own: Ctrl-C, which
//! ends this program, does not reach it.

use nix::unistd::setsid;
use std::fs;
use std::io::{self, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

/// The hidden argument of that process.
pub const STAGE: &str = "--sandbox-janitor";

/// The process that tidies up after us. Dropping it lets it begin, and waits for it.
pub struct Janitor(Child);

impl Janitor {
    /// Starts it.
    ///
    /// # Errors
    /// It can't be started.
    pub fn hire() -> io::Result<Janitor> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(STAGE).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Janitor)
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.0.stdin.take()); // that was our sign of life
        let _ = self.0.wait();
    }
}

/// What it does: reads until nobody can write any more, then sweeps.
pub fn work() -> io::Result<ExitCode> {
    let _ = setsid(); // it is no leader of a group, unless it is one of a session already
    io::stdin().read_to_end(&mut Vec::new())?;
    crate::sweep();
    Ok(ExitCode::SUCCESS)
}

/// Ends this process when `caller` has ended, who started it through sudo: a signal to the caller
/// need not reach us.
pub fn end_with(caller: u32) {
    let Some(born) = born(caller) else { std::process::exit(130) };
    thread::spawn(move || {
        while self::born(caller).as_ref() == Some(&born) {
            thread::sleep(Duration::from_millis(100));
        }
        std::process::exit(130);
    });
}

/// When a process was started, in ticks: with its PID, its identity (proc_pid_stat(5)).
fn born(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let is_dead = matches!(fields.first(), Some(&"Z" | &"X"));
    fields.get(19).filter(|_| !is_dead).map(|start| (*start).to_owned())
}
