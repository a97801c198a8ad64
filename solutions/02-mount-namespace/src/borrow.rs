//! Borrows from the host what root of a user namespace may not make (chapter 04).
//!
//! To make a device node takes CAP_MKNOD over the machine, and to mount a sysfs takes a network
//! namespace of one's own (user_namespaces(7)). To bind what the host has takes neither.

use crate::{bind, mount_point, read_only};
use anyhow::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Binds the host's `/sys`, with all that is mounted in it: the kernel lets nobody uncover what was
/// covered when the namespace was made. Whoever may not write there as the user outside may not do
/// so through it either; read-only all the same, as far as this kernel can.
pub(crate) fn sysfs(root: &Path, error: Error) -> Result<()> {
    if error.downcast_ref() != Some(&Errno::EPERM) {
        return Err(error);
    }
    bind(Path::new("/sys"), mount_point(root, "sys")?.as_fd())?;
    let mounted = mount_point(root, "sys")?; // opened again: now it is the mount
    sys::mount_setattr(mounted.as_fd(), &sys::MountAttributes::read_only())
        .or_else(|_| read_only(mounted.as_fd())) // before Linux 5.12 the topmost alone
}

/// Binds one of the host's devices on a new file in the folder `dev`.
pub(crate) fn device(dev: &OwnedFd, name: &str) -> Result<()> {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let place = openat(dev, name, flags, Mode::from_bits_truncate(0o666))?;
    bind(&Path::new("/dev").join(name), place.as_fd())
}

/// What to say where the kernel refuses one of its own file systems.
pub(crate) fn hint(fstype: &str) -> &'static str {
    match fstype {
        "proc" => {
            "\nhint: EPERM in a user namespace: the /proc that is here is covered in part, as in a \
             container, and a new one would show what is covered"
        }
        _ => "",
    }
}
