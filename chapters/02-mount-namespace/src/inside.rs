//! Resolves paths inside a root that we do not trust.
//!
//! An image may hold `/data -> /etc`, or `/proc -> /host`, and a mount on that path would land on
//! the host, or a mask beside the file it should hide (CVE-2019-19921, CVE-2021-30465). openat2(2),
//! since Linux 5.6, resolves each component with the given folder as `/`, also for absolute links
//! and for `..`. The descriptor it returns is the place itself: nothing can be exchanged between
//! the check and the mount. `/proc/self/fd/N` then names it to mount(2).

use anyhow::{Context, Result};
use nix::Error;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// The file or folder that `path` means to a process whose root is `root`.
pub fn inside(root: &Path, path: &Path) -> Result<OwnedFd> {
    resolve(folder(root)?.as_fd(), path, ResolveFlag::RESOLVE_IN_ROOT)
        .with_context(|| format!("cannot find {} inside {}", path.display(), root.display()))
}

/// The folder `name` of the root, which must not be reached through a symbolic link: where the
/// kernel's own file systems go, an image has no say.
pub fn mount_point(root: &Path, name: &str) -> Result<OwnedFd> {
    strictly_inside(root, name)?.map_err(|errno| unusable(errno, &root.join(name)))
}

/// The same for what a kernel may or may not have.
pub(crate) fn mount_point_if_any(root: &Path, name: &str) -> Result<Option<OwnedFd>> {
    match strictly_inside(root, name)? {
        Ok(place) => Ok(Some(place)),
        Err(Error::ENOENT) => Ok(None),
        Err(errno) => Err(unusable(errno, &root.join(name))),
    }
}

fn strictly_inside(root: &Path, name: &str) -> Result<Result<OwnedFd, Error>> {
    let strict = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS;
    Ok(resolve(folder(root)?.as_fd(), Path::new(name), strict))
}

fn unusable(errno: Error, place: &Path) -> anyhow::Error {
    let place = place.display();
    let hint = match errno {
        Error::ENOENT => format!("\nhint: is this a root file system? if so: mkdir {place}"),
        Error::ELOOP => {
            "\nhint: a symbolic link here could lead a mount astray: replace it by a folder".into()
        }
        _ => String::new(),
    };
    anyhow::Error::new(errno).context(format!("cannot mount on {place}{hint}"))
}

/// Makes the folders on which [`crate::proc`], [`crate::sysfs`] and [`crate::dev`] mount, as far as
/// they are missing. Images often come without them.
pub fn make_mount_points(root: &Path) -> Result<()> {
    let root_folder = folder(root)?;
    for name in ["proc", "sys", "dev"] {
        match mkdirat(&root_folder, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Error::EEXIST) => {}
            Err(errno) => {
                return Err(errno).context(format!("cannot create {}", root.join(name).display()));
            }
        }
    }
    Ok(())
}

/// Like [`inside`], and makes what is missing: folders, and at the end a folder or an empty file.
pub fn inside_or_new(root: &Path, path: &Path, is_folder: bool) -> Result<OwnedFd> {
    let root_folder = folder(root)?;
    let mut here = root_folder.try_clone()?;
    let mut reached = PathBuf::from("/");
    let mut components = normal(path).peekable();
    while let Some(name) = components.next() {
        reached.push(name);
        let wants_folder = is_folder || components.peek().is_some();
        here = match resolve(root_folder.as_fd(), &reached, ResolveFlag::RESOLVE_IN_ROOT) {
            Ok(found) => found,
            Err(Error::ENOENT) => create(here.as_fd(), name, wants_folder).map_err(|errno| {
                let dangling = "\nhint: a symbolic link is in the way, and it leads nowhere";
                let hint = if errno == Error::EEXIST { dangling } else { "" };
                let (new, root) = (reached.display(), root.display());
                anyhow::Error::new(errno)
                    .context(format!("cannot create {new} inside {root}{hint}"))
            })?,
            Err(errno) => {
                return Err(errno).context(format!(
                    "cannot find {} inside {}",
                    reached.display(),
                    root.display()
                ));
            }
        };
    }
    Ok(here)
}

/// The path by which system calls without a descriptor argument reach the descriptor's file.
pub fn through_descriptor(descriptor: &impl AsFd) -> PathBuf {
    format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd()).into()
}

/// Is it a folder, not a file of any kind?
pub(crate) fn is_folder(place: &OwnedFd) -> Result<bool> {
    let mode = fstat(place).context("cannot look at a path inside the root")?.st_mode;
    Ok(SFlag::from_bits_truncate(mode) & SFlag::S_IFMT == SFlag::S_IFDIR)
}

fn folder(root: &Path) -> Result<OwnedFd> {
    open(root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .with_context(|| format!("cannot open {}", root.display()))
}

fn resolve(root: BorrowedFd, path: &Path, how: ResolveFlag) -> Result<OwnedFd, Error> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(how | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    loop {
        match openat2(root, path, how) {
            Err(Error::EAGAIN) => {} // somebody renamed a folder meanwhile: openat2(2)
            other => return other,
        }
    }
}

/// Creates `name` itself in `folder`; a link that dangles is refused, not followed.
fn create(folder: BorrowedFd, name: &OsStr, is_folder: bool) -> Result<OwnedFd, Error> {
    if is_folder {
        mkdirat(folder, name, Mode::from_bits_truncate(0o755))?;
    } else {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        nix::fcntl::openat(folder, name, flags, Mode::from_bits_truncate(0o644))?;
    }
    resolve(folder, Path::new(name), ResolveFlag::RESOLVE_NO_SYMLINKS)
}

/// The names in a path; `..` is resolved against the path's own text, as docker does with a target.
fn normal(path: &Path) -> impl Iterator<Item = &OsStr> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::ParentDir => drop(names.pop()),
            _ => {}
        }
    }
    names.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn path_of(descriptor: &OwnedFd) -> PathBuf {
        std::fs::read_link(through_descriptor(descriptor)).unwrap()
    }

    #[test]
    fn links_lead_to_places_inside_the_root_only() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        for (name, target) in
            [("absolute", "/etc"), ("dots", "../../../../etc"), ("chain", "absolute")]
        {
            symlink(target, root.path().join(name)).unwrap();
            let found = inside(root.path(), Path::new(name)).unwrap();
            assert_eq!(path_of(&found), root.path().join("etc"));
        }
    }

    #[test]
    fn a_mount_point_behind_a_link_is_refused() {
        let root = tempfile::tempdir().unwrap();
        symlink("/etc", root.path().join("proc")).unwrap();
        let error = mount_point(root.path(), "proc").unwrap_err();
        assert!(error.to_string().contains("hint: a symbolic link"), "{error:#}");
    }

    #[test]
    fn what_is_missing_is_made_inside() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("srv")).unwrap();
        symlink("/srv", root.path().join("data")).unwrap();
        let made = inside_or_new(root.path(), Path::new("/data/a/../b/file"), false).unwrap();
        assert_eq!(path_of(&made), root.path().join("srv/b/file"));
        let dangling = tempfile::tempdir().unwrap().path().join("gone");
        symlink(&dangling, root.path().join("away")).unwrap();
        assert!(inside_or_new(root.path(), Path::new("/away/x"), true).is_err());
        assert!(!dangling.exists());
    }
}
