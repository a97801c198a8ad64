//! Reads images from one file: an image layout in a tar archive (`oci-archive:`), or what `docker
//! save` writes (`docker-archive:`).
//!
//! The archive is gone through once, to learn where each blob lies; then blobs are read from there.
//! Nothing is unpacked to disk. An archive of docker has no manifest in OCI's sense, only a list of
//! files (`manifest.json`); from it and the config the manifest is put together that a registry
//! would have sent.

mod parts;

use super::choose;
use super::layout::{check_layout_version, split_tag};
use crate::documents::{Config, Descriptor, Index};
use crate::{Digest, Reference};
use anyhow::{Context, Result, ensure};
use parts::{Part, Place, find, index, read};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An archive of images.
pub(crate) struct Archive {
    file: File,
    blobs: BTreeMap<Digest, Place>,
    /// Documents that the archive does not have, but means.
    written: BTreeMap<Digest, Vec<u8>>,
    images: Vec<Descriptor>,
    tag: Option<String>,
    /// The source without a tag.
    source: String,
}

impl Archive {
    /// Opens `FILE` or `FILE:TAG`, an image layout in an archive.
    pub fn open_oci(place: &str) -> Result<Archive> {
        let (path, tag) = split_tag(place, Path::is_file);
        let (file, names) = index(path)?;
        let read = |name: &str| read(&file, &names, Path::new(name));
        let index = read("oci-layout")
            .and_then(|version| check_layout_version(&version))
            .and_then(|()| Index::parse(&read("index.json")?));
        let images = index
            .with_context(|| format!("{path} is no archive of an OCI image layout"))?
            .manifests;
        let blobs = names.iter().filter_map(|(name, place)| Some((digest_of(name)?, *place)));
        let (blobs, written) = (blobs.collect(), BTreeMap::new());
        Ok(Archive { file, blobs, written, images, tag, source: format!("oci-archive:{path}") })
    }

    /// Opens `FILE` or `FILE:NAME`, written by `docker save`.
    pub fn open_docker(place: &str) -> Result<Archive> {
        let (path, tag) = split_tag(place, Path::is_file);
        let tag = tag
            .map(|tag| Ok::<_, anyhow::Error>(tag.parse::<Reference>()?.to_string()))
            .transpose()?;
        let (file, names) = index(path)?;
        let mut archive = Archive {
            file,
            blobs: BTreeMap::new(),
            written: BTreeMap::new(),
            images: Vec::new(),
            tag,
            source: format!("docker-archive:{path}"),
        };
        archive
            .read_docker(&names)
            .with_context(|| format!("{path} is not what docker save writes"))?;
        Ok(archive)
    }

    fn read_docker(&mut self, names: &BTreeMap<PathBuf, Place>) -> Result<()> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Saved {
            config: PathBuf,
            repo_tags: Option<Vec<String>>,
            layers: Vec<PathBuf>,
        }
        let list = read(&self.file, names, Path::new("manifest.json"))?;
        let list: Vec<Saved> =
            serde_json::from_slice(&list).context("cannot read manifest.json")?;
        for Saved { config: name, repo_tags, layers } in list {
            let json = read(&self.file, names, &name)?;
            let config =
                Config::parse(&json).with_context(|| format!("cannot read {}", name.display()))?;
            let diff_ids = &config.rootfs.diff_ids;
            ensure!(
                layers.len() == diff_ids.len(),
                "{} names other layers than its config",
                name.display()
            );
            let mut described = Vec::new();
            for (layer, diff_id) in layers.iter().zip(diff_ids) {
                let place = *find(names, layer)?;
                // A layer under its digest may be compressed; under any other name it is not.
                let digest = digest_of(layer).unwrap_or_else(|| diff_id.clone());
                described.push(
                    json!({ "mediaType": LAYER, "digest": digest.to_string(), "size": place.size }),
                );
                self.blobs.insert(digest, place);
            }
            let digest = Digest::of(&json);
            let config =
                json!({ "mediaType": CONFIG, "digest": digest.to_string(), "size": json.len() });
            self.blobs.insert(digest, *find(names, &name)?);
            let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described });
            self.list(manifest.to_string().into_bytes(), repo_tags.unwrap_or_default());
        }
        Ok(())
    }

    /// Lists an image under each of its names.
    fn list(&mut self, manifest: Vec<u8>, names: Vec<String>) {
        let digest = Digest::of(&manifest);
        let image = Descriptor::new(MANIFEST.into(), digest.clone(), manifest.len() as u64);
        self.written.insert(digest, manifest);
        let full = |name: &String| name.parse::<Reference>().map(|name| name.to_string());
        let tagged =
            names.iter().filter_map(|name| full(name).ok()).map(|name| image.tagged(&name));
        self.images.extend(tagged.collect::<Vec<_>>());
        if names.is_empty() {
            self.images.push(image);
        }
    }

    pub fn images(&self) -> Result<Vec<Descriptor>> {
        choose(self.images.clone(), self.tag.as_deref(), &self.source)
    }

    pub fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        let Descriptor { digest, size, .. } = descriptor;
        if let Some(document) = self.written.get(digest) {
            return Ok(Box::new(Cursor::new(document.clone())));
        }
        let place = self
            .blobs
            .get(digest)
            .with_context(|| format!("there is no blob {digest} in {}", self.source))?;
        ensure!(
            place.size == *size,
            "blob {digest} has {} bytes and should have {size}",
            place.size
        );
        let file = self.file.try_clone()?;
        Ok(Box::new(Part { file, at: place.offset, left: place.size }))
    }
}

fn digest_of(name: &Path) -> Option<Digest> {
    let hex = name.strip_prefix("blobs/sha256").ok()?.to_str()?;
    format!("sha256:{hex}").parse().ok()
}
