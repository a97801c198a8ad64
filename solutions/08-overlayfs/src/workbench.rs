//! Prepares the folder that `--upper` names, for one container at a time.
//!
//! The kernel's workbench has to be on the same mount, so it becomes a sibling of the upper layer.
//! Two containers on one upper layer would see each other's half-done work ("the behavior of the
//! overlay is undefined", overlayfs.rst), and the kernel only warns of it. So we lock it.

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use overlay::{Fate, Upper};
use rustix::fs::{FlockOperation, flock};
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// An upper layer that is ours until this is dropped, and its work folder.
pub struct Workbench {
    /// Both folders.
    pub upper: Upper,
    _lock: File,
}

impl Workbench {
    /// Locks the folder `upper` and makes the work folder beside it.
    pub fn beside(upper: &Path) -> Result<Workbench> {
        let shown = upper.display();
        let no_folder = || format!("cannot use {shown} as the upper layer\nhint: mkdir {shown}");
        let upper = upper.canonicalize().with_context(no_folder)?;
        ensure!(upper.is_dir(), "cannot use {shown} as the upper layer: it is not a folder");
        let name = upper.file_name().context("the upper layer can't be /")?;
        let mut work = OsString::from(".work-of-");
        work.push(name);
        let work = upper.with_file_name(work);
        let lock = lock(&upper)?;
        std::fs::create_dir_all(&work).map_err(|error| {
            let hint = match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                Errno::EROFS => "the upper layer must be on a mount that can be written",
                _ => "the upper layer must be in a folder that can be written",
            };
            let text = format!("cannot create {}\nhint: {hint}", work.display());
            anyhow::Error::new(error).context(text)
        })?;
        Ok(Workbench { upper: Upper { upper, work, fate: Fate::Kept }, _lock: lock })
    }

    /// Removes the work folder; the kernel leaves an empty folder of its own in it.
    pub fn tidy_up(self) -> Result<()> {
        let work = &self.upper.work;
        std::fs::remove_dir_all(work).with_context(|| format!("cannot remove {}", work.display()))
    }
}

/// Waits three seconds at most: one that is killed while it starts a container is gone a little later,
/// because the child has the lock as well until it becomes the command.
fn lock(upper: &Path) -> Result<File> {
    let folder = File::open(upper).with_context(|| format!("cannot open {}", upper.display()))?;
    for _ in 0..300 {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => sleep(Duration::from_millis(10)),
            locked => {
                locked.with_context(|| format!("cannot lock {}", upper.display()))?;
                return Ok(folder);
            }
        }
    }
    anyhow::bail!(
        "the upper layer {} is in use by another container\nhint: give each an upper layer of its own",
        upper.display()
    )
}
