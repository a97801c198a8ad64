//! A container's share of the machine: its cgroup, with the limits and devices it was asked for.

use crate::Request;
use anyhow::{Context, Result};
use cgroups::{Devices, Group, Ledger, Limits};
use nix::sched::CloneFlags;
use process::Birthplace;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

/// What was asked for, and the group that will have it once it is planned.
pub struct Share {
    limits: Limits,
    devices: Devices,
    parent: Option<PathBuf>,
    group: Option<Group>,
}

impl Share {
    /// Reads the flags, before anything is there that would have to be undone.
    pub fn asked(request: &Request) -> Result<Share> {
        let devices = request.rights.devices(&request.devices)?;
        let limits = request.limits.limits()?;
        Ok(Share { limits, devices, parent: request.limits.cgroup_parent.clone(), group: None })
    }

    /// For an ordinary user, who is still just that: looks for room in which limits can be set, and
    /// asks the user's systemd for some.
    pub fn find_room(request: &Request, folder_of_login: Option<&Path>) -> Result<()> {
        if request.limits.limits()?.is_empty() && request.limits.cgroup_parent.is_none() {
            return Ok(()); // it needs no group
        }
        cgroups::delegated::ensure_one(folder_of_login).context("cannot limit the container")
    }

    /// Decides which folders the group will have, to be written down before they are made.
    ///
    /// An ordinary user's container without limits runs without one, too: its root can't open a device
    /// that the user can't. So does one that may open all devices. Any other needs the device filter.
    pub fn plan(&mut self, id: &str) -> Result<Vec<PathBuf>> {
        match Group::plan(self.parent.as_deref(), id) {
            Ok(group) => {
                let Ledger(folders) = group.ledger();
                self.group = Some(group);
                Ok(folders)
            }
            Err(error) if self.limits.is_empty() && self.parent.is_none() => {
                if users::is_initial() && self.devices != Devices::All {
                    return Err(error)
                        .context("nothing would keep it from the disks of this machine");
                }
                Ok(Vec::new())
            }
            Err(error) => Err(error).context("cannot limit the container"),
        }
    }

    /// Makes the group.
    pub fn create(&self) -> Result<()> {
        self.group.iter().try_for_each(|group| group.create(&self.limits, &self.devices))
    }

    /// Where the container's first process is born.
    pub fn birthplace(&self, namespaces: CloneFlags) -> Result<Birthplace> {
        self.group.as_ref().map_or(Ok(namespaces.into()), |group| group.birthplace(namespaces))
    }

    /// The first step of that process: in its group, it makes this the root of all that it sees.
    pub fn enter(&self) -> Result<()> {
        self.group.iter().try_for_each(Group::enter)?;
        cgroups::namespace()
    }

    /// Shows the group on `/sys/fs/cgroup`, and of the host's in no case anything.
    pub fn mount(&self, root: &Path) -> Result<()> {
        self.group.as_ref().map_or_else(|| cgroups::cover(root), |group| group.mount(root))
    }

    /// Tells whether the kernel had to kill for want of memory, and says so.
    pub fn ran_out_of_memory(&self) -> bool {
        let usage = self.group.as_ref().map(Group::usage).unwrap_or_default();
        let words = usage.out_of_memory(&self.limits);
        words.iter().for_each(|words| say(words));
        words.is_some()
    }
}

/// Not `eprintln!`, which panics where standard error is full or gone.
fn say(words: &str) {
    let _ = writeln!(stderr(), "coracle: {words}");
}
