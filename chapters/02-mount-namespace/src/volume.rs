//! Volumes: files and folders of the host that appear in the container (`-v`).

use crate::inside::{inside_or_new, is_folder};
use crate::{bind, read_only};
use anyhow::{Context, Result, bail, ensure};
use nix::mount::MsFlags;
use nix::sys::stat::fstat;
use nix::sys::statvfs::{FsFlags, fstatvfs};
use std::fs::Metadata;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One `-v SOURCE:TARGET[:OPTIONS]`, as docker-run(1) and podman-run(1) describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// A file or folder of the host, as an absolute path.
    pub source: PathBuf,
    /// Where the container sees it, as an absolute path.
    pub target: PathBuf,
    /// `ro`: the container can't write to it, nor to anything mounted below it.
    pub read_only: bool,
    /// `rbind`, the default: what is mounted below the source comes along. `bind`: it does not.
    pub recursive: bool,
}

impl FromStr for Volume {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Volume> {
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, options) = match parts[..] {
            [source, target] => (source, target, ""),
            [source, target, options] => (source, target, options),
            _ => bail!("expected SOURCE:TARGET or SOURCE:TARGET:OPTIONS, got {text}"),
        };
        ensure!(
            source.starts_with(['/', '.']),
            "the source {source:?} is not a path\nhint: a folder of the host starts with / or ./"
        );
        ensure!(
            target.starts_with('/') && target != "/",
            "the target {target:?} must be an absolute path below /"
        );
        let source = std::path::absolute(source).context("cannot complete the path")?;
        let mut volume =
            Volume { source, target: target.into(), read_only: false, recursive: true };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => volume.read_only = true,
                "rw" => volume.read_only = false,
                "rbind" => volume.recursive = true,
                "bind" => volume.recursive = false,
                _ => bail!("unknown option {option}\nhint: known are ro, rw, bind and rbind"),
            }
        }
        Ok(volume)
    }
}

impl Volume {
    /// Mounts the volume in the new root; the target is made if it is missing.
    pub fn mount(&self, root: &Path) -> Result<()> {
        let metadata = std::fs::metadata(&self.source).with_context(|| {
            format!("cannot use {} as a volume\nhint: create it first", self.source.display())
        })?;
        let target = inside_or_new(root, &self.target, metadata.is_dir())?;
        ensure!(
            is_folder(&target)? == metadata.is_dir(),
            "cannot mount {} on {}\nhint: a folder goes on a folder, a file on a file",
            self.source.display(),
            self.target.display()
        );
        if self.recursive {
            bind(&self.source, target.as_fd())?;
        } else {
            bind_one(&self.source, target.as_fd())?;
        }
        if self.read_only {
            // Opened again, because the descriptor above means the place under the mount.
            let mounted = inside_or_new(root, &self.target, metadata.is_dir())?;
            ensure!(
                is_same(&mounted, &metadata)?,
                "{} was exchanged while the volume was mounted on it",
                self.target.display()
            );
            read_only(mounted.as_fd())
                .with_context(|| format!("volume {}", self.target.display()))?;
            if self.recursive {
                read_only_below(&self.target, mounted.as_fd())?;
            }
        }
        Ok(())
    }
}

/// Whoever shares the root with us, through another container's volume, can rename its folders
/// at any time (CVE-2021-30465).
fn is_same(mounted: &OwnedFd, source: &Metadata) -> Result<bool> {
    let here = fstat(mounted).context("cannot look at the volume")?;
    Ok((here.st_dev, here.st_ino) == (source.dev(), source.ino()))
}

/// A bind without what is mounted below the source.
fn bind_one(source: &Path, target: BorrowedFd) -> Result<()> {
    let target = crate::inside::through_descriptor(&target);
    nix::mount::mount(Some(source), &target, crate::NONE, MsFlags::MS_BIND, crate::NONE)
        .with_context(|| format!("cannot bind {}", source.display()))
}

/// A remount reaches one mount only; mount_setattr(2) reaches all below it, since Linux 5.12.
fn read_only_below(target: &Path, mounted: BorrowedFd) -> Result<()> {
    // The call needs the mount itself as its start, and an O_PATH descriptor is just that.
    sys::mount_setattr(mounted, &sys::MountAttributes::read_only()).with_context(|| {
        format!("cannot make the mounts below {} read-only\nhint: this needs Linux 5.12; without it, give the volume as :ro,bind", target.display())
    })
}

/// The flags of the mount behind `target`, to be given again in a remount.
pub(crate) fn flags_of(target: BorrowedFd) -> Result<MsFlags> {
    let has = fstatvfs(target).context("cannot read the flags of the mount")?.flags();
    let pairs = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
    ];
    Ok(pairs.iter().filter(|(had, _)| has.contains(*had)).map(|(_, flag)| *flag).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_reads() {
        let volume: Volume = "/srv:/data:ro,bind".parse().unwrap();
        assert_eq!(volume.source, Path::new("/srv"));
        assert_eq!(volume.target, Path::new("/data"));
        assert!(volume.read_only && !volume.recursive);
        let volume: Volume = "./here:/data".parse().unwrap();
        assert!(volume.source.is_absolute() && !volume.read_only && volume.recursive);
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for text in ["", "/a", "name:/data", "/a:data", "/a:/", "/a:/b:shiny", "/a:/b:ro:x"] {
            assert!(text.parse::<Volume>().is_err(), "{text}");
        }
    }
}
