//! Points from one document of an image to the next (OCI image specification, descriptor.md), and
//! knows by its media type what lies there.

use crate::{Digest, Platform};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The annotation under which a layout keeps an image's tag.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Points at a blob: what it is, what it hashes to and how long it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob holds; decides how it is read.
    #[serde(default)]
    pub media_type: String,
    /// The hash of the blob's bytes as they lie there, so of the *compressed* layer.
    pub digest: Digest,
    /// The blob's length in bytes.
    pub size: u64,
    /// In an index: the machine that the image is for.
    pub platform: Option<Platform>,
    /// Free text; in the index of a layout it holds the tag.
    #[serde(default, deserialize_with = "super::null_is_default")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// Points at bytes that are known.
    pub(crate) fn new(media_type: String, digest: Digest, size: u64) -> Descriptor {
        let annotations = BTreeMap::new();
        Descriptor { media_type, digest, size, platform: None, annotations }
    }

    /// The tag under which the index of a layout lists this blob.
    pub fn tag(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).map(String::as_str)
    }

    /// The same under another tag.
    pub(crate) fn tagged(&self, tag: &str) -> Descriptor {
        let annotations = BTreeMap::from([(REF_NAME.to_owned(), tag.to_owned())]);
        Descriptor { annotations, ..self.clone() }
    }

    /// Whether this is a further list to choose from, not an image.
    pub(crate) fn is_index(&self) -> bool {
        [
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
        ]
        .contains(&self.media_type.as_str())
    }

    pub(crate) fn is_image_config(&self) -> bool {
        [
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.docker.container.image.v1+json",
        ]
        .contains(&self.media_type.as_str())
    }

    /// A layer is a tar archive, compressed or not. How, its first bytes tell more reliably than
    /// its media type: some tools label them wrongly, and docker and containerd look too.
    pub(super) fn is_layer(&self) -> bool {
        let archive = [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.docker.image.rootfs.diff.tar",
            "application/vnd.docker.image.rootfs.foreign.diff.tar",
        ]
        .iter()
        .find_map(|archive| self.media_type.strip_prefix(archive));
        matches!(archive, Some("" | "+gzip" | "+zstd" | ".gzip" | ".zstd"))
    }
}
