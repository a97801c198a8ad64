//! Hides the parts of `/proc` and `/sys` that know or change the whole machine.
//!
//! Both show the kernel, and there is only one kernel. Until capabilities are taken away (chapter
//! 07), root in a container could read the machine's memory through `/proc/kcore`, or restart it
//! through `/proc/sysrq-trigger`. The lists are those that docker hands to its runtime
//! (`maskedPaths` and `readonlyPaths`: OCI runtime specification, config-linux.md).

use crate::inside::{is_folder, mount_point, mount_point_if_any, through_descriptor};
use crate::{NONE, bind, read_only};
use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{fstat, makedev};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Shown as empty. Paths that this kernel does not have are nothing to hide.
const MASKED: [&str; 12] = [
    "proc/acpi",
    "proc/asound",
    "proc/interrupts",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/sched_debug",
    "proc/scsi",
    "proc/timer_list",
    "proc/timer_stats",
    "sys/devices/virtual/powercap",
    "sys/firmware",
];

/// Shown, but not to be written.
const READ_ONLY: [&str; 5] = ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

/// Covers the masked paths and makes the read-only ones read-only.
pub fn hide(root: &Path) -> Result<()> {
    for path in MASKED.into_iter().map(String::from).chain(heat_counters(root)?) {
        if let Some(place) = mount_point_if_any(root, &path)? {
            mask(root, &place).with_context(|| format!("cannot hide /{path}"))?;
        }
    }
    for path in READ_ONLY {
        if let Some(place) = mount_point_if_any(root, path)? {
            let source = through_descriptor(&place);
            bind(&source, place.as_fd())?;
            let mounted = mount_point(root, path)?; // opened again: now it is the mount
            read_only(mounted.as_fd()).with_context(|| format!("cannot protect /{path}"))?;
        }
    }
    Ok(())
}

/// One folder for each CPU tells how often it grew too hot. How warm a neighbour's work makes it
/// gives away what the work is, and so does `/proc/interrupts` (GHSA-6fw5-f8r9-fgfm).
fn heat_counters(root: &Path) -> Result<Vec<String>> {
    const CPUS: &str = "sys/devices/system/cpu";
    let Some(folder) = mount_point_if_any(root, CPUS)? else { return Ok(Vec::new()) };
    let entries = std::fs::read_dir(through_descriptor(&folder))
        .with_context(|| format!("cannot list /{CPUS}"))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let cpus = names.filter(|name| name.starts_with("cpu"));
    Ok(cpus.map(|cpu| format!("{CPUS}/{cpu}/thermal_throttle")).collect())
}

/// A folder is covered by an empty read-only one, a file by `/dev/null`: the container's own, since
/// whoever changes the owner or mode of the covered file changes those of the node behind it.
fn mask(root: &Path, place: &OwnedFd) -> Result<()> {
    if is_folder(place)? {
        let data = Some("nr_blocks=1,nr_inodes=1");
        mount(Some("tmpfs"), &through_descriptor(place), Some("tmpfs"), MsFlags::MS_RDONLY, data)?;
    } else {
        let null = mount_point(root, "dev/null")?;
        let is_null = fstat(&null)?.st_rdev == makedev(1, 3);
        ensure!(is_null, "/dev/null is another file\nhint: a volume must not replace /dev"); // CVE-2025-31133
        mount(
            Some(&through_descriptor(&null)),
            &through_descriptor(place),
            NONE,
            MsFlags::MS_BIND,
            NONE,
        )?;
    }
    Ok(())
}
