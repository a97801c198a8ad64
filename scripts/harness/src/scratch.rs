//! Where a test puts its files on a bare host: a folder that goes with it.
//!
//! In a sandbox such folders are inside and need no care. On a bare host a folder `coracle-test-…`
//! in the host's folder for temporary files is locked with flock(2) as long as the test program
//! lives. One whose lock is free was left by a program that was killed: [`sweep`] and
//! `scripts/clean` remove it.

use crate::safety_cgroup::{PREFIX, lock};
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The folder; gone when dropped.
pub struct Scratch {
    pub folder: PathBuf,
    _lock: Flock<File>,
}

impl Scratch {
    pub fn new() -> io::Result<Scratch> {
        Scratch::below(&std::env::temp_dir())
    }

    fn below(parent: &Path) -> io::Result<Scratch> {
        loop {
            let folder = parent.join(crate::random_name(PREFIX));
            fs::create_dir(&folder)?;
            // One who sweeps may have come in between, and takes it away: then another.
            let lock = lock(&folder, FlockArg::LockExclusiveNonblock);
            if let Some(lock) = lock.filter(|_| folder.exists()) {
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
                return Ok(Scratch { folder, _lock: lock });
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes the folders of those who were killed.
pub fn sweep() {
    sweep_below(&std::env::temp_dir());
}

/// Anybody may write into that folder: what is not ours is not followed and not touched.
fn sweep_below(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == geteuid().as_raw());
        if is_ours {
            if let Some(_lock) = lock(&entry.path(), FlockArg::LockExclusiveNonblock) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_a_killed_program_leaves_is_swept_and_nothing_else() {
        let parent = std::env::temp_dir().join(crate::random_name("scratch"));
        fs::create_dir(&parent).unwrap();
        let alive = Scratch::below(&parent).unwrap();
        let dead = parent.join(crate::random_name(PREFIX));
        fs::create_dir_all(dead.join("rootfs/bin")).unwrap(); // as SIGKILL leaves it: with no lock
        fs::create_dir(parent.join("theirs")).unwrap();
        symlink("theirs", parent.join(format!("{PREFIX}-link"))).unwrap();
        fs::write(parent.join(format!("{PREFIX}-file")), "").unwrap();
        sweep_below(&parent);
        assert!(alive.folder.is_dir() && !dead.exists());
        for stays in ["theirs", "coracle-test-link", "coracle-test-file"] {
            assert!(parent.join(stays).exists(), "{stays}");
        }
        let folder = alive.folder.clone();
        drop(alive);
        assert!(!folder.exists());
        fs::remove_dir_all(parent).unwrap();
    }
}
