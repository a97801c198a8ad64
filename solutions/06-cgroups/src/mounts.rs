//! Shows the container its own group on `/sys/fs/cgroup`, to be read: many a program looks there
//! for how much memory it has.
//!
//! In the new cgroup namespace the container's group is the root, so nothing above it is seen. It
//! may not write: raising a limit is for those outside.

use crate::group::Group;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::symlinkat;
use rootfs::inside::through_descriptor;
use rootfs::{mount_at, mount_point};
use std::path::Path;

const PLACE: &str = "sys/fs/cgroup";

/// Covers the host's groups where the container has none of its own: `/sys` may be the host's.
pub fn cover(root: &Path) -> Result<()> {
    let Ok(place) = mount_point(root, PLACE) else { return Ok(()) }; // a kernel without cgroups
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    mount_at(&place, "tmpfs", flags, Some("mode=755")).context("cannot cover /sys/fs/cgroup")
}

/// Mounts the trees. To be called after `/sys` is mounted and when [`crate::namespace`] was.
pub fn mount_group(group: &Group, root: &Path) -> Result<()> {
    let flags = MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV
        | MsFlags::MS_NOEXEC
        | MsFlags::MS_RELATIME
        | MsFlags::MS_RDONLY;
    let Group::V1(folders) = group else {
        let mounted = match mount_at(&mount_point(root, PLACE)?, "cgroup2", flags, None) {
            // Where `/sys` is the host's, its own is there, and the kernel mounts no file system
            // right over itself.
            Err(error) if error.downcast_ref() == Some(&Errno::EBUSY) => {
                cover(root)?;
                mount_at(&mount_point(root, PLACE)?, "cgroup2", flags, None)
            }
            other => other,
        };
        return mounted.context("cannot mount /sys/fs/cgroup");
    };
    let writable = flags.difference(MsFlags::MS_RDONLY);
    mount_at(&mount_point(root, PLACE)?, "tmpfs", writable, Some("mode=755"))
        .context("cannot mount /sys/fs/cgroup")?;
    let place = mount_point(root, PLACE)?; // opened again: now it is the tmpfs
    for one in folders {
        let name = one.tree.controllers.join(","); // cpu,cpuacct
        mkdirat(&place, name.as_str(), Mode::from_bits_truncate(0o755))
            .with_context(|| format!("cannot create /{PLACE}/{name}"))?;
        mount_at(&mount_point(root, &format!("{PLACE}/{name}"))?, "cgroup", flags, Some(&name))
            .with_context(|| format!("cannot mount /{PLACE}/{name}"))?;
        for alias in one.tree.controllers.iter().filter(|alias| **alias != name) {
            match symlinkat(name.as_str(), &place, alias.as_str()) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => {
                    return Err(errno).with_context(|| format!("cannot create /{PLACE}/{alias}"));
                }
            }
        }
    }
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags;
    mount(None::<&str>, &through_descriptor(&place), None::<&str>, read_only, None::<&str>)
        .context("cannot make /sys/fs/cgroup read-only")
}
