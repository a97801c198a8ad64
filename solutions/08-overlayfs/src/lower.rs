//! Looks a path up in the lower layers, as overlayfs does: from the top down.

use crate::entry::{Entry, names_in, under};
use anyhow::Result;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The layers that count: none below one that hides all that is below it.
///
/// A marker `.wh..wh..opq` at the top of a layer says so. overlayfs itself looks for the attribute
/// on every folder but the root of a layer.
pub(crate) fn that_count(layers: &[PathBuf]) -> Result<&[PathBuf]> {
    for (index, layer) in layers.iter().enumerate().rev() {
        // With a dot at the end the folder is meant, also if the path is a link to it.
        if matches!(Entry::at(layer.join("."))?, Some(root) if root.is_opaque()?) {
            return Ok(&layers[index..]);
        }
    }
    Ok(layers)
}

/// What the lower layers together show at `path`, if anything.
pub(crate) fn look_up(layers: &[PathBuf], path: &Path) -> Result<Option<Entry>> {
    for layer in layers.iter().rev() {
        match in_layer(layer, path)? {
            Found::Here(entry) => return Ok(Some(entry)),
            Found::Covered => return Ok(None),
            Found::LookBelow => {}
        }
    }
    Ok(None)
}

/// All names that the lower layers together show in `folder`.
pub(crate) fn names_below(layers: &[PathBuf], folder: &Path) -> Result<BTreeSet<OsString>> {
    let mut names = BTreeSet::new();
    for layer in layers.iter().rev() {
        match in_layer(layer, folder)? {
            Found::Here(entry) if entry.is_folder() => {
                names.extend(names_in(&under(layer, folder))?)
            }
            Found::LookBelow => {}
            Found::Here(_) | Found::Covered => break,
        }
    }
    let mut shown = BTreeSet::new();
    for name in names {
        if look_up(layers, &folder.join(&name))?.is_some() {
            shown.insert(name);
        }
    }
    Ok(shown)
}

enum Found {
    Here(Entry),
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
        let Some(entry) = Entry::at(here.clone())? else { return Ok(missing) };
        if entry.is_whiteout() {
            return Ok(Found::Covered);
        }
        if components.peek().is_none() {
            return Ok(Found::Here(entry));
        }
        if !entry.is_folder() {
            return Ok(Found::Covered);
        }
        if entry.is_opaque()? {
            missing = Found::Covered;
        }
    }
    Ok(missing)
}
