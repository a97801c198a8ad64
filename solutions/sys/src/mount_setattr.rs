//! Changes the attributes of a mount, or of a whole tree of mounts: `mount_setattr(2)`, since
//! Linux 5.12.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What to switch on and off, in bits of `MOUNT_ATTR_*`. `struct mount_attr` of `linux/mount.h`.
#[repr(C)]
#[derive(Default)]
pub struct MountAttributes {
    /// Attributes to add.
    pub set: u64,
    /// Attributes to take away.
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, …; 0 leaves the propagation as it is.
    pub propagation: u64,
    /// User namespace of an id-mapped mount; only read together with `MOUNT_ATTR_IDMAP`.
    user_namespace: u64,
}

impl MountAttributes {
    /// Nobody may write through this mount.
    pub fn read_only() -> MountAttributes {
        MountAttributes { set: MOUNT_ATTR_RDONLY, ..MountAttributes::default() }
    }
}

/// From `linux/mount.h`; not every libc crate has it.
const MOUNT_ATTR_RDONLY: u64 = 1;

/// Changes the mount that `tree` is the root of and all mounts below it.
pub fn mount_setattr(tree: BorrowedFd, attributes: &MountAttributes) -> io::Result<()> {
    // SAFETY: the path is a constant C string, `attributes` outlives the call, and the size is
    // that of the struct the kernel will read.
    crate::result(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            std::ptr::from_ref(attributes),
            size_of::<MountAttributes>(),
        )
    })
    .map(drop)
}
