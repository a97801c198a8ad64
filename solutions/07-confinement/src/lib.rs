//! Takes from root what a container does not need.
//!
//! Namespaces hide; they forbid little. Root in chapter 02's container can make the node of the
//! host's disk, since nobody can hide a number, and read it. What forbids is this:
//!
//! - *Capabilities* are the power of root, cut into 41 pieces (capabilities(7)). A process has five
//!   sets of them. *Effective* is what counts when it asks for something, *permitted* what it may
//!   make effective. *Bounding* is the most that any program gets which it executes, even one with
//!   the set-user-ID bit. *Inheritable* and *ambient* are what a user who is not root keeps when
//!   executing a program: without them, nothing.
//! - *no_new_privs* makes such a bit mean nothing at all (`PR_SET_NO_NEW_PRIVS(2const)`).
//! - A *filter* lets a system call through or not, whoever makes it: [`seccomp`].
//! - *Resource limits* say how much of something one process may have (setrlimit(2)).
//!
//! All of them are inherited and none can be taken back. So they are the last that we do, and
//! [`confine`] is the lesson: each of its steps takes away a right that the one before it needed.

pub mod capabilities;
pub mod keyring;
pub mod limits;
pub mod privileged;
pub mod rights;
pub mod seccomp;
mod user;

pub use capabilities::Capabilities;
pub use limits::Limit;
pub use rights::Rights;
pub use user::User;

use anyhow::{Context, Result};
use nix::unistd::{Gid, Uid, setgid, setuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs,
};
use seccomp::Filter;
use xray::capabilities::Set;

/// What the command of a container may still do.
#[derive(Debug)]
pub struct Confinement {
    /// How much of each thing it may use.
    pub limits: Vec<Limit>,
    /// Its part of the power of root.
    pub capabilities: Capabilities,
    /// Shall no program that it executes have more power than itself?
    pub no_new_privileges: bool,
    /// Which system calls it may make; `None` is all.
    pub filter: Option<Filter>,
}

/// Gives up everything but `confinement`, as `user`. What is left to do is the exec.
///
/// A filter can refuse our own calls too, so it comes as late as it can. The kernel takes one only
/// from CAP_SYS_ADMIN, or after no_new_privs: else a filter could make a set-user-ID program
/// believe that it had given up root. With no_new_privs it can be the very last step.
// ANCHOR: confine
pub fn confine(confinement: &Confinement, user: &User) -> Result<()> {
    let Confinement { limits, capabilities, no_new_privileges, filter } = confinement;
    keyring::own()?; //                                keys of the host are nobody's business
    limits.iter().try_for_each(Limit::set)?; //        takes CAP_SYS_RESOURCE, to raise one
    become_user(user)?; //                             takes CAP_SETGID and CAP_SETUID
    if *no_new_privileges {
        drop_capabilities(capabilities.of(user))?; //  takes CAP_SETPCAP, for the bounding set
        set_no_new_privs(true).context("cannot give up new privileges")?;
        filter.iter().try_for_each(load) //            takes nothing
    } else {
        filter.iter().try_for_each(load)?; //          takes CAP_SYS_ADMIN
        drop_capabilities(capabilities.of(user)) //    takes CAP_SETPCAP
            .map_err(|error| seccomp::perhaps_refused(error, filter))
    }
}
// ANCHOR_END: confine

/// Becomes another user and keeps all capabilities, which are given up one step later.
///
/// The kernel takes root's capabilities from a process that is root no longer. Asked to keep them
/// (`PR_SET_KEEPCAPS(2const)`) it leaves them permitted, and they can be made effective again.
// ANCHOR: become_user
pub fn become_user(user: &User) -> Result<()> {
    set_keep_capabilities(true).context("cannot keep the capabilities")?;
    // ANCHOR: todo_become_user: take the groups, the group and the user; nothing of root's stays
    // | `users::set_groups`, `setgid` and `setuid`: which of them may the next one take away?
    let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    users::set_groups(&groups)?;
    setgid(Gid::from_raw(user.gid)).with_context(|| user::cannot_be("group", user.gid))?;
    setuid(Uid::from_raw(user.uid)).with_context(|| user::cannot_be("user", user.uid))?;
    // ANCHOR_END: todo_become_user
    set_keep_capabilities(false).context("cannot end keeping capabilities")?;
    capabilities::take_up_all()?;
    process::die_with_parent() // the kernel has forgotten that wish by now (prctl(2))
}
// ANCHOR_END: become_user

/// What the five sets are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sets {
    /// The most that any program in the container will ever have.
    pub bounding: Set,
    /// What the command has: effective and permitted.
    pub held: Set,
    /// What it hands on through an exec without being root: inheritable and ambient.
    pub handed_on: Set,
}

/// Gives up all capabilities but these.
///
/// Root gets the whole bounding set back at each exec: a container that keeps it full has kept
/// everything. The ambient set is emptied by nobody but us, and grows only from what is permitted
/// and inheritable already.
// ANCHOR: drop
pub fn drop_capabilities(sets: Sets) -> Result<()> {
    // ANCHOR: todo_caps_drop: make all five sets what `sets` says
    // | `capabilities::bounding` lists what the kernel knows and we have. `flags` and `each` turn a
    // | Set into what these calls want. Which of them takes a capability itself?
    let superfluous = Set(capabilities::bounding().0 & !sets.bounding.0);
    for capability in each(superfluous) {
        remove_capability_from_bounding_set(capability)
            .context("cannot reduce the bounding set")?;
    }
    clear_ambient_capability_set().context("cannot empty the ambient set")?;
    let (effective, permitted) = (flags(sets.held), flags(sets.held));
    set_capabilities(
        None,
        CapabilitySets { effective, permitted, inheritable: flags(sets.handed_on) },
    )
    .with_context(|| format!("cannot hold {}", sets.held))?;
    for capability in each(sets.handed_on) {
        configure_capability_in_ambient_set(capability, true)
            .context("cannot fill the ambient set")?;
    }
    Ok(())
    // ANCHOR_END: todo_caps_drop
}
// ANCHOR_END: drop

/// A set as rustix has it.
fn flags(set: Set) -> CapabilitySet {
    CapabilitySet::from_bits_retain(set.0)
}

/// Its members, one by one.
fn each(set: Set) -> impl Iterator<Item = CapabilitySet> {
    (0..64).map(|number| 1 << number).filter(move |bit| set.0 & bit != 0).map(|bit| flags(Set(bit)))
}

fn load(filter: &Filter) -> Result<()> {
    filter.load().map(drop)
}
