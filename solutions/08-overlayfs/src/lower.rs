//! Looks a path up in the lower layers, as overlayfs does: from the top down.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The place of the container's `path` in the folder `layer`.
pub(crate) fn under(layer: &Path, path: &Path) -> PathBuf {
    layer.join(path.strip_prefix("/").unwrap_or(path))
}

/// A character device 0:0 stands for "nothing here".
pub(crate) fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

/// Does this folder hide what lower layers have in it?
pub(crate) fn is_opaque(folder: &Path) -> Result<bool> {
    let mut value = [0; 1];
    match rustix::fs::lgetxattr(folder, "trusted.overlay.opaque", &mut value[..]) {
        Ok(length) => Ok(length == 1 && value == *b"y"),
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => Ok(false),
        Err(errno) => Err(errno).with_context(|| format!("cannot read attributes of {folder:?}")),
    }
}

/// What the lower layers together show at `path`, if anything.
pub(crate) fn look_up(layers: &[PathBuf], path: &Path) -> Result<Option<Metadata>> {
    for layer in layers.iter().rev() {
        match in_layer(layer, path)? {
            Found::Here(metadata) => return Ok(Some(metadata)),
            Found::Covered => return Ok(None),
            Found::LookBelow => {}
        }
    }
    Ok(None)
}

/// All names that the lower layers together show in `folder`.
pub(crate) fn names_in(layers: &[PathBuf], folder: &Path) -> Result<BTreeSet<OsString>> {
    let mut candidates = BTreeSet::new();
    for layer in layers {
        if let Ok(entries) = std::fs::read_dir(under(layer, folder)) {
            candidates.extend(entries.flatten().map(|entry| entry.file_name()));
        }
    }
    let mut names = BTreeSet::new();
    for name in candidates {
        if look_up(layers, &folder.join(&name))?.is_some() {
            names.insert(name);
        }
    }
    Ok(names)
}

enum Found {
    Here(Metadata),
    /// This layer says that there is nothing, whatever is below.
    Covered,
    LookBelow,
}

/// Walks down one layer. A whiteout or a file where a folder should be, and an opaque folder on
/// the way, end the search; a name that is simply missing does not.
fn in_layer(layer: &Path, path: &Path) -> Result<Found> {
    let mut here = layer.to_owned();
    let mut missing = Found::LookBelow;
    let mut components = path.strip_prefix("/").unwrap_or(path).components().peekable();
    while let Some(name) = components.next() {
        here.push(name);
        let metadata = match here.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(missing),
            Err(error) => return Err(error).with_context(|| format!("cannot look at {here:?}")),
        };
        if is_whiteout(&metadata) {
            return Ok(Found::Covered);
        }
        if components.peek().is_none() {
            return Ok(Found::Here(metadata));
        }
        if !metadata.is_dir() {
            return Ok(Found::Covered);
        }
        if is_opaque(&here)? {
            missing = Found::Covered;
        }
    }
    Ok(missing)
}
