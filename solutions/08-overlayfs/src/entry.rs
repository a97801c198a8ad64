//! Looks at one name in one layer: what is there, and what overlayfs takes it for.

use anyhow::{Context, Result};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A file, folder or whiteout of a layer.
pub(crate) struct Entry {
    place: PathBuf,
    metadata: Metadata,
}

/// The place of the container's `path` in the folder `layer`.
pub(crate) fn under(layer: &Path, path: &Path) -> PathBuf {
    layer.join(path.strip_prefix("/").unwrap_or(path))
}

/// The names in the folder `place`.
pub(crate) fn names_in(place: &Path) -> Result<BTreeSet<OsString>> {
    std::fs::read_dir(place)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
        .with_context(|| format!("cannot read the folder {}", place.display()))
}

impl Entry {
    /// What is at `place`, if anything. A symbolic link is not followed.
    pub fn at(place: PathBuf) -> Result<Option<Entry>> {
        match place.symlink_metadata() {
            Ok(metadata) => Ok(Some(Entry { place, metadata })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot look at {}", place.display())),
        }
    }

    pub fn is_folder(&self) -> bool {
        self.metadata.is_dir()
    }

    /// A character device 0:0 stands for "nothing here".
    pub fn is_whiteout(&self) -> bool {
        self.metadata.file_type().is_char_device() && self.metadata.rdev() == 0
    }

    /// Does this folder hide what lower layers have in it?
    pub fn is_opaque(&self) -> Result<bool> {
        let value = self.attribute(crate::attributes::opaque())?;
        Ok(self.is_folder() && value.as_deref() == Some(b"y"))
    }

    /// Compares what `docker diff` compares: kind, rights, owner, device number; size and time of
    /// all but folders; capabilities. Contents are not read: who writes to a file and then sets
    /// back its size *and* its time has hidden the change.
    pub fn differs_from(&self, other: &Entry) -> Result<bool> {
        let rights = |entry: &Metadata| (entry.mode(), entry.uid(), entry.gid(), entry.rdev());
        let content = |entry: &Metadata| (entry.len(), entry.mtime(), entry.mtime_nsec());
        let (now, was) = (&self.metadata, &other.metadata);
        Ok(rights(now) != rights(was)
            || !now.is_dir() && content(now) != content(was)
            || self.capabilities()? != other.capabilities()?)
    }

    fn capabilities(&self) -> Result<Option<Vec<u8>>> {
        self.attribute("security.capability")
    }

    /// An extended attribute; none of ours is longer than 64 bytes.
    fn attribute(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let mut value = [0; 64];
        match rustix::fs::lgetxattr(&self.place, name, &mut value[..]) {
            Ok(length) => Ok(Some(value[..length].to_vec())),
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(None),
            Err(errno) => Err(errno)
                .with_context(|| format!("cannot read the attributes of {}", self.place.display())),
        }
    }
}
