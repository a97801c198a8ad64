//! A folder that one alone changes at a time (flock(2)), and that may come and go.

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, DirBuilder, File};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

/// How often the folder is made again before that is an error.
const TRIES: usize = 1000;

/// The folder, locked. Made again, if somebody removes it before we have the lock.
pub fn made_and_locked(folder: &Path) -> Result<Flock<File>> {
    let make = |folder: &Path| DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let failed = |folder: &Path| {
        format!("cannot create {}\nhint: only root may: run it again with sudo", folder.display())
    };
    let goes =
        |error: &Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists);
    for _ in 1..TRIES {
        match make(folder) {
            // It goes, and its parent with it, while we look.
            Err(error) if goes(&error) => continue,
            made => made.with_context(|| failed(folder))?,
        }
        if let Some(lock) = lock(folder)? {
            // Not before: who removes the folder must not find anything new in it.
            let leases = folder.join("leases");
            make(&leases).with_context(|| failed(&leases))?;
            return Ok(lock);
        }
    }
    make(folder).with_context(|| failed(folder))?;
    bail!("cannot make {}: it is removed again and again", folder.display())
}

/// Waits for the lock of a folder; `None` if there is no such folder, or none any more: whoever had
/// the lock may have removed it, and what we then hold is the lock of nothing.
pub fn lock(folder: &Path) -> Result<Option<Flock<File>>> {
    let cannot = |what: &str| format!("cannot {what} {}", folder.display());
    let file = match File::open(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.with_context(|| cannot("open"))?,
    };
    let held = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno);
    let held = held.with_context(|| cannot("lock"))?;
    let ours = held.metadata().with_context(|| cannot("look at"))?;
    match fs::metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        there => {
            let there = there.with_context(|| cannot("look at"))?;
            Ok((ours.ino() == there.ino() && ours.dev() == there.dev()).then_some(held))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two who hold the lock at once would see each other's file.
    #[test]
    fn one_alone_has_the_lock_also_while_the_folder_comes_and_goes() {
        let parent = std::env::temp_dir().join(format!("coracle-lock-{}", std::process::id()));
        let folder = parent.join("net");
        let once = || {
            let lock = made_and_locked(&folder).unwrap();
            File::create_new(folder.join("mine")).unwrap();
            std::thread::yield_now();
            assert!(folder.join("leases").is_dir());
            fs::remove_file(folder.join("mine")).unwrap();
            fs::remove_dir_all(&folder).unwrap();
            let _ = fs::remove_dir(&parent);
            drop(lock);
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..200).for_each(|_| once()));
            }
        });
        assert!(lock(&folder).unwrap().is_none());
    }
}
