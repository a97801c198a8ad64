//! A container of this chapter with a busybox in it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use harness::{Output, bin, run};
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use harness::{assert_refused, new_rootfs as rootfs, success};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use xray::capabilities::{Set, number};

/// `confinement OPTIONS… COMMAND…`.
pub fn confinement(rootfs: &Path, options: &[&str], command: &[&str]) -> Command {
    let mut confinement = Command::new(bin("confinement"));
    confinement.arg("--rootfs").arg(rootfs).args(options).args(command);
    confinement
}

/// Runs a shell script in it, to its end.
pub fn sh(rootfs: &Path, options: &[&str], script: &str) -> Output {
    run(&mut confinement(rootfs, options, &["sh", "-c", script]))
}

/// What the script prints; it has to succeed.
pub fn says(rootfs: &Path, options: &[&str], script: &str) -> String {
    success(sh(rootfs, options, script))
}

/// The five sets as `/proc/PID/status` has them: `CapEff`, …
pub type Sets = BTreeMap<String, Set>;

/// Those in this text.
pub fn sets(status: &str) -> Sets {
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    let sets = lines.filter(|(name, _)| name.starts_with("Cap"));
    let parse = |bits: &str| Set(u64::from_str_radix(bits.trim(), 16).expect("a set"));
    sets.map(|(name, bits)| (name.to_owned(), parse(bits))).collect()
}

/// Those of a command in a container.
pub fn sets_with(rootfs: &Path, options: &[&str]) -> Sets {
    let sets = sets(&says(rootfs, options, "cat /proc/self/status"));
    assert_eq!(sets.len(), 5);
    sets
}

/// Those of this process, which are the most that a container of its could have.
pub fn ours() -> Sets {
    sets(&fs::read_to_string("/proc/self/status").expect("/proc"))
}

/// A set by the names of its members.
pub fn set(names: &[&str]) -> Set {
    Set(names.iter().map(|name| 1 << number(name).expect("a capability")).sum())
}

/// Builds a static program for a container, and puts it into its root.
pub fn compile(rootfs: &Path, name: &str, source: &str) {
    let file = std::env::temp_dir().join(format!("{name}.c"));
    fs::write(&file, source).expect("a folder of our own");
    let mut cc = Command::new("cc");
    cc.args(["-static", "-O1", "-o"]).arg(rootfs.join("bin").join(name)).arg(&file);
    match cc.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => harness::not_run(format!("no C compiler, {error}: apt-get install gcc")),
    }
}
