//! Where images come from: a registry, a folder or an archive on disk. To whoever walks down an
//! image they are one thing: a list of images, documents by their digest, blobs by their digest.

mod archive;
mod import;
mod layout;

pub(crate) use archive::Archive;
pub use import::import;
pub(crate) use layout::{Layout, read_document};

use crate::documents::{Descriptor, LARGEST_DOCUMENT};
use crate::parallel::Over;
use crate::progress::{Progress, Step};
use crate::registry::{Access, Download, Registry};
use crate::store::blobs::Blobs;
use crate::verified::Verified;
use crate::{Digest, Listed, Reference};
use anyhow::{Context, Result, bail, ensure};
use std::io::Read;
use std::path::Path;

/// An image as a person asks for it, and how to go about it.
#[derive(Debug)]
pub struct Wanted {
    /// A name, or `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`.
    pub source: String,
    /// How registries may be talked to.
    pub access: Access,
    /// Who is told how far it is.
    pub progress: Progress,
    /// The image is in the store; nobody is asked for it.
    pub here: Option<Listed>,
}

impl<T: Into<String>> From<T> for Wanted {
    /// The usual way, in silence.
    fn from(source: T) -> Wanted {
        let (access, progress) = (Access::default(), Progress::Quiet);
        Wanted { source: source.into(), access, progress, here: None }
    }
}

/// Does this name an image on this machine's disk?
pub fn is_local(source: &str) -> bool {
    ["oci:", "oci-archive:", "docker-archive:"].iter().any(|kind| {
        // `oci:5000` alone could be an image called `oci`, but docker's users write no such name
        source.starts_with(kind)
    })
}

/// An opened source.
pub(crate) enum Source {
    Layout(Layout),
    Archive(Archive),
    Registry(Box<Remote>),
}

/// A registry, and the folder that keeps what it has sent.
pub(crate) struct Remote {
    registry: Registry,
    blobs: Blobs,
    reference: Reference,
}

impl Source {
    /// Opens what is wanted. Blobs from a registry are kept in the folder `keep`.
    pub fn open(wanted: &Wanted, keep: &Path) -> Result<Source> {
        if let Some(image) = &wanted.here {
            return Ok(Source::Layout(Layout::of_image(keep, image.manifest.clone())));
        }
        let text = wanted.source.as_str();
        if let Some(place) = text.strip_prefix("oci:") {
            return Layout::open(place).map(Source::Layout);
        }
        if let Some(place) = text.strip_prefix("oci-archive:") {
            return Archive::open_oci(place).map(Source::Archive);
        }
        if let Some(place) = text.strip_prefix("docker-archive:") {
            return Archive::open_docker(place).map(Source::Archive);
        }
        let reference: Reference = text.parse().with_context(|| {
            format!("cannot pull {text:?}\nhint: a name such as alpine or host:5000/a/b:tag, or oci:DIR, oci-archive:FILE, docker-archive:FILE")
        })?;
        let registry = Registry::open(&reference, wanted.access)?;
        let blobs = Blobs::open(keep)?;
        let (what, repository) = (reference.wanted(), &reference.repository);
        wanted.progress.say(&format!("{what}: Pulling from {repository}"));
        let remote = Remote { registry, blobs, reference };
        Ok(Source::Registry(Box::new(remote)))
    }

    /// The images that are meant, one of which suits.
    pub fn images(&self) -> Result<Vec<Descriptor>> {
        match self {
            Source::Layout(layout) => layout.images(),
            Source::Archive(archive) => archive.images(),
            Source::Registry(remote) => {
                let Remote { registry, blobs, .. } = &**remote;
                let (top, json) = registry.top()?;
                blobs.add(&top.digest, &json)?;
                Ok(vec![top])
            }
        }
    }

