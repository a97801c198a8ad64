//! Reads an image layout: a folder of blobs, each under its digest (OCI image-layout.md).
//!
//! ```text
//! oci-layout              says which version of the layout this is
//! index.json              the images in it, with their tags
//! blobs/sha256/<hex>      index, manifest, config, layer: everything else
//! ```

use super::choose;
use crate::Digest;
use crate::documents::{Descriptor, Index, LARGEST_DOCUMENT};
use anyhow::{Context, Result, ensure};
use rustix::fs::{Mode, OFlags};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// An image layout on disk and what is meant of it.
pub(crate) struct Layout {
    folder: PathBuf,
    meant: Meant,
}

enum Meant {
    /// The only image, or the images under a tag.
    Tag(Option<String>),
    /// This one.
    Image(Box<Descriptor>),
}

impl Layout {
    /// Opens `DIR` or `DIR:TAG`.
    pub fn open(place: &str) -> Result<Layout> {
        let (folder, tag) = split_tag(place, Path::is_dir);
        ensure!(!folder.is_empty(), "cannot pull oci:{place}: no such folder");
        let layout = Layout { folder: folder.into(), meant: Meant::Tag(tag) };
        layout.check_version()?;
        Ok(layout)
    }

    /// One image, by its manifest, in a layout of ours.
    pub fn of_image(folder: &Path, manifest: Descriptor) -> Layout {
        Layout { folder: folder.to_owned(), meant: Meant::Image(Box::new(manifest)) }
    }

    fn check_version(&self) -> Result<()> {
        let path = self.folder.join("oci-layout");
        ensure!(self.folder.exists(), "cannot open {}: no such folder", self.folder.display());
        let json = read_document(&path).with_context(|| {
            let folder = self.folder.display();
            format!("{folder} is not an OCI image layout\nhint: skopeo copy docker://NAME oci:DIR:TAG makes one")
        })?;
        check_layout_version(&json).with_context(|| format!("cannot read {}", path.display()))
    }

    /// The images that the source means.
    pub fn images(&self) -> Result<Vec<Descriptor>> {
        let tag = match &self.meant {
            Meant::Image(image) => return Ok(vec![(**image).clone()]),
            Meant::Tag(tag) => tag.as_deref(),
        };
        let path = self.folder.join("index.json");
        let index = read_document(&path).and_then(|json| Index::parse(&json));
        let all = index.with_context(|| format!("cannot read {}", path.display()))?.manifests;
        choose(all, tag, &format!("oci:{}", self.folder.display()))
    }

    /// Opens a blob. Its bytes are not to be believed before they have gone through
    /// [`crate::verified`].
    pub fn blob(&self, descriptor: &Descriptor) -> Result<File> {
        open_blob(&self.path(&descriptor.digest), descriptor.size)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }
}

/// Splits `PLACE:TAG`. A place may have a colon in its name, and so may a tag
/// (`localhost:5000/a:1`): what `exists` decides.
pub(super) fn split_tag(place: &str, exists: impl Fn(&Path) -> bool) -> (&str, Option<String>) {
    let is_there = |place: &str| exists(Path::new(place));
    let mut splits = place.match_indices(':').map(|(at, _)| (&place[..at], &place[at + 1..]));
    let first = splits.clone().next();
    match splits.find(|(folder, _)| is_there(folder)).or(first) {
        Some((folder, tag)) if !is_there(place) => (folder, Some(tag.to_owned())),
        _ => (place, None),
    }
}

/// Checks the file `oci-layout`.
pub(super) fn check_layout_version(json: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        image_layout_version: String,
    }
    let version = serde_json::from_slice::<Version>(json)?.image_layout_version;
    ensure!(version.starts_with("1."), "it has version {version}, not 1");
    Ok(())
}

/// Opens the file of a blob that should have this size.
pub(super) fn open_blob(path: &Path, size: u64) -> Result<File> {
    let blob = open(path).with_context(|| format!("cannot open blob {}", path.display()))?;
    let is = blob.metadata()?.len();
    ensure!(
        is == size,
        "blob {} has {is} bytes and should have {size}\nhint: it was cut off or changed; copy the image again",
        path.display()
    );
    Ok(blob)
}

/// Reads a file that is not named by a digest, up to the bound for documents.
pub(crate) fn read_document(path: &Path) -> Result<Vec<u8>> {
    let mut json = Vec::new();
    let file = open(path).with_context(|| format!("cannot open {}", path.display()))?;
    file.take(LARGEST_DOCUMENT + 1).read_to_end(&mut json)?;
    ensure!(json.len() as u64 <= LARGEST_DOCUMENT, "it has more than {LARGEST_DOCUMENT} bytes");
    Ok(json)
}

/// Opens a regular file; a FIFO in its place does not make us wait for ever.
pub(super) fn open(path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    ensure!(file.metadata()?.is_file(), "it is not a regular file");
    Ok(file)
}
