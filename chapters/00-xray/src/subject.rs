//! Says which process is looked at, and refuses politely where there is nothing to see.
//!
//! A PID from the command line may be nobody's, somebody's whom we may not see, or that of a
//! process that has ended. Each of these is told apart here, once.

use crate::{mounts, procfs, stat, status::Status};
use anyhow::{Error, Result, bail};
use serde::Serialize;

/// A living process, identified by PID and start time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Its PID as this `/proc` counts. A thread's number is possible.
    pub pid: u32,
    /// The PID of the process it is a thread of; the same as `pid` for a process's first thread.
    pub process: u32,
    /// Its parent's PID, 0 if the parent is not in this `/proc`.
    pub parent: u32,
    /// The kernel's name for it, at most 15 bytes.
    pub name: String,
    /// Its arguments; empty for a kernel thread.
    pub command: Vec<String>,
    /// When it started, in clock ticks (1/100 s) after boot.
    pub start_ticks: u64,
    /// Whether it is a thread of the kernel.
    pub kernel_thread: bool,
}

impl Subject {
    /// Finds a living process.
    ///
    /// # Errors
    /// There is none of this number, it is hidden, or it is a zombie; the text says which.
    pub fn read(pid: u32) -> Result<Subject> {
        let stat = stat::read(pid).map_err(|error| explain(pid, error))?;
        if stat.is_zombie() {
            bail!(describe_zombie(pid, &stat));
        }
        let status = Status::read(pid).map_err(|error| explain(pid, error))?;
        // Everyone may read the arguments, unless the process ends just now: then it has none,
        // and whoever reads on will find out.
        let command = procfs::read(pid, "cmdline").unwrap_or_default();
        Ok(Subject {
            pid,
            process: status.number("Tgid")?,
            parent: stat.parent,
            command: command.split_terminator('\0').map(str::to_owned).collect(),
            start_ticks: stat.start_ticks,
            kernel_thread: stat.is_kernel_thread(),
            name: stat.name,
        })
    }

    /// Its command line in one piece; a kernel thread's name in brackets, as `ps` has it.
    pub fn title(&self) -> String {
        if self.command.is_empty() {
            return format!("[{}]", self.name);
        }
        self.command.join(" ")
    }

    /// Whether its PID still belongs to it and it still lives.
    pub fn is_alive(&self) -> bool {
        stat::read(self.pid)
            .is_ok_and(|now| now.start_ticks == self.start_ticks && !now.is_zombie())
    }
}

fn explain(pid: u32, error: Error) -> Error {
    let text = match (procfs::is_gone(&error), hides_processes()) {
        (true, false) => format!("no process {pid}"),
        // A hidden process looks like none at all, even to who knows its number.
        (true, true) => format!(
            "no process {pid}, or it is hidden from you\n\
             hint: this /proc hides other people's processes (hidepid): root sees them"
        ),
        (false, true) => format!(
            "cannot look at process {pid}\n\
             hint: this /proc closes other people's processes (hidepid): root sees them"
        ),
        (false, false) => format!("cannot look at process {pid}"),
    };
    error.context(text)
}

/// Whether the reader's `/proc` hides other people's processes, see `proc(5)`.
fn hides_processes() -> bool {
    let Ok(mounts) = procfs::own_pid().and_then(mounts::of) else { return false };
    let proc = mounts.into_iter().rfind(|mount| mount.point.as_os_str() == "/proc");
    proc.is_some_and(|mount| {
        let mut options = mount.super_options.iter();
        options.any(|option| option.starts_with("hidepid=") && option != "hidepid=off")
    })
}

fn describe_zombie(pid: u32, stat: &stat::Stat) -> String {
    let name = &stat.name;
    if stat.threads > 1 {
        return format!(
            "the first thread of process {pid} ({name}) has ended; its other threads live\n\
             hint: look at one of them: ls /proc/{pid}/task"
        );
    }
    let parent = match stat::read(stat.parent) {
        Ok(parent) => format!("its parent {} ({})", stat.parent, parent.name),
        Err(_) => "its parent".to_owned(),
    };
    format!(
        "process {pid} ({name}) is a zombie: it has ended, only its exit status is left\n\
         hint: {parent} has not waited for it yet"
    )
}
