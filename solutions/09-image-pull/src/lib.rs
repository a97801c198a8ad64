//! Turns an image into folders that can be mounted, and trusts none of its bytes.
//!
//! An image is a small tree of documents. Each names the next by its *digest*, the SHA-256 of its
//! bytes, so whoever knows the digest at the top can check everything below it:
//!
//! ```text
//! index ──▶ manifest ──▶ config      what to run; the diffIDs: what each layer hashes to unpacked
//!  one for      │
//!  each         └──────▶ layers      tar archives, compressed; lowest first
//!  platform
//! ```
//!
//! Read [`pull`] first: it walks down that tree. Then the three things that an image may not be
//! trusted with: to be made for this machine ([`pick_platform`]), to be what it says
//! (`verified.rs`), and to stay in its folder ([`safe_path`]).

// What is meant, and where it is.
mod found;
mod platform;
mod reference;
mod registry;
mod source;

// What may be believed of it.
mod digest;
mod documents;
mod verified;

// How it becomes files; `unpack.rs` is the one to begin with.
mod attributes;
mod below;
mod decompress;
mod entries;
mod flat;
mod markers;
mod patient;
mod pipeline;
mod remove;
mod room;
mod unpack;

// Where it stays, and how far it is.
mod parallel;
mod progress;
mod store;

#[cfg(test)]
mod tests;

pub use digest::Digest;
pub use documents::{Config, Descriptor, Index, Manifest, Process, RootFs};
pub use flat::pull_flat;
pub use found::Image;
pub use platform::Platform;
pub use progress::Progress;
pub use reference::Reference;
pub use registry::{Access, Challenge};
pub use remove::remove;
pub use source::{Wanted, import, is_local};
pub use store::{Collected, Listed, Listing, Store};

use anyhow::{Context, Result, bail, ensure};
use decompress::decompress;
use documents::Layer;
use found::Found;
use patient::openat2;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use source::Source;
use std::cmp::Reverse;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use unpack::Pass;
use verified::Verified;

/// Brings the image that is `wanted` for `platform` into the store.
///
/// Layers come and are unpacked in parallel; one that needs those below it waits for them. What is
/// on this machine's disk is not fetched, what is in the store not even read. No thread is left.
// ANCHOR: pull
pub fn pull(store: &Store, wanted: impl Into<Wanted>, platform: &Platform) -> Result<Image> {
    let wanted = wanted.into();
    let found = find(Source::open(&wanted, store.root())?, platform)?;
    let (source, progress) = (&found.source, &wanted.progress);
    source.prepare(found.layers.iter().map(|layer| &layer.blob))?; // is there room?
    let fetch = |layer: &Layer, over: &parallel::Over| source.fetch(&layer.blob, progress, over);
    let alone = |layer: &Layer, to: &OwnedFd| unpack_layer(source, layer, to, Pass::ALONE);
    let unpack = |layer: &Layer| progress.unpacking(store, layer, |to| alone(layer, to));
    let mut all = Vec::new(); // their folders, the lowest first
    let finish = |layer, folder| store.put_on(&mut all, (source, progress), layer, folder);
    let bring = || parallel::fetch_and_map(&found.layers, fetch, unpack, finish);
    store.write_behind(&found.layers, bring)?; // the disk writes meanwhile
    let name = source.name(); // listed last, when all of it is here
    let listing = name.map(|name| store.list(name, &found.manifest, &found.top)).transpose()?;
    Ok(found.image(wanted.source, &all, listing))
}
// ANCHOR_END: pull

/// An index may name indexes. Honest ones go one level deep.
const DEEPEST_INDEX: usize = 8;

/// Walks from the index to the manifest to the config, checking each on the way.
// ANCHOR: find
fn find(source: Source, platform: &Platform) -> Result<Found> {
    let mut chosen = pick_platform(&source.images()?, platform)?.clone();
    let (top, tag) = (chosen.digest.clone(), chosen.tag().map(str::to_owned));
    for _ in 0..DEEPEST_INDEX {
        if !chosen.is_index() {
            break;
        }
        let index = source.document(&chosen).and_then(|json| Index::parse(&json));
        let index = index.with_context(|| format!("cannot read index {}", chosen.digest))?;
        chosen = pick_platform(&index.manifests, platform)?.clone();
    }
    let digest = chosen.digest.clone();
    let manifest = source.document(&chosen).and_then(|json| Manifest::parse(&json));
    let manifest = manifest.with_context(|| format!("cannot read manifest {digest}"))?;
    let config = source.document(&manifest.config).and_then(|json| Config::parse(&json));
    let config =
        config.with_context(|| format!("cannot read config {}", manifest.config.digest))?;
    // The manifest may have come without a platform, and it can lie. The config is what we run.
    let made_for = &config.platform;
    ensure!(
        made_for.suits(platform).is_some(),
        "the image is for {made_for}, not for {platform}\nhint: --platform {made_for} takes it as it is"
    );
    let config_blob = manifest.config.clone();
    let layers = documents::layers(manifest, &config)?;
    Ok(Found { source, top, tag, manifest: chosen, config_blob, config, layers })
}
// ANCHOR_END: find

