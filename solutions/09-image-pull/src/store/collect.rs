//! Removes what no image leads to any more: blobs, unpacked layers, halves of downloads.
//!
//! Who uses the store holds a shared lock on its folder (flock(2)); who collects needs it alone. So
//! nothing goes away under a pull that has just found it there, nor under a container that is about
//! to be written down. A layer is renamed out of its place before it is taken apart: whoever is
//! killed in between leaves no half of one under its name.

use crate::documents::{Config, Descriptor, Index, Manifest, layers};
use crate::remove::remove;
use crate::source::read_document;
use crate::store::Store;
use anyhow::{Context, Result};
use rustix::fs::{CWD, FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// How often the lock is tried, and the pause between.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// What was removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Collected {
    /// Blobs and halves of blobs.
    pub blobs: usize,
    /// Unpacked layers.
    pub layers: usize,
    /// Bytes of the blobs.
    pub bytes: u64,
}

/// What must stay: names of files in `blobs`, `layers` and `chains`.
#[derive(Default)]
struct Reached {
    blobs: BTreeSet<String>,
    layers: BTreeSet<String>,
    chains: BTreeSet<String>,
}

impl Store {
    /// Removes all that neither an image nor one of the folders `in_use` needs. `None`: somebody
    /// else uses the store just now, so that nothing can be told to be useless.
    pub fn collect(
        &self,
        in_use: impl FnOnce() -> Result<Vec<PathBuf>>,
    ) -> Result<Option<Collected>> {
        if !self.lock_alone()? {
            return Ok(None);
        }
        let collected = self.collect_alone(in_use);
        let shared = retry_on_intr(|| flock(&self.lock, FlockOperation::LockShared));
        shared.with_context(|| format!("cannot lock {}", self.root.display()))?;
        collected.map(Some)
    }

    /// Waits for the others a moment: a second removal ends soon, and a pull may take its time.
    /// Who fails to get the lock alone has lost the shared one, too (flock(2)), so that of two who
    /// want it each gets it.
    fn lock_alone(&self) -> Result<bool> {
        for _ in 0..TRIES {
            match retry_on_intr(|| flock(&self.lock, FlockOperation::NonBlockingLockExclusive)) {
                Err(Errno::WOULDBLOCK) => sleep(PAUSE),
                locked => {
                    locked.with_context(|| format!("cannot lock {}", self.root.display()))?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn collect_alone(&self, in_use: impl FnOnce() -> Result<Vec<PathBuf>>) -> Result<Collected> {
        let mut reached = Reached::default();
        for entry in self.entries()?.manifests {
            self.reach(&entry, &mut reached, 0);
        }
        let in_use: BTreeSet<PathBuf> = in_use()?.into_iter().collect();
        let mut collected = Collected::default();
        for (folder, keep) in
            [(self.blobs().folder(), &reached.blobs), (self.blobs().coming(), &BTreeSet::new())]
        {
            for (name, path) in entries_of(&folder)? {
                if !keep.contains(&name) {
                    collected.bytes += fs::metadata(&path).map_or(0, |file| file.len());
                    collected.blobs += 1;
                    fs::remove_file(&path)
                        .with_context(|| format!("cannot remove {}", path.display()))?;
                }
            }
        }
        for (folder, keep) in [(self.layers(), &reached.layers), (self.chains(), &reached.chains)] {
            for (name, path) in entries_of(&folder)? {
                if !keep.contains(&name) && !in_use.contains(&path) {
                    self.remove_layer(&name, &path)
                        .with_context(|| format!("cannot remove {}", path.display()))?;
                    collected.layers += 1;
                }
            }
        }
        Ok(collected)
    }

    /// Notes all that an entry of the index leads to. What cannot be read leads no further.
    fn reach(&self, entry: &Descriptor, reached: &mut Reached, depth: usize) {
        if !reached.blobs.insert(entry.digest.hex().to_owned()) || depth > crate::DEEPEST_INDEX {
            return;
        }
        let read = |descriptor: &Descriptor| read_document(&self.blobs().path(&descriptor.digest));
        let Ok(json) = read(entry) else { return };
        if let Ok(index) = Index::parse(&json) {
            return index.manifests.iter().for_each(|entry| self.reach(entry, reached, depth + 1));
        }
        let Ok(manifest) = Manifest::parse(&json) else { return };
        let blobs = manifest.layers.iter().chain([&manifest.config]);
        reached.blobs.extend(blobs.map(|blob| blob.digest.hex().to_owned()));
        let config = read(&manifest.config).and_then(|json| Config::parse(&json));
        let all = config.and_then(|config| layers(manifest, &config));
        for layer in all.into_iter().flatten() {
            reached.layers.insert(layer.diff_id.hex().to_owned());
            reached.chains.insert(layer.chain_id.hex().to_owned());
        }
    }

    fn remove_layer(&self, name: &str, path: &Path) -> Result<()> {
        let gone = self.unpacking().join(format!("{name}-removed"));
        fs::rename(path, &gone)?;
        Ok(remove(CWD, gone.as_os_str())?)
    }
}

fn entries_of(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), entry.path()))
    };
    entries.map(entry).collect()
}
