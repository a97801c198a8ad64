//! A container's own group, whichever version this machine has.
//!
//! A group outlives the program that made it, so its folders are written down before they are made
//! ([`Group::ledger`]), and whoever finds them later can remove them ([`Ledger::remove`]).

use crate::devices::Devices;
use crate::files::{has, keyed, make, read};
use crate::hierarchies::{self, Hierarchies};
use crate::limits::Limits;
use crate::usage::Usage;
use crate::{born_in, delegated, device_filter, enable, limit, mounts, v1};
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::geteuid;
use process::Birthplace;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The group below which containers get theirs, if nothing else is asked for.
const PARENT: &str = "/coracle";

/// What limits or counts something for us. `devices` and `freezer` are no controllers in version 2.
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

/// A group: one folder in version 2, a folder in each tree in version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// The folder, and the highest group above it that we may change.
    V2 {
        /// Where we may begin.
        base: PathBuf,
        /// The group.
        folder: PathBuf,
    },
    /// The folders.
    V1(Vec<v1::Folder>),
}

/// The folders of a group that are ours to remove, those above it first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger(pub Vec<PathBuf>);

impl Group {
    /// Decides where the group `name` will be. Nothing is made yet.
    pub fn plan(parent: Option<&Path>, name: &str) -> Result<Group> {
        let path = parent.unwrap_or(Path::new(PARENT)).join(name);
        let found = hierarchies::find()?.context(
            "no cgroups are mounted here\nhint: mount -t cgroup2 cgroup2 /sys/fs/cgroup",
        )?;
        match found {
            Hierarchies::V2(tree) => {
                let base = delegated::base(&tree)?;
                let folder = base.join(path.strip_prefix("/").unwrap_or(&path));
                Ok(Group::V2 { base, folder })
            }
            Hierarchies::V1(trees) => {
                ensure!(
                    users::is_initial() && geteuid().is_root(),
                    "an ordinary user gets no cgroup here\n\
                     hint: cgroups of version 1 can't be handed to users safely: run it with sudo"
                );
                Ok(Group::V1(v1::folders(&trees, &path)))
            }
        }
    }

    /// What there will be to remove: the group, and those above it that are not there yet or that
    /// are ours by name.
    pub fn ledger(&self) -> Ledger {
        let mut folders = Vec::new();
        for (base, folder) in self.places() {
            let above = folder.ancestors().skip(1).take_while(|above| *above != base);
            let ours = |above: &&Path| above.ends_with(&PARENT[1..]) || !above.exists();
            let mut above: Vec<PathBuf> = above.filter(ours).map(Path::to_owned).collect();
            above.reverse();
            folders.extend(above);
            folders.push(folder.to_owned());
        }
        Ledger(folders)
    }

    /// Where it begins, and the group itself, in each tree.
    fn places(&self) -> Vec<(&Path, &Path)> {
        match self {
            Group::V2 { base, folder } => vec![(base, folder)],
            Group::V1(folders) => {
                folders.iter().map(|one| (&*one.tree.mount_point, &*one.folder)).collect()
            }
        }
    }

    /// Makes the group, with its limits.
    pub fn create(&self, limits: &Limits, devices: &Devices) -> Result<()> {
        match self {
            Group::V2 { base, folder } => {
                self.retried(|| make_below(base, folder, limits))?;
                ensure_awake(folder, keyed(folder, "cgroup.events", "frozen") != Some(1))?;
                let mut limits = limits.clone();
                if limits.swap_by_default && !has(folder, "memory.swap.max") {
                    limits.swap = None; // a machine that counts no swap, and nobody asked for it
                }
                limit(folder, &limits)?;
                if users::is_initial() && geteuid().is_root() {
                    device_filter::attach(folder, devices)?; // others can't make devices anyway
                }
                Ok(())
            }
            Group::V1(folders) => {
                self.retried(|| v1::create(folders))?;
                v1::of(folders, "freezer").map_or(Ok(()), |folder| {
                    ensure_awake(folder, read(folder, "freezer.state")? == "THAWED")
                })?;
                v1::limit(folders, limits)?;
                let limited = v1::allow(folders, devices)?;
                ensure!(
                    limited,
                    "there is no controller devices here, so root in the container could read \
                     every disk\nhint: mount it, or allow that with --privileged"
                );
                Ok(())
            }
        }
    }

    /// The last container of a parent removes it, perhaps between our two mkdirs.
    fn retried(&self, mut make: impl FnMut() -> Result<()>) -> Result<()> {
        for _ in 0..20 {
            match make() {
                Err(error) if is_not_found(&error) => {}
                other => return other,
            }
        }
        make()
    }

    /// Where the container's first process is born.
    pub fn birthplace(&self, namespaces: CloneFlags) -> Result<Birthplace> {
        match self {
            Group::V2 { folder, .. } => born_in(folder, namespaces),
            Group::V1(_) => Ok(namespaces.into()), // it enters by itself
        }
    }

