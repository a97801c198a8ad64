//! Finds the group below which an ordinary user may make groups.
//!
//! The top of the tree is root's. systemd hands a part of it to each user who asks: *delegation*.
//! `user@1000.service` belongs to user 1000, and so does a scope that was made with
//! `systemd-run --user --scope -p Delegate=yes`. We take the highest group above our own that we may
//! write to: only within it does the kernel let us move a process from one group to another. Where
//! there is none, we ask for a scope ([`ensure_one`]), and that is then the one to take.

mod scope;

use crate::files;
use crate::hierarchies::{self, Hierarchies, Tree};
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::io;
use std::path::{Path, PathBuf};

/// What gives a command a group that its user may change.
pub(crate) const IN_A_SCOPE: &str = "systemd-run --user --scope -p Delegate=yes";

/// Sees to it that there is a group below which an ordinary user may make others, if the systemd of
/// this user can give one. To be called by the user, before any user namespace: systemd looks at who
/// asks. The folder is `XDG_RUNTIME_DIR`.
///
/// Where nobody can be asked all is left as it is, and [`crate::Group::plan`] will tell.
pub fn ensure_one(folder_of_login: Option<&Path>) -> Result<()> {
    let Some(Hierarchies::V2(tree)) = hierarchies::find()? else { return Ok(()) };
    if is_ours(&tree.mount_point) || !all_of_ours(&tree)?.is_empty() {
        return Ok(());
    }
    let Some(folder) = folder_of_login.filter(|one| scope::is_possible(one)) else { return Ok(()) };
    scope::enter(folder).with_context(|| {
        format!(
            "systemd gives us no cgroup\n\
             hint: put this before the command: {IN_A_SCOPE}"
        )
    })
}

/// May we make groups in this one, and put processes into them?
fn is_ours(folder: &Path) -> bool {
    access(folder, AccessFlags::W_OK).is_ok()
        && access(&files::file(folder, "cgroup.procs"), AccessFlags::W_OK).is_ok()
}

/// The highest group of a tree that is ours, and that we are in or below.
pub(crate) fn base(tree: &Tree) -> Result<PathBuf> {
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
    let ours = all_of_ours(tree)?;
    let Some(base) = ours.iter().find(|one| scope::is_ours(one)).or(ours.last()) else {
        bail!(
            "there is no cgroup below {} that we may write to\n\
             hint: run it with sudo; or log in where systemd runs, su is no login, and put this before \
             the command: {IN_A_SCOPE}",
            root.display()
        )
    };
    if *base == own(tree)? {
        step_aside(base)?;
    }
    Ok(base.clone())
}

/// The group that we are in.
fn own(tree: &Tree) -> Result<PathBuf> {
    Ok(tree.folder(&xray::cgroups::of(std::process::id())?.v2.unwrap_or_default()))
}

/// Those of our own group and of all above it that we may change, but for the top.
fn all_of_ours(tree: &Tree) -> Result<Vec<PathBuf>> {
    let own = own(tree)?;
    let above = own.ancestors().take_while(|one| *one != tree.mount_point);
    Ok(above.filter(|one| is_ours(one)).map(Path::to_owned).collect())
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
         hint: put this before the command, for a group of its own: {IN_A_SCOPE}",
        base.display()
    )
}

/// Does the error say that there is no such process (any more)?
fn has_ended(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.and_then(io::Error::raw_os_error) == Some(Errno::ESRCH as i32)
}
