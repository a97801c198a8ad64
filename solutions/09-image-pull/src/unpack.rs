//! Puts the entries of a layer's archive into a folder.
//!
//! Every entry is hostile until shown otherwise. Its folder comes from [`safe_path`]; in there it
//! is made anew under its own name by calls that never follow a symlink, and what stood there
//! before goes first, so nothing is ever written *through* what an earlier entry left. Nobody
//! else can reach the tree meanwhile: it lies in a folder of root's alone.

use crate::entries::{Entries, Entry, Kind};
use crate::remove::{empty, open_folder, remove};
use crate::{attributes, safe_path};
use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, fstat, futimens, linkat, makedev, mkdirat, mknodat,
    openat, statat, symlinkat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Bytes of the archive that are decompressed, hashed and written at a time.
const BUFFER: usize = 128 << 10;

/// What becomes of a layer's `.wh.` markers, which stand for what the layer removes
/// (OCI image specification, layer.md, "Whiteouts").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markers {
    /// The layer stays alone in its folder: they become overlayfs's own.
    Convert,
    /// The layer goes on top of others in one folder: what they name is removed, and nothing else
    /// of the layer is unpacked. They mean the layers below only, so this comes before `Skip`.
    Apply,
    /// Nothing; `Apply` has been there before.
    Skip,
}

/// Unpacks an archive into the folder `root`.
///
/// Memory is bounded by the longest name, not by the number of entries. Devices and FIFOs are made
/// as the layer has them; whoever mounts it says `nodev`.
pub(crate) fn archive(tar: impl Read, root: &OwnedFd, markers: Markers) -> Result<()> {
    let mut entries = Entries::new(BufReader::with_capacity(BUFFER, tar));
    let mut buffer = vec![0; BUFFER];
    let mut last: Option<PathBuf> = None;
    loop {
        let entry = entries.next().with_context(|| match &last {
            Some(last) => format!("cannot read the entry after {}", shown(last)),
            None => "cannot read the first entry".to_owned(),
        })?;
        let Some(entry) = entry else { return Ok(()) };
        place(&entry, &mut entries, root, markers, &mut buffer)
            .with_context(|| format!("entry {}", shown(&entry.name)))?;
        last = Some(entry.name);
    }
}

/// A name fit for an error message: it may be a megabyte of anything.
fn shown(name: &Path) -> String {
    let name = name.to_string_lossy();
    let short: String = name.chars().take(200).flat_map(char::escape_debug).collect();
    if name.chars().nth(200).is_some() { format!("{short}…") } else { short }
}

fn place(
    entry: &Entry,
    content: &mut impl Read,
    root: &OwnedFd,
    markers: Markers,
    buffer: &mut [u8],
) -> Result<()> {
    check_length(&entry.name)?;
    match (meaning(&entry.name)?, markers) {
        (Meaning::Leftover, _) | (Meaning::Marker, Markers::Skip) => Ok(()),
        (Meaning::Marker, Markers::Apply) => apply_marker(root, &entry.name),
        (Meaning::Thing, Markers::Apply) => Ok(()),
        (Meaning::Marker, Markers::Convert) => {
            let (folder, name) = make_way(root, &entry.name)?;
            keeping_times(&folder, || convert_marker(&folder, &name))
        }
        (Meaning::Thing, _) => {
            let (folder, name) = make_way(root, &entry.name)?;
            if name == "." {
                ensure!(entry.kind == Kind::Folder, "only a folder can be the layer's root");
                return attributes::set(&folder, entry);
            }
            keeping_times(&folder, || make(entry, content, root, &folder, &name, buffer))
        }
    }
}

