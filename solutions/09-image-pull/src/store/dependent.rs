//! Unpacks the layers that mean nothing without those below them.
//!
//! A layer is kept under its diffID and shared by all images that have it. One that leaves folders
//! out ([`crate::below`]) looks different on top of different layers, so it is kept under its
//! *chain ID*: the hash over it and all below it (OCI image specification, config.md, "Layer
//! ChainID").

use crate::unpack::{NeedsBelow, Pass};
use crate::{Found, Store, unpack_layer};
use anyhow::Result;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Turns the answer "not without those below" from an error into `None`.
pub(crate) fn or_none(unpacked: Result<PathBuf>) -> Result<Option<PathBuf>> {
    match unpacked {
        Err(error) if error.is::<NeedsBelow>() => Ok(None),
        unpacked => unpacked.map(Some),
    }
}

/// Unpacks the layers that have no folder in `folders` yet, one after another from the lowest up;
/// returns the folders of all.
pub(crate) fn unpack_rest(
    store: &Store,
    image: &Found,
    folders: Vec<Option<PathBuf>>,
) -> Result<Vec<PathBuf>> {
    let mut below: Vec<PathBuf> = Vec::new();
    for (layer, folder) in image.layers.iter().zip(folders) {
        let pass = Pass::Apart { below: Some(&below) };
        let unpack = |folder: &OwnedFd| unpack_layer(&image.source, layer, folder, pass);
        let folder = match folder {
            Some(folder) => folder,
            None => store.layer_on_others(layer, unpack)?,
        };
        below.push(folder);
    }
    Ok(below)
}
