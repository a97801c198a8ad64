//! A container of this chapter, and its group as the kernel shows it to those outside.

#![allow(dead_code, reason = "each test file uses a part of it")]

use harness::{AND_WAIT, Output, Waiting, bin, random_name, run_within, success};
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use harness::{new_rootfs as rootfs, wait_for};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where this test may write.
pub fn scratch() -> PathBuf {
    PathBuf::from(std::env::var("TMPDIR").expect("set by the harness"))
}

/// Is version 2 in charge of this machine?
pub fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.procs").exists()
}

/// `cgroups OPTIONS… sh -c SCRIPT`.
pub fn command(options: &[&str], script: &str) -> Command {
    let mut command = Command::new(bin("cgroups"));
    command.args(options).args(["sh", "-c", script]);
    command
}

/// Runs it to its end; in the lab, programs start slowly.
pub fn sh(options: &[&str], script: &str) -> Output {
    run_within(&mut command(options, script), Duration::from_secs(50))
}

/// What the script prints; it has to succeed.
pub fn says(options: &[&str], script: &str) -> String {
    success(sh(options, script))
}

/// A container that waits until this is dropped, after it has run `script`.
pub fn waiting_after(options: &[&str], script: &str) -> Waiting {
    in_the_midst_of(options, &format!("{script}{AND_WAIT}"))
}

/// Runs `script`, which prints `ready` at some time, and ends when its input does, or never.
pub fn in_the_midst_of(options: &[&str], script: &str) -> Waiting {
    let mut command = command(options, script);
    command.stderr(Stdio::null());
    Waiting::start(command)
}

/// The folder of a process's group for this controller of version 1, or the one of version 2.
pub fn folder_of(pid: u32, controller: &str) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    for line in text.lines() {
        let [_, controllers, path] = line.splitn(3, ':').collect::<Vec<_>>()[..] else { continue };
        let path = path.trim_start_matches('/');
        if is_v2() && controllers.is_empty() {
            return Path::new("/sys/fs/cgroup").join(path);
        }
        if !is_v2() && controllers.split(',').any(|one| one == controller) {
            return Path::new("/sys/fs/cgroup").join(controllers).join(path);
        }
    }
    panic!("no {controller} in {text}");
}

/// A file of the group of process `pid`: its name in version 1, which begins with the controller's,
/// and in version 2.
pub fn read(pid: u32, v1: &str, v2: &str) -> String {
    let path = folder_of(pid, &v1[..v1.find('.').expect("controller.name")]);
    let path = path.join(if is_v2() { v2 } else { v1 });
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.trim_end().to_owned()
}

/// The number behind a key in a file of the group.
pub fn keyed(pid: u32, v1: (&str, &str), v2: (&str, &str)) -> u64 {
    let text = read(pid, v1.0, v2.0);
    let key = if is_v2() { v2.1 } else { v1.1 };
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(name, _)| *name == key).unwrap_or_else(|| panic!("{key}: {text}"));
    found.1.parse().expect("a number")
}

/// CPU time of the group so far.
pub fn cpu_time(pid: u32) -> Duration {
    if is_v2() {
        Duration::from_micros(keyed(pid, ("cpu.stat", ""), ("cpu.stat", "usage_usec")))
    } else {
        Duration::from_nanos(read(pid, "cpuacct.usage", "").parse().expect("a number"))
    }
}

/// The folders of groups that this chapter's program made, in all trees.
pub fn groups() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let base = Path::new("/sys/fs/cgroup");
    let trees = fs::read_dir(base).expect("mounted").flatten().map(|entry| entry.path());
    for tree in trees.chain([base.to_owned()]) {
        for entry in fs::read_dir(tree).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("coracle") {
                found.push(entry.path());
            }
        }
    }
    found
}

/// A disk to be read: a loop device of the test's own, or where there are none one of the machine's.
pub struct Disk {
    /// Its file in /dev.
    pub path: String,
    is_loop: bool,
}

impl Disk {
    /// Of four MiB at least.
    pub fn find() -> Disk {
        let file = scratch().join(random_name("disk"));
        fs::write(&file, vec![0; 4 << 20]).expect("room for 4 MiB");
        let mut losetup = Command::new("losetup");
        let made = harness::run(losetup.args(["--find", "--show"]).arg(file));
        if made.status.success() {
            return Disk { path: made.stdout.trim().to_owned(), is_loop: true };
        }
        let disks = fs::read_dir("/sys/block").expect("/sys is mounted").flatten();
        let names = disks.map(|disk| disk.file_name().to_string_lossy().into_owned());
        let readable = |path: &String| {
            let mut start = [0; 4096];
            fs::File::open(path).is_ok_and(|mut disk| disk.read_exact(&mut start).is_ok())
        };
        match names.map(|name| format!("/dev/{name}")).find(readable) {
            Some(path) => Disk { path, is_loop: false },
            None => harness::not_run("no disk that could be read, nor a loop device"),
        }
    }

    /// Major and minor number.
    pub fn number(&self) -> (String, String) {
        let name = self.path.rsplit('/').next().expect("/dev/loop0");
        let text = fs::read_to_string(format!("/sys/block/{name}/dev")).expect("a block device");
        let (major, minor) = text.trim().split_once(':').expect("7:0");
        (major.to_owned(), minor.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_loop {
            let _ = Command::new("losetup").args(["--detach", &self.path]).status();
        }
    }
}
