//! A folder in which one process at a time prepares something; what a killed one leaves is cleared
//! by the next.
//!
//! The lock is flock(2) on the folder itself. It ends with the last descriptor, so also when its
//! holder is killed, and there is no lock file to be left over.

use crate::remove::{empty, open_folder, remove};
use anyhow::{Context, Result};
use rustix::fs::{CWD, FlockOperation, flock, fstat, stat};
use rustix::io::{Errno, retry_on_intr};
use std::fs::{self, DirBuilder, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A locked folder. It is removed, with what is still in it, when this is dropped.
pub(crate) struct Workplace {
    path: PathBuf,
    lock: OwnedFd,
}

impl Workplace {
    /// Makes and locks the folder `path`, empty; waits while another process has it, after `waiting`
    /// has told of it.
    pub fn claim(path: PathBuf, waiting: impl Fn()) -> Result<Workplace> {
        loop {
            // Others can do without it: it is theirs alone who make it.
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("cannot make {}", path.display()));
                }
                _ => {}
            }
            let free = lock(&path, FlockOperation::NonBlockingLockExclusive)?;
            let locked = match free {
                None if path.exists() => {
                    waiting();
                    lock(&path, FlockOperation::LockExclusive)?
                }
                free => free,
            };
            if let Some(lock) = locked {
                empty(&lock).with_context(|| format!("cannot clear {}", path.display()))?;
                return Ok(Workplace { path, lock });
            }
        }
    }

    /// Removes those in `parent` that nobody works in any more. What cannot be removed stays: it
    /// is in nobody's way, and [`Workplace::claim`] will say why.
    pub fn remove_abandoned(parent: &Path) {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let path = entry.path();
            if let Ok(Some(lock)) = lock(&path, FlockOperation::NonBlockingLockExclusive) {
                drop(Workplace { path, lock });
            }
        }
    }

    /// The folder itself, for what is needed beside the one to work in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder to work in, readable for all, as the root of a file system is.
    pub fn folder(&self) -> Result<OwnedFd> {
        let root = self.root();
        fs::create_dir(&root)
            .and_then(|()| fs::set_permissions(&root, Permissions::from_mode(0o755)))
            .and_then(|()| Ok(open_folder(CWD, &root)?))
            .with_context(|| format!("cannot make {}", root.display()))
    }

    /// Where [`Workplace::folder`] is, to be renamed when it is finished.
    pub fn root(&self) -> PathBuf {
        self.path.join("root")
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // An error here has nobody to go to; the remains are the next one's to clear.
        let _ = empty(&self.lock);
        let _ = remove(CWD, self.path.as_os_str());
    }
}

/// Locks a folder. `None`: it is another's, or was removed while we waited for it.
fn lock(path: &Path, how: FlockOperation) -> Result<Option<OwnedFd>> {
    let cannot = || format!("cannot lock {}", path.display());
    let folder = match open_folder(CWD, path) {
        Err(Errno::NOENT) => return Ok(None),
        opened => opened.with_context(cannot)?,
    };
    match retry_on_intr(|| flock(&folder, how)) {
        Err(Errno::WOULDBLOCK) => return Ok(None),
        locked => locked.with_context(cannot)?,
    }
    let mine = fstat(&folder).with_context(cannot)?;
    let is_there =
        stat(path).is_ok_and(|there| (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino));
    Ok(is_there.then_some(folder))
}
