//! Gives a process a root file system of its own, and hides the host's.
//!
//! A *mount namespace* is a list of mounts: which file system appears at which folder
//! (mount_namespaces(7)). Some come from disks; some, such as `/proc`, from the kernel itself; a
//! *tmpfs* is empty memory; and a *bind mount* shows a file or folder at a second place. A new mount
//! namespace starts as a copy of the old one, so nothing is hidden yet. Hiding takes three steps,
//! and the order is the kernel's:
//!
//! 1. [`private`]: cut the copy loose, or our mounts would also appear outside;
//! 2. mount what every program expects ([`standard_mounts`]) below the new root, where it is still
//!    an ordinary folder and the host's files can still be bound into it ([`bind`]);
//! 3. [`pivot`]: make the folder the root, and unmount the old root from under our feet.
//!
//! A target inside the new root is never named by its path: the image decides what a path means,
//! and may have put a symbolic link there. [`inside`] resolves it as the container would.

mod borrow;
pub mod dev;
pub mod hide;
pub mod inside;
pub mod options;
pub mod own_executable;
pub mod terminal;
pub mod volume;

pub use dev::dev;
pub use hide::hide;
pub use inside::{inside, make_mount_points, mount_point};
pub use options::Options;
pub use volume::Volume;

use anyhow::{Context, Result, ensure};
use inside::through_descriptor;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// What mount(2) wants where a source, a type or an option string has no meaning.
pub(crate) const NONE: Option<&str> = None;

/// What to do about a root that can't be one.
pub(crate) const ROOTFS_HINT: &str =
    "--rootfs takes a folder with a system in it: bin, etc, proc, …";

/// Cuts this mount namespace loose from the one it was copied from.
///
/// Systemd makes `/` a *shared* mount: what is mounted in one copy appears in all others, also in
/// the host's (mount_namespaces(7), SHARED SUBTREES). Private mounts tell nobody.
pub fn private() -> Result<()> {
    // Exercise 1, root_private: make every mount of this namespace private
    // `mount(source, target, fstype, flags, data)` is mount(2), here with NONE for what has no
    // meaning. The target is the mount at which the change begins.
    todo!("root_private")
}

/// Makes the folder `root` a mount, by binding it on itself.
///
/// pivot_root(2) moves mounts, not folders, and says EINVAL to a folder that is none.
pub fn bind_root(root: &Path) -> Result<()> {
    ensure!(root.is_dir(), "{} is not a folder\nhint: {ROOTFS_HINT}", root.display());
    ensure!(root != Path::new("/"), "/ is the root already\nhint: {ROOTFS_HINT}");
    mount(Some(root), root, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
        .with_context(|| format!("cannot bind {} on itself", root.display()))
}

/// Mounts what every program expects to find.
pub fn standard_mounts(root: &Path) -> Result<()> {
    proc(root)?; // processes
    sysfs(root)?; // hardware, to look at
    dev(root) // harmless devices, terminals, shared memory
}

/// Mounts `/proc`, the kernel's view of the processes of *this* PID namespace.
///
/// It belongs for ever to the PID namespace of whoever mounts it (pid_namespaces(7)), so this must
/// happen in the child, after the clone: mounted by the parent it would list the host's processes.
/// Nothing in there is a program or a device, and the flags see to it that nothing becomes one.
pub fn proc(root: &Path) -> Result<()> {
    // Exercise 2, root_proc: mount a new proc file system on the folder proc of the new root
    // `mount_point` opens the folder, `mount_at` mounts on it. The container may write to it.
    todo!("root_proc")
}

/// Mounts `/sys`, the kernel's view of devices, read-only: a write there changes the whole machine.
pub fn sysfs(root: &Path) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    let mounted = mount_at(&mount_point(root, "sys")?, "sysfs", flags, NONE);
    mounted.or_else(|error| borrow::sysfs(root, error)).context("cannot mount /sys")
}

/// Mounts a file system of the kernel's own kind `fstype` on the folder behind a descriptor.
pub fn mount_at(
    folder: &impl AsFd,
    fstype: &str,
    flags: MsFlags,
    data: Option<&str>,
) -> Result<()> {
    let target = through_descriptor(folder);
    mount(Some(fstype), &target, Some(fstype), flags, data)
        .with_context(|| format!("mount {fstype}{}", borrow::hint(fstype)))
}

/// Shows the file or folder `source` of the host at `target`, with all that is mounted below it.
pub fn bind(source: &Path, target: BorrowedFd) -> Result<()> {
    mount(
        Some(source),
        &through_descriptor(&target),
        NONE,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        NONE,
    )
    .with_context(|| format!("cannot bind {}", source.display()))
}

/// Makes the mount at `target` read-only, and leaves the file system below it as it is.
///
/// It takes a call of its own: a bind ignores every other flag, so MS_BIND and MS_RDONLY in one
/// call succeed and leave the mount writable (mount(2), "Creating a bind mount"). The remount
/// replaces *all* flags, so those that the mount had are read first and given again.
pub fn read_only(target: BorrowedFd) -> Result<()> {
    // Exercise 3, bind_ro: make this one mount read-only, and keep the flags that it has
    // `through_descriptor(&target)` is a path to it; `volume::flags_of(target)` reads its flags.
    todo!("bind_ro")
}

/// Makes `root` the root of this mount namespace and leaves no way back.
///
/// pivot_root(2) puts the old root where we say. We say `.`, so both lie on one point, the old one
/// on top. We stand in the new one already, but unmounting `.` takes away what lies on top of it;
/// no folder of the new root was needed for the old one (pivot_root(2), NOTES).
pub fn pivot(root: &Path) -> Result<()> {
    // Exercise 4, root_pivot: swap the roots, and unmount the old one with all below it
    // At hand are `chdir(path)`, `pivot_root(new, old)` and `umount2(path, flags)`.
    todo!("root_pivot")
}

/// The naive way: tells only this process that `root` is `/`, and leaves the mounts as they are.
///
/// `chroot(2)` was never meant to hold anybody: who may call it again walks out of it.
/// `examples/escape.rs` does, in four lines.
pub fn chroot(root: &Path) -> Result<()> {
    nix::unistd::chroot(root).with_context(|| format!("cannot chroot to {}", root.display()))?;
    chdir("/").context("cannot enter the new root")
}

/// Enters the folder in which the command shall start.
///
/// A path can lead out of the new root through a descriptor that was left open, as
/// `/proc/self/fd/7` (CVE-2024-21626). The kernel calls such a place unreachable: getcwd(3).
pub fn working_folder(path: &Path) -> Result<()> {
    chdir(path).with_context(|| format!("cannot enter the working folder {}", path.display()))?;
    let here = nix::unistd::getcwd().unwrap_or_default();
    ensure!(
        here.starts_with("/"),
        "the working folder {} lies outside the container",
        path.display()
    );
    Ok(())
}
