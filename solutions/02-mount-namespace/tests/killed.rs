//! The program is killed in the middle of its work: nothing may survive it.

mod container;

use container::{command, folder, rootfs, says, scratch};
use harness::{kill_at_each_syscall, kill_evenly};
use std::process::Command;

harness::kernel_tests!(
    nothing_survives_a_kill_at_any_time => 120,
    nothing_survives_a_kill_at_each_system_call => 300,
);

/// A container with an init, two volumes and a process in the background.
fn busy_container() -> Command {
    let volume = format!("{}:/mnt/volume:ro", folder("volume").display());
    let script = "sleep 0.05 & sleep 0.02; wait";
    command(
        &scratch().join("rootfs"),
        &["--init", "-v", "/usr:/usr-of-the-host", "-v", &volume, "sh", "-c", script],
    )
}

fn next_run_works() {
    assert_eq!(says(&scratch().join("rootfs"), "echo alive"), "alive\n");
}

fn nothing_survives_a_kill_at_any_time() {
    rootfs();
    container::host("mount", &["--make-rshared", "/"]);
    kill_evenly(busy_container, 60, next_run_works);
}

fn nothing_survives_a_kill_at_each_system_call() {
    rootfs();
    container::host("mount", &["--make-rshared", "/"]);
    let kills = kill_at_each_syscall(busy_container, next_run_works);
    assert!(kills > 50, "{kills}");
}
