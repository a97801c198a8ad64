//! Starts containers on a busybox system of the test's own.

#![allow(dead_code, reason = "each test file uses a part of it")]

use harness::{Output, bin, busybox_rootfs, children_of, run};
pub use harness::{success, wait_for};
use nix::sched::CloneFlags;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where this test may write: a tmpfs that ends with it.
pub fn scratch() -> PathBuf {
    std::env::var("TMPDIR").expect("set by the harness").into()
}

/// A new folder in [`scratch`].
pub fn folder(name: &str) -> PathBuf {
    let folder = scratch().join(name);
    fs::create_dir_all(&folder).expect("a folder of our own");
    folder
}

/// A fresh busybox system.
pub fn rootfs() -> PathBuf {
    let rootfs = scratch().join("rootfs");
    busybox_rootfs(&rootfs);
    rootfs
}

/// `mount-namespace --rootfs ROOTFS ARGUMENTS…`.
pub fn command(rootfs: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(bin("mount-namespace"));
    command
        .arg("--rootfs")
        .arg(rootfs)
        .args(arguments)
        .env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin");
    command
}

/// Runs a shell script in a container.
pub fn sh(rootfs: &Path, script: &str) -> Output {
    run(&mut command(rootfs, &["sh", "-c", script]))
}

/// What a shell script in a container prints; it must succeed.
pub fn says(rootfs: &Path, script: &str) -> String {
    success(sh(rootfs, script))
}

/// What a container with these options prints; it must succeed.
pub fn says_with(rootfs: &Path, options: &[&str], script: &str) -> String {
    success(run(&mut command(rootfs, &[options, &["sh", "-c", script]].concat())))
}

/// Runs a command of the host, which must succeed.
pub fn host(program: &str, arguments: &[&str]) {
    success(run(Command::new(program).args(arguments)));
}

/// A container that runs in the background, and is killed when dropped.
pub struct Background(pub Child);

impl Background {
    /// Starts a shell script, and waits until it has made the file `/ready` in its root.
    pub fn start(rootfs: &Path, options: &[&str], script: &str) -> Background {
        let ready = rootfs.join("ready");
        let _ = fs::remove_file(&ready);
        let script = format!("{script}\ntouch /ready\nwhile :; do sleep 0.01; done");
        let child = command(rootfs, &[options, &["sh", "-c", &script]].concat())
            .stdin(Stdio::null())
            .spawn()
            .expect("it starts");
        let container = Background(child);
        wait_for("the container", || ready.exists());
        container
    }

    /// Its PID 1, as the sandbox numbers it.
    pub fn first_process(&self) -> u32 {
        children_of(self.0.id())[0]
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `action` on the root of a new container, before and after which `rootfs` is all that has
/// been called. For what no command line of this chapter asks for.
pub fn in_namespaces(action: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let namespaces = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    let child = process::start(
        namespaces,
        |_| Ok(()),
        || {
            action()?;
            sys::exit_now(0)
        },
    )?;
    let status = process::wait(&child)?;
    anyhow::ensure!(status == 0, "status {status}");
    Ok(())
}

/// One line of /proc/PID/mountinfo, proc_pid_mountinfo(5).
#[derive(Debug)]
pub struct Mount {
    pub id: u32,
    pub parent: u32,
    pub root: String,
    pub point: String,
    pub options: Vec<String>,
    pub propagation: Vec<String>,
    pub fstype: String,
}

/// Every mount in the text of a mountinfo file.
pub fn mounts(mountinfo: &str) -> Vec<Mount> {
    mountinfo.lines().map(mount).collect()
}

/// Every mount of this test's own namespace.
pub fn our_mounts() -> Vec<Mount> {
    mounts(&fs::read_to_string("/proc/self/mountinfo").expect("/proc"))
}

fn mount(line: &str) -> Mount {
    let fields: Vec<&str> = line.split(' ').collect();
    let end =
        fields.iter().position(|field| *field == "-").expect("the end of the optional fields");
    let words = |fields: &[&str]| fields.iter().map(ToString::to_string).collect();
    Mount {
        id: fields[0].parse().expect("a number"),
        parent: fields[1].parse().expect("a number"),
        root: fields[3].into(),
        point: fields[4].into(),
        options: words(&fields[5].split(',').collect::<Vec<_>>()),
        propagation: words(&fields[6..end]),
        fstype: fields[end + 1].into(),
    }
}