/// Makes one entry, in place of whatever has its name.
fn make(
    entry: &Entry,
    content: &mut impl Read,
    root: &OwnedFd,
    folder: &OwnedFd,
    name: &OsStr,
    buffer: &mut [u8],
) -> Result<()> {
    let node = |kind, (major, minor)| {
        let made = anew(folder, name, || {
            mknodat(folder, name, kind, Mode::RUSR | Mode::WUSR, makedev(major, minor))
        });
        made.context("cannot make it")
    };
    match &entry.kind {
        Kind::Folder => {
            make_folder(folder, name)?;
            let made = open_folder(folder, name).context("cannot open it")?;
            return attributes::set(made, entry);
        }
        Kind::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let open = || openat(folder, name, flags, Mode::RUSR | Mode::WUSR);
            let mut file = File::from(anew(folder, name, open).context("cannot create it")?);
            copy(content, &mut file, buffer)?;
            return attributes::set(file, entry);
        }
        Kind::HardLink(target) => return hard_link(root, target, folder, name),
        Kind::Symlink(target) => {
            anew(folder, name, || symlinkat(target, folder, name)).context("cannot make it")?;
        }
        // To overlayfs this one is a whiteout, and those come by `.wh.` markers only.
        Kind::CharDevice(0, 0) => bail!("a character device 0:0 is overlayfs's whiteout"),
        Kind::CharDevice(major, minor) => node(FileType::CharacterDevice, (*major, *minor))?,
        Kind::BlockDevice(major, minor) => node(FileType::BlockDevice, (*major, *minor))?,
        Kind::Fifo => node(FileType::Fifo, (0, 0))?,
    }
    attributes::set_unopened(folder, name, entry)
}

/// Calls `make`; if something is in its way, removes that and calls it again.
fn anew<T>(
    folder: &OwnedFd,
    name: &OsStr,
    make: impl Fn() -> rustix::io::Result<T>,
) -> io::Result<T> {
    match make() {
        Err(Errno::EXIST) => {
            remove(folder, name)?;
            Ok(make()?)
        }
        other => Ok(other?),
    }
}

/// Gives a file of this layer a second name. It keeps the owner and the rest from the first.
fn hard_link(root: &OwnedFd, target: &Path, folder: &OwnedFd, name: &OsStr) -> Result<()> {
    let to = || format!("cannot link it to {}", shown(target));
    check_length(target).with_context(to)?;
    let (target_folder, target_name) = safe_path(root, target).with_context(to)?;
    let stat = statat(&target_folder, &target_name, AtFlags::SYMLINK_NOFOLLOW);
    ensure!(!is_whiteout(&stat.with_context(to)?), "{}: it was removed", to());
    // Without AT_SYMLINK_FOLLOW a link to a symlink is a second name of the symlink itself.
    let link = || linkat(&target_folder, &target_name, folder, name, AtFlags::empty());
    anew(folder, name, link).with_context(to)
}

/// Makes a folder, or keeps the one that is there with all that is in it.
fn make_folder(parent: &OwnedFd, name: &OsStr) -> Result<()> {
    let make = || mkdirat(parent, name, Mode::RWXU);
    let result = make();
    if result != Err(Errno::EXIST) {
        return result.context("cannot make it");
    }
    let there = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if is_folder(&there) {
        return Ok(());
    }
    remove(parent, name).context("cannot replace what is there")?;
    make().context("cannot make it")?;
    if is_whiteout(&there) {
        // The layer removed a folder and has a new one of the same name: nothing of the old one
        // may show through.
        hide_what_is_below(&open_folder(parent, name)?)?;
    }
    Ok(())
}

/// Finds the folder for an entry as [`safe_path`] does, and makes those on the way that no
/// earlier entry has made.
fn make_way(root: &OwnedFd, name: &Path) -> Result<(OwnedFd, OsString)> {
    use io::ErrorKind::{NotADirectory, NotFound};
    match safe_path(root, name) {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => {
            let mut above: Vec<&Path> = name.ancestors().skip(1).collect();
            above.reverse();
            for folder in above {
                make_parent(root, folder).with_context(|| format!("folder {}", shown(folder)))?;
            }
            safe_path(root, name).context("cannot open its folder")
        }
        found => found.context("cannot open its folder"),
    }
}

fn make_parent(root: &OwnedFd, path: &Path) -> Result<()> {
    let inside = safe_path(root, &path.join("x")); // resolves `path` itself, through symlinks too
    if inside.is_ok() {
        return Ok(());
    }
    let (parent, name) = safe_path(root, path)?;
    if let Ok(there) = statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
        ensure!(is_whiteout(&there), "it is no folder, nor does it lead to one");
    }
    keeping_times(&parent, || {
        make_folder(&parent, &name)?;
        let made = open_folder(&parent, &name)?;
        let usual = Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH;
        rustix::fs::fchmod(&made, usual).context("cannot set its permissions")
    })
}

