//! All containers as files: how they are found, and how the remains of the dead are removed.
//!
//! ```text
//! /run/coracle/ID/state.json         what it is and how it is; written first, removed last
//! /run/coracle/ID/name               a link to its name, so that names are compared without reading
//! /var/lib/coracle/containers/ID/    its upper layer and overlayfs's workbench
//! /sys/fs/cgroup/…/coracle/ID/       its cgroup; state.json has the folders
//! ```
//!
//! `CORACLE_RUN` and `CORACLE_ROOT` name other places. Whoever runs a container holds a lock on
//! its folder `/run/coracle/ID` (flock(2); a folder can be locked like a file, so there is no lock
//! file to be left over). The kernel drops a lock when its holder dies, however it dies: a lock
//! that can be taken is a container that nobody runs any more, and whoever comes next tidies up
//! after it. `/run/coracle` itself is locked while names are compared and folders in it come and
//! go.

use crate::state::{Named, State, Status};
use anyhow::{Context, Result, bail, ensure};
use cgroups::{Group, Ledger};
use network::ports::Published;
use nix::fcntl::{Flock, FlockArg};
use overlay::Change;
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The variables that name other places. For an ordinary user `rootless.rs` sets them.
pub(crate) const ROOT: &str = "CORACLE_ROOT";
pub(crate) const RUN: &str = "CORACLE_RUN";

/// Where images and upper layers are.
pub fn root_folder() -> PathBuf {
    absolute(ROOT, "/var/lib/coracle")
}

/// Where the state of containers is; a tmpfs on most systems.
pub fn run_folder() -> PathBuf {
    absolute(RUN, "/run/coracle")
}

/// What the variable says, as it is meant here: it is written down and read elsewhere.
fn absolute(variable: &str, default: &str) -> PathBuf {
    let said = std::env::var_os(variable).filter(|said| !said.is_empty());
    let folder = said.map_or(default.into(), PathBuf::from);
    std::path::absolute(&folder).unwrap_or(folder)
}

/// All containers, the newest first.
pub fn list() -> Result<Vec<State>> {
    let _registry = lock_registry()?;
    let _ = network::networks::sweep(); // whoever was killed may have left a port that leads nowhere
    let mut states = sweep()?;
    states.sort_by_key(|state| std::cmp::Reverse(state.created));
    Ok(states)
}

/// Removes a container that has ended, by its name, its ID or the beginning of its ID.
pub fn remove(wanted: &str) -> Result<()> {
    let _registry = lock_registry()?;
    let found = find(wanted)?;
    ensure!(
        matches!(found.status, Status::Exited | Status::Dead),
        "the container {wanted} is running\nhint: stop its command first"
    );
    remove_files(&found.id)
}

/// The ports of this machine that lead to a container, named as in [`remove`].
pub fn ports(wanted: &str) -> Result<Vec<Published>> {
    let state = look_up(wanted)?;
    ensure!(state.status == Status::Running, "the container {wanted} does not run");
    Ok(state.ports().to_vec())
}

/// What a container, named as in [`remove`], has changed in the tree that its image brought.
pub fn changes(wanted: &str) -> Result<Vec<Change>> {
    let registry = lock_registry()?;
    let State { id, layers, .. } = find(wanted)?;
    drop(registry); // comparing takes its time
    let upper = root_folder().join("containers").join(id).join("upper");
    let mut changes = overlay::changes(&layers, &upper)?;
    forget_our_own(&mut changes, &upper);
    Ok(changes)
}

/// Takes out of the list what we made ourselves: the empty files on which `/etc/hosts` and its
/// like were mounted, where the image had none, and their folder if nothing else happened in it.
fn forget_our_own(changes: &mut Vec<Change>, upper: &Path) {
    let is_ours = |change: &Change| {
        let name = change.path.strip_prefix("/etc").ok().and_then(|name| name.to_str());
        let found =
            fs::symlink_metadata(upper.join(change.path.strip_prefix("/").unwrap_or(&change.path)));
        name.is_some_and(|name| ["hosts", "hostname", "resolv.conf"].contains(&name))
            && found.is_ok_and(|file| file.is_file() && file.len() == 0)
    };
    let before = changes.len();
    changes.retain(|change| !is_ours(change));
    let in_etc = changes.iter().filter(|change| change.path.starts_with("/etc")).count();
    if changes.len() < before && in_etc == 1 {
        changes.retain(|change| change.path != Path::new("/etc"));
    }
}

/// The state of a container, named as in [`remove`].
pub(crate) fn look_up(wanted: &str) -> Result<State> {
    let _registry = lock_registry()?;
    find(wanted)
}

