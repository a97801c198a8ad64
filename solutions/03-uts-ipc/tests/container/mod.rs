//! A container of this chapter with a busybox in it, and one that stays while others look at it.

#![allow(dead_code, reason = "not every test file needs all of it")]

pub use harness::new_rootfs as rootfs;
use harness::{AND_WAIT, Output, Waiting, bin, run, success};
use std::path::Path;
use std::process::Command;

/// `uts-ipc` with these options, and a shell script as its command.
pub fn command(rootfs: &Path, options: &[&str], script: &str) -> Command {
    let mut command = Command::new(bin("uts-ipc"));
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

/// A container that waits until this is dropped, after it has run `script`.
pub fn waiting_after(rootfs: &Path, options: &[&str], script: &str) -> Waiting {
    Waiting::start(command(rootfs, options, &format!("{script}{AND_WAIT}")))
}
