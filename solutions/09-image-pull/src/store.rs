//! Keeps unpacked layers under one folder, for several processes at once.
//!
//! ```text
//! ROOT/oci-layout, index.json       which images are here: an image layout like any other
//! ROOT/blobs/sha256/<digest>        their documents and their layers as they came, compressed
//! ROOT/downloading/<digest>         a blob on its way
//! ROOT/layers/sha256/<diffID>/     a layer: as soon as its folder is there, it is complete
//! ROOT/chains/sha256/<chainID>/    the same, of a layer that is not complete without those below
//! ROOT/unpacking/<ID>/             one on its way; locked by who works on it
//! ```
//!
//! A layer is unpacked in `unpacking`, checked to the last byte and then renamed. A process that
//! is killed leaves its lock to the kernel and its remains to the next pull.
//!
//! Side files: `blobs.rs` brings blobs in, `list.rs` lists images, `collect.rs` removes what none
//! needs.

pub(crate) mod blobs;
mod collect;
pub(crate) mod dependent;
mod list;
pub(crate) mod workplace;
mod write_behind;

pub use collect::Collected;
pub use list::{Listed, Listing};

use crate::documents::Layer;
use crate::progress::{Progress, Step};
use crate::remove::open_folder;
use crate::room::{explain_full, is_full};
use anyhow::{Context, Result};
use blobs::Blobs;
use rustix::fs::{CWD, FlockOperation, flock, syncfs};
use rustix::io::retry_on_intr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use workplace::Workplace;

/// Images and their unpacked layers on this machine.
pub struct Store {
    root: PathBuf,
    /// Held together with all others who use the store: nobody collects meanwhile.
    lock: OwnedFd,
}

impl Store {
    /// Opens the store in `root`, which is made if it is not there.
    ///
    /// Nobody but its owner may enter: layers hold device nodes and set-user-id programs.
    pub fn open(root: &Path) -> Result<Store> {
        Store::open_or_make(root).map_err(|error| {
            let what = format!("cannot open the store {}", root.display());
            match is_full(&error) {
                true => explain_full(error, root).context(what),
                false => error.context(format!(
                    "{what}\nhint: run it as root, or set CORACLE_ROOT to a folder of yours"
                )),
            }
        })
    }

    fn open_or_make(root: &Path) -> Result<Store> {
        let make = |folder: &Path| DirBuilder::new().recursive(true).mode(0o700).create(folder);
        make(root)?;
        fs::set_permissions(root, Permissions::from_mode(0o700))?;
        let lock = open_folder(CWD, root)?;
        retry_on_intr(|| flock(&lock, FlockOperation::LockShared))?;
        let store = Store { root: root.to_owned(), lock };
        for folder in [store.layers(), store.chains(), store.unpacking()] {
            make(&folder)?;
        }
        Blobs::open(root)?;
        for (name, text) in [
            ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#),
            ("index.json", r#"{"schemaVersion":2,"manifests":[]}"#),
        ] {
            store.write_new(name, text)?;
        }
        Workplace::remove_abandoned(&store.unpacking());
        Ok(store)
    }

    /// The folder that it is in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn blobs(&self) -> Blobs {
        Blobs::of(&self.root)
    }

    /// Writes a file unless it is there. Of several who do so at once one succeeds, and the file is
    /// never seen half, after a power cut neither. What is left by who was killed lies among the
    /// halves of downloads, and goes with them.
    fn write_new(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.root.join(name);
        if path.exists() {
            return Ok(());
        }
        let mine = format!("{name}.{}.{:?}", std::process::id(), std::thread::current().id());
        let mine = self.blobs().coming().join(mine);
        let write = || {
            let mut file = File::create(&mine)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            match fs::hard_link(&mine, &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            }
        };
        let written = write();
        let removed = fs::remove_file(&mine);
        written.and(removed)
    }

    /// The folder of a layer. If it is not there, `fill` is called with an empty one. `None`: the
    /// layer has to be unpacked on top of those below, by [`Store::layer_on_others`].
    pub(crate) fn layer(
        &self,
        layer: &Layer,
        progress: &Progress,
        fill: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<Option<PathBuf>> {
        let dependent = self.chains().join(layer.chain_id.hex());
        if dependent.exists() {
            return Ok(Some(dependent));
        }
        let folder = self.layers().join(layer.diff_id.hex());
        dependent::or_none(self.folder(folder, layer, progress, fill))
    }

    /// The folder of a layer that needs those below it, for this stack of layers alone.
    pub(crate) fn layer_on_others(
        &self,
        layer: &Layer,
        progress: &Progress,
        fill: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<PathBuf> {
        self.folder(self.chains().join(layer.chain_id.hex()), layer, progress, fill)
    }

    fn folder(
        &self,
        folder: PathBuf,
        layer: &Layer,
        progress: &Progress,
        fill: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<PathBuf> {
        if folder.exists() {
            return Ok(folder);
        }
        let unpack = || -> Result<()> {
            let name = folder.file_name().expect("it ends in a digest");
            let waiting = || progress.layer(&layer.blob.digest, Step::Waiting);
            let workplace = Workplace::claim(self.unpacking().join(name), waiting)?;
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
/// after a power cut a folder that is there must still be complete. The name itself may wait until
/// an image is listed that needs it.
fn put_into_place(folder: &OwnedFd, from: &Path, to: &Path) -> Result<()> {
    syncfs(folder).with_context(|| format!("cannot write {} to the disk", from.display()))?;
    fs::rename(from, to).with_context(|| format!("cannot rename it to {}", to.display()))
}
