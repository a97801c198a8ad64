//! Cgroups of version 1: a tree for each controller, on systems that have not moved on yet.
//!
//! What differs from the lesson: a group is a folder in *each* tree, with a controller's files from
//! the start. Nothing is handed down, any group may hold processes, and no clone is born inside. A
//! process joins by itself, before it becomes the command: moving another one, or itself through
//! `cgroup.procs`, waits milliseconds for a lock of the whole machine, `0` in `tasks` does not
//! (the kernel's Documentation/admin-guide/cgroup-v1).

use crate::devices::Devices;
use crate::files::{file, has, keyed, make, number, read, write, write_each};
use crate::hierarchies::Tree;
use crate::limits::{Io, IoLimit, Limits};
use crate::one_by_one::kill_listed;
use crate::usage::{Live, Usage};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The controllers that we use; a tree of others is left alone.
const OURS: [&str; 8] =
    ["memory", "cpu", "cpuacct", "cpuset", "pids", "blkio", "devices", "freezer"];

/// The folder of a group in one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The tree.
    pub tree: Tree,
    /// The group in it.
    pub folder: PathBuf,
}

/// The folders that the group `path` has in these trees.
pub fn folders(trees: &[Tree], path: &Path) -> Vec<Folder> {
    let ours = |tree: &&Tree| tree.controllers.iter().any(|one| OURS.contains(&&**one));
    let below = path.strip_prefix("/").unwrap_or(path);
    let folder = |tree: &Tree| Folder { tree: tree.clone(), folder: tree.mount_point.join(below) };
    trees.iter().filter(ours).map(folder).collect()
}

/// The group's folder in the tree of a controller.
pub(crate) fn of<'a>(group: &'a [Folder], controller: &str) -> Option<&'a Path> {
    let found = group.iter().find(|one| one.tree.controllers.iter().any(|name| name == controller));
    found.map(|one| one.folder.as_path())
}

/// The same, for a limit that was asked for.
fn needed<'a>(group: &'a [Folder], controller: &str) -> Result<&'a Path> {
    of(group, controller).with_context(|| {
        let has: Vec<_> = group.iter().flat_map(|one| &one.tree.controllers).cloned().collect();
        format!(
            "there is no controller {controller} here\n\
             hint: limits by these are possible: {}; /proc/cgroups says what the kernel has",
            has.join(", ")
        )
    })
}

/// Makes the folders, those above them as well.
pub fn create(group: &[Folder]) -> Result<()> {
    for Folder { tree, folder } in group {
        let has_controller = |name: &str| tree.controllers.iter().any(|one| one == name);
        let above: Vec<&Path> =
            folder.ancestors().take_while(|above| *above != tree.mount_point).collect();
        for one in above.into_iter().rev() {
            make(one)?;
            if has_controller("cpuset") {
                copy_cpuset(one)?;
            }
            if has_controller("memory") && number(one, "memory.use_hierarchy") == Some(0) {
                let _ = write(one, "memory.use_hierarchy", 1); // Linux before 5.11 asks for it
            }
        }
    }
    Ok(())
}

/// A cpuset takes nobody in before it has CPUs and memory nodes, and a new one has none.
fn copy_cpuset(folder: &Path) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if read(folder, name)?.is_empty() {
            let above = folder.parent().unwrap_or(folder);
            write(folder, name, read(above, name)?)?;
        }
    }
    Ok(())
}

/// Writes the limits, each into its tree.
pub fn limit(group: &[Folder], limits: &Limits) -> Result<()> {
    if limits.memory_high.is_some() {
        bail!(
            "there is no memory.high in cgroups of version 1\nhint: --memory-reservation comes close"
        );
    }
    if let Some(memory) = limits.memory {
        let folder = needed(group, "memory")?;
        write(folder, "memory.limit_in_bytes", memory)?;
        // Memory and swap are one number here, which is never less than that of memory alone.
        let both = "memory.memsw.limit_in_bytes";
        if let Some(swap) = limits.swap.filter(|_| !limits.swap_by_default || has(folder, both)) {
            write(folder, both, memory.saturating_add(swap))?;
        }
    }
    if let Some(bytes) = limits.memory_reservation {
        write(needed(group, "memory")?, "memory.soft_limit_in_bytes", bytes)?;
    }
    if limits.oom_kill_disable {
        write(needed(group, "memory")?, "memory.oom_control", 1)?;
    }
    if let Some((quota, period)) = limits.cpu_max {
        let folder = needed(group, "cpu")?;
        write(folder, "cpu.cfs_period_us", period)?;
        write(folder, "cpu.cfs_quota_us", quota)?;
    }
    if let Some(shares) = limits.cpu_shares {
        write(needed(group, "cpu")?, "cpu.shares", shares)?;
    }
    if let Some(cpus) = &limits.cpus {
        write(needed(group, "cpuset")?, "cpuset.cpus", cpus)?;
    }
    if let Some(nodes) = &limits.memory_nodes {
        write(needed(group, "cpuset")?, "cpuset.mems", nodes)?;
    }
    if let Some(count) = limits.pids {
        write(needed(group, "pids")?, "pids.max", count)?;
    }
    if let Some(weight) = limits.io_weight {
        let folder = needed(group, "blkio")?;
        let of_bfq = has(folder, "blkio.bfq.weight");
        write(folder, if of_bfq { "blkio.bfq.weight" } else { "blkio.weight" }, weight)?;
    }
    for IoLimit { disk: (major, minor), what, rate } in &limits.io_max {
        let what = match what {
            Io::ReadBytes => "blkio.throttle.read_bps_device",
            Io::WriteBytes => "blkio.throttle.write_bps_device",
            Io::Reads => "blkio.throttle.read_iops_device",
            Io::Writes => "blkio.throttle.write_iops_device",
        };
        write(needed(group, "blkio")?, what, format!("{major}:{minor} {rate}"))?;
    }
    Ok(())
}