/// The container of this name, ID or beginning of an ID. To be called with the registry locked.
fn find(wanted: &str) -> Result<State> {
    let states = sweep()?;
    let by_name = states.iter().find(|state| state.name == wanted || state.id == wanted);
    let mut by_id =
        states.iter().filter(|state| !wanted.is_empty() && state.id.starts_with(wanted));
    match (by_name, by_id.next(), by_id.next()) {
        (Some(state), _, _) | (None, Some(state), None) => Ok(state.clone()),
        (None, Some(_), Some(_)) => {
            bail!("more than one container has an ID that begins with {wanted}")
        }
        (None, None, _) => bail!("there is no container {wanted}\nhint: coracle ps -a lists them"),
    }
}

/// Reads all states, and tidies up after programs that were killed. To be called with the registry
/// locked. A container that can't be tidied up is no reason to stop: it is listed as dead.
pub(crate) fn sweep() -> Result<Vec<State>> {
    sweep_and(|run, id| State::read(run, id).ok().flatten(), |state| state)
}

/// The same for who wants the names alone: a container that runs need not be read for that.
pub(crate) fn names() -> Result<Vec<Named>> {
    sweep_and(State::name_of, |state| Named { id: state.id, name: state.name })
}

/// Looks at those that run, and at what was found of those that do not.
fn sweep_and<T>(
    running: impl Fn(&Path, &str) -> Option<T>,
    ended: impl Fn(State) -> T,
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    let runs = run_folder();
    for entry in fs::read_dir(&runs).with_context(|| format!("cannot read {}", runs.display()))? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().filter(|name| is_id(name)).map(str::to_owned)
        else {
            continue; // not ours
        };
        if !entry.file_type()?.is_dir() {
            continue;
        }
        // The lock first: what was read before could be the state before its holder's last word.
        match lock(&entry.path(), FlockArg::LockExclusiveNonblock)? {
            None => all.extend(running(&entry.path(), &id)),
            Some(_held) => {
                let swept = after_its_program(&entry.path(), &id);
                all.extend(swept.unwrap_or_else(|_| Some(State::unreadable(&id))).map(&ended));
            }
        }
    }
    Ok(all)
}

/// What is left of a container that nobody runs any more, after tidying up; `None` for nothing.
fn after_its_program(run: &Path, id: &str) -> Result<Option<State>> {
    let read = State::read(run, id)?;
    if !matches!(&read, Some(state) if state.status == Status::Exited) {
        network::networks::sweep()?; // it was killed: its address is free
    }
    match read {
        Some(state) if state.status == Status::Exited => Ok(Some(state)),
        // Its program was killed. PID 1 dies with its parent, unless it has changed its user since:
        // then the kernel has forgotten that wish (PR_SET_PDEATHSIG, prctl(2)).
        Some(state) if state.status == Status::Running => {
            state.process.map_or(Ok(()), |process| process.kill())?;
            Ledger(state.cgroups.clone()).remove()?;
            if state.remove {
                return remove_files(id).map(|()| None);
            }
            let (status, exit_code) = (Status::Exited, Some(137));
            let state = State { status, exit_code, cgroups: Vec::new(), ..state };
            state.write(run)?;
            Ok(Some(state))
        }
        half_made => {
            Ledger(half_made.map(|state| state.cgroups).unwrap_or_default()).remove()?;
            remove_files(id).map(|()| None)
        }
    }
}

/// Removes all that exists of a container, the record of it last. A record that can't be read tells
/// of no cgroup; then it is where cgroups usually are.
fn remove_files(id: &str) -> Result<()> {
    Group::plan(None, id).map_or(Ok(()), |group| group.ledger().remove())?;
    remove_folder(&root_folder().join("containers").join(id))?;
    remove_folder(&run_folder().join(id))
}

/// Removes a folder, if it is there, with all that is in it. A container can make folders deeper
/// than we may have descriptors, so not `fs::remove_dir_all`, which opens one in another.
pub(crate) fn remove_folder(folder: &Path) -> Result<()> {
    let (parent, name) =
        (folder.parent().unwrap_or(folder), folder.file_name().unwrap_or_default());
    match File::open(parent).and_then(|parent| image::remove(&parent, name)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Held while names are compared, and while folders come and go.
pub(crate) fn lock_registry() -> Result<Flock<File>> {
    let run = run_folder();
    DirBuilder::new().recursive(true).mode(0o700).create(&run).with_context(|| {
        format!("cannot create {}\nhint: run it again with sudo, or set CORACLE_RUN", run.display())
    })?;
    lock(&run, FlockArg::LockExclusive)?.context("cannot lock the list of containers")
}

/// Locks a folder; `None` if somebody else holds it.
pub(crate) fn lock(folder: &Path, how: FlockArg) -> Result<Option<Flock<File>>> {
    let file = File::open(folder).with_context(|| format!("cannot open {}", folder.display()))?;
    match Flock::lock(file, how) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::Error::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno).with_context(|| format!("cannot lock {}", folder.display())),
    }
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
