//! A container of this chapter with a busybox in it, one that stays while others look at it, and
//! what the kernel says of links, addresses and routes, by way of ip(8).

#![allow(dead_code, reason = "each test file uses a part of it")]

pub use harness::success;
use harness::{AND_WAIT, Output, bin, run};
use std::fs::File;
use std::net::TcpListener;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A root file system of the test's own.
pub fn rootfs() -> PathBuf {
    if !Path::new("/usr/sbin/ip").exists() && !Path::new("/usr/bin/ip").exists() {
        harness::not_run("no ip: apt-get install iproute2, or dnf or pacman install iproute");
    }
    harness::new_rootfs()
}

/// `network` with these options, and a shell script as its command.
pub fn command(rootfs: &Path, options: &[&str], script: &str) -> Command {
    let mut command = Command::new(bin("network"));
    command.arg("--rootfs").arg(rootfs).args(options).args(["sh", "-c", script]);
    command
}

/// Runs it to its end.
pub fn sh(rootfs: &Path, options: &[&str], script: &str) -> Output {
    run(&mut command(rootfs, options, script))
}

/// What the script prints; it has to succeed.
pub fn says(rootfs: &Path, options: &[&str], script: &str) -> String {
    success(sh(rootfs, options, script))
}

/// Asserts that it was refused before anything ran, in words that hold all of `words`.
pub fn assert_refused(output: &Output, words: &[&str]) {
    harness::assert_refused(output, words);
    assert!(output.stderr.contains("\nhint: "), "no hint in {}", output.stderr);
}

/// What `ip ARGUMENTS` prints out here.
pub fn ip(arguments: &str) -> String {
    success(run(Command::new("ip").args(arguments.split_whitespace())))
}

/// A container that waits until this is dropped.
pub struct Waiting(harness::Waiting);

impl Waiting {
    /// Runs `script` in it first.
    pub fn after(rootfs: &Path, options: &[&str], script: &str) -> Waiting {
        let script = format!("{script}{AND_WAIT}");
        Waiting(harness::Waiting::start(command(rootfs, options, &script)))
    }

    /// Starts it, and does not wait for its readiness.
    pub fn begin(command: Command) -> Waiting {
        Waiting(harness::Waiting::begin(command))
    }

    /// What a command prints that runs in its network, with the programs of the host.
    pub fn net(&self, command: &str) -> String {
        let target = format!("--target={}", self.pid);
        success(run(Command::new("nsenter").args([&target, "--net", "sh", "-c", command])))
    }

    /// Asserts that this address answers it.
    pub fn ping(&self, rootfs: &Path, address: &str) {
        self.net(&format!("{} ping -c1 -W5 {address}", rootfs.join("bin/busybox").display()));
    }

    /// Its address of this family, 4 or 6.
    pub fn address(&self, family: u8) -> String {
        let line = self.net(&format!("ip -{family} -o address show dev eth0 scope global"));
        let address = line.split_whitespace().nth(3).expect("it has one");
        address.split('/').next().unwrap().to_owned()
    }

    /// SIGKILL, for the program and not for the container.
    pub fn kill(&mut self) {
        self.0.kill_program();
    }
}

impl Deref for Waiting {
    type Target = harness::Waiting;

    fn deref(&self) -> &harness::Waiting {
        &self.0
    }
}

impl DerefMut for Waiting {
    fn deref_mut(&mut self) -> &mut harness::Waiting {
        &mut self.0
    }
}

/// Listens in a container on all of its addresses.
pub fn serve(waiting: &Waiting, port: u16) -> TcpListener {
    within(waiting, || TcpListener::bind(("::", port)).unwrap())
}

/// Does something in its network: sockets made there stay there.
pub fn within<T>(waiting: &Waiting, act: impl FnOnce() -> T) -> T {
    let enter = |path: &str| {
        let namespace = File::open(path).unwrap();
        nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    };
    let ours = format!("/proc/{}/ns/net", std::process::id());
    let ours = File::open(ours).unwrap();
    enter(&format!("/proc/{}/ns/net", waiting.pid));
    let outcome = act();
    nix::sched::setns(ours, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    outcome
}
