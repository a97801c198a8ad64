//! The list of images in the store: `index.json`, as every image layout has it. So `skopeo` and
//! `umoci` read the store as it is, each image under its full name.
//!
//! An entry is an image's manifest. Its annotations hold the name, and the digest under which the
//! registry had it where that is an index's. Whoever changes the list locks the folder of blobs
//! (flock(2)), writes a new file beside the old one and renames it.

use crate::documents::{Descriptor, Index, LARGEST_DOCUMENT, Manifest, REF_NAME};
use crate::store::Store;
use crate::{Digest, Reference};
use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;

/// The annotation that holds what the registry called the image by digest.
const TOP: &str = "coracle.top-digest";

/// An image in the store, under one of its names.
#[derive(Clone, Debug)]
pub struct Listed {
    /// `None`: another image has taken its name.
    pub name: Option<Reference>,
    /// Its manifest.
    pub manifest: Descriptor,
    /// The digest that a registry knows it by: of its manifest, or of the index that lists it.
    pub top: Digest,
    /// The digest of its config, which docker calls the image's ID.
    pub id: Digest,
    /// Bytes of all its blobs, compressed as they are.
    pub size: u64,
    /// The digests of its blobs.
    pub blobs: Vec<Digest>,
    /// Its config, with all that it says.
    pub config: Value,
}

/// Whether listing an image changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// The name meant nothing, or another image.
    New,
    /// It was there under this name.
    Same,
}

impl Store {
    /// The images that are here, those of other tools' making included if they can be read.
    pub fn images(&self) -> Result<Vec<Listed>> {
        let entries = self.entries()?.manifests;
        Ok(entries.into_iter().filter_map(|entry| self.listed(entry).ok()).collect())
    }

    /// The image of this name, digest, ID or beginning of an ID. Of several names of one image the
    /// one that was asked for is in it.
    pub fn find(&self, wanted: &str) -> Result<Option<Listed>> {
        let images = self.images()?;
        if let Ok(name) = wanted.parse::<Reference>() {
            let full = name.to_string();
            let by_digest = |image: &Listed| {
                let known = image.name.as_ref().is_some_and(|known| {
                    (&known.host, &known.repository) == (&name.host, &name.repository)
                });
                known && name.digest.iter().any(|d| *d == image.top || *d == image.manifest.digest)
            };
            let by_name = |image: &&Listed| {
                image.name.as_ref().is_some_and(|known| known.to_string() == full)
            };
            let found = images.iter().find(by_name);
            if let Some(image) = found.or_else(|| images.iter().find(|image| by_digest(image))) {
                return Ok(Some(image.clone()));
            }
        }
        let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
        if hex.len() < 2 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let mut by_id = images.into_iter().filter(|image| image.id.hex().starts_with(hex));
        let Some(first) = by_id.next() else { return Ok(None) };
        ensure!(
            by_id.all(|other| other.id == first.id),
            "more than one image has an ID that begins with {hex}"
        );
        Ok(Some(first))
    }

    /// Gives an image that is here one more name, which another image may lose by it.
    pub fn tag(&self, image: &Listed, name: &Reference) -> Result<()> {
        ensure!(name.digest.is_none(), "a name that is given to an image has no digest in it");
        self.list(name, &image.manifest, &image.top).map(drop)
    }

    /// Takes a name away from an image, or an image that was found by its ID out of the list. What
    /// no name leads to any more is for [`Store::collect`]. Returns the names that are gone.
    pub fn unlist(&self, wanted: &str) -> Result<(Listed, Vec<Reference>)> {
        let Some(image) = self.find(wanted)? else {
            bail!("there is no image {wanted}\nhint: coracle images lists them");
        };
        let named =
            self.images()?.into_iter().filter(|i| i.manifest.digest == image.manifest.digest);
        let names: Vec<Reference> = named.filter_map(|i| i.name).collect();
        let is_id = image.name.is_none() || {
            let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
            image.id.hex().starts_with(hex)
                && !names.iter().any(|name| {
                    wanted
                        .parse::<Reference>()
                        .is_ok_and(|wanted| wanted.to_string() == name.to_string())
                })
        };
        let list = || names.iter().map(Reference::familiar).collect::<Vec<_>>().join(", ");
        ensure!(
            !is_id || names.len() < 2,
            "the image {wanted} has several names\nhint: remove them one by one: {}",
            list()
        );
        let gone = image.name.clone();
        let digest = image.manifest.digest.to_string();
        self.edit(|entries| {
            entries.retain(|entry| {
                entry["digest"] != *digest
                    || name_of(entry) != gone.as_ref().map(ToString::to_string)
            });
            Ok(())
        })?;
        Ok((image, gone.into_iter().collect()))
    }

    /// Takes out what `is_useless`: of a name, if it has one, and of a manifest with this digest.
    pub fn unlist_all(&self, is_useless: impl Fn(Option<&str>, &str) -> bool) -> Result<()> {
        self.edit(|entries| {
            entries.retain(|entry| {
                let digest = entry["digest"].as_str().unwrap_or_default();
                !is_useless(name_of(entry).as_deref(), digest)
            });
            Ok(())
        })
    }

