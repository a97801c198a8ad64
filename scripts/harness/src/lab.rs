//! What is different in the lab, the virtual machine of `scripts/lab`: it may be broken.

use crate::not_run;
use std::fs;

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
