//! An ordinary user who runs `user-namespace`.

#![allow(dead_code, reason = "not every test file needs all of it")]

use harness::{AND_WAIT, Account, Output, Waiting, busybox_rootfs, run, success};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A user, where newuidmap and newgidmap are installed.
pub fn account() -> Account {
    for program in ["newuidmap", "newgidmap"] {
        if !Path::new("/usr/bin").join(program).exists() {
            harness::not_run(format!("no {program}: install uidmap"));
        }
    }
    Account::new()
}

/// `user-namespace ARGUMENTS…`, as this user.
pub fn command(account: &mut Account, arguments: &[&str]) -> Command {
    let program = account.bin("user-namespace");
    let mut command = account.command(program);
    command.args(arguments);
    command
}

/// A shell script as its command, to the end.
pub fn sh(account: &mut Account, options: &[&str], script: &str) -> Output {
    run(&mut command(account, &[options, &["sh", "-c", script]].concat()))
}

/// What the script prints; it has to succeed.
pub fn says(account: &mut Account, options: &[&str], script: &str) -> String {
    success(sh(account, options, script))
}

/// A root file system that belongs to this user.
pub fn rootfs(account: &Account) -> PathBuf {
    let rootfs = account.home.join("rootfs");
    busybox_rootfs(&rootfs);
    let owner = format!("{}:{}", account.uid, account.gid);
    success(run(Command::new("chown").args(["-hR", &owner]).arg(&rootfs)));
    rootfs
}

/// A command that waits until this is dropped, after it has run `script`.
pub fn waiting_after(account: &mut Account, options: &[&str], script: &str) -> Waiting {
    let script = format!("{script}{AND_WAIT}");
    Waiting::start(command(account, &[options, &["sh", "-c", &script]].concat()))
}