/// Lets the group use these devices alone. `false` if nothing here can see to that.
pub fn allow(group: &[Folder], devices: &Devices) -> Result<bool> {
    let Devices::Only(rules) = devices else { return Ok(true) };
    let Some(folder) = of(group, "devices") else { return Ok(false) };
    write(folder, "devices.deny", "a")?;
    write_each(folder, "devices.allow", rules)?;
    Ok(true)
}

/// Moves the calling process, of one thread, into the group.
pub fn enter(group: &[Folder]) -> Result<()> {
    group.iter().try_for_each(|one| write(&one.folder, "tasks", 0))
}

/// Stops all processes of the group, and waits until they stand.
pub fn freeze(group: &[Folder]) -> Result<()> {
    let folder = needed(group, "freezer")?;
    let started = Instant::now();
    while read(folder, "freezer.state")? != "FROZEN" {
        if started.elapsed() > Duration::from_secs(10) {
            bail!("{} is not frozen after ten seconds", folder.display());
        }
        write(folder, "freezer.state", "FROZEN")?; // again: somebody may have been forked meanwhile
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Lets them go on.
pub fn thaw(group: &[Folder]) -> Result<()> {
    write(needed(group, "freezer")?, "freezer.state", "THAWED")
}

/// Kills all processes in one tree's folder of a group, and waits until none is left. In the tree of
/// the freezer they are stopped first, so that none escapes by forking.
pub fn kill(folder: &Path) -> Result<()> {
    let started = Instant::now();
    let has_freezer = has(folder, "freezer.state");
    while !is_empty(folder) {
        if has_freezer {
            write(folder, "freezer.state", "FROZEN")?;
        }
        kill_listed(folder)?;
        if has_freezer {
            write(folder, "freezer.state", "THAWED")?; // who is frozen does not die
        }
        if started.elapsed() > Duration::from_secs(10) {
            bail!("there are still processes in {} after ten seconds", folder.display());
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Is nobody in the group or below it?
fn is_empty(folder: &Path) -> bool {
    let listed = fs::read_to_string(file(folder, "cgroup.procs")).unwrap_or_default();
    let mut below = fs::read_dir(folder).into_iter().flatten().flatten();
    listed.is_empty()
        && below.all(|entry| {
            !entry.file_type().is_ok_and(|kind| kind.is_dir()) || is_empty(&entry.path())
        })
}

/// Reads what the group has used.
pub fn usage(group: &[Folder]) -> Usage {
    let nanos = |nanos: u64| Duration::from_nanos(nanos);
    let (memory, pids) = (of(group, "memory"), of(group, "pids"));
    let io = of(group, "blkio").and_then(|folder| {
        let text = read(folder, "blkio.throttle.io_service_bytes_recursive").ok()?;
        Some(io(&text))
    });
    Usage {
        cpu: of(group, "cpuacct").and_then(|one| number(one, "cpuacct.usage")).map(nanos),
        throttled: of(group, "cpu")
            .and_then(|one| keyed(one, "cpu.stat", "throttled_time"))
            .map(nanos),
        stalled: None, // pressure is counted in version 2 alone
        memory_peak: memory.and_then(|one| number(one, "memory.max_usage_in_bytes")),
        processes_peak: pids.and_then(|one| number(one, "pids.peak")),
        refused_processes: pids.and_then(|one| keyed(one, "pids.events", "max")),
        io,
        oom_kills: memory.and_then(|one| keyed(one, "memory.oom_control", "oom_kill")).unwrap_or(0),
    }
}

/// The sum of lines such as `8:0 Read 4096`.
fn io(text: &str) -> (u64, u64) {
    let sum = |kind: &str| {
        let words = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let numbers = words.filter_map(|words| match words[..] {
            [_, what, number] if what == kind => number.parse::<u64>().ok(),
            _ => None,
        });
        numbers.sum()
    };
    (sum("Read"), sum("Write"))
}

/// What the groups that `folder` finds in the trees are limited to and use now.
pub fn live(trees: &[Tree], folder: impl Fn(&Tree) -> Option<PathBuf>) -> Live {
    let of = |controller: &str| {
        let has = |tree: &&Tree| tree.controllers.iter().any(|name| name == controller);
        trees.iter().find(has).and_then(&folder)
    };
    let read = |controller, name| number(&of(controller)?, name);
    // No limit of memory is a number near 2^63.
    let memory_max = read("memory", "memory.limit_in_bytes").filter(|bytes| *bytes < 1 << 62);
    let quota = read("cpu", "cpu.cfs_quota_us").zip(read("cpu", "cpu.cfs_period_us"));
    Live {
        memory: (read("memory", "memory.usage_in_bytes"), memory_max),
        cpu: (read("cpuacct", "cpuacct.usage").map(Duration::from_nanos), quota),
        processes: (read("pids", "pids.current"), read("pids", "pids.max")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_added_up() {
        let text =
            "8:0 Read 4096\n8:0 Write 1\n8:0 Sync 1\n8:0 Total 4097\n8:16 Read 1\nTotal 4098\n";
        assert_eq!(io(text), (4097, 1));
    }
}
