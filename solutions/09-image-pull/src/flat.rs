//! Unpacks an image into one folder, for those who want to look at it or to `chroot` into it.
//!
//! The store keeps layers apart and lets overlayfs lay them over each other. Here they are written
//! on top of each other, from the lowest up, as `docker export` or `umoci unpack` would show them.

use crate::documents::Layer;
use crate::entries::{Entry, Kind};
use crate::markers::{is_folder, marked};
use crate::parallel::Over;
use crate::progress::Step;
use crate::remove::{empty, names, remove};
use crate::room::explain_full;
use crate::source::{Source, Wanted};
use crate::store::workplace::Workplace;
use crate::unpack::{Pass, is_missing, keeping_times};
use crate::{Found, Image, Platform, attributes, find, parallel, safe_path, unpack_layer};
use anyhow::{Context, Result, ensure};
use rustix::fs::{AtFlags, renameat, statat};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::Path;

/// The name of our folder in the target while we work. An image has no file of this name.
const WORKPLACE: &str = ".image-pull-unpacking";

/// Unpacks the image that is `wanted` for `platform` into `target`, which must be empty or absent.
///
/// The files appear in `target` when all is done and checked; a failure leaves it as it was. They
/// have the image's owners and permissions: keep others out if you do not trust its set-user-id
/// programs.
pub fn pull_flat(wanted: impl Into<Wanted>, platform: &Platform, target: &Path) -> Result<Image> {
    let wanted = wanted.into();
    let made = make_or_check_empty(target)
        .with_context(|| format!("cannot unpack into {}", target.display()))?;
    let unpacked = unpack(&wanted, platform, target).map_err(|error| explain_full(error, target));
    if unpacked.is_err() && made {
        let _ = fs::remove_dir(target); // the error that counts is the one that we have
    }
    Ok(unpacked?.image(wanted.source, &[target.to_owned()], None))
}

fn unpack(wanted: &Wanted, platform: &Platform, target: &Path) -> Result<Found> {
    let workplace = Workplace::claim(target.join(WORKPLACE), || {
        wanted.progress.say("Waiting for another who unpacks into the same folder");
    })?;
    // What a registry sends lies beside the files that are made of it, and goes when they are done.
    let image = find(Source::open(wanted, workplace.path())?, platform)?;
    let folder = workplace.folder()?;
    let (source, progress) = (&image.source, &wanted.progress);
    source.prepare(image.layers.iter().map(|layer| &layer.blob))?;
    let fetch = |layer: &Layer, over: &Over| source.fetch(&layer.blob, progress, over);
    let mut is_first = true;
    // One onto another, while those above still come.
    parallel::fetch_and_map(
        &image.layers,
        fetch,
        |_| Ok(()),
        |layer, ()| {
            progress.layer(&layer.blob.digest, Step::Extracting);
            let unpack = |pass| {
                unpack_layer(source, layer, &folder, pass)
                    .with_context(|| format!("cannot unpack layer {}", layer.diff_id))
            };
            if !is_first {
                unpack(Pass::Remove)?;
            }
            is_first = false;
            unpack(Pass::Add)?;
            progress.layer(&layer.blob.digest, Step::Complete);
            Ok(())
        },
    )?;
    let cannot = || format!("cannot put the files into {}", target.display());
    let top = File::open(target).with_context(cannot)?;
    keeping_times(&folder, || {
        for name in names(&folder)?.collect::<io::Result<Vec<_>>>()? {
            renameat(&folder, &*name, &top, &*name).with_context(cannot)?;
        }
        Ok(())
    })?;
    drop(workplace); // now, because it changes the times of `top`
    attributes::copy(&folder, &top).with_context(cannot)?;
    Ok(image)
}

/// Makes sure of an empty folder. `true`: it was not there before.
fn make_or_check_empty(target: &Path) -> Result<bool> {
    let entries = match fs::read_dir(target) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir(target)?;
            return Ok(true);
        }
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name(); // a killed run may have left its workplace
        ensure!(name == WORKPLACE, "it is not empty\nhint: choose a new folder, or an empty one");
    }
    Ok(false)
}

/// Removes what a marker names from the layers below.
pub(crate) fn remove_marked(root: &OwnedFd, path: &Path) -> Result<()> {
    let Some((folder, marker)) = find_below(root, path)? else { return Ok(()) };
    let removed = |result: io::Result<()>| match result {
        Err(error) if is_missing(&error) => Ok(()),
        other => other.context("cannot remove what it marks"),
    };
    keeping_times(&folder, || match marked(&marker)? {
        Some(name) => removed(remove(&folder, name)),
        None => removed(empty(&folder)),
    })
}

/// Removes what an entry will replace in the layers below, so that a marker in `a` means the new
/// folder `a` and not what a symlink of that name led to. A folder stays for a folder.
pub(crate) fn remove_replaced(root: &OwnedFd, entry: &Entry) -> Result<()> {
    let Some((folder, name)) = find_below(root, &entry.name)? else { return Ok(()) };
    match statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(_) => Ok(()),
        Ok(_) if name == "." => Ok(()),
        Ok(there) if is_folder(&there) && entry.kind == Kind::Folder => Ok(()),
        Ok(_) => keeping_times(&folder, || remove(&folder, &name).context("cannot replace it")),
    }
}

/// Finds the folder of an entry. `None`: the layers below have none, nor anything in it.
fn find_below(root: &OwnedFd, path: &Path) -> Result<Option<(OwnedFd, OsString)>> {
    match safe_path(root, path) {
        Err(error) if is_missing(&error) || leads_in_a_circle(&error) => Ok(None),
        found => found.map(Some).context("cannot open its folder"),
    }
}

fn leads_in_a_circle(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}
