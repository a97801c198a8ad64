//! What there is on the real machine, before and after all that was done to it.
//!
//! Other people use the machine meanwhile. So only that is compared which the course's programs
//! could have changed and nobody else does by the way: names, settings, mounts, our own cgroups,
//! processes that stem from us, files with our mark.

use super::attacks::MARK;
use super::workshop::Workshop;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Settings of the kernel that a program which runs as root could change for everyone.
const SETTINGS: [&str; 14] = [
    "kernel/hostname",
    "kernel/domainname",
    "kernel/core_pattern",
    "kernel/modprobe",
    "kernel/modules_disabled",
    "kernel/panic",
    "kernel/pid_max",
    "kernel/printk",
    "kernel/sysrq",
    "kernel/shmmax",
    "kernel/msgmax",
    "vm/overcommit_memory",
    "vm/swappiness",
    "net/ipv4/ip_forward",
];

/// Where a program that writes where it should not would leave its mark.
const PLACES: [&str; 13] = [
    "/",
    "/etc",
    "/root",
    "/home",
    "/usr",
    "/usr/local",
    "/var",
    "/var/tmp",
    "/tmp",
    "/opt",
    "/run",
    "/dev",
    "/dev/shm",
];

/// How far the clock may be off, beside the time that has passed.
const CLOCK: i64 = 5;

/// What there was at one moment: each thing with its value.
pub struct Machine {
    things: BTreeMap<String, String>,
    clock: i64,
}

impl Machine {
    /// Looks at everything; lays out the files that nobody may touch.
    pub fn survey(workshop: &Workshop) -> Machine {
        let mut things = BTreeMap::new();
        for name in SETTINGS {
            let value = fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap_or_default();
            things.insert(format!("setting {name}"), value.trim().to_owned());
        }
        mounts(&mut things);
        cgroups(&mut things);
        processes(workshop, &mut things);
        files(workshop, &mut things);
        Machine { things, clock: clock() }
    }

    /// Names what is different now. What is on its way out has ten seconds to go.
    pub fn changed_since(&self, workshop: &Workshop) -> Vec<String> {
        let started = Instant::now();
        loop {
            let now = Machine::survey(workshop);
            let changed = self.compare(&now);
            if changed.is_empty() || started.elapsed() > Duration::from_secs(10) {
                return changed;
            }
            sleep(Duration::from_millis(200));
        }
    }

    fn compare(&self, now: &Machine) -> Vec<String> {
        let mut changed = Vec::new();
        for (thing, value) in &self.things {
            match now.things.get(thing) {
                None if thing.starts_with("process") || thing.starts_with("cgroup") => {}
                None => changed.push(format!("gone: {thing} {value}")),
                Some(other) if other != value => {
                    changed.push(format!("changed: {thing}, from {value:?} to {other:?}"));
                }
                Some(_) => {}
            }
        }
        let new = now.things.iter().filter(|(thing, _)| !self.things.contains_key(*thing));
        changed.extend(new.map(|(thing, value)| format!("new: {thing} {value}")));
        if (now.clock - self.clock).abs() > CLOCK {
            changed.push(format!("the clock was set by {} s", now.clock - self.clock));
        }
        changed
    }
}

type Things = BTreeMap<String, String>;

/// The seconds between the clock on the wall and the one that nobody can set.
fn clock() -> i64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let uptime = uptime.split('.').next().and_then(|seconds| seconds.parse().ok());
    wall as i64 - uptime.unwrap_or(0_i64)
}

fn mounts(things: &mut Things) {
    for line in fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines() {
        let (id, rest) = line.split_once(' ').unwrap_or((line, ""));
        things.insert(format!("mount {id}"), rest.to_owned());
    }
}

/// The sandboxes' own cgroups; those whose lock is held belong to somebody who is at work.
fn cgroups(things: &mut Things) {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let hierarchies = mountinfo.lines().filter(|line| line.contains(" - cgroup"));
    let points = hierarchies.filter_map(|line| line.split(' ').nth(4));
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    for folder in points.flat_map(|point| entries(Path::new(point))) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("coracle-") && !is_locked(&folder, &locks) {
            things.insert(format!("cgroup {}", folder.display()), String::new());
        }
    }
}

/// Whether a folder is in the list of locks, proc_locks(5). Who took the lock himself to see whether
/// it is free would be in the way of the janitor.
fn is_locked(folder: &Path, locks: &str) -> bool {
    let Ok(inode) = fs::metadata(folder).map(|folder| folder.ino()) else { return false };
    locks.contains(&format!(":{inode} "))
}

/// Processes that run a program of the workshop, or were started to judge one, or bear the mark.
fn processes(workshop: &Workshop, things: &mut Things) {
    let ours = workshop.folder.to_string_lossy().into_owned();
    for process in entries(Path::new("/proc")) {
        let read = |name: &str| {
            let bytes = fs::read(process.join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let Some(pid) = process.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok())
        else {
            continue;
        };
        let arguments = read("cmdline");
        let is_ours = |text: &str| text.contains(&ours) || text.contains(MARK);
        let is_judged = read("environ").contains(&format!("{}={ours}", crate::checks::PROGRAM));
        if pid != std::process::id() && (is_ours(&arguments) || is_judged) {
            things.insert(format!("process {pid}"), format!("{} {arguments}", read("comm").trim()));
        }
    }
}

/// The canaries, which a program must not be able to change, and whatever bears the mark.
fn files(workshop: &Workshop, things: &mut Things) {
    let canary = workshop.canary();
    let file = canary.join("alive");
    if !file.exists() {
        let _ = fs::create_dir_all(&canary).and_then(|()| fs::write(&file, "alive\n"));
    }
    let text = fs::read_to_string(&file).unwrap_or_default();
    let look = |path: &Path| fs::metadata(path).map(|it| (it.mode(), it.uid(), it.mtime()));
    let state = format!("{text:?} {:?} {:?}", look(&file).ok(), look(&canary).ok());
    things.insert(format!("file {}", file.display()), state);

    let home = std::env::var_os("HOME").map(PathBuf::from);
    for folder in
        PLACES.iter().map(PathBuf::from).chain(home).chain([canary, workshop.checkout.clone()])
    {
        for path in entries(&folder) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.contains(MARK) {
                things.insert(format!("file {}", path.display()), String::new());
            }
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
