//! Hides the parts of `/proc` and `/sys` that know or change the whole machine.
//!
//! Both show the kernel, and there is only one kernel. Until capabilities are taken away (chapter
//! 07), root in a container could read the machine's memory through `/proc/kcore`, or restart it
//! through `/proc/sysrq-trigger`. The lists are those that docker and podman hand to their runtime
//! (`maskedPaths` and `readonlyPaths`: OCI runtime specification, config-linux.md).

use crate::inside::{mount_point, through_descriptor};
use crate::{NONE, bind, read_only};
use anyhow::{Context, Result};
use nix::Error;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{SFlag, fstat};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Shown as empty.
const MASKED: [&str; 13] = [
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
    "sys/devices/system/cpu/thermal_throttle",
];

/// Shown, but not to be written.
const READ_ONLY: [&str; 5] = ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

/// Covers the masked paths and makes the read-only ones read-only. Paths that this kernel does not
/// have are nothing to hide.
pub fn hide(root: &Path) -> Result<()> {
    for path in MASKED {
        if let Some(place) = existing(root, path)? {
            mask(&place).with_context(|| format!("cannot hide /{path}"))?;
        }
    }
    for path in READ_ONLY {
        if let Some(place) = existing(root, path)? {
            let source = through_descriptor(&place);
            bind(&source, place.as_fd())?;
            let mounted = mount_point(root, path)?; // opened again: now it is the mount
            read_only(mounted.as_fd()).with_context(|| format!("cannot protect /{path}"))?;
        }
    }
    Ok(())
}

/// A folder is covered by an empty read-only one, a file by `/dev/null`.
fn mask(place: &OwnedFd) -> Result<()> {
    let is_folder =
        SFlag::from_bits_truncate(fstat(place)?.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
    if is_folder {
        let data = Some("nr_blocks=1,nr_inodes=1");
        mount(Some("tmpfs"), &through_descriptor(place), Some("tmpfs"), MsFlags::MS_RDONLY, data)?;
    } else {
        mount(Some("/dev/null"), &through_descriptor(place), NONE, MsFlags::MS_BIND, NONE)?;
    }
    Ok(())
}

fn existing(root: &Path, path: &str) -> Result<Option<OwnedFd>> {
    match mount_point(root, path) {
        Ok(place) => Ok(Some(place)),
        Err(error) if matches!(error.downcast_ref(), Some(Error::ENOENT)) => Ok(None),
        Err(error) => Err(error),
    }
}
