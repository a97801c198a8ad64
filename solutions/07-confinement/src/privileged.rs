//! Shows a container the whole machine: `--privileged`.
//!
//! Some programs are tools for the host that come as an image: they partition disks, load modules,
//! run containers of their own. For them nothing of the kernel is hidden or read-only, and `/dev`
//! has all devices. Whoever is root in such a container is root on the host, a command later.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{FileStat, Mode, SFlag, lstat, mkdirat, mknodat, umask};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::unistd::{Gid, Uid, fchownat};
use rootfs::inside::through_descriptor;
use rootfs::mount_point;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

/// What a container has of its own in `/dev`, whatever the host has there.
const OWN: [&str; 9] = ["console", "core", "fd", "mqueue", "ptmx", "pts", "shm", "stdin", "stdout"];

const CGROUPS: &str = "sys/fs/cgroup";

/// Makes `/sys` writable, the container's own cgroups in it too, and adds the host's devices to `/dev`.
pub fn show(root: &Path) -> Result<()> {
    writable_sys(root).context("cannot make /sys writable")?;
    writable_cgroups(root).context("cannot make /sys/fs/cgroup writable")?;
    let dev = mount_point(root, "dev")?;
    let umask_before = umask(Mode::empty());
    let copied = devices(Path::new("/dev"), &dev);
    umask(umask_before);
    copied.context("cannot show the devices of the host")
}

/// There are two locks: one of the mount, and one of the file system below it, which is shared with
/// the host unless the network namespace is new, and then open already. Root of a user namespace
/// can't open the second, and may not write to what is behind it either.
fn writable_sys(root: &Path) -> Result<()> {
    let sys = mount_point(root, "sys")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_REMOUNT;
    for flags in [flags, flags | MsFlags::MS_BIND] {
        match mount(None::<&str>, &through_descriptor(&sys), None::<&str>, flags, None::<&str>) {
            Err(Errno::EPERM) if !users::is_initial() => {}
            other => other?,
        }
    }
    Ok(())
}

/// So that containers can be run in there: their groups are made below its own, which is the root
/// of all that it sees. Version 1 has a mount for each tree, on folders of a tmpfs.
fn writable_cgroups(root: &Path) -> Result<()> {
    let Ok(top) = mount_point(root, CGROUPS) else { return Ok(()) }; // a kernel without cgroups
    let mut all = vec![CGROUPS.to_owned()];
    if fstatfs(&top)?.filesystem_type() == TMPFS_MAGIC {
        for entry in fs::read_dir(through_descriptor(&top))?.flatten() {
            if entry.file_type()?.is_dir() {
                all.push(format!("{CGROUPS}/{}", entry.file_name().to_string_lossy()));
            }
        }
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RELATIME;
    for place in all {
        let (place, flags) =
            (mount_point(root, &place)?, flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND);
        mount(None::<&str>, &through_descriptor(&place), None::<&str>, flags, None::<&str>)?;
    }
    Ok(())
}

/// Copies the nodes of the folder `from` to `to`; what is there already stays as it is.
fn devices(from: &Path, to: &OwnedFd) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())?.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let Ok(status) = lstat(&path) else { continue }; // gone again: a device that was unplugged
        let kind = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT;
        let skipped = OWN.iter().any(|own| name == *own);
        if kind == SFlag::S_IFDIR && !skipped {
            let folder = folder(to, &name, &status).with_context(|| path.display().to_string())?;
            folder.iter().try_for_each(|folder| devices(&path, folder))?;
        } else if (kind == SFlag::S_IFCHR || kind == SFlag::S_IFBLK) && !skipped {
            node(to, &name, kind, &status).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// A new folder like the host's. `None` if there is one already: a volume, which is not ours to fill.
fn folder(to: &OwnedFd, name: &OsStr, like: &FileStat) -> Result<Option<OwnedFd>> {
    match mkdirat(to, name, Mode::from_bits_truncate(like.st_mode)) {
        Err(Errno::EEXIST) => return Ok(None),
        other => other?,
    }
    owner(to, name, like)?;
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(Some(openat(to, name, flags, Mode::empty())?))
}

fn node(to: &OwnedFd, name: &OsStr, kind: SFlag, like: &FileStat) -> Result<()> {
    match mknodat(to, name, kind, Mode::from_bits_truncate(like.st_mode), like.st_rdev) {
        // There is one already; or it is more than we may give, as in a user namespace.
        Err(Errno::EEXIST | Errno::EPERM) => Ok(()),
        other => other.map_err(Into::into).and_then(|()| owner(to, name, like)),
    }
}

fn owner(to: &OwnedFd, name: &OsStr, like: &FileStat) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(like.st_uid), Gid::from_raw(like.st_gid));
    match fchownat(to, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::EINVAL) => Ok(()), // an owner that a user namespace does not have
        other => Ok(other?),
    }
}
