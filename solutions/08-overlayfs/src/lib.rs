//! Stacks folders into one file system: layers below that nobody writes to, one on top that takes
//! every change.
//!
//! An image is a pile of *layers*, and a hundred containers share it. overlayfs shows the pile as
//! one tree (kernel: Documentation/filesystems/overlayfs.rst): a name is looked up from the top
//! down; a file that is written is first *copied up*; a file that is deleted is covered by a
//! *whiteout*, since the layer that holds it can't be touched.
//!
//! - [`mount`] makes the pile one tree;
//! - [`whiteout`] stores "nothing here" in a layer that was unpacked from an image;
//! - [`changes`] tells what a container has done, from the top layer alone.

mod attributes;
mod change;
mod entry;
mod explain;
mod lower;
mod short_names;
mod upper;

pub use change::{Change, Kind};
pub use upper::{Fate, Upper};

use anyhow::{Context, Result, bail};
use entry::{Entry, names_in, under};
use nix::Error;
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, SFlag, mknodat};
use rustix::fs::{XattrFlags, setxattr};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Mounts the layers at `target`, `layers[0]` lowest, as an image lists them. Without an upper
/// layer the tree is read-only (and the kernel wants two layers at least).
///
/// Device nodes of the image are dead here (nodev): the only devices of a container are those in
/// its `/dev`.
pub fn mount(layers: &[PathBuf], upper: Option<&Upper>, target: &Path) -> Result<()> {
    let call = |options: &OsStr| {
        nix::mount::mount(
            Some("overlay"),
            target,
            Some("overlay"),
            MsFlags::MS_NODEV,
            Some(options),
        )
    };
    let layers = lower::that_count(layers)?; // none below one that hides everything
    if let Some(upper) = upper {
        upper.check(layers)?; // for what the kernel overlooks
    }
    let mounted = match options(layers, upper) {
        Some(options) => call(&options),
        None => short_names::with(layers, upper, call)?,
    };
    mounted.map_err(|errno| explain::mount_error(errno, layers, upper))
}

/// Mounts the layers at `target` with an upper layer in memory, which vanishes with the mount.
///
/// The tmpfs is mounted on `target` first, and the overlay then covers it: nothing of it can be
/// seen, and there is no folder to tidy up.
pub fn mount_with_memory(layers: &[PathBuf], target: &Path) -> Result<()> {
    // The tmpfs may cover a layer, and its path with it; what is open stays reachable.
    let opened = layers.iter().map(|layer| short_names::folder(layer));
    let opened = opened.collect::<Result<Vec<_>>>()?;
    let layers: Vec<PathBuf> = opened.iter().map(rootfs::inside::through_descriptor).collect();
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
    nix::mount::mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some("mode=755"))
        .with_context(|| format!("cannot mount a tmpfs on {}", target.display()))?;
    let [upper, work] = ["upper", "work"].map(|name| target.join(name));
    for folder in [&upper, &work] {
        std::fs::create_dir(folder).with_context(|| format!("cannot create {folder:?}"))?;
    }
    mount(&layers, Some(&Upper { upper, work, fate: Fate::Discarded }), target)
}

/// The option string of the mount: `lowerdir=TOP:…:BOTTOM,upperdir=…,workdir=…`.
///
/// `None` if it can't be written so: mount(2) takes one page of options, and `:` `,` `\` mean
/// something else in there. `short_names.rs` has the way out.
// ANCHOR: options
pub fn options(layers: &[PathBuf], upper: Option<&Upper>) -> Option<OsString> {
    // ANCHOR: todo_overlay_opts: the lower layers, highest first, then the upper and its workbench
    let from_the_top: Vec<&OsStr> = layers.iter().rev().map(|layer| layer.as_os_str()).collect();
    let mut options = OsString::from("lowerdir=");
    options.push(from_the_top.join(OsStr::new(":")));
    if let Some(Upper { upper, work, .. }) = upper {
        options.push(",upperdir=");
        options.push(upper);
        options.push(",workdir=");
        options.push(work);
    }
    // ANCHOR_END: todo_overlay_opts
    options.push(EACH_FILE_WHOLE);
    options.push(upper.map_or("", Upper::durability));
    options.push(attributes::option());
    short_names::not_needed(layers, upper, &options).then_some(options)
}
// ANCHOR_END: options

