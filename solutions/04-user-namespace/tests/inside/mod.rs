//! An ordinary user who runs `user-namespace`.

#![allow(dead_code, reason = "not every test file needs all of it")]

use harness::{Account, Output, busybox_rootfs, run};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

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
    let output = sh(account, options, script);
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// A root file system that belongs to this user.
pub fn rootfs(account: &Account) -> PathBuf {
    let rootfs = account.home.join("rootfs");
    busybox_rootfs(&rootfs);
    let owner = format!("{}:{}", account.uid, account.gid);
    let given = run(Command::new("chown").args(["-hR", &owner]).arg(&rootfs));
    assert!(given.status.success(), "{given:?}");
    rootfs
}

/// A command that waits until this is dropped.
pub struct Waiting {
    pub program: Child,
    input: Option<ChildStdin>,
    /// Its first process, as we see it.
    pub pid: i32,
}

impl Waiting {
    /// Runs `script` first.
    pub fn after(account: &mut Account, options: &[&str], script: &str) -> Waiting {
        let script = format!("{script}; echo ready; cat > /dev/null");
        let mut command = command(account, &[options, &["sh", "-c", &script]].concat());
        let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n");
        let pid = harness::children_of(program.id())[0] as i32; // the second is its guard
        Waiting { input: program.stdin.take(), program, pid }
    }

    /// A file of /proc/PID.
    pub fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.pid)).unwrap()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.input.take());
        self.program.wait().unwrap();
    }
}
