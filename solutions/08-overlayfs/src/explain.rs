//! Says why the kernel would not mount an overlay. It has one word for most reasons, EINVAL, and
//! tells the rest to the kernel log, which a user may not read.

use crate::Upper;
use nix::Error;
use rustix::fs::{AtFlags, CWD, StatVfsMountFlags, StatxFlags, statvfs, statx};
use std::path::{Path, PathBuf};

/// The most lower layers that overlayfs takes: `OVL_MAX_STACK` in fs/overlayfs/params.h.
const MOST_LAYERS: usize = 500;

/// The usual file systems that can hold an upper layer.
const FIT: [&str; 7] = ["bcachefs", "btrfs", "ext3", "ext4", "f2fs", "tmpfs", "xfs"];

pub(crate) fn mount_error(
    errno: Error,
    layers: &[PathBuf],
    upper: Option<&Upper>,
) -> anyhow::Error {
    let hint = reason(errno, layers, upper)
        .unwrap_or_else(|| "the kernel's log says why: sudo dmesg | grep overlayfs".into());
    anyhow::Error::new(std::io::Error::from(errno))
        .context(format!("cannot mount the overlay\nhint: {hint}"))
}

fn reason(errno: Error, layers: &[PathBuf], upper: Option<&Upper>) -> Option<String> {
    if let Some(layer) = layers.iter().find(|layer| !layer.is_dir()) {
        return Some(format!("the layer {} is not a folder", layer.display()));
    }
    match errno {
        Error::ENODEV => Some("this kernel has no overlayfs: try `modprobe overlay`".into()),
        Error::EPERM if !users::is_initial() => {
            Some("an overlay in a user namespace needs Linux 5.11, or root".into())
        }
        Error::EPERM => Some("only root may mount: run it again with sudo".into()),
        Error::ELOOP => overlap(layers, upper),
        _ if layers.len() > MOST_LAYERS => {
            Some(format!("{} layers are too many: {MOST_LAYERS} at most", layers.len()))
        }
        _ if upper.is_none() && layers.len() == 1 => {
            Some("a single layer is no overlay: it needs a second one, or an upper layer".into())
        }
        _ => upper.and_then(bad_upper),
    }
}

/// Two folders of which one is, or is in, the other.
fn overlap(layers: &[PathBuf], upper: Option<&Upper>) -> Option<String> {
    let top = upper.iter().flat_map(|upper| [&upper.upper, &upper.work]);
    // A folder that is reached by a descriptor may be covered by a mount; the link has its name.
    let name = |folder: &PathBuf| folder.read_link().or_else(|_| folder.canonicalize()).ok();
    let folders: Vec<PathBuf> = layers.iter().chain(top).filter_map(name).collect();
    let mut pairs = folders
        .iter()
        .enumerate()
        .flat_map(|(index, one)| folders[..index].iter().map(move |other| (other, one)));
    let (one, other) =
        pairs.find(|(one, other)| one.starts_with(other) || other.starts_with(one))?;
    Some(if one == other {
        format!("{} is given twice", one.display())
    } else {
        format!("layers can't be inside each other: {}, {}", one.display(), other.display())
    })
}

/// The upper layer must hold device nodes and `trusted.` attributes, and be renamed into.
fn bad_upper(Upper { upper, work, .. }: &Upper) -> Option<String> {
    if mount_id(upper) != mount_id(work) {
        return Some(format!(
            "{} and its work folder {} must be on the same mount: if the upper layer is a mount \
             point, take a folder inside it",
            upper.display(),
            work.display()
        ));
    }
    if statvfs(upper).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY)) {
        return Some(format!("the upper layer {} is on a read-only mount", upper.display()));
    }
    let fit = file_system_of(upper).is_some_and(|name| FIT.contains(&name.as_str()));
    (!fit).then(|| unfit(upper))
}

/// Why the file system at `upper` can't hold an upper layer.
pub(crate) fn unfit(upper: &Path) -> String {
    let name = file_system_of(upper).unwrap_or_else(|| "a file system of unknown kind".into());
    if !users::is_initial() {
        return format!(
            "the upper layer {} is on {name}, which can't keep `user.` attributes for an overlay \
             without root; ext4, xfs and btrfs can, and tmpfs since Linux 6.6",
            upper.display()
        );
    }
    format!(
        "the upper layer {} is on {name}, which can't keep whiteouts and `trusted.` attributes \
         for an overlay; ext4, xfs, btrfs and tmpfs can; overlay itself, NFS, FAT and ramfs can't",
        upper.display()
    )
}

/// The type of the file system at `path`.
fn file_system_of(path: &Path) -> Option<String> {
    let id = mount_id(path)?;
    let mounts = xray::mounts::parse(&std::fs::read("/proc/self/mountinfo").ok()?).ok()?;
    mounts.into_iter().find(|mount| mount.id == id).map(|mount| mount.file_system)
}

/// The mount that `path` is on, by the number that mountinfo gives it: statx(2), Linux 5.8.
fn mount_id(path: &Path) -> Option<u64> {
    Some(statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?.stx_mnt_id)
}
