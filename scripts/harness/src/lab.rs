//! What is different in the lab, the virtual machine of `scripts/lab`: it may be broken, and it is
//! slow.

use crate::not_run;
use std::fs;
use std::time::Duration;

/// The word on the kernel's command line that only `scripts/lab` puts there. Root can set a
/// variable or leave a file behind by accident; this takes a boot.
const WORD: &str = "coracle.lab";

/// Ends the test, unless it runs in the lab. The first line of every test that would harm the
/// machine if what it tries succeeded: a restart, a write to a disk, a fork bomb without a limit.
/// `scripts/tests/dangerous.sh` looks for tests that forgot it.
pub fn lab_only() {
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    if !command_line.split_whitespace().any(|word| word == WORD) {
        not_run("would harm this machine if it succeeded: scripts/test --lab runs it");
    }
}

/// `limit`, or as many times as much as `HARNESS_PATIENCE` says: for the time limits of tests, on a
/// machine where starting a process takes 30 times as long. The lab sets it to 10.
pub fn patient(limit: Duration) -> Duration {
    limit * patience()
}

/// How often to repeat what must hold each time: `wanted`, or as many times less as
/// `HARNESS_PATIENCE` says.
pub fn rounds(wanted: u32) -> u32 {
    wanted.div_ceil(patience())
}

fn patience() -> u32 {
    let patience = std::env::var("HARNESS_PATIENCE").ok().and_then(|times| times.parse().ok());
    patience.filter(|times| *times > 0).unwrap_or(1)
}
