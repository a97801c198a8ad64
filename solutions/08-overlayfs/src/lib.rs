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

mod explain;
mod lower;
mod short_names;

use anyhow::{Context, Result, bail};
use lower::{is_opaque, is_whiteout};
use nix::Error;
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, SFlag, mknodat};
use rustix::fs::{XattrFlags, setxattr};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where a container's changes go. Both folders are on one file system; `work` is the kernel's
/// own workbench, from which finished files are renamed into `upper`.
pub struct Upper {
    /// The top layer.
    pub upper: PathBuf,
    /// An empty folder beside it.
    pub work: PathBuf,
}

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
    mount(&layers, Some(&Upper { upper, work }), target)
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
    if let Some(Upper { upper, work }) = upper {
        options.push(",upperdir=");
        options.push(upper);
        options.push(",workdir=");
        options.push(work);
    }
    // ANCHOR_END: todo_overlay_opts
    options.push(EACH_FILE_WHOLE);
    short_names::not_needed(layers, upper, &options).then_some(options)
}
// ANCHOR_END: options

/// Kernels may be built to save copying by storing only *what differs* (a new name, new rights),
/// with a pointer to a lower layer. Then no layer could be read without those below it.
const EACH_FILE_WHOLE: &str = ",redirect_dir=off,metacopy=off";

/// Turns the marker `name`, if it is one, into overlayfs's own form in the folder `dir`.
/// `false`: an ordinary name.
///
/// An image's layer is a tar file, which has no way to say that a file is gone; it says so by a
/// file with a strange name (OCI image specification, layer.md, "Whiteouts"). overlayfs says it by
/// a character device 0:0, and by an attribute on a folder that hides all that is below it.
// ANCHOR: whiteout
pub fn whiteout(dir: BorrowedFd, name: &OsStr) -> Result<bool> {
    let Some(gone) = name.as_bytes().strip_prefix(b".wh.") else { return Ok(false) };
    // ANCHOR: todo_whiteout: `.wh..wh..opq` makes `dir` opaque, `.wh.NAME` covers NAME
    if gone == b".wh..opq" {
        let dir = rootfs::inside::through_descriptor(&dir);
        setxattr(&dir, "trusted.overlay.opaque", b"y", XattrFlags::empty())
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
        Ok(()) | Err(Error::EEXIST) => Ok(true), // the layer also has the file: then it is there
        Err(errno) => Err(errno).with_context(|| format!("cannot create the whiteout {name:?}")),
    }
    // ANCHOR_END: todo_whiteout
}
// ANCHOR_END: whiteout

/// What happened to one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No lower layer has it.
    Added,
    /// A lower layer has it too.
    Changed,
    /// A lower layer has it, the container no more.
    Deleted,
}

/// One line of `docker diff`: `C /etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Absolute, as the container sees it.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: Kind,
}

/// What a container has changed, sorted by path: its upper layer compared with the tree that the
/// lower layers make together.
// ANCHOR: changes
pub fn changes(layers: &[PathBuf], upper: &Path) -> Result<Vec<Change>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/")];
    while let Some(folder) = folders.pop() {
        let place = lower::under(upper, &folder);
        for entry in std::fs::read_dir(&place).with_context(|| format!("cannot read {place:?}"))? {
            let entry = entry.with_context(|| format!("cannot read {place:?}"))?;
            let path = folder.join(entry.file_name());
            let now = entry.metadata()?;
            let was = lower::look_up(layers, &path)?;
            // ANCHOR: todo_changes: compare what the upper layer has with what was there before
            let kind = match (is_whiteout(&now), &was) {
                (true, Some(_)) => Kind::Deleted,
                (true, None) => continue, // covers nothing: made and deleted again
                (false, Some(_)) => Kind::Changed,
                (false, None) => Kind::Added,
            };
            found.push(Change { path: path.clone(), kind });
            // ANCHOR_END: todo_changes
            if now.is_dir() {
                if was.is_some_and(|was| was.is_dir()) && is_opaque(&entry.path())? {
                    found.extend(hidden_by_opaque(layers, upper, &path)?);
                }
                folders.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
// ANCHOR_END: changes

/// A folder that was deleted and made anew hides all that lower layers have in it.
fn hidden_by_opaque(layers: &[PathBuf], upper: &Path, folder: &Path) -> Result<Vec<Change>> {
    let mut hidden = Vec::new();
    for name in lower::names_in(layers, folder)? {
        let path = folder.join(name);
        if lower::under(upper, &path).symlink_metadata().is_err() {
            hidden.push(Change { path, kind: Kind::Deleted });
        }
    }
    Ok(hidden)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let letter = match self.kind {
            Kind::Added => 'A',
            Kind::Changed => 'C',
            Kind::Deleted => 'D',
        };
        write!(f, "{letter} {}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_layer_of_an_image_is_the_highest() {
        let upper = Upper { upper: "/u".into(), work: "/w".into() };
        let options = options(&["/base".into(), "/app".into()], Some(&upper)).unwrap();
        let options = options.to_str().unwrap();
        assert!(options.starts_with("lowerdir=/app:/base,upperdir=/u,workdir=/w"), "{options}");
    }

    #[test]
    fn paths_that_would_be_misread_are_not_written_out() {
        for path in ["/a:b", "/a,b", "/a\\b", &"/long".repeat(1000)] {
            assert_eq!(options(&["/base".into(), path.into()], None), None, "{path}");
        }
    }
}
