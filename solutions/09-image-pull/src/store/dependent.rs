//! Unpacks the layers that mean nothing without those below them.
//!
//! A layer is kept under its diffID and shared by all images that have it. One that leaves folders
//! out ([`crate::below`]) looks different on top of different layers, so it is kept under its
//! *chain ID*: the hash over it and all below it (OCI image specification, config.md, "Layer
//! ChainID").

use crate::documents::Layer;
use crate::progress::Progress;
use crate::source::Source;
use crate::unpack::{NeedsBelow, Pass};
use crate::{Store, unpack_layer};
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

impl Store {
    /// Adds the folder of a layer to those `below` it. If it has none yet, it is unpacked onto them.
    pub(crate) fn put_on(
        &self,
        below: &mut Vec<PathBuf>,
        (source, progress): (&Source, &Progress),
        layer: &Layer,
        folder: Option<PathBuf>,
    ) -> Result<()> {
        let pass = Pass::Apart { below: Some(below) };
        let unpack = |folder: &OwnedFd| unpack_layer(source, layer, folder, pass);
        let folder = match folder {
            Some(folder) => folder,
            None => progress.unpacking_on_others(self, layer, unpack)?,
        };
        below.push(folder);
        Ok(())
    }
}