/// Kernels may be built to save copying by storing only *what differs* (a new name, new rights),
/// with a pointer to a lower layer. Then no layer could be read without those below it. And no
/// such pointer that comes with an image is followed: `redirect_dir=off` may still follow it.
const EACH_FILE_WHOLE: &str = ",redirect_dir=nofollow,metacopy=off";

/// Turns the marker `name`, if it is one, into overlayfs's own form in the folder `dir`.
/// `false`: an ordinary name.
///
/// An image's layer is a tar file, which has no way to say that a file is gone; it says so by a
/// file with a strange name (OCI image specification, layer.md, "Whiteouts"). overlayfs says it by
/// a character device 0:0, and by an attribute on a folder that hides all that is below it.
/// A marker beside the file it names changes nothing: the file of this layer covers those below
/// by itself. (A folder does not, it would be merged: who unpacks has to make it opaque.)
// ANCHOR: whiteout
pub fn whiteout(dir: BorrowedFd, name: &OsStr) -> Result<bool> {
    let Some(gone) = name.as_bytes().strip_prefix(b".wh.") else { return Ok(false) };
    // ANCHOR: todo_whiteout: `.wh..wh..opq` makes `dir` opaque, `.wh.NAME` covers NAME
    if gone == b".wh..opq" {
        let dir = rootfs::inside::through_descriptor(&dir);
        setxattr(&dir, attributes::opaque(), b"y", XattrFlags::empty())
            .context("cannot make a folder opaque")?;
        return Ok(true);
    }
    if gone.starts_with(b".wh.") {
        return Ok(true); // notes that AUFS, Docker's first union file system, left to itself
    }
    if matches!(gone, b"" | b"." | b"..") {
        bail!("the whiteout {name:?} names no file");
    }
    match mknodat(dir, OsStr::from_bytes(gone), SFlag::S_IFCHR, Mode::empty(), 0) {
        Ok(()) | Err(Error::EEXIST) => Ok(true),
        Err(errno) => Err(errno).with_context(|| format!("cannot create the whiteout {name:?}")),
    }
    // ANCHOR_END: todo_whiteout
}
// ANCHOR_END: whiteout

/// What a container has changed, sorted by path: its upper layer compared with the tree that the
/// lower layers make together.
// ANCHOR: changes
pub fn changes(layers: &[PathBuf], upper: &Path) -> Result<Vec<Change>> {
    let layers = lower::that_count(layers)?;
    let mut found = BTreeMap::new();
    let mut folders = vec![(PathBuf::from("/"), false)];
    while let Some((folder, opaque)) = folders.pop() {
        let mut names = names_in(&under(upper, &folder))?;
        if opaque {
            names.extend(lower::names_below(layers, &folder)?); // hidden, without whiteouts
        }
        for path in names.iter().map(|name| folder.join(name)) {
            let was = lower::look_up(layers, &path)?;
            let now = Entry::at(under(upper, &path))?;
            // ANCHOR: todo_changes: compare what the upper layer has with what was there before
            let now = now.filter(|now| !now.is_whiteout());
            let kind = match (&was, &now) {
                (None, Some(_)) => Some(Kind::Added),
                (Some(_), None) => Some(Kind::Deleted),
                (Some(was), Some(now)) if now.differs_from(was)? => Some(Kind::Changed),
                _ => None, // copied up and left as it was, or made and deleted again
            };
            // ANCHOR_END: todo_changes
            found.extend(kind.map(|kind| (path.clone(), kind)));
            if let Some(now) = now.filter(Entry::is_folder) {
                folders.push((path, opaque || now.is_opaque()?));
            }
        }
    }
    Ok(change::with_folders(found))
}
// ANCHOR_END: changes

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_layer_of_an_image_is_the_highest() {
        let upper = Upper { upper: "/u".into(), work: "/w".into(), fate: Fate::Kept };
        let options = options(&["/base".into(), "/app".into()], Some(&upper)).unwrap();
        let options = options.to_str().unwrap();
        assert!(options.starts_with("lowerdir=/app:/base,upperdir=/u,workdir=/w"), "{options}");
    }
}
