//! Looks into the layers below one that leaves folders out.
//!
//! A layer should list every folder on the way to what it changes, with owner and permissions
//! (OCI image specification, layer.md, "Representing Changes"). Some tools write `tmp/x` alone.
//! Then the folder must look as it does below, or overlayfs would show an image whose `/tmp` only
//! root may write to; and where there is a symlink below, `bin/x` belongs where it leads, or a new
//! `bin` would hide `/usr/bin`. Docker, which unpacks layers one onto another, gets both for free.

use crate::attributes;
use crate::patient::openat2;
use crate::remove::open_folder;
use crate::unpack::shown;
use anyhow::{Context, Result, ensure};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fchmod, fstat, readlinkat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// As many symlinks as the kernel follows in one path.
const MOST_LINKS: usize = 40;

/// What a folder gets that no layer describes: `rwxr-xr-x`.
const USUAL: Mode =
    Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP).union(Mode::ROTH).union(Mode::XOTH);

/// What overlayfs would show at a path.
enum Seen {
    Folder(OwnedFd),
    Symlink(PathBuf),
    NoFolder,
}

/// Finds the path that `folder` really means in the layer `top` laid over the layers `below`
/// (lowest first): the symlinks on the way are followed, as far as there is something.
pub(crate) fn resolve(top: &OwnedFd, below: &[PathBuf], folder: &Path) -> Result<PathBuf> {
    let mut path = PathBuf::new();
    let mut steps: VecDeque<OsString> = steps_of(folder).collect();
    let mut links = 0;
    while let Some(step) = steps.pop_front() {
        if step == ".." {
            path.pop(); // at the root it stays there
            continue;
        }
        match look(top, below, &path.join(&step))? {
            Seen::Symlink(target) => {
                links += 1;
                ensure!(links <= MOST_LINKS, "{}: too many symbolic links", shown(folder));
                if target.is_absolute() {
                    path.clear();
                }
                steps_of(&target).rev().for_each(|step| steps.push_front(step));
            }
            _ => path.push(step),
        }
    }
    Ok(path)
}

/// Gives a new folder at `path` the owner, permissions and times it has in the layers below.
pub(crate) fn look_alike(new: &OwnedFd, below: &[PathBuf], path: &Path) -> Result<()> {
    for layer in below.iter().rev() {
        match see(&open_folder(CWD, layer)?, path)? {
            Some(Seen::Folder(folder)) => return attributes::copy(folder, new),
            Some(_) => break,
            None => {}
        }
    }
    fchmod(new, USUAL).context("cannot set its permissions")
}

fn look(top: &OwnedFd, below: &[PathBuf], path: &Path) -> Result<Seen> {
    if let Some(seen) = see(top, path)? {
        return Ok(seen);
    }
    for layer in below.iter().rev() {
        if let Some(seen) = see(&open_folder(CWD, layer)?, path)? {
            return Ok(seen);
        }
    }
    Ok(Seen::NoFolder)
}

/// Looks at a path in one layer. `None`: the layer says nothing about it.
fn see(layer: &OwnedFd, path: &Path) -> Result<Option<Seen>> {
    let itself = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let found = match openat2(layer, path, itself, Mode::empty(), inside) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(None),
        // Something else than a folder is on the way: it hides all that is below.
        Err(Errno::LOOP | Errno::NOTDIR) => return Ok(Some(Seen::NoFolder)),
        Err(error) => return Err(error).with_context(|| format!("cannot open {}", shown(path))),
    };
    Ok(Some(match FileType::from_raw_mode(fstat(&found)?.st_mode) {
        FileType::Directory => Seen::Folder(open_folder(&found, ".")?),
        FileType::Symlink => {
            let target = readlinkat(&found, "", Vec::new())?;
            Seen::Symlink(OsStr::from_bytes(target.to_bytes()).into())
        }
        _ => Seen::NoFolder,
    }))
}

fn steps_of(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|step| match step {
        Component::Normal(step) => Some(step.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}
