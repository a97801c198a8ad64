//! Shows what the kernel knows of a process, beside what it knows of another.
//!
//! There is no such thing as a container in the kernel. There are processes, and every process
//! points to eight *namespaces*: one says which PIDs it sees, one which mounts, one which
//! network, and so on. A child gets the pointers of its parent, so on a quiet machine all
//! processes share the same eight. A container is a process in which some of them point
//! elsewhere. This crate makes that visible; each chapter of the course turns one more of its
//! rows from *host* to *own*.
//!
//! **What "host" means.** The process that is looked at is compared with the process that looks:
//! xray itself. PID 1 would be the wrong standard. Inside a container or a sandbox the PID 1 of
//! `/proc` is the container's, and an ordinary user may not read the namespaces of PID 1 at all.
//!
//! **Where it looks.** In `/proc` alone: nothing is entered, changed or asked by other means.
//! The two facts of this lesson are the namespaces (`namespaces(7)`) and the line `NSpid`
//! (`proc_pid_status(5)`). Every other fact has a file of its own beside this one and is read
//! when its chapter comes. Later crates use these parsers, so that each file format of `/proc`
//! is understood in one place only.

use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::MetadataExt;

// How to get hold of a process.
pub mod procfs;
pub mod stat;
pub mod status;
pub mod subject;

// What there is to know of it, in the order of the chapters.
pub mod namespaces;
pub mod pids;
pub mod signals;

pub mod mounts;
pub mod root;

pub mod id_maps;

pub mod cgroups;
pub mod limits;

pub mod capabilities;
pub mod seccomp;

// How it is shown.
pub mod report;
pub mod table;

pub mod command;

pub use procfs::own_pid;
pub use report::{Against, Fact, Group, Report, Row, Verdict};
pub use subject::Subject;

/// Whether two processes are in the same namespace of one kind, such as `"pid"` or `"net"`
/// (the names are in [`namespaces::ALL`]).
///
/// # Errors
/// A namespace that may not be looked at is an error, and never a "yes": the link of another
/// user's process takes the rights of a debugger (`PTRACE_MODE_READ_FSCREDS`, see `ptrace(2)`).
/// So does a process that has ended.
// ANCHOR: same_ns
pub fn same_ns(namespace: &str, pid: u32, other: u32) -> Result<bool> {
    // ANCHOR: todo_same_ns: find out which namespace each process is in, and compare the two
    // | What you may not read is an error that you return: it is no answer, so never compare it.
    // What lies behind the link is a file that stands for the namespace. Device and inode number
    // together are its identity, as namespaces(7) promises; the name in the link is for people.
    let identity = |pid: u32| -> Result<(u64, u64)> {
        let path = format!("/proc/{pid}/ns/{namespace}");
        let file = fs::metadata(&path).with_context(|| format!("cannot read {path}"))?;
        Ok((file.dev(), file.ino()))
    };

    // Two errors are not two equal answers: `?` leaves before anything is compared.
    Ok(identity(pid)? == identity(other)?)
    // ANCHOR_END: todo_same_ns
}
// ANCHOR_END: same_ns

/// All PIDs of one process, from the outermost namespace that this `/proc` shows to the
/// process's own: `[4711, 1]` is a process that the host calls 4711 and that calls itself 1.
///
/// PID namespaces are nested. A process has a number in its own and in each one around it, and
/// from outside it can be found under the outer number only. Who sends it a signal uses the
/// number of *their* namespace.
///
/// # Errors
/// The process has ended, or the kernel has no PID namespaces and prints no such line.
// ANCHOR: pid_chain
pub fn pid_chain(pid: u32) -> Result<Vec<u32>> {
    let status = procfs::read(pid, "status")?;

    // ANCHOR: todo_pid_chain: collect all the numbers of the line that begins with NSpid:
    let numbers = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .with_context(|| format!("no NSpid line in /proc/{pid}/status"))?;
    numbers
        .split_whitespace()
        .map(|number| number.parse().with_context(|| format!("{number:?} is not a PID")))
        .collect()
    // ANCHOR_END: todo_pid_chain
}
// ANCHOR_END: pid_chain

/// Everything that `/proc` tells of a process, each fact beside that of another process.
///
/// The rows stand in the order in which the chapters turn them. Who wants only some, by name, may
/// get more than those, and never waits for what no one wants; an empty list wants all. Call
/// [`Report::read`] rather than this: it makes sure that all rows are of one process, even if its
/// PID is given to a new one meanwhile.
///
/// # Errors
/// One of the two processes has ended. What exists and may not be read is no error but a row
/// that says so.
// ANCHOR: rows
pub fn rows(pid: u32, other: u32, wanted: &[String]) -> Result<Vec<Row>> {
    let mut rows = namespaces::rows(pid, other); // the eight, in chapter order
    if report::has_all(&rows, wanted) {
        return Ok(rows); // nobody asked for the rest
    }

    let status = status::Status::read(pid)?;
    let others = status::Status::read(other)?;
    // 01: its number, outside and inside, and what it does about signals
    rows.push(pids::row(pid, other));
    rows.push(signals::row(&status, &others));
    // 02, 08: its root and the layers of it, and how many mounts it sees
    rows.push(root::row(pid, other));
    rows.push(mounts::row(pid, other));
    // 04: who it is, and who that is outside
    rows.push(id_maps::ids_row(&status, &others));
    rows.extend(id_maps::map_rows(pid, other));
    // 06: who counts what it uses
    rows.push(cgroups::row(pid, other));
    // 07: its limits, root's power in 41 pieces, and the system calls that it may use
    rows.push(limits::row(pid, other));
    rows.extend(capabilities::rows(&status, &others));
    rows.push(seccomp::no_new_privs_row(&status, &others));
    rows.push(seccomp::row(&status, &others));
    Ok(rows)
}
// ANCHOR_END: rows

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_shares_every_namespace_with_itself() {
        let me = own_pid().unwrap();
        for namespace in namespaces::ALL {
            assert!(same_ns(namespace.name, me, me).unwrap(), "{}", namespace.name);
        }
    }

    #[test]
    fn what_cannot_be_read_is_never_the_same() {
        // No process has this PID: it is above the highest that Linux can be told to use.
        let nobody = 4_194_305;
        assert!(same_ns("pid", nobody, nobody).is_err());
    }

    #[test]
    fn the_chain_begins_with_the_number_that_proc_uses() {
        let me = own_pid().unwrap();
        assert_eq!(pid_chain(me).unwrap()[0], me);
    }
}
