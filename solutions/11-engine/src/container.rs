//! A container from its beginning to its end, as it is written down.
//!
//! Everything that a container leaves on the host is named in `registry.rs`. Here is the order in
//! which it comes and goes, so that a program killed at any moment leaves nothing that the next one
//! would not find.

use crate::connection::Connection;
use crate::registry::{self, lock, lock_registry, root_folder, run_folder};
use crate::share::Share;
use crate::state::{Process, State, Status};
use crate::{Request, name, random};
use anyhow::{Context, Result};
use cgroups::Ledger;
use image::Image;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Pid;
use overlay::{Fate, Upper};
use std::cell::Cell;
use std::fs::{self, DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A container that this process runs. Dropped before its end, it is removed.
pub struct Container {
    state: State,
    folder: PathBuf,
    run: PathBuf,
    share: Share,
    /// Set when nothing is to be removed although this value goes.
    keep: Cell<bool>,
    _lock: Flock<File>,
}

impl Container {
    /// Reserves a name, writes the state down, and makes the folders; in this order, so that
    /// nothing exists that is not written down.
    pub fn create(request: &Request, image: &Image, mut share: Share) -> Result<Container> {
        let registry = lock_registry()?;
        let name = name::choose(request.name.as_deref(), &registry::names()?)?;
        let id = random::id()?;
        let cgroups = share.plan(&id)?;
        let run = run_folder().join(&id);
        DirBuilder::new()
            .mode(0o700)
            .create(&run)
            .with_context(|| format!("cannot create {}", run.display()))?;
        // Who tries whether it is free, as scripts/clean does, has it for a moment.
        let lock = lock(&run, FlockArg::LockExclusive)?.context("cannot lock a new container")?;
        let folder = root_folder().join("containers").join(&id);
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let state = State {
            id,
            name,
            image: image.reference.clone(),
            image_digest: Some(image.digest.to_string()),
            layers: image.layers.clone(),
            created,
            status: Status::Created,
            process: None,
            exit_code: None,
            remove: request.rm,
            cgroups,
            oom_killed: false,
            network: None,
            user_mode: None,
            exposed: Vec::new(),
        };
        let written = state.write(&run).and_then(|()| state.write_name(&run));
        let keep = Cell::new(false);
        let container = Container { state, folder, run, share, keep, _lock: lock };
        drop(registry); // an error from here on removes the container, which takes that lock again
        written?;
        container.make_folders()?;
        container.share.create()?;
        Ok(container)
    }

    /// The upper layer's folder becomes the container's `/`, so it must be open to all its users
    /// whatever our caller's umask is; strangers are kept out further up, by the image store.
    fn make_folders(&self) -> Result<()> {
        let Upper { upper, work, .. } = self.upper();
        for folder in [&upper, &work] {
            fs::create_dir_all(folder)
                .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o755)))
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(())
    }

    /// The first 12 digits of the ID, which people use.
    pub fn short_id(&self) -> &str {
        self.state.short_id()
    }

    /// The folder of the container, on which its root is mounted.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The container's own layer.
    pub fn upper(&self) -> Upper {
        let fate = if self.state.remove { Fate::Discarded } else { Fate::Kept };
        Upper { upper: self.folder.join("upper"), work: self.folder.join("work"), fate }
    }

    /// Its share of the machine.
    pub fn share(&self) -> &Share {
        &self.share
    }

    /// Notes what it is connected to, and the ports that its image names; written with the next
    /// word. The address is written down already, in a file of its own.
    pub fn connected(&mut self, connection: &Connection, exposed: Vec<String>) {
        connection.note(&mut self.state, exposed);
    }

    /// Notes that the command is about to run.
    pub fn started(&self, pid: Pid) -> Result<()> {
        let process = Some(Process::of(pid)?);
        State { status: Status::Running, process, ..self.state.clone() }.write(&self.run)
    }

    /// Notes the end, and removes the container if that was asked for.
    pub fn ended(self, exit_code: u8) -> Result<()> {
        let oom_killed = self.share.ran_out_of_memory();
        if self.state.remove {
            return self.remove();
        }
        self.keep.set(true);
        Ledger(self.state.cgroups.clone()).remove()?;
        let (status, exit_code, cgroups) = (Status::Exited, Some(exit_code), Vec::new());
        State { status, exit_code, cgroups, oom_killed, ..self.state.clone() }.write(&self.run)
    }

    /// The files first, which may take long and where our own lock keeps others away; then the
    /// record, with the registry locked, because others read there.
    fn remove(&self) -> Result<()> {
        self.keep.set(true); // tried once is enough
        Ledger(self.state.cgroups.clone()).remove()?;
        registry::remove_folder(&self.folder)?;
        let _registry = lock_registry()?;
        registry::remove_folder(&self.run)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if !self.keep.get() {
            let _ = self.remove();
        }
    }
}
