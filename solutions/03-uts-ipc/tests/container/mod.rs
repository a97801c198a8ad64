//! A container of this chapter with a busybox in it, and one that stays while others look at it.

use harness::{Output, bin, busybox_rootfs, random_name, run};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A root file system of the test's own.
pub fn rootfs() -> PathBuf {
    let rootfs = Path::new(&std::env::var("TMPDIR").unwrap()).join(random_name("rootfs"));
    busybox_rootfs(&rootfs);
    rootfs
}

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
#[allow(dead_code, reason = "not every test file needs it")]
pub fn says(rootfs: &Path, options: &[&str], script: &str) -> String {
    let output = sh(rootfs, options, script);
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// A container that waits until this is dropped.
#[allow(dead_code, reason = "not every test file needs it")]
pub struct Waiting {
    program: Child,
    input: Option<ChildStdin>,
    /// The PID of its first process, as we see it.
    pub pid: i32,
}

#[allow(dead_code, reason = "not every test file needs it")]
impl Waiting {
    /// Runs `script` in it first.
    pub fn after(rootfs: &Path, options: &[&str], script: &str) -> Waiting {
        let script = format!("{script}; echo ready; cat > /dev/null");
        let mut command = command(rootfs, options, &script);
        let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n");
        let pid = harness::children_of(program.id())[0] as i32; // the second is its guard
        Waiting { input: program.stdin.take(), program, pid }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.input.take());
        self.program.wait().unwrap();
    }
}
