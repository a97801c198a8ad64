//! Finds the group below which an ordinary user may make groups.
//!
//! The top of the tree is root's. systemd hands a part of it to each user who asks: *delegation*.
//! `user@1000.service` belongs to user 1000, and so does a scope that was made with
//! `systemd-run --user --scope -p Delegate=yes`. We take the highest group above our own that we may
//! write to: only within it does the kernel let us move a process from one group to another.

use crate::files;
use crate::hierarchies::Tree;
use anyhow::{Result, bail, ensure};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::io;
use std::path::{Path, PathBuf};

/// May we make groups in this one, and put processes into them?
pub fn is_ours(folder: &Path) -> bool {
    access(folder, AccessFlags::W_OK).is_ok()
        && access(&files::file(folder, "cgroup.procs"), AccessFlags::W_OK).is_ok()
}

/// The highest group of a tree that is ours, and that we are in or below.
pub fn base(tree: &Tree) -> Result<PathBuf> {
    let root = &tree.mount_point;
    if is_ours(root) {
        return Ok(root.clone());
    }
    ensure!(
        access(root, AccessFlags::W_OK) != Err(Errno::EROFS),
        "{} is mounted read-only\n\
         hint: in another container that is usual: start that one with --privileged, or --cgroupns=host \
         and the folder as a volume",
        root.display()
    );
    let own = xray::cgroups::of(std::process::id())?.v2.unwrap_or_default();
    let own = tree.folder(&own);
    let above = own.ancestors().take_while(|one| one != root);
    let Some(base) = above.filter(|one| is_ours(one)).last() else {
        bail!(
            "there is no cgroup below {} that we may write to\n\
             hint: run it with sudo, or in one that systemd hands to you: \
             systemd-run --user --scope -p Delegate=yes …",
            root.display()
        )
    };
    if base == own {
        step_aside(base)?;
    }
    Ok(base.to_owned())
}

/// We are in the very group that is to hand controllers down, which then must have no processes.
/// So all who are in it move into one below it: we, and who has started us and waits.
fn step_aside(base: &Path) -> Result<()> {
    let leaf = base.join("coracle-itself");
    files::make(&leaf)?;
    for _ in 0..100 {
        let all = files::read(base, "cgroup.procs")?;
        if all.trim().is_empty() {
            return Ok(());
        }
        for pid in all.lines() {
            // Its number is 0 if our PID namespace does not know it; and it may have ended.
            let moved = if pid == "0" { Ok(()) } else { files::write(&leaf, "cgroup.procs", pid) };
            moved.or_else(|error| if has_ended(&error) { Ok(()) } else { Err(error) })?;
        }
    }
    bail!(
        "other processes in {} do not leave it, so it can't be shared out\n\
         hint: start coracle in a group of its own: systemd-run --user --scope -p Delegate=yes …",
        base.display()
    )
}

/// Does the error say that there is no such process (any more)?
fn has_ended(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.and_then(io::Error::raw_os_error) == Some(Errno::ESRCH as i32)
}
