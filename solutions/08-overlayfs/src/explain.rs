//! Says why the kernel would not mount an overlay. It has one word for most reasons, EINVAL, and
//! tells the rest to the kernel log, which a user may not read.

use crate::Upper;
use nix::Error;
use nix::sys::stat::stat;
use std::path::{Path, PathBuf};

/// The most lower layers that overlayfs takes: `OVL_MAX_STACK`.
const MOST_LAYERS: usize = 500;

pub(crate) fn mount_error(
    errno: Error,
    layers: &[PathBuf],
    upper: Option<&Upper>,
) -> anyhow::Error {
    let hint = reason(errno, layers, upper).map(|reason| format!("\nhint: {reason}"));
    anyhow::Error::new(std::io::Error::from(errno))
        .context(format!("cannot mount the overlay{}", hint.unwrap_or_default()))
}

fn reason(errno: Error, layers: &[PathBuf], upper: Option<&Upper>) -> Option<String> {
    for layer in layers {
        if !layer.is_dir() {
            return Some(format!("the layer {} is not a folder", layer.display()));
        }
    }
    match errno {
        Error::ENODEV => Some("this kernel has no overlayfs: try `modprobe overlay`".into()),
        Error::EPERM => Some("only root may mount: run it again with sudo".into()),
        Error::ELOOP => Some("a layer lies inside another, or inside the upper layer".into()),
        _ if layers.len() > MOST_LAYERS => {
            Some(format!("overlayfs takes {MOST_LAYERS} layers at most"))
        }
        _ => upper.and_then(|upper| bad_upper(upper)),
    }
}

/// The upper layer must hold device nodes and `trusted.` attributes, and be renamed into.
fn bad_upper(upper: &Upper) -> Option<String> {
    let device = |path: &Path| stat(path).map(|status| status.st_dev).ok();
    if device(&upper.upper) != device(&upper.work) {
        return Some(format!(
            "{} and {} must be on the same file system",
            upper.upper.display(),
            upper.work.display()
        ));
    }
    let fstype = file_system_of(&upper.upper)?;
    Some(format!(
        "the upper layer {} is on {fstype}; it must be on a writable file system that keeps device nodes \
         and extended attributes, as ext4, xfs, btrfs and tmpfs do and overlay, NFS, FAT and FUSE do not",
        upper.upper.display()
    ))
}

/// The type of the file system at `path`: the mount with the longest path above it.
fn file_system_of(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts
        .lines()
        .filter_map(|line| {
            let (mount, file_system) = line.split_once(" - ")?;
            let target = mount.split(' ').nth(4)?;
            path.starts_with(target).then_some((target.len(), file_system))
        })
        .max_by_key(|(length, _)| *length)?;
    line.1.split(' ').next().map(str::to_owned)
}
