//! The top layer, and what it must be able to do.
//!
//! Most folders that can't be an upper layer are refused by the kernel, and `explain.rs` says why.
//! Here stand those that it takes and then stumbles over.

use anyhow::{Context, Result, bail};
use rustix::fs::{XattrFlags, removexattr, setxattr, stat};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// Where a container's changes go. Both folders are on one mount; `work` is the kernel's own
/// workbench, from which finished files are renamed into `upper`.
pub struct Upper {
    /// The top layer. No other container may use it meanwhile.
    pub upper: PathBuf,
    /// An empty folder beside it.
    pub work: PathBuf,
    /// What happens to the changes once the container has ended.
    pub fate: Fate,
}

/// Whether changes are still wanted when the mount is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They stay in the upper layer, and the kernel writes them to the disk with all else that
    /// waits to be written to this file system, before the unmount is done.
    Kept,
    /// The upper layer will be removed. Then nothing need ever reach the disk, and the end of a
    /// container does not wait for it (`volatile`, overlayfs.rst, "Volatile mount").
    Discarded,
}

impl Upper {
    /// The last option of the mount.
    pub(crate) fn durability(&self) -> &'static str {
        match self.fate {
            Fate::Kept => "",
            Fate::Discarded => ",volatile",
        }
    }

    pub(crate) fn check(&self, layers: &[PathBuf]) -> Result<()> {
        self.lies_outside(layers)?;
        self.keeps_attributes()
    }

    /// Writing a file would change a lower layer under the mounted overlay, and its behaviour is
    /// then undefined (overlayfs.rst, "Changes to underlying filesystems"). What is mounted inside
    /// a layer is no part of it.
    fn lies_outside(&self, layers: &[PathBuf]) -> Result<()> {
        let identity = |path: &Path| stat(path).map(|found| (found.st_dev, found.st_ino)).ok();
        let upper = self.upper.canonicalize();
        let upper = upper.with_context(|| format!("cannot use {}", self.upper.display()))?;
        let device = identity(&upper).map(|(device, _)| device);
        let above = upper.ancestors().map(identity);
        let above: Vec<_> =
            above.take_while(|found| found.map(|(device, _)| device) == device).collect();
        for layer in layers {
            if above.contains(&identity(layer)) {
                let (upper, layer) = (upper.display(), layer.display());
                bail!(
                    "the upper layer {upper} is inside the layer {layer}\n\
                     hint: lower layers must stay as they are: take a folder elsewhere"
                );
            }
        }
        Ok(())
    }

    /// Without its attributes the kernel mounts with a warning in its log, and says EIO
    /// when the container removes a folder of a lower layer. ramfs is such a file system.
    fn keeps_attributes(&self) -> Result<()> {
        let name = crate::attributes::probe();
        match setxattr(&self.work, name, b"y", XattrFlags::empty()) {
            Ok(()) => Ok(removexattr(&self.work, name)?),
            Err(Errno::OPNOTSUPP) => {
                let (upper, reason) = (self.upper.display(), crate::explain::unfit(&self.upper));
                bail!("cannot use {upper} as an upper layer\nhint: {reason}")
            }
            Err(_) => Ok(()), // the mount fails for the same reason, and is explained
        }
    }
}
