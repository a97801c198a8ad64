//! Fills `/dev`: the few devices that every program may count on, none of them hardware.
//!
//! The list is the OCI runtime specification's (config-linux.md, "Default Devices"). The host's
//! own `/dev` would show the disks; a tmpfs of our own holds six nodes, a few links, and two more
//! mounts: the container's own terminals and its shared memory.

use crate::{borrow, mount_at, mount_point};
use anyhow::{Context, Result};
use nix::Error;
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, SFlag, makedev, mkdirat, mknodat, umask};
use nix::unistd::symlinkat;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Name, major and minor number: Documentation/admin-guide/devices.txt of the kernel.
const NODES: [(&str, u64, u64); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Link and what it points to.
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"), // devpts has one of its own, for this container's terminals
];

/// Group 5 is `tty` on every distribution; a small user namespace (chapter 04) may not have it.
const TERMINALS: &str = "newinstance,ptmxmode=0666,mode=0620";

/// Mounts a fresh `/dev` in the new root.
pub fn dev(root: &Path) -> Result<()> {
    let options = Some("mode=755,size=64m");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_STRICTATIME; // as docker and runc mount it
    mount_at(&mount_point(root, "dev")?, "tmpfs", flags, options).context("cannot mount /dev")?;
    let dev = mount_point(root, "dev")?; // opened again: the descriptor above is the covered folder
    let umask_before = umask(Mode::empty()); // mknod(2) takes the umask from the mode
    let filled = fill(&dev);
    umask(umask_before);
    filled?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let pts = mount_point(root, "dev/pts")?;
    mount_at(&pts, "devpts", flags, Some(&format!("{TERMINALS},gid=5")))
        .or_else(|error| match error.downcast_ref() {
            Some(Error::EINVAL) => mount_at(&pts, "devpts", flags, Some(TERMINALS)),
            _ => Err(error),
        })
        .context("cannot mount /dev/pts")?;
    let flags = flags | MsFlags::MS_NODEV;
    mount_at(&mount_point(root, "dev/shm")?, "tmpfs", flags, Some("mode=1777,size=64m"))
        .context("cannot mount /dev/shm")
}

fn fill(dev: &OwnedFd) -> Result<()> {
    for (name, major, minor) in NODES {
        let mode = Mode::from_bits_truncate(0o666);
        match mknodat(dev, name, SFlag::S_IFCHR, mode, makedev(major, minor)) {
            Err(Error::EPERM) => borrow::device(dev, name),
            made => made.map_err(Into::into),
        }
        .with_context(|| format!("cannot create /dev/{name}"))?;
    }
    for (name, target) in LINKS {
        if name == "core" && !Path::new(target).exists() {
            continue; // a kernel without /proc/kcore
        }
        symlinkat(target, dev, name).with_context(|| format!("cannot create /dev/{name}"))?;
    }
    for name in ["pts", "shm"] {
        mkdirat(dev, name, Mode::from_bits_truncate(0o755))
            .with_context(|| format!("cannot create /dev/{name}"))?;
    }
    Ok(())
}
