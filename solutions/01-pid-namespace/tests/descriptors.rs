//! Which open files the command inherits: standard input, output and error, no others.
//!
//! A descriptor of a folder of the host is a way out of any container (CVE-2024-21626).

use harness::{bin, child_running, wait_for};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};

harness::kernel_tests!(
    the_command_has_three_descriptors,
    below_an_init_too,
    the_init_keeps_nothing_of_the_host,
);

/// Opens much, as a careless caller does, then becomes the container.
const CARELESS: &str = "exec 3</ 7</etc/passwd 9</proc/1/ns/mnt 200</tmp 1000>/dev/null
                        exec \"$@\"";

/// Runs `sleep` in a container of a careless caller.
fn start(options: &[&str]) -> Child {
    Command::new("bash")
        .args(["-c", CARELESS, "bash"])
        .arg(bin("pid-namespace"))
        .args(options)
        .args(["sleep", "1000"])
        .spawn()
        .expect("bash")
}

fn stop(mut container: Child) {
    container.kill().expect("our own child");
    container.wait().expect("our own child");
}

fn descriptors(pid: u32) -> BTreeMap<u32, PathBuf> {
    let folder = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives");
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse().ok();
    folder
        .map(|entry| entry.expect("readable").path())
        .filter_map(|path| Some((number(&path)?, fs::read_link(&path).ok()?)))
        .collect()
}

/// A program opens and closes its libraries first: what is open after that.
fn settled(pid: u32) -> Vec<u32> {
    let numbers = || descriptors(pid).into_keys().collect::<Vec<u32>>();
    wait_for("three descriptors at most", || numbers().len() <= 3);
    numbers()
}

fn the_command_has_three_descriptors() {
    let container = start(&[]);
    let command = child_running("sleep", container.id());
    let numbers = settled(command);
    stop(container);
    assert_eq!(numbers, [0, 1, 2]);
}

fn below_an_init_too() {
    let container = start(&["--init"]);
    let init = child_running("pid-namespace", container.id());
    let numbers = settled(child_running("sleep", init));
    stop(container);
    assert_eq!(numbers, [0, 1, 2]);
}

/// It may be looked into through /proc/1/fd by a command of the same user.
fn the_init_keeps_nothing_of_the_host() {
    let container = start(&["--init"]);
    let init = child_running("pid-namespace", container.id());
    child_running("sleep", init);
    let harmless = |path: &PathBuf| {
        path.to_string_lossy().contains("anon_inode:")
            || path.to_string_lossy().starts_with("pidfd:")
    };
    // It closes the rest just after the command runs.
    wait_for("two harmless descriptors, and no other above 2", || {
        let above_2 = descriptors(init).split_off(&3);
        above_2.len() == 2 && above_2.values().all(harmless)
    });
    stop(container);
}
