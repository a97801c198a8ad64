//! The flags of docker-run(1) that say what a container may do.

use crate::capabilities::{Capabilities, Named};
use crate::seccomp::{self, Chosen, SecurityOption};
use crate::{Confinement, Limit, privileged};
use anyhow::Result;
use cgroups::{Device, Devices};
use std::path::Path;
use xray::capabilities::Set;

/// What was asked for; nothing is what docker gives.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Rights {
    /// Give a capability, or ALL; a user who is not root has only those that are named here
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<Named>,
    /// Take a capability, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<Named>,
    /// Give all capabilities and devices that we have, filter no call and hide nothing of the kernel
    #[arg(long)]
    pub privileged: bool,
    /// seccomp=unconfined, seccomp=FILE (a profile), no-new-privileges
    #[arg(long = "security-opt", value_name = "OPTION")]
    pub security: Vec<SecurityOption>,
    /// Limit what each process may use, as in nofile=1024:2048 (soft and hard)
    #[arg(long = "ulimit", value_name = "NAME=SOFT[:HARD]")]
    pub limits: Vec<Limit>,
}

impl Rights {
    /// Makes of it what the child will need. `ours` are the capabilities that it will have to
    /// give: those of our own, or all in a new user namespace.
    pub fn confinement(&self, ours: Set) -> Result<Confinement> {
        let capabilities =
            Capabilities::choose(self.privileged, &self.cap_add, &self.cap_drop, ours)?;
        let otherwise = if self.privileged { Chosen::Unconfined } else { Chosen::Builtin };
        Ok(Confinement {
            limits: self.limits.clone(),
            no_new_privileges: seccomp::option::no_new_privileges(&self.security),
            filter: seccomp::option::filter(&self.security, otherwise, capabilities.most)?,
            capabilities,
        })
    }

    /// The devices that may be opened, a matter of the cgroup: docker's, or with `--privileged` all.
    pub fn devices(&self, more: &[Device]) -> Result<Devices> {
        if self.privileged { Ok(Devices::All) } else { Devices::with(more) }
    }

    /// With `--privileged`, shows all of the machine: to be called before volumes cover `/sys` or
    /// `/dev`, as those are not ours to change.
    pub fn show(&self, root: &Path) -> Result<()> {
        if self.privileged { privileged::show(root) } else { Ok(()) }
    }

    /// Hides what knows or changes the whole machine, volumes or not; with `--privileged` nothing.
    pub fn hide(&self, root: &Path) -> Result<()> {
        if self.privileged { Ok(()) } else { rootfs::hide(root) }
    }
}
