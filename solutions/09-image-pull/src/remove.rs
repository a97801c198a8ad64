//! Removes files and whole trees that a stranger has made.
//!
//! Such a tree can be deeper than a stack and deeper than a process may have descriptors, and its
//! symlinks lead anywhere. So nothing is followed, and nothing climbs down: folders are pulled up
//! one level at a time, until none has a folder in it.

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Removes the entry `name` of the folder `parent`, with all that is in it.
pub fn remove(parent: impl AsFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(&parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        other => return Ok(other?),
    }
    empty(&open_folder(&parent, name)?)?;
    Ok(unlinkat(&parent, name, AtFlags::REMOVEDIR)?)
}

/// Removes everything in `folder`, but not the folder itself.
pub(crate) fn empty(folder: &OwnedFd) -> io::Result<()> {
    let mut pulled_up = 0;
    // What is pulled up may or may not show in a reading under way: read until there is nothing.
    loop {
        let mut was_empty = true;
        for name in names(folder)? {
            let name = name?;
            was_empty = false;
            if remove_if_flat(folder, &name)? {
                continue;
            }
            let below = open_folder(folder, &name)?;
            for deeper in names(&below)? {
                let deeper = deeper?;
                if !remove_if_flat(&below, &deeper)? {
                    pull_up(&below, &deeper, folder, &mut pulled_up)?;
                }
            }
            remove_if_flat(folder, &name)?;
        }
        if was_empty {
            return Ok(());
        }
    }
}

/// Removes anything but a folder with something in it. `false`: it is one.
fn remove_if_flat(folder: &OwnedFd, name: &CString) -> io::Result<bool> {
    let removed = match unlinkat(folder, &**name, AtFlags::empty()) {
        Err(Errno::ISDIR) => unlinkat(folder, &**name, AtFlags::REMOVEDIR),
        other => other,
    };
    match removed {
        Err(Errno::NOTEMPTY) => Ok(false),
        other => other.map(|()| true).map_err(Into::into),
    }
}

/// Moves the folder `below/name` up into `folder`, under a number that is free there.
fn pull_up(below: &OwnedFd, name: &CString, folder: &OwnedFd, number: &mut u64) -> io::Result<()> {
    loop {
        *number += 1;
        let free = number.to_string();
        match renameat_with(below, &**name, folder, free, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            other => return Ok(other?),
        }
    }
}

/// The names in a folder, without `.` and `..`.
pub(crate) fn names(folder: &OwnedFd) -> io::Result<impl Iterator<Item = io::Result<CString>>> {
    let entries = Dir::read_from(folder)?.map(|entry| Ok(entry?.file_name().to_owned()));
    let dots = |name: &CString| [&b"."[..], b".."].contains(&name.to_bytes());
    Ok(entries.filter(move |name| !name.as_ref().is_ok_and(dots)))
}

/// Opens a folder by its name in another; a symlink in its place is an error.
pub(crate) fn open_folder(
    parent: impl AsFd,
    name: impl rustix::path::Arg,
) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}