/// Chooses the image that runs on the `wanted` machine: of those that do, the most specific one.
// ANCHOR: pick_platform
pub(crate) fn pick_platform<'a>(
    images: &'a [Descriptor],
    wanted: &Platform,
) -> Result<&'a Descriptor> {
    // ANCHOR: todo_pick_platform: find the image for the wanted platform; an image that stands alone need not say what it is for
    let ranked = images.iter().filter_map(|i| Some((i.platform.as_ref()?.suits(wanted)?, i)));
    let best = ranked.min_by_key(|(rank, _)| Reverse(*rank)).map(|(_, image)| image);
    if let Some(image) = best.or_else(|| images.iter().find(|i| i.platform.is_none())) {
        return Ok(image);
    }
    // ANCHOR_END: todo_pick_platform
    let there = images.iter().filter_map(|image| image.platform.as_ref());
    let there: Vec<_> = there.map(Platform::to_string).filter(|p| p != "unknown/unknown").collect();
    ensure!(!there.is_empty(), "there is no image for {wanted}, nor for any other machine");
    bail!("there is no image for {wanted}\nhint: there is one for {}", there.join(", "))
}
// ANCHOR_END: pick_platform

/// Unpacks one layer into `folder`. Only when this returns well are the files what they should be.
// ANCHOR: unpack_layer
fn unpack_layer(source: &Source, layer: &Layer, folder: &OwnedFd, pass: Pass) -> Result<()> {
    let Descriptor { digest, size, .. } = &layer.blob;
    let mut blob = Verified::new(source.blob(&layer.blob)?, digest, Some(*size));
    let unpacked = decompress(&mut blob, *size).and_then(|tar| {
        pipeline::read_ahead(tar, |tar| {
            let mut tar = Verified::new(tar, &layer.diff_id, None);
            unpack::archive(&mut tar, folder, pass)?;
            tar.finish() // an archive may end before its bytes do; the digests are over all of them
        })
    });
    blob.finish()?; // a damaged blob explains whatever else went wrong
    unpacked.map_err(|error| room::measure(error, source, &layer.blob))
}
// ANCHOR_END: unpack_layer

/// Finds the folder that an entry of a layer belongs in, without ever leaving `root`, and the
/// entry's own name in it (`.` for the root itself).
///
/// A name is hostile in three ways. It can climb (`../x`), it can start at the top (`/x`), and it
/// can be as plain as `a/x`, where `a` is a symlink to `/etc` that the same layer made a moment
/// ago. No look at the text finds the third: only the kernel, asked to resolve the folder as if
/// `root` were `/`, gets it right (openat2(2), since Linux 5.6). The last step is never resolved:
/// whoever uses it must not follow a symlink there.
// ANCHOR: safe_path
pub(crate) fn safe_path(root: &OwnedFd, name: &Path) -> io::Result<(OwnedFd, OsString)> {
    // ANCHOR: todo_safe_path: take the name apart, refuse what climbs out, and let the kernel open the folder inside the root
    let mut steps: Vec<&OsStr> = Vec::new();
    for step in name.components() {
        match step {
            Component::Normal(step) => steps.push(step),
            Component::ParentDir if steps.pop().is_none() => {
                return Err(io::Error::other("its name leads out of the layer"));
            }
            _ => {} // `.` means nothing, and `/` means the layer's own root
        }
    }
    let Some(last) = steps.pop() else { return Ok((root.try_clone()?, ".".into())) };
    let folder: PathBuf = [OsStr::new(".")].into_iter().chain(steps).collect();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let folder = openat2(root, &folder, flags, Mode::empty(), inside)?;
    Ok((folder, last.to_owned()))
    // ANCHOR_END: todo_safe_path
}
// ANCHOR_END: safe_path
