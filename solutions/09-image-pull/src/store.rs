//! Keeps unpacked layers under one folder, for several processes at once.
//!
//! ```text
//! ROOT/layers/sha256/<diffID>/     a layer: as soon as its folder is there, it is complete
//! ROOT/chains/sha256/<chainID>/    the same, of a layer that is not complete without those below
//! ROOT/unpacking/<ID>/             one on its way; locked by who works on it
//! ```
//!
//! A layer is unpacked in `unpacking`, checked to the last byte and then renamed. A process that
//! is killed leaves its lock to the kernel and its remains to the next pull.

pub(crate) mod dependent;
pub(crate) mod workplace;

use crate::documents::Layer;
use anyhow::{Context, Error, Result};
use rustix::fs::{statvfs, syncfs};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use workplace::Workplace;

/// Images and their unpacked layers on this machine.
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store in `root`, which is made if it is not there.
    ///
    /// Nobody but its owner may enter: layers hold device nodes and set-user-id programs.
    pub fn open(root: &Path) -> Result<Store> {
        let store = Store { root: root.to_owned() };
        let cannot = || {
            format!(
                "cannot open the store {}\nhint: run it as root, or set CORACLE_ROOT to a folder of yours",
                root.display()
            )
        };
        for folder in [root, &store.layers(), &store.chains(), &store.unpacking()] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.with_context(cannot)?;
        }
        fs::set_permissions(root, Permissions::from_mode(0o700)).with_context(cannot)?;
        Workplace::remove_abandoned(&store.unpacking());
        Ok(store)
    }

    /// The folder of a layer. If it is not there, `fill` is called with an empty one. `None`: the
    /// layer has to be unpacked on top of those below, by [`Store::layer_on_others`].
    pub(crate) fn layer(
        &self,
        layer: &Layer,
        fill: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<Option<PathBuf>> {
        let dependent = self.chains().join(layer.chain_id.hex());
        if dependent.exists() {
            return Ok(Some(dependent));
        }
        let folder = self.layers().join(layer.diff_id.hex());
        dependent::or_none(self.folder(folder, layer, fill))
    }

    /// The folder of a layer that needs those below it, for this stack of layers alone.
    pub(crate) fn layer_on_others(
        &self,
        layer: &Layer,
        fill: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<PathBuf> {
        self.folder(self.chains().join(layer.chain_id.hex()), layer, fill)
    }

    fn folder(
        &self,
        folder: PathBuf,
        layer: &Layer,
        fill: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<PathBuf> {
        if folder.exists() {
            return Ok(folder);
        }
        let unpack = || -> Result<()> {
            let name = folder.file_name().expect("it ends in a digest");
            let workplace = Workplace::claim(self.unpacking().join(name))?;
            if folder.exists() {
                return Ok(()); // somebody else was faster while we waited for the lock
            }
            let new = workplace.folder()?;
            fill(&new)?;
            put_into_place(&new, &workplace.root(), &folder)
        }; // here what is left of the workplace goes, and its space is free again
        let unpacked = unpack().map_err(|error| explain_full(error, &self.root));
        unpacked.with_context(|| format!("cannot unpack layer {}", layer.diff_id))?;
        Ok(folder)
    }

    fn chains(&self) -> PathBuf {
        self.root.join("chains/sha256")
    }

    fn layers(&self) -> PathBuf {
        self.root.join("layers/sha256")
    }

    fn unpacking(&self) -> PathBuf {
        self.root.join("unpacking")
    }
}

/// Renames a finished layer to where it is found. It has to be on the disk before its name is:
/// after a power cut a folder that is there must still be complete.
fn put_into_place(folder: &OwnedFd, from: &Path, to: &Path) -> Result<()> {
    syncfs(folder).with_context(|| format!("cannot write {} to the disk", from.display()))?;
    fs::rename(from, to).with_context(|| format!("cannot rename it to {}", to.display()))?;
    let parent = to.parent().expect("a layer lies in the store");
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .with_context(|| format!("cannot write {} to the disk", parent.display()))
}

/// If `error` says that the disk is full, adds which one and how much is free without the layer.
pub(crate) fn explain_full(error: Error, folder: &Path) -> Error {
    let full = |errno: i32| [Errno::NOSPC, Errno::DQUOT].map(Errno::raw_os_error).contains(&errno);
    let is_full = error.chain().any(|cause| {
        let errno = cause.downcast_ref::<Errno>().map(|errno| errno.raw_os_error());
        let io_error = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        errno.or(io_error).is_some_and(full)
    });
    let (true, Ok(disk)) = (is_full, statvfs(folder)) else { return error };
    let (mib, files) = ((disk.f_bavail * disk.f_frsize) >> 20, disk.f_favail);
    let folder = folder.display();
    error.context(format!(
        "there is no room left in {folder}\nhint: {mib} MiB and {files} files are free there now, \
         and that is not enough; make room, or use a folder on another disk"
    ))
}
