//! Copies an image from a folder or an archive into the store, where it has a name from then on.

use crate::documents::Descriptor;
use crate::source::{Source, Wanted};
use crate::{Found, Image, Platform, Reference, Store, find, pull};
use anyhow::{Context, Result};
use std::io::{self, Read};
use std::path::Path;

/// Brings the image that is `wanted` into the store, blobs and all, and unpacks it there.
///
/// It is listed under the name that its source has for it: the one in an archive of docker, else
/// `localhost/<folder or file>:<tag>`, as podman calls what came from no registry.
pub fn import(store: &Store, wanted: impl Into<Wanted>, platform: &Platform) -> Result<Image> {
    let wanted = wanted.into();
    let found = find(Source::open(&wanted, store.root())?, platform)?;
    let name = name_of(&found, &wanted.source)?;
    let blobs = store.blobs();
    let config = found.config_blob.clone();
    let layers: Vec<Descriptor> = found.layers.iter().map(|layer| layer.blob.clone()).collect();
    blobs.check_room(layers.iter())?;
    for blob in layers.iter().chain([&config, &found.manifest]) {
        let open = |from| {
            let mut reader = found.source.blob(blob)?;
            io::copy(&mut (&mut reader).take(from), &mut io::sink())?;
            Ok(reader)
        };
        blobs.take_in(blob, open, |_| Ok(()), || ())?;
    }
    let listing = store.list(&name, &found.manifest, &found.manifest.digest)?;
    let listed = store.find(&name.to_string())?.context("it is not in the list any more")?;
    let image = pull(store, Wanted { here: Some(listed), ..wanted }, platform)?;
    Ok(Image { reference: name.to_string(), listing: Some(listing), ..image })
}

fn name_of(found: &Found, source: &str) -> Result<Reference> {
    let tag = found.tag.as_deref().unwrap_or("latest");
    if tag.contains('/') {
        return tag.parse();
    }
    let place = source.split_once(':').map_or(source, |(_, place)| place);
    let place = place.strip_suffix(tag).and_then(|p| p.strip_suffix(':')).unwrap_or(place);
    let folder = std::path::absolute(Path::new(place))?;
    let stem = folder.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    format!("localhost/{stem}:{tag}").parse().with_context(|| {
        format!("cannot name what comes from {source}\nhint: give its folder or file a plain name")
    })
}
