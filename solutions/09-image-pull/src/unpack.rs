//! Puts the entries of a layer's archive into a folder.
//!
//! Every entry is hostile until shown otherwise. Its folder comes from [`safe_path`]; in there it
//! is made anew under its own name by calls that never follow a symlink, and what stood there
//! before goes first, so nothing is ever written *through* what an earlier entry left. Nobody
//! else can reach the tree meanwhile: it lies in a folder of root's alone.

mod way;

pub(crate) use way::{NeedsBelow, is_missing};

use crate::entries::{Entries, Entry, Kind};
use crate::markers::{Meaning, is_whiteout};
use crate::remove::{open_folder, remove};
use crate::{attributes, flat, markers};
use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fstat, futimens, linkat, makedev, mkdirat, mknodat, openat,
    statat, symlinkat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use way::{check_name, find_target, make_way};

/// Bytes of the archive that are decompressed, hashed and written at a time.
const BUFFER: usize = 128 << 10;

/// What is done with the entries of a layer, above all with its `.wh.` markers, which stand for
/// what the layer removes (OCI image specification, layer.md, "Whiteouts").
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pass<'a> {
    /// The layer gets a folder of its own and its markers become overlayfs's.
    Apart {
        /// The folders of the layers below, lowest first, if they are known yet.
        below: Option<&'a [PathBuf]>,
    },
    /// What it marks or replaces is removed from the folder of the layers below; nothing is added.
    /// This comes before `Add`, since a marker means the layers below only, not its own.
    Remove,
    /// The layer is added to those below in their folder.
    Add,
}

impl<'a> Pass<'a> {
    /// As far as that goes without the layers below.
    pub const ALONE: Pass<'static> = Pass::Apart { below: None };

    fn below(self) -> Option<&'a [PathBuf]> {
        match self {
            Pass::Apart { below } => below,
            Pass::Remove | Pass::Add => Some(&[]), // they lie in the same folder
        }
    }
}

/// Unpacks an archive into the folder `root`.
///
/// Memory is bounded by the longest name, not by the number of entries. Devices and FIFOs are made
/// as the layer has them; whoever mounts it says `nodev`. Fails with [`NeedsBelow`] if the layer
/// does not stand alone and what is below is not known.
pub(crate) fn archive(tar: impl Read, root: &OwnedFd, pass: Pass) -> Result<()> {
    let mut entries = Entries::new(BufReader::with_capacity(BUFFER, tar));
    let mut buffer = vec![0; BUFFER];
    let mut last: Option<PathBuf> = None;
    loop {
        let entry = entries.next().with_context(|| match &last {
            Some(last) => format!("cannot read the entry after {}", shown(last)),
            None => "cannot read the first entry".to_owned(),
        })?;
        let Some(entry) = entry else { return Ok(()) };
        place(&entry, &mut entries, root, pass, &mut buffer)
            .with_context(|| format!("entry {}", shown(&entry.name)))?;
        last = Some(entry.name);
    }
}

/// A name fit for an error message: it may be a megabyte of anything.
pub(crate) fn shown(name: &Path) -> String {
    let name = name.to_string_lossy();
    let short: String = name.chars().take(200).flat_map(char::escape_debug).collect();
    if name.chars().nth(200).is_some() { format!("{short}…") } else { short }
}

fn place(
    entry: &Entry,
    content: &mut impl Read,
    root: &OwnedFd,
    pass: Pass,
    buffer: &mut [u8],
) -> Result<()> {
    check_name(&entry.name)?;
    match (markers::meaning(&entry.name)?, pass) {
        (Meaning::Leftover, _) => Ok(()),
        (Meaning::Marker, Pass::Add) => Ok(()),
        (Meaning::Marker, Pass::Remove) => flat::remove_marked(root, &entry.name),
        (Meaning::Thing, Pass::Remove) => flat::remove_replaced(root, entry),
        (Meaning::Marker, Pass::Apart { below }) => {
            let (folder, name) = make_way(root, &entry.name, below)?;
            keeping_times(&folder, || markers::convert(&folder, &name))
        }
        (Meaning::Thing, Pass::Apart { .. } | Pass::Add) => {
            let (folder, name) = make_way(root, &entry.name, pass.below())?;
            if name == "." {
                ensure!(entry.kind == Kind::Folder, "only a folder can be the layer's root");
                return attributes::set(&folder, entry);
            }
            keeping_times(&folder, || match &entry.kind {
                Kind::HardLink(target) => {
                    let target = find_target(root, target, pass.below());
                    target.and_then(|target| hard_link(target, &folder, &name))
                }
                _ => make(entry, content, &folder, &name, buffer),
            })
        }
    }
}

/// Makes one entry, in place of whatever has its name.
fn make(
    entry: &Entry,
    content: &mut impl Read,
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
            let mut file = create(folder, name)?;
            copy(content, &mut file, buffer)?;
            return attributes::set(file, entry);
        }
        Kind::SparseFile(sparse) => {
            let mut file = create(folder, name)?;
            for (offset, length) in &sparse.pieces {
                file.seek(SeekFrom::Start(*offset)).context("cannot write it")?;
                copy(&mut content.take(*length), &mut file, buffer)?;
            }
            file.set_len(sparse.size).context("cannot write it")?;
            return attributes::set(file, entry);
        }
        Kind::HardLink(_) => unreachable!("made by hard_link"),
        Kind::Symlink(target) => {
            anew(folder, name, || symlinkat(target, folder, name)).context("cannot make it")?;
        }
        // To overlayfs this one is a whiteout, and those come by `.wh.` markers only.
        Kind::CharDevice(0, 0) => bail!("a character device 0:0 is overlayfs's whiteout"),
        // No root of a user namespace may make a device, and none is ever used: layers are `nodev`.
        Kind::CharDevice(..) | Kind::BlockDevice(..) if !users::is_initial() => {
            return match remove(folder, name) {
                Err(error) if !is_missing(&error) => Err(error).context("cannot remove it"),
                _ => Ok(()),
            };
        }
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

fn create(folder: &OwnedFd, name: &OsStr) -> Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let open = || openat(folder, name, flags, Mode::RUSR | Mode::WUSR);
    Ok(anew(folder, name, open).context("cannot create it")?.into())
}

/// Gives a file a second name. It keeps the owner and the rest from the first.
fn hard_link(target: (OwnedFd, OsString), folder: &OwnedFd, name: &OsStr) -> Result<()> {
    // Without AT_SYMLINK_FOLLOW a link to a symlink is a second name of the symlink itself.
    let link = || linkat(&target.0, &target.1, folder, name, AtFlags::empty());
    anew(folder, name, link).context("cannot link it")
}

/// Makes a folder, or keeps the one that is there with all that is in it.
fn make_folder(parent: &OwnedFd, name: &OsStr) -> Result<()> {
    let make = || mkdirat(parent, name, Mode::RWXU);
    let result = make();
    if result != Err(Errno::EXIST) {
        return result.context("cannot make it");
    }
    let there = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if markers::is_folder(&there) {
        return Ok(());
    }
    remove(parent, name).context("cannot replace what is there")?;
    make().context("cannot make it")?;
    if is_whiteout(&there) {
        // The layer removed a folder and has a new one of the same name: nothing of the old one
        // may show through.
        markers::hide_what_is_below(&open_folder(parent, name)?)?;
    }
    Ok(())
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
pub(crate) fn keeping_times<T>(folder: &OwnedFd, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = fstat(folder).context("cannot look at its folder")?;
    let done = work()?;
    futimens(folder, &attributes::times_of(&before))
        .context("cannot set the times of its folder")?;
    Ok(done)
}
