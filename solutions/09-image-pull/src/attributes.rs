//! Gives a new file the owner, permissions, extended attributes and times that its layer says.
//!
//! The order is the kernel's (chown(2), capabilities(7)): a change of owner takes set-user-id and
//! file capabilities away, so the owner comes first; everything else moves times, so they come
//! last. Permissions are set on what exists, never at its making, where the umask would cut them.

use crate::entries::{Entry, Kind};
use anyhow::{Context, Result};
use rustix::fs::{
    AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod,
    fchown, fgetxattr, fgetxattr_query, flistxattr, flistxattr_query, fremovexattr, fsetxattr,
    fstat, futimens, lsetxattr, utimensat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// Sets everything on an open file or folder.
pub(crate) fn set(file: impl AsFd, entry: &Entry) -> Result<()> {
    let file = file.as_fd();
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    explain_owner(fchown(file, Some(uid), Some(gid)), entry)?;
    for name in xattr_names(file)?.iter().filter(|name| !is_dropped(name)) {
        // A folder that was here before had them, or they are access lists that the parent's
        // default list gave to a new file.
        fremovexattr(file, name).with_context(|| format!("cannot remove its {name:?}"))?;
    }
    for (name, value) in kept_xattrs(entry) {
        explain_xattr(fsetxattr(file, name, value, XattrFlags::empty()), name)?;
    }
    fchmod(file, Mode::from_raw_mode(entry.mode)).context("cannot set its permissions")?;
    futimens(file, &times(entry)).context("cannot set its times")
}

/// Sets everything on what must not be opened: a symlink, a device, a FIFO.
pub(crate) fn set_unopened(parent: impl AsFd, name: &OsStr, entry: &Entry) -> Result<()> {
    let (parent, itself) = (parent.as_fd(), AtFlags::SYMLINK_NOFOLLOW);
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    explain_owner(chownat(parent, name, Some(uid), Some(gid), itself), entry)?;
    // Before Linux 6.13 there is no setxattrat(2). Our descriptor's name in /proc leads to the
    // folder, and the `l` in lsetxattr(2) keeps the last step from being followed.
    let path = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string()).join(name);
    for (name, value) in kept_xattrs(entry) {
        explain_xattr(lsetxattr(&path, name, value, XattrFlags::empty()), name)?;
    }
    if !matches!(entry.kind, Kind::Symlink(_)) {
        let mode = Mode::from_raw_mode(entry.mode);
        chmodat(parent, name, mode, AtFlags::empty()).context("cannot set its permissions")?;
    }
    utimensat(parent, name, &times(entry), itself).context("cannot set its times")
}

/// Gives `to` the owner, permissions, extended attributes and times that the folder `from` has.
pub(crate) fn copy(from: impl AsFd, to: impl AsFd) -> Result<()> {
    let (from, to) = (from.as_fd(), to.as_fd());
    let like = fstat(from)?;
    fchown(to, Some(Uid::from_raw(like.st_uid)), Some(Gid::from_raw(like.st_gid)))
        .context("cannot set its owner")?;
    for name in xattr_names(from)?.iter().filter(|name| !is_dropped(name)) {
        let value = xattr(from, name).with_context(|| format!("cannot read {name:?}"))?;
        explain_xattr(fsetxattr(to, name, &value, XattrFlags::empty()), name)?;
    }
    fchmod(to, Mode::from_raw_mode(like.st_mode)).context("cannot set its permissions")?;
    futimens(to, &times_of(&like)).context("cannot set its times")
}

/// The times that a file has.
pub(crate) fn times_of(stat: &Stat) -> Timestamps {
    let time = |tv_sec, tv_nsec: u64| Timespec { tv_sec, tv_nsec: tv_nsec as i64 };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

fn xattr(file: BorrowedFd, name: &OsStr) -> rustix::io::Result<Vec<u8>> {
    let mut value = vec![0; fgetxattr_query(file, name)?];
    let length = fgetxattr(file, name, &mut value[..])?;
    value.truncate(length);
    Ok(value)
}

fn xattr_names(file: BorrowedFd) -> Result<Vec<OsString>> {
    let length = match flistxattr_query(file) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        length => length.context("cannot list its attributes")?,
    };
    let mut list = vec![0; length];
    let length = flistxattr(file, &mut list[..]).context("cannot list its attributes")?;
    let names = list[..length].split(|b| *b == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| OsString::from_vec(name.to_vec())).collect())
}

fn times(entry: &Entry) -> Timestamps {
    Timestamps { last_access: entry.accessed, last_modification: entry.modified }
}

fn kept_xattrs(entry: &Entry) -> impl Iterator<Item = (&OsStr, &[u8])> {
    let all = entry.xattrs.iter().map(|(name, value)| (name.as_os_str(), value.as_slice()));
    all.filter(|(name, _)| !is_dropped(name))
}

/// Whether an extended attribute may not be set.
///
/// Those of overlayfs redirect a folder to another one of the layer below, or make a file a
/// whiteout: an image may say such things by `.wh.` markers alone. A container never sees them,
/// so nothing is lost. SELinux labels belong to the host's policy, not to an image. In a user
/// namespace only root of the machine could set or see the `trusted.` ones, and of the kernel's own
/// all but a file's capabilities.
fn is_dropped(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let is_kernels = name.starts_with(b"trusted.") || name.starts_with(b"security.");
    name.starts_with(b"trusted.overlay.")
        || name.starts_with(b"user.overlay.")
        || name == b"security.selinux"
        || is_kernels && name != b"security.capability" && !users::is_initial()
}

fn explain_owner(result: rustix::io::Result<()>, entry: &Entry) -> Result<()> {
    let hint = match result {
        Err(Errno::PERM) => "\nhint: only root can give files away; run it with sudo".into(),
        Err(Errno::INVAL) => users::who_is_missing().unwrap_or_default(),
        _ => String::new(),
    };
    let (uid, gid) = (entry.uid, entry.gid);
    result.with_context(|| format!("cannot give it to user {uid} and group {gid}{hint}"))
}

fn explain_xattr(result: rustix::io::Result<()>, name: &OsStr) -> Result<()> {
    let hint = match result {
        Err(Errno::OPNOTSUPP) => {
            "\nhint: this file system does not keep such attributes; ext4, xfs and btrfs do"
        }
        Err(Errno::PERM) => "\nhint: only root can set it; run it with sudo",
        _ => "",
    };
    result.with_context(|| format!("cannot set its attribute {name:?}{hint}"))
}