    /// Lists a manifest under a name. The image that had the name stays, without it.
    pub(crate) fn list(
        &self,
        name: &Reference,
        manifest: &Descriptor,
        top: &Digest,
    ) -> Result<Listing> {
        let name = name.to_string();
        let digest = manifest.digest.to_string();
        let mut entry = json!({
            "mediaType": manifest.media_type, "digest": digest, "size": manifest.size,
            "annotations": { REF_NAME: name, TOP: top.to_string() },
        });
        if let Some(platform) = &manifest.platform {
            entry["platform"] = json!({ "os": platform.os, "architecture": platform.architecture });
            platform
                .variant
                .iter()
                .for_each(|variant| entry["platform"]["variant"] = json!(variant));
        }
        self.keep_names()?;
        self.edit(|entries| {
            let is_named = |entry: &Value| name_of(entry).as_ref() == Some(&name);
            let was = entries.iter().any(|old| is_named(old) && old["digest"] == *digest);
            for old in entries.iter_mut().filter(|old| is_named(old)) {
                if let Some(annotations) = old["annotations"].as_object_mut() {
                    annotations.remove(REF_NAME);
                }
            }
            entries.push(entry);
            // An image that has a name needs no entry without one.
            let named = |digest: &Value, all: &[Value]| {
                all.iter().any(|other| other["digest"] == *digest && name_of(other).is_some())
            };
            let all = entries.clone();
            entries.retain(|entry| name_of(entry).is_some() || !named(&entry["digest"], &all));
            Ok(if was { Listing::Same } else { Listing::New })
        })
    }

    /// Puts on the disk what blobs and layers are called, once for all that an image needs: a name
    /// alone is a wait for the disk as long as a layer's.
    fn keep_names(&self) -> Result<()> {
        for folder in [self.blobs().folder(), self.layers(), self.chains()] {
            let kept = File::open(&folder).and_then(|folder| folder.sync_all());
            kept.with_context(|| format!("cannot write {} to the disk", folder.display()))?;
        }
        Ok(())
    }

    /// The entries as they are, for those who collect what none leads to.
    pub(crate) fn entries(&self) -> Result<Index> {
        let path = self.root.join("index.json");
        let json = crate::source::read_document(&path).and_then(|json| Index::parse(&json));
        json.with_context(|| format!("cannot read {}", path.display()))
    }

    fn listed(&self, entry: Descriptor) -> Result<Listed> {
        let read = |digest: &Digest| crate::source::read_document(&self.blobs().path(digest));
        let manifest = Manifest::parse(&read(&entry.digest)?)?;
        let config: Value = serde_json::from_slice(&read(&manifest.config.digest)?)?;
        let sizes = manifest.layers.iter().map(|layer| layer.size);
        let size = sizes.fold(entry.size + manifest.config.size, u64::saturating_add);
        let id = manifest.config.digest.clone();
        let layers = manifest.layers.into_iter().map(|layer| layer.digest);
        let blobs = [entry.digest.clone(), id.clone()].into_iter().chain(layers).collect();
        let top = entry.annotations.get(TOP).and_then(|top| top.parse().ok());
        let top = top.unwrap_or_else(|| entry.digest.clone());
        let name = entry.tag().and_then(|name| name.parse().ok());
        Ok(Listed { name, manifest: entry, top, id, size, blobs, config })
    }

    /// Changes the list, with all others kept away. What other tools wrote into it stays.
    fn edit<T>(&self, change: impl FnOnce(&mut Vec<Value>) -> Result<T>) -> Result<T> {
        let path = self.root.join("index.json");
        let cannot = || format!("cannot change {}", path.display());
        let lock = File::open(self.blobs().folder()).with_context(cannot)?;
        retry_on_intr(|| flock(&lock, FlockOperation::LockExclusive)).with_context(cannot)?;
        let json = crate::source::read_document(&path).with_context(cannot)?;
        let mut index: Value = serde_json::from_slice(&json).with_context(cannot)?;
        let entries = index["manifests"].as_array_mut().with_context(cannot)?;
        let before = entries.clone();
        let done = change(entries)?;
        if *entries != before {
            let text = index.to_string();
            ensure!(
                text.len() as u64 <= LARGEST_DOCUMENT,
                "{}: it would become too large",
                cannot()
            );
            self.write_atomically("index.json", text.as_bytes())?;
        }
        Ok(done)
    }

    /// Writes a file of the store beside the old one and renames it, so that a reader sees the old
    /// or the new, whole; after a power cut, too.
    pub(crate) fn write_atomically(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (new, path) = (self.root.join(format!("{name}.new")), self.root.join(name));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.root)?.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}

fn name_of(entry: &Value) -> Option<String> {
    entry["annotations"][REF_NAME].as_str().map(str::to_owned)
}
