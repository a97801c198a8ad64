//! Finds the processes that a program under test has started, as the kernel lists them.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The children of a process of one thread, the oldest first, zombies included:
/// proc_pid_children(5). Of a container's program the first is the container, the second its guard.
pub fn children_of(parent: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    list.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// A child of `parent`, as soon as it runs `program`. Panics if there is none after ten seconds.
pub fn child_running(program: &str, parent: u32) -> u32 {
    let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let started = Instant::now();
    while started.elapsed() < crate::patient(Duration::from_secs(10)) {
        let found = children_of(parent).into_iter().find(|pid| name(*pid).trim_end() == program);
        if let Some(child) = found {
            return child;
        }
        sleep(Duration::from_millis(1));
    }
    let names: Vec<String> = children_of(parent).into_iter().map(name).collect();
    panic!("process {parent} has no child {program}, only {names:?}");
}
