//! Gives a container its share of the machine, and counts what it uses.
//!
//! Namespaces hide things; they do not keep anyone from using up all memory. A *control group*,
//! cgroup, does. It is a folder in a file system of the kernel's own, on `/sys/fs/cgroup`. `mkdir`
//! makes one, and the kernel fills it with files: a number written to one is a limit, what others
//! say when read is the bill, for all processes in the group and in those below it. Every process
//! is in one group, and its children are born there. (cgroups(7), and the kernel's
//! Documentation/admin-guide/cgroup-v2.rst, which explains every file named here.)
//!
//! A *controller* is the part of the kernel that counts and limits one thing: `memory`, `cpu`,
//! `io`, `pids`, and `cpuset`, which CPUs. Its files appear in a group only if the group above has
//! handed it down ([`enable`]). Who hands down has no processes: those below would compete with
//! those in it, and nobody could say who gets what. So processes live in the leaves of the tree.
//! This is the *no internal process rule*; only the root of the tree is free of it.
//!
//! This file is about version 2, one tree for all controllers. Old systems have version 1, a tree
//! for each; [`Group`] is a group of either, and `v1.rs` holds what differs.

mod arguments;
pub mod bill;
mod cpu_list;
pub mod delegated;
pub mod device_filter;
pub mod devices;
mod files;
mod group;
mod hierarchies;
pub mod limits;
mod mounts;
pub mod one_by_one;
mod row;
mod size;
mod usage;
mod v1;
mod weights;

pub use arguments::Options;
pub use devices::{Device, Devices};
pub use group::{Group, Ledger};
pub use limits::Limits;
pub use mounts::cover;
pub use row::row;
pub use size::parse as size;
pub use usage::Usage;

use anyhow::{Context, Result, bail};
use files::{file, has, read, write};
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use process::Birthplace;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Hands controllers down: from now on they count and limit in each group below `folder`.
///
/// A group can hand down what it was given itself, and `cgroup.controllers` lists that. So what a
/// leaf shall have is enabled in every group above it, from the top. Whoever owns a folder and its
/// `cgroup.subtree_control` can go on from there: that is *delegation*.
// ANCHOR: enable
pub fn enable(folder: &Path, controllers: &[&str]) -> Result<()> {
    // ANCHOR: todo_cg_enable: hand each controller down that is not yet
    // | `cgroup.subtree_control` lists what is handed down, and takes `+memory` to add to it.
    // | At hand are `read(folder, name)` and `write(folder, name, value)`.
    let enabled = read(folder, "cgroup.subtree_control")?;
    for controller in controllers {
        if !enabled.split_whitespace().any(|one| one == *controller) {
            write(folder, "cgroup.subtree_control", format!("+{controller}"))?;
        }
    }
    Ok(())
    // ANCHOR_END: todo_cg_enable
}
// ANCHOR_END: enable

/// Writes the limits of a group down. What is not limited keeps the kernel's `max`.
///
/// A process that wants more *memory* than `memory.max` first loses what can be read again from
/// disk; if that is not enough, the kernel kills one of the group: out of memory, OOM. Where there
/// is *swap*, memory moved to the disk is not counted, so a limit needs one for swap beside it.
/// `cpu.max` is a time and the period in which the group may use it up; then it waits for the next.
// ANCHOR: limit
pub fn limit(folder: &Path, limits: &Limits) -> Result<()> {
    // ANCHOR: todo_cg_limit: write memory, swap, CPU time and the number of processes, as far as asked
    // | The fields are `memory`, `swap`, `cpu_max` and `pids` of `limits`, each an Option.
    // | Their files: memory.max, memory.swap.max, cpu.max, pids.max.
    if let Some(bytes) = limits.memory {
        write(folder, "memory.max", bytes)?; // more is not to be had
    }
    if let Some(bytes) = limits.swap {
        write(folder, "memory.swap.max", bytes)?; // or the rest goes to the disk
    }
    if let Some((quota, period)) = limits.cpu_max {
        write(folder, "cpu.max", format!("{quota} {period}"))?; // so much time of each period, in µs
    }
    if let Some(count) = limits.pids {
        write(folder, "pids.max", count)?; // the end of a fork bomb
    }
    // ANCHOR_END: todo_cg_limit
    limits.write_softer_ones(folder) // weights, reservations, CPUs, disks
}
// ANCHOR_END: limit

