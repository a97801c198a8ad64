//! Finds the files in an archive and reads them where they lie, without unpacking anything.

use crate::documents::LARGEST_DOCUMENT;
use crate::entries::{Entries, Kind};
use crate::source::layout::open;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

/// More files than this no honest archive of images has: each is a layer or a document.
const MOST_FILES: usize = 10_000;

/// Where something lies in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub offset: u64,
    pub size: u64,
}

/// Learns where the files of an archive lie.
pub(super) fn index(path: &str) -> Result<(File, BTreeMap<PathBuf, Place>)> {
    let cannot = || format!("cannot read {path}");
    let file = open(Path::new(path)).with_context(cannot)?;
    let mut first = [0; 2];
    let _ = file.read_at(&mut first, 0);
    ensure!(
        first != [0x1f, 0x8b],
        "{path} is compressed\nhint: gunzip it first: its parts are read where they lie"
    );
    let counted = Counted { file: BufReader::with_capacity(128 << 10, file.try_clone()?), at: 0 };
    let mut entries = Entries::new(counted);
    let (mut names, mut links) = (BTreeMap::new(), Vec::new());
    while let Some(entry) = entries.next().with_context(cannot)? {
        ensure!(
            names.len() + links.len() < MOST_FILES,
            "{path} has more than {MOST_FILES} files in it"
        );
        let name = cleaned(Path::new(""), &entry.name);
        match entry.kind {
            Kind::File => {
                let place = Place { offset: entries.archive().at, size: entries.left() };
                names.insert(name, place);
            }
            Kind::Symlink(target) => links.push((name, target)), // docker's, where layers repeat
            _ => {}
        }
    }
    for (name, target) in links {
        let target = cleaned(name.parent().unwrap_or(Path::new("")), &target);
        if let Some(place) = names.get(&target).copied() {
            names.insert(name, place);
        }
    }
    Ok((file, names))
}

/// A name without dots; nothing is opened by it.
fn cleaned(folder: &Path, name: &Path) -> PathBuf {
    let mut clean = folder.to_owned();
    for step in name.components() {
        match step {
            Component::Normal(step) => clean.push(step),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}

/// Where the file of this name lies.
pub(super) fn find<'a>(names: &'a BTreeMap<PathBuf, Place>, name: &Path) -> Result<&'a Place> {
    names
        .get(&cleaned(Path::new(""), name))
        .with_context(|| format!("there is no {} in it", name.display()))
}

/// Reads a document that is not named by a digest.
pub(super) fn read(file: &File, names: &BTreeMap<PathBuf, Place>, name: &Path) -> Result<Vec<u8>> {
    let place = find(names, name)?;
    ensure!(
        place.size <= LARGEST_DOCUMENT,
        "{} has more than {LARGEST_DOCUMENT} bytes",
        name.display()
    );
    let mut json = vec![0; place.size as usize];
    file.read_exact_at(&mut json, place.offset)
        .with_context(|| format!("cannot read {}", name.display()))?;
    Ok(json)
}

/// A part of a file. Several may be read at once.
pub(super) struct Part {
    pub file: File,
    pub at: u64,
    pub left: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// Counts what is read.
struct Counted {
    file: BufReader<File>,
    at: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}
