//! The program is killed in the middle of its work: nothing may survive it, and what it had made
//! for the container the next one removes.

mod container;

use container::{confinement, says};
use harness::kill_evenly;
use std::path::PathBuf;
use std::process::Command;

harness::kernel_tests!(nothing_survives_a_kill_at_any_time => 180);

fn rootfs() -> PathBuf {
    std::env::temp_dir().join("rootfs")
}

/// A container whose command is another user, with a process in the background and an init.
fn busy_container() -> Command {
    let options = ["--init", "-u", "7", "--cap-add", "KILL", "--ulimit", "nofile=100"];
    confinement(&rootfs(), &options, &["sh", "-c", "sleep 0.05 & sleep 0.02; wait"])
}

fn next_run_works() {
    assert_eq!(says(&rootfs(), &[], "echo alive"), "alive\n");
}

fn nothing_survives_a_kill_at_any_time() {
    harness::busybox_rootfs(&rootfs());
    kill_evenly(busy_container, 30, next_run_works);
}
