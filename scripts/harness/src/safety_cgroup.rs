//! Puts a test into control groups of its own, so that it cannot exhaust the machine.
//!
//! In every hierarchy of the host (one on cgroup v2, about ten on v1) a folder
//! `coracle-test-<random>` holds the limits: 512 processes and 1 GiB. The test lives one floor
//! below, in `sandbox`, which is the root of its cgroup namespace: it may do as it likes there
//! and cannot reach the files that limit it. See cgroups(7) and cgroup_namespaces(7).
//!
//! The folders are locked with flock as long as the test program lives. A folder whose lock is
//! free belongs to a program that was killed: `sweep` and `scripts/clean` remove it.

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What the names of all our folders begin with.
pub const PREFIX: &str = "coracle-test";
const PROCESSES: &str = "512";
const MEMORY: &str = "1073741824";

/// A mounted cgroup hierarchy.
pub struct Hierarchy {
    pub mount_point: PathBuf,
    pub v2: bool,
    /// What tells v1 hierarchies apart when mounting: `memory`, `cpu,cpuacct`, `none,name=systemd`.
    pub options: String,
}

/// Reads the hierarchies from /proc/self/mountinfo, proc_pid_mountinfo(5).
pub fn hierarchies() -> Vec<Hierarchy> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, file_system)) = line.split_once(" - ") else { continue };
        let mut file_system = file_system.split(' ');
        let kind = file_system.next().unwrap_or_default();
        if kind != "cgroup" && kind != "cgroup2" {
            continue;
        }
        let mount_point = PathBuf::from(mount.split(' ').nth(4).unwrap_or_default());
        let options = v1_options(file_system.nth(1).unwrap_or_default());
        if !found.iter().any(|other| other.options == options) {
            found.push(Hierarchy { mount_point, v2: kind == "cgroup2", options });
        }
    }
    found
}

/// Keeps the controllers and the name, drops what mount(2) refuses in a cgroup namespace.
fn v1_options(super_options: &str) -> String {
    let general = ["rw", "ro", "xattr", "clone_children", "cpuset_v2_mode", "noprefix"];
    let kept: Vec<&str> = super_options
        .split(',')
        .filter(|option| !general.contains(option) && !option.starts_with("release_agent="))
        .collect();
    match kept.as_slice() {
        [name] if name.starts_with("name=") => format!("none,{name}"),
        options => options.join(","),
    }
}

/// The folders of one test, removed with all that runs in them when dropped.
pub struct SafetyCgroup {
    /// The folders' name, the same in every hierarchy.
    pub name: String,
    folders: Vec<(PathBuf, Option<Flock<File>>)>,
    /// Which limits could not be set here.
    pub missing: Vec<&'static str>,
}

impl SafetyCgroup {
    /// Makes the folders and sets the limits as far as this host lets us.
    pub fn create() -> SafetyCgroup {
        let mut cgroup = SafetyCgroup {
            name: crate::random_name(PREFIX),
            folders: Vec::new(),
            missing: Vec::new(),
        };
        let (mut processes, mut memory) = (false, false);
        for hierarchy in hierarchies() {
            let folder = hierarchy.mount_point.join(&cgroup.name);
            if hierarchy.v2 {
                // systemd has done so already; without it nobody has.
                let _ = fs::write(
                    hierarchy.mount_point.join("cgroup.subtree_control"),
                    "+pids +memory",
                );
            }
            let turn = lock(&hierarchy.mount_point, FlockArg::LockShared);
            if fs::create_dir(&folder).is_err() {
                continue;
            }
            cgroup.folders.push((folder.clone(), lock(&folder, FlockArg::LockExclusive)));
            drop(turn);
            copy_cpuset(&folder);
            let _ = fs::write(folder.join("memory.use_hierarchy"), "1"); // v1 before Linux 5.11 asks for it
            processes |= write_existing(&folder.join("pids.max"), PROCESSES);
            memory |= write_existing(&folder.join("memory.limit_in_bytes"), MEMORY);
            memory |= write_existing(&folder.join("memory.max"), MEMORY);
            write_existing(&folder.join("memory.swap.max"), "0");
            delegate(&folder);
            let sandbox = folder.join("sandbox");
            let _ = fs::create_dir(&sandbox);
            copy_cpuset(&sandbox);
            if hierarchy.v2 {
                // A v2 cgroup with processes cannot hand controllers to its children, so they
                // live in a leaf and leave the root of the sandbox free for the test.
                let _ = fs::create_dir(sandbox.join("init"));
            }
        }
        if !processes {
            cgroup.missing.push("processes");
        }
        if !memory {
            cgroup.missing.push("memory");
        }
        cgroup
    }

