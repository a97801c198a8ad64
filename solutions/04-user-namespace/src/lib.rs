//! Makes an ordinary user root of a small world.
//!
//! A *user namespace* gives numbers to users a second time (user_namespaces(7)). Who is 1000
//! outside may be 0 inside: root, with every capability over what belongs to the namespace (mounts,
//! host name, network of its own), and none over the rest. Outside the process stays the ordinary
//! user that it was: files that it makes are that user's, and nobody special can do more through it.
//! It is the one namespace that may be made without being root, and it is where all the others may
//! then be made.
//!
//! Which number inside is which outside, two *maps* say. Until they are written, everybody inside
//! is 65534, nobody, who may do nothing and has no capability left after an exec. So the child waits
//! at a gate until its parent has written them:
//!
//! 1. the parent: [`Maps::write`], by hand for one number ([`map_me`]), or through two small
//!    set-user-ID programs for a range of them ([`map_range`]);
//! 2. the child: [`become_root`], then everything as in the chapters before, now without sudo.

mod restrictions;
mod subordinate;

pub use restrictions::explain;
pub use subordinate::{Subordinate, who_is_missing};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::{Gid, Pid, Uid, getegid, geteuid, setgroups, setresgid, setresuid};
use std::fs;
use std::os::unix::fs::MetadataExt;
use subordinate::run_with_ranges;

/// The namespace of this chapter, to be given to the clone. The kernel makes it before all others
/// that the same call asks for, so these belong to it.
pub const NAMESPACE: CloneFlags = CloneFlags::CLONE_NEWUSER;

/// Who the users and groups inside are outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Maps {
    /// Root is the caller, and there is nobody else. Any user may have that.
    OnlyMe,
    /// Root is the caller, and 1, 2, 3, … are numbers that an administrator has set aside for the
    /// caller. Files of an image belong to many users: for those it takes this.
    Range(Subordinate),
}

impl Maps {
    /// The most that the caller may have here.
    pub fn widest() -> Maps {
        Subordinate::of_caller().map_or(Maps::OnlyMe, Maps::Range)
    }

    /// Writes the maps of process `pid`, which waits for that: to be called by its parent.
    pub fn write(&self, pid: Pid) -> Result<()> {
        match self {
            Maps::OnlyMe => map_me(pid),
            Maps::Range(subordinate) => map_range(pid, subordinate),
        }
    }
}

/// Maps root inside to the caller outside, and nobody else.
///
/// A line of a map has three numbers: the first inside, the first outside, how many. A map is
/// written once and in one piece; a second write is EPERM. Without privileges it may hold one line,
/// of one number, which must be the writer's own.
///
/// And for groups one thing more. A file can be closed to a group that everybody else may read
/// (`chmod 604`). Whoever could leave that group could read it, so leaving groups, setgroups(2),
/// takes a privilege. Root inside would have it. So the kernel wants it given up first, for ever.
// ANCHOR: map_me
pub fn map_me(pid: Pid) -> Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    // ANCHOR: todo_map_ids: write the three files of /proc/PID that say who root inside is outside
    // | `write(pid, file, text)` writes one. setgroups takes `deny` (or `allow`).
    write(pid, "setgroups", "deny")?; // without this, writing gid_map is EPERM
    write(pid, "uid_map", &format!("0 {uid} 1"))?; // inside, outside, how many
    write(pid, "gid_map", &format!("0 {gid} 1"))
    // ANCHOR_END: todo_map_ids
}
// ANCHOR_END: map_me

/// Maps root inside to the caller, and the numbers from 1 on to those set aside for the caller.
///
/// More than one number takes CAP_SETUID outside. `newuidmap` and `newgidmap` have it: installed
/// set-user-ID root, they look into `/etc/subuid` and `/etc/subgid` (subuid(5)) for what the
/// caller may use, and write the map in the caller's place. Who was given groups may leave groups.
// ANCHOR: map_range
pub fn map_range(pid: Pid, subordinate: &Subordinate) -> Result<()> {
    run_with_ranges("newuidmap", pid, geteuid().as_raw(), &subordinate.users)?;
    run_with_ranges("newgidmap", pid, getegid().as_raw(), &subordinate.groups)
}
// ANCHOR_END: map_range

/// Becomes root inside: the child's side of the gate, and the first thing that it does.
///
/// With these maps we are 0 as soon as they are written. But the groups of the caller came along;
/// inside they have no number and show as 65534, and yet open what they open outside.
// ANCHOR: become_root
pub fn become_root() -> Result<()> {
    restrictions::check_powers()?;
    // ANCHOR: todo_map_gate: be sure that the maps are there, leave the caller's groups if that is allowed, be 0 in every way
    ensure!(geteuid().is_root(), "this process is nobody: its maps were not written");
    set_groups(&[])?;
    let (root, wheel) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(wheel, wheel, wheel).context("cannot become group 0")?;
    setresuid(root, root, root).context("cannot become user 0")
    // ANCHOR_END: todo_map_gate
}
// ANCHOR_END: become_root

/// Sets the supplementary groups of this process, and leaves them as they are where the user
/// namespace has given that up ([`map_me`]).
pub fn set_groups(groups: &[Gid]) -> Result<()> {
    match setgroups(groups) {
        Err(Errno::EPERM) if groups_are_fixed() => Ok(()),
        Err(Errno::EINVAL) => Err(Errno::EINVAL).with_context(|| {
            format!("cannot set the groups{}", who_is_missing().unwrap_or_default())
        }),
        result => result.context("cannot set the groups"),
    }
}

/// Has this user namespace given up setting groups?
pub fn groups_are_fixed() -> bool {
    fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim_end() == "deny")
}

/// Are we in the first user namespace, the only one whose root is root of the machine?
///
/// Its inode number is a constant of the kernel (`PROC_USER_INIT_INO`, include/linux/proc_ns.h).
pub fn is_initial() -> bool {
    fs::metadata("/proc/self/ns/user").is_ok_and(|namespace| namespace.ino() == 0xEFFF_FFFD)
}

/// Writes a file of another process in one piece, as the kernel wants its maps.
fn write(pid: Pid, file: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{file}");
    fs::write(&path, text).with_context(|| format!("cannot write {text:?} to {path}"))
}