    /// Reads a whole document into memory and checks it against its descriptor.
    pub fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let (digest, size) = (&descriptor.digest, descriptor.size);
        ensure!(
            size <= LARGEST_DOCUMENT,
            "document {digest} is said to have {size} bytes; more than {LARGEST_DOCUMENT} are not accepted"
        );
        if let Source::Registry(remote) = self {
            let Remote { registry, blobs, .. } = &**remote;
            if !blobs.has(digest) {
                let json = registry.document(descriptor)?;
                blobs.add(digest, &json)?;
                return Ok(json);
            }
        }
        let mut json = Vec::new();
        let blob = self.blob(descriptor)?;
        Verified::new(blob, digest, Some(size))
            .read_to_end(&mut json)
            .with_context(|| format!("cannot read {digest}"))?;
        Ok(json)
    }

    /// Opens a blob that is on this machine. Its bytes are not to be believed before they have gone
    /// through [`Verified`].
    pub fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        Ok(match self {
            Source::Layout(layout) => Box::new(layout.blob(descriptor)?),
            Source::Archive(archive) => archive.blob(descriptor)?,
            Source::Registry(remote) => Box::new(layout::open_blob(
                &remote.blobs.path(&descriptor.digest),
                descriptor.size,
            )?),
        })
    }

    /// Brings layers onto this machine's disk: makes sure that there is room for them all.
    pub fn prepare<'a>(&self, layers: impl Iterator<Item = &'a Descriptor>) -> Result<()> {
        match self {
            Source::Registry(remote) => remote.blobs.check_room(layers),
            Source::Layout(_) | Source::Archive(_) => Ok(()),
        }
    }

    /// Brings one layer onto this machine's disk, unless it is there or `over` comes first.
    pub fn fetch(&self, layer: &Descriptor, progress: &Progress, over: &Over) -> Result<()> {
        let Source::Registry(remote) = self else { return Ok(()) };
        if remote.blobs.has(&layer.digest) {
            return Ok(());
        }
        let open = |from| {
            progress.layer(&layer.digest, Step::Downloading(layer.size));
            progress.advance(&layer.digest, from);
            Download::start(&remote.registry, layer, from, over)
        };
        let seen = |count| {
            progress.advance(&layer.digest, count);
            ensure!(!over.is_set(), "stopped, since another layer has failed");
            Ok(())
        };
        let waiting = || progress.layer(&layer.digest, Step::Waiting);
        remote.blobs.take_in(layer, open, seen, waiting)?;
        progress.layer(&layer.digest, Step::Downloaded);
        Ok(())
    }

    /// The name under which the store lists what was pulled; local sources are not listed.
    pub fn name(&self) -> Option<&Reference> {
        match self {
            Source::Registry(remote) => Some(&remote.reference),
            Source::Layout(_) | Source::Archive(_) => None,
        }
    }
}

/// Of the images in a folder or an archive those under a tag, or all there are if they are one.
/// `all` is the source without a tag, for the hints.
pub(crate) fn choose(
    images: Vec<Descriptor>,
    tag: Option<&str>,
    all: &str,
) -> Result<Vec<Descriptor>> {
    let place = all.split_once(':').map_or(all, |(_, place)| place);
    let mut tags: Vec<String> = images.iter().filter_map(|i| i.tag()).map(str::to_owned).collect();
    tags.sort_unstable();
    tags.dedup();
    let commands = || tags.iter().map(|tag| format!("{all}:{tag}")).collect::<Vec<_>>().join(", ");
    let Some(tag) = tag else {
        ensure!(!images.is_empty(), "there is no image in {place}");
        let first: &Digest = &images[0].digest;
        ensure!(
            tags.len() < 2 || images.iter().all(|image| image.digest == *first),
            "{place} holds several images\nhint: choose one: {}",
            commands()
        );
        return Ok(images);
    };
    let tagged: Vec<_> = images.into_iter().filter(|image| image.tag() == Some(tag)).collect();
    if tagged.is_empty() && tags.is_empty() {
        bail!("there is no tag {tag:?} in {place}, nor any other\nhint: try {all}");
    }
    ensure!(
        !tagged.is_empty(),
        "there is no tag {tag:?} in {place}\nhint: there is {}",
        commands()
    );
    Ok(tagged)
}