/// The birthplace of a process that never lives outside of the group `folder`.
///
/// A process can also be moved, by its number into `cgroup.procs`. But then it has lived elsewhere:
/// what it has used stays on the old bill, what it has started stays behind, and the kernel stops
/// every fork and exec on the machine for the move. clone3(2) makes it where it belongs, Linux 5.7.
// ANCHOR: born_in
pub fn born_in(folder: &Path, namespaces: CloneFlags) -> Result<Birthplace> {
    // ANCHOR: todo_cg_enter: say to the clone in which group the child is born
    // | `open(path, flags, mode)` is open(2); the clone wants the folder, as a descriptor.
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let folder = open(folder, flags, Mode::empty())
        .with_context(|| format!("cannot open {}", folder.display()))?;
    Ok(Birthplace { namespaces, cgroup: Some(folder) })
    // ANCHOR_END: todo_cg_enter
}
// ANCHOR_END: born_in

/// Moves the calling process into the group `folder`: `0` is whoever writes it.
pub fn enter(folder: &Path) -> Result<()> {
    write(folder, "cgroup.procs", 0)
}

/// Makes the group that we are in the root of all groups that we see: cgroup_namespaces(7).
///
/// To be called in the child: the namespace takes *the caller's* group for its root, and one that is
/// made by the clone would take the parent's.
// ANCHOR: namespace
pub fn namespace() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWCGROUP).context("cannot unshare the cgroup namespace")
}
// ANCHOR_END: namespace

/// Stops all processes of the group where they are, and waits until they stand. They do not notice.
// ANCHOR: freeze
pub fn freeze(folder: &Path) -> Result<()> {
    write(folder, "cgroup.freeze", 1)?;
    wait_for(folder, "frozen 1")
}

/// Lets them go on.
pub fn thaw(folder: &Path) -> Result<()> {
    write(folder, "cgroup.freeze", 0)
}
// ANCHOR_END: freeze

/// Kills every process in the group and in those below it, and waits until none is left.
///
/// Killing one after the other loses the race against a program that forks faster. Writing to
/// `cgroup.kill`, since Linux 5.14, kills all at once; before, they have to be frozen first.
// ANCHOR: kill
pub fn kill(folder: &Path) -> Result<()> {
    // ANCHOR: todo_cg_kill: kill all, and return when the group says that it is empty
    // | `has(folder, name)` tells whether this kernel has the file; without cgroup.kill there is
    // | `one_by_one::kill(folder)`. `wait_for(folder, line)` waits for a line of cgroup.events.
    if has(folder, "cgroup.kill") {
        write(folder, "cgroup.kill", 1)?;
    } else {
        one_by_one::kill(folder)?;
    }
    wait_for(folder, "populated 0")
    // ANCHOR_END: todo_cg_kill
}

/// Waits until `cgroup.events` has this line. The kernel reports each change of the file as
/// POLLPRI (poll(2)); reading it is what makes the next change a new one.
fn wait_for(folder: &Path, line: &str) -> Result<()> {
    let started = Instant::now();
    let events = File::open(file(folder, "cgroup.events"))?;
    while !read(folder, "cgroup.events")?.lines().any(|one| one == line) {
        if started.elapsed() > Duration::from_secs(10) {
            bail!("{} is not {line} after ten seconds", folder.display());
        }
        let mut changed = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
        let _ = poll(&mut changed, PollTimeout::from(20u8)); // we look again in any case
    }
    Ok(())
}
// ANCHOR_END: kill

/// Removes a group and those below it, which must be empty. The files in it are no obstacle.
pub fn remove(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
