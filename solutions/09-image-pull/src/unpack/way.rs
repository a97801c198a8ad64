//! Finds the folder that an entry belongs in, also where the layer has left it out.
//!
//! Most archives have an entry for each folder before those in it, and then [`safe_path`] is all
//! there is to it. Some leave out what the layers below have, or name a folder by a symlink that
//! only those have: then the missing folders are made, and look like the ones below.

use super::{keeping_times, make_folder};
use crate::markers::is_whiteout;
use crate::remove::open_folder;
use crate::{below, markers, safe_path};
use anyhow::{Context, Result, ensure};
use rustix::fs::{AtFlags, statat};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

/// The layer leaves folders out that the layers below may have; without them it means nothing.
#[derive(Debug)]
pub(crate) struct NeedsBelow;

impl fmt::Display for NeedsBelow {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the layer needs those below it")
    }
}

impl std::error::Error for NeedsBelow {}

/// Finds the folder for an entry as [`safe_path`] does, and makes those on the way that no
/// earlier entry has made.
pub(super) fn make_way(
    root: &OwnedFd,
    name: &Path,
    below: Option<&[PathBuf]>,
) -> Result<(OwnedFd, OsString)> {
    let found = match safe_path(root, name) {
        Err(error) if is_missing(&error) => {
            let name = resolve(root, name, below)?;
            let mut above: Vec<&Path> = name.ancestors().skip(1).collect();
            above.pop(); // the root
            for folder in above.into_iter().rev() {
                make_parent(root, folder, below.unwrap_or_default())
                    .with_context(|| format!("folder {}", super::shown(folder)))?;
            }
            safe_path(root, &name)
        }
        found => found,
    };
    found.context("cannot open its folder")
}

pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Takes the detours out of a name: dots, and symlinks that only the layers below have.
fn resolve(root: &OwnedFd, name: &Path, below: Option<&[PathBuf]>) -> Result<PathBuf> {
    let mut direct = PathBuf::new();
    for step in name.components() {
        match step {
            Component::Normal(step) => direct.push(step),
            Component::ParentDir => drop(direct.pop()),
            _ => {}
        }
    }
    let (Some(folder), Some(name)) = (direct.parent(), direct.file_name()) else {
        return Ok(direct);
    };
    Ok(below::resolve(root, below.ok_or(NeedsBelow)?, folder)?.join(name))
}

fn make_parent(root: &OwnedFd, path: &Path, below: &[PathBuf]) -> Result<()> {
    let (parent, name) = safe_path(root, path)?;
    let there = statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW).ok();
    if there.as_ref().is_some_and(markers::is_folder) {
        return Ok(());
    }
    ensure!(there.as_ref().is_none_or(is_whiteout), "there is a file in its place");
    keeping_times(&parent, || {
        make_folder(&parent, &name)?;
        // A folder that this layer has removed below does not look like that one.
        let below = if there.is_some() { &[] } else { below };
        below::look_alike(&open_folder(&parent, &name)?, below, path)
    })
}

/// Finds what a hard link is to: a file of this layer, named and found like any other.
pub(super) fn find_target(
    root: &OwnedFd,
    target: &Path,
    below: Option<&[PathBuf]>,
) -> Result<(OwnedFd, OsString)> {
    let find = || -> Result<_> {
        check_name(target)?;
        let found = match safe_path(root, target) {
            Err(error) if is_missing(&error) => safe_path(root, &resolve(root, target, below)?),
            found => found,
        };
        let (folder, name) = found?;
        let there = statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        ensure!(!is_whiteout(&there), "the layer has removed it");
        Ok((folder, name))
    };
    find().with_context(|| format!("cannot find {}, which it is a link to", super::shown(target)))
}

/// A path that the kernel cannot take is refused before any work is done with it.
pub(super) fn check_name(name: &Path) -> Result<()> {
    let name = name.as_os_str().as_encoded_bytes();
    ensure!(name.len() < 4096, "its name has {} bytes, Linux takes 4095", name.len());
    ensure!(!name.contains(&0), "there is a NUL byte in its name");
    Ok(())
}
