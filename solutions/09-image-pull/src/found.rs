//! What is known of an image when its documents have been read, and what is left of that for those
//! who run it.

use crate::documents::{Config, Descriptor, Layer};
use crate::source::Source;
use crate::{Digest, Listing};
use std::path::PathBuf;

/// An image that is here, unpacked.
#[derive(Clone, Debug)]
pub struct Image {
    /// The source as it was asked for.
    pub reference: String,
    /// The digest of the manifest.
    pub digest: Digest,
    /// What the source knows the image by: the digest of the manifest, or of the index around it.
    pub top: Digest,
    /// How to run it.
    pub config: Config,
    /// The folder of each layer, lowest first, as `overlay` wants them: each one once.
    pub layers: Vec<PathBuf>,
    /// Whether that is news, for an image that the store now lists.
    pub listing: Option<Listing>,
}

/// What the documents of an image say.
pub(crate) struct Found {
    pub source: Source,
    pub top: Digest,
    /// The tag that the source has for it.
    pub tag: Option<String>,
    pub manifest: Descriptor,
    pub config_blob: Descriptor,
    pub config: Config,
    pub layers: Vec<Layer>,
}

impl Found {
    /// The image, unpacked into these folders.
    pub fn image(self, reference: String, all: &[PathBuf], listing: Option<Listing>) -> Image {
        // overlayfs takes a folder once. Where an image repeats a layer, the topmost shows it all.
        let is_topmost = |(at, layer): &(usize, &PathBuf)| !all[at + 1..].contains(layer);
        let layers = all.iter().enumerate().filter(is_topmost).map(|(_, layer)| layer.clone());
        let layers = layers.collect();
        let Found { top, manifest, config, .. } = self;
        Image { reference, digest: manifest.digest, top, config, layers, listing }
    }
}
