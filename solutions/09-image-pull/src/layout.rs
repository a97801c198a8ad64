//! Reads an image layout: a folder of blobs, each under its digest (OCI image-layout.md).
//!
//! ```text
//! oci-layout              says which version of the layout this is
//! index.json              the images in it, with their tags
//! blobs/sha256/<hex>      index, manifest, config, layer: everything else
//! ```

use crate::Digest;
use crate::documents::{Descriptor, Index, LARGEST_DOCUMENT};
use crate::verified::Verified;
use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{Mode, OFlags};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// An image layout on disk and, where the source names one, a tag in it.
pub(crate) struct Layout {
    folder: PathBuf,
    tag: Option<String>,
}

impl Layout {
    /// Opens `oci:DIR` or `oci:DIR:TAG`.
    pub fn open(source: &str) -> Result<Layout> {
        let Some(place) = source.strip_prefix("oci:") else {
            bail!(
                "cannot pull {source:?}: it is not of the form oci:DIR or oci:DIR:TAG\nhint: registries come later; skopeo copy docker://NAME oci:DIR:TAG brings an image here"
            );
        };
        // A folder may have a colon in its name, and so may a tag (`localhost:5000/a:1`).
        let is_folder = |place: &str| Path::new(place).is_dir();
        let mut splits = place.match_indices(':').map(|(at, _)| (&place[..at], &place[at + 1..]));
        let first = splits.clone().next();
        let (folder, tag) = match splits.find(|(folder, _)| is_folder(folder)).or(first) {
            Some((folder, tag)) if !is_folder(place) => (folder, Some(tag.to_owned())),
            _ => (place, None),
        };
        ensure!(!folder.is_empty(), "cannot pull {source:?}: no such folder");
        let layout = Layout { folder: folder.into(), tag };
        layout.check_version()?;
        Ok(layout)
    }

    fn check_version(&self) -> Result<()> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            image_layout_version: String,
        }
        let path = self.folder.join("oci-layout");
        ensure!(self.folder.exists(), "cannot open {}: no such folder", self.folder.display());
        let json = read_document(&path).with_context(|| {
            let folder = self.folder.display();
            format!("{folder} is not an OCI image layout\nhint: skopeo copy docker://NAME oci:DIR:TAG makes one")
        })?;
        let version: Version = serde_json::from_slice(&json)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let version = version.image_layout_version;
        ensure!(version.starts_with("1."), "{} has version {version}, not 1", path.display());
        Ok(())
    }

    /// The images that the source means: those under its tag, or all there are.
    pub fn images(&self) -> Result<Vec<Descriptor>> {
        let path = self.folder.join("index.json");
        let index = read_document(&path).and_then(|json| Index::parse(&json));
        let all = index.with_context(|| format!("cannot read {}", path.display()))?.manifests;
        let mut tags: Vec<String> = all.iter().filter_map(|i| i.tag()).map(str::to_owned).collect();
        tags.sort_unstable();
        tags.dedup();
        let folder = self.folder.display();
        let Some(tag) = &self.tag else {
            ensure!(!all.is_empty(), "there is no image in {folder}");
            ensure!(
                tags.len() < 2,
                "{folder} holds several images\nhint: choose one: {}",
                commands(&folder, &tags)
            );
            return Ok(all);
        };
        let tagged: Vec<_> = all.into_iter().filter(|image| image.tag() == Some(tag)).collect();
        if tagged.is_empty() && tags.is_empty() {
            bail!("there is no tag {tag:?} in {folder}, nor any other\nhint: try oci:{folder}");
        }
        ensure!(
            !tagged.is_empty(),
            "there is no tag {tag:?} in {folder}\nhint: there is {}",
            commands(&folder, &tags)
        );
        Ok(tagged)
    }

    /// Reads a whole document into memory and checks it against its descriptor.
    pub fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let (digest, size) = (&descriptor.digest, descriptor.size);
        ensure!(
            size <= LARGEST_DOCUMENT,
            "document {digest} is said to have {size} bytes; more than {LARGEST_DOCUMENT} are not accepted"
        );
        let mut json = Vec::new();
        let blob = self.blob(descriptor)?;
        Verified::new(blob, digest, Some(size))
            .read_to_end(&mut json)
            .with_context(|| format!("cannot read {}", self.path(digest).display()))?;
        Ok(json)
    }

    /// Opens a blob. Its bytes are not to be believed before they have gone through [`Verified`].
    pub fn blob(&self, descriptor: &Descriptor) -> Result<File> {
        let path = self.path(&descriptor.digest);
        let blob = open(&path).with_context(|| format!("cannot open blob {}", path.display()))?;
        let (is, size) = (blob.metadata()?.len(), descriptor.size);
        ensure!(
            is == size,
            "blob {} has {is} bytes and should have {size}\nhint: it was cut off or changed; copy the image again",
            path.display()
        );
        Ok(blob)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }
}

fn commands(folder: &impl std::fmt::Display, tags: &[String]) -> String {
    let commands: Vec<_> = tags.iter().map(|tag| format!("oci:{folder}:{tag}")).collect();
    commands.join(", ")
}

/// Reads a file that is not named by a digest, up to the bound for documents.
fn read_document(path: &Path) -> Result<Vec<u8>> {
    let mut json = Vec::new();
    let file = open(path).with_context(|| format!("cannot open {}", path.display()))?;
    file.take(LARGEST_DOCUMENT + 1).read_to_end(&mut json)?;
    ensure!(json.len() as u64 <= LARGEST_DOCUMENT, "it has more than {LARGEST_DOCUMENT} bytes");
    Ok(json)
}

/// Opens a regular file; a FIFO in its place does not make us wait for ever.
fn open(path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    ensure!(file.metadata()?.is_file(), "it is not a regular file");
    Ok(file)
}