    /// The first step of that process. In version 2 it is in its group already.
    pub fn enter(&self) -> Result<()> {
        match self {
            Group::V2 { .. } => Ok(()),
            Group::V1(folders) => v1::enter(folders),
        }
    }

    /// Shows the container its group, and nothing above it: see `mounts.rs`.
    pub fn mount(&self, root: &Path) -> Result<()> {
        mounts::mount_group(self, root)
    }

    /// Stops all processes of the group.
    pub fn freeze(&self) -> Result<()> {
        match self {
            Group::V2 { folder, .. } => crate::freeze(folder),
            Group::V1(folders) => v1::freeze(folders),
        }
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<()> {
        match self {
            Group::V2 { folder, .. } => crate::thaw(folder),
            Group::V1(folders) => v1::thaw(folders),
        }
    }

    /// Reads what it has used so far.
    pub fn usage(&self) -> Usage {
        match self {
            Group::V2 { folder, .. } => Usage::read(folder),
            Group::V1(folders) => v1::usage(folders),
        }
    }
}

/// Makes a group of version 2 and those above it, and has each of these hand the controllers down:
/// those that are needed must come, the others count what they can.
fn make_below(base: &Path, folder: &Path, limits: &Limits) -> Result<()> {
    let given = read(base, "cgroup.controllers")?;
    let given: Vec<&str> = given.split_whitespace().collect();
    let needed = limits.controllers();
    if let Some(missing) = needed.iter().find(|one| !given.contains(one)) {
        let others = CONTROLLERS.into_iter().filter(|one| given.contains(one));
        let others: Vec<&str> = others.collect();
        bail!(
            "the controller {missing} is not to be had in {}\n\
             hint: {} are. The kernel's command line may have switched it off (cgroup_disable), or \
             it was not handed down: cat {}/cgroup.controllers",
            base.display(),
            if others.is_empty() { "none".to_owned() } else { others.join(", ") },
            base.display()
        );
    }
    let mut above: Vec<&Path> = folder.ancestors().skip(1).collect();
    above.retain(|one| one.starts_with(base));
    for one in above.into_iter().rev() {
        if one != base {
            make(one)?;
        }
        if is_crowded(one)? {
            ensure!(
                needed.is_empty(),
                "{0} can't hand controllers down: there are processes in it\n\
                 hint: move them into a cgroup below it: cat {0}/cgroup.procs lists them",
                one.display()
            );
            continue; // a group below it is possible, and counts what it can
        }
        enable(one, &needed)?;
        for controller in CONTROLLERS.iter().filter(|one| given.contains(one)) {
            let _ = enable(one, &[controller]);
        }
    }
    make(folder)
}

/// Refuses a new group that is frozen, as it is where one above is: who is born there stands still,
/// and does not hear that it shall end.
fn ensure_awake(folder: &Path, is_awake: bool) -> Result<()> {
    ensure!(
        is_awake,
        "nothing would run in {}: a group above it is frozen\n\
         hint: thaw that one, by its cgroup.freeze or, in version 1, freezer.state",
        folder.display()
    );
    Ok(())
}

/// Are there processes in it? In the root of the whole tree, which alone has no type, there may be.
/// The kernel says EBUSY for some controllers only: with `cpu` and `pids` it makes the group one of
/// threads, and then no process can be born below it.
fn is_crowded(folder: &Path) -> Result<bool> {
    Ok(has(folder, "cgroup.type") && !read(folder, "cgroup.procs")?.is_empty())
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let errno = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    let is_gone = |error: &std::io::Error| error.raw_os_error() == Some(Errno::ENODEV as i32);
    errno.is_some_and(|error| error.kind() == ErrorKind::NotFound || is_gone(error))
}

impl Ledger {
    /// Kills what is left in the group, and removes its folders. What is not there is no error, and
    /// a group above that others still use stays.
    pub fn remove(&self) -> Result<()> {
        let Ledger(folders) = self;
        for folder in folders.iter().rev() {
            // As a rule it is empty: its processes have ended, and so has what it was made for.
            match std::fs::remove_dir(folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => {}
                _ => continue,
            }
            if folders.iter().any(|other| other != folder && other.starts_with(folder)) {
                continue; // one above, and others use it
            }
            if has(folder, "cgroup.events") {
                crate::kill(folder)?
            } else {
                v1::kill(folder)?
            }
            removed(folder)?;
        }
        Ok(())
    }
}

/// A process that has ended may be on its way out of the group still.
fn removed(folder: &Path) -> Result<()> {
    let started = Instant::now();
    loop {
        let result = crate::remove(folder);
        if result.is_ok() || started.elapsed() > Duration::from_secs(10) {
            return result;
        }
        sleep(Duration::from_millis(1));
    }
}