/// Copies the content of a file. `buffer` is the caller's, to be used again for the next one.
fn copy(content: &mut impl Read, file: &mut File, buffer: &mut [u8]) -> Result<()> {
    loop {
        match content.read(buffer).context("cannot read its content")? {
            0 => return Ok(()),
            count => file.write_all(&buffer[..count]).context("cannot write it")?,
        }
    }
}

/// Works in a folder and then sets its times back, which making and removing entries moves.
///
/// So a folder's times are right at every moment, and no list of folders has to be kept.
fn keeping_times<T>(folder: &OwnedFd, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = fstat(folder).context("cannot look at its folder")?;
    let done = work()?;
    futimens(folder, &attributes::times_of(&before))
        .context("cannot set the times of its folder")?;
    Ok(done)
}

/// What a name stands for.
enum Meaning {
    Thing,
    /// Something that the layer removes.
    Marker,
    /// What aufs, Docker's first storage, kept for itself; old images still have it.
    Leftover,
}

/// Names that begin with `.wh.` are reserved for markers.
fn meaning(name: &Path) -> Result<Meaning> {
    let mut steps = name.components().peekable();
    while let Some(step) = steps.next() {
        let is_last = steps.peek().is_none();
        let Component::Normal(step) = step else { continue };
        match step.as_encoded_bytes() {
            b".wh..wh..opq" if is_last => return Ok(Meaning::Marker),
            step if step.starts_with(b".wh..wh.") => return Ok(Meaning::Leftover),
            step if !step.starts_with(b".wh.") => {}
            _ if is_last => return Ok(Meaning::Marker),
            _ => bail!("there can be nothing in a whiteout"),
        }
    }
    Ok(Meaning::Thing)
}

/// What a marker names in its folder; `None` means all that is below the folder.
fn marked(marker: &OsStr) -> Result<Option<&OsStr>> {
    if marker == ".wh..wh..opq" {
        return Ok(None);
    }
    let name = marker.as_bytes().strip_prefix(b".wh.").map(OsStr::from_bytes).unwrap_or_default();
    ensure!(
        ![OsStr::new(""), ".".as_ref(), "..".as_ref()].contains(&name),
        "it is a whiteout of nothing"
    );
    Ok(Some(name))
}

/// Turns a marker into what overlayfs understands, unless this layer has something of that name.
///
/// A whiteout means the layers below only, wherever in the archive it stands. A file or symlink of
/// this layer hides what is below by itself; a folder would be merged with the one below.
fn convert_marker(folder: &OwnedFd, marker: &OsStr) -> Result<()> {
    if let Some(name) = marked(marker)? {
        match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) if is_folder(&there) => {
                return hide_what_is_below(&open_folder(folder, name)?);
            }
            Ok(_) => return Ok(()),
            Err(_) => {}
        }
    }
    overlay::whiteout(folder.as_fd(), marker)?;
    Ok(())
}

fn hide_what_is_below(folder: &OwnedFd) -> Result<()> {
    overlay::whiteout(folder.as_fd(), OsStr::new(".wh..wh..opq"))?;
    Ok(())
}

/// Removes what a marker names from the layers below, which lie in the same folder.
fn apply_marker(root: &OwnedFd, path: &Path) -> Result<()> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let (folder, marker) = match safe_path(root, path) {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(()),
        found => found.context("cannot open its folder")?,
    };
    let removed = |result: io::Result<()>| match result {
        Err(error) if error.kind() == NotFound => Ok(()),
        other => other.context("cannot remove what it marks"),
    };
    keeping_times(&folder, || match marked(&marker)? {
        Some(name) => removed(remove(&folder, name)),
        None => removed(empty(&folder)),
    })
}

/// A path that the kernel cannot take is refused before any work is done with it.
fn check_length(name: &Path) -> Result<()> {
    let length = name.as_os_str().len();
    ensure!(length < 4096, "its name has {length} bytes, Linux takes 4095");
    Ok(())
}

fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}