    /// Ends everything in the folders. By PID, as `cgroup.kill` is younger than the oldest kernel.
    pub fn kill(&self) {
        for (folder, _) in &self.folders {
            kill_all(folder);
        }
    }
}

impl Drop for SafetyCgroup {
    fn drop(&mut self) {
        for (folder, _) in &self.folders {
            kill_all(folder);
            if let Err(error) = remove(folder) {
                eprintln!("harness: cannot remove {}: {error}", folder.display());
            }
        }
    }
}

/// Moves this single-threaded process into the safety cgroup `name`.
pub fn enter(name: &str) -> io::Result<()> {
    for hierarchy in hierarchies() {
        let sandbox = hierarchy.mount_point.join(name).join("sandbox");
        if sandbox.exists() {
            // A v1 task that moves itself through `tasks` does not wait for the global lock
            // that `cgroup.procs` takes: 0.1 ms in place of 5.
            let file = if hierarchy.v2 { "cgroup.procs" } else { "tasks" };
            fs::write(sandbox.join(file), "0")?;
        }
    }
    Ok(())
}

/// Moves this process into the v2 leaf, once the cgroup namespace has `sandbox` as its root.
pub fn enter_leaf(name: &str) -> io::Result<()> {
    for hierarchy in hierarchies() {
        let leaf = hierarchy.mount_point.join(name).join("sandbox/init/cgroup.procs");
        if leaf.exists() {
            fs::write(leaf, "0")?;
        }
    }
    Ok(())
}

/// Removes the folders of test programs that were killed before they could.
pub fn sweep() {
    for hierarchy in hierarchies() {
        for entry in fs::read_dir(&hierarchy.mount_point).into_iter().flatten().flatten() {
            let folder = entry.path();
            if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
                continue;
            }
            if let Some(_lock) = abandoned(&hierarchy.mount_point, &folder) {
                kill_all(&folder);
                let _ = remove(&folder);
            }
        }
    }
}

/// The lock of a folder whose maker is gone. Who makes one locks the hierarchy meanwhile, so that
/// none is found between its making and its locking.
fn abandoned(hierarchy: &Path, folder: &Path) -> Option<Flock<File>> {
    let _turn = lock(hierarchy, FlockArg::LockExclusive)?;
    lock(folder, FlockArg::LockExclusiveNonblock)
}

/// Locks a folder, as long as the lock is held.
pub fn lock(folder: &Path, how: FlockArg) -> Option<Flock<File>> {
    File::open(folder).ok().and_then(|file| Flock::lock(file, how).ok())
}

/// A v1 cpuset without CPUs and memory nodes takes nobody in; a new one has none.
fn copy_cpuset(folder: &Path) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let Some(Ok(value)) = folder.parent().map(|parent| fs::read(parent.join(file))) {
            let _ = fs::write(folder.join(file), value);
        }
    }
}

/// Hands every v2 controller on to the children of `folder`.
fn delegate(folder: &Path) {
    let controllers = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        let _ = fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

fn write_existing(file: &Path, value: &str) -> bool {
    file.exists() && fs::write(file, value).is_ok()
}

/// `folder` and all below it, children first: the order in which cgroups can be removed.
fn children_first(folder: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.extend(children_first(&entry.path()));
        }
    }
    folders.push(folder.to_path_buf());
    folders
}

/// Kills until nobody is left or two seconds have passed, on a busy machine more: a fork bomb runs
/// away from one pass.
fn kill_all(folder: &Path) {
    let started = Instant::now();
    while started.elapsed() < crate::patient(Duration::from_secs(2)) {
        let mut alive = false;
        for folder in children_first(folder) {
            let _ = write_existing(&folder.join("freezer.state"), "THAWED"); // a frozen v1 task does not die
            let pids = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            for pid in pids.lines().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid > 0) {
                alive = true;
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        if !alive {
            return;
        }
        sleep(Duration::from_millis(5));
    }
}

/// Removes the folders, waiting for those whose last process is still on its way out.
fn remove(folder: &Path) -> io::Result<()> {
    let started = Instant::now();
    loop {
        let result = children_first(folder).into_iter().try_for_each(fs::remove_dir);
        let gone = matches!(&result, Err(error) if error.kind() == io::ErrorKind::NotFound);
        let is_late = || started.elapsed() > crate::patient(Duration::from_secs(2));
        if result.is_ok() || gone || is_late() {
            return if gone { Ok(()) } else { result };
        }
        sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_options_name_the_hierarchy_alone() {
        assert_eq!(v1_options("rw,memory"), "memory");
        assert_eq!(v1_options("rw,cpu,cpuacct"), "cpu,cpuacct");
        assert_eq!(
            v1_options("rw,xattr,release_agent=/lib/systemd/systemd-cgroups-agent,name=systemd"),
            "none,name=systemd"
        );
    }
}
