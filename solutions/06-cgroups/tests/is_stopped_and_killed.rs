//! Freezing and killing whole groups, as those see it who are outside.

mod group;

use cgroups::{Group, Ledger, Limits};
use group::{command, folder_of, groups, is_v2, read, says, scratch, wait_for, waiting_after};
use harness::{kill_evenly, random_name};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

harness::kernel_tests!(
    who_is_frozen_makes_no_progress_and_notices_nothing,
    a_fork_bomb_is_killed_to_the_last,
    so_is_one_where_there_is_no_cgroup_kill,
    those_in_groups_below_are_killed_too,
    what_is_left_of_a_killed_program_is_removed_by_the_next => 240,
    a_group_in_use_is_not_removed_by_the_next,
);

/// A group of the test's own.
fn group() -> (Group, Ledger) {
    let group = Group::plan(Some(Path::new("/")), &random_name("coracle")).unwrap();
    let ledger = group.ledger();
    group.create(&Limits { pids: Some(100), ..Limits::default() }, &cgroups::Devices::All).unwrap();
    (group, ledger)
}

/// A shell script in these folders. It moves itself, as a shell can.
fn start_in(folders: &[PathBuf], script: &str) -> Child {
    let enter: String =
        folders.iter().map(|one| format!("echo $$ > {}/cgroup.procs; ", one.display())).collect();
    Command::new("sh")
        .args(["-c", &format!("{enter}{script}")])
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn members(folder: &Path) -> usize {
    fs::read_to_string(folder.join("cgroup.procs")).unwrap().lines().count()
}

fn who_is_frozen_makes_no_progress_and_notices_nothing() {
    let (group, ledger) = group();
    let counter = scratch().join("counter");
    let script = format!("i=0; while :; do i=$((i + 1)); echo $i > {}; done", counter.display());
    let mut child = start_in(&ledger.0, &script);
    let count = || {
        let text = fs::read_to_string(&counter).unwrap_or_default();
        text.trim().parse::<u64>().ok()
    };
    wait_for("the counter to run", || count() > Some(3));
    group.freeze().unwrap();
    let frozen = [(); 2].map(|()| {
        sleep(Duration::from_millis(200));
        fs::read_to_string(&counter).unwrap()
    });
    assert_eq!(frozen[0], frozen[1]);
    assert_eq!(child.try_wait().unwrap(), None);
    group.thaw().unwrap();
    let before = frozen[0].trim().parse::<u64>().ok();
    wait_for("the counter to go on", || count() > before);
    ledger.remove().unwrap();
    assert!(!child.wait().unwrap().success());
}

/// Doubles until the limit; who could still fork then stays, asleep.
const BOMB: &str = "b() { b & b & exec sleep 1000; }; b";

fn a_fork_bomb_is_killed_to_the_last() {
    let (group, ledger) = group();
    let mut bomb = start_in(&ledger.0, BOMB);
    wait_for("the bomb to go off", || members(&ledger.0[0]) > 50);
    ledger.remove().unwrap();
    assert!(ledger.0.iter().all(|folder| !folder.exists()), "{ledger:?}");
    assert!(!bomb.wait().unwrap().success());
    drop(group);
}

/// As before Linux 5.14: a mount that shows the group, but with that file covered, would tell the
/// code nothing, since it looks for the file. So it is killed as a group of version 1 is, here by
/// the function itself; in version 1 the test above has done so.
fn so_is_one_where_there_is_no_cgroup_kill() {
    let (_group, ledger) = group();
    let mut bomb = start_in(&ledger.0, BOMB);
    wait_for("the bomb to go off", || members(&ledger.0[0]) > 50);
    let folder = &ledger.0[0];
    if is_v2() {
        cgroups::one_by_one::kill(folder).unwrap();
        wait_for("the group to be empty", || members(folder) == 0);
    }
    ledger.remove().unwrap();
    assert!(!bomb.wait().unwrap().success());
}

fn those_in_groups_below_are_killed_too() {
    let (_group, ledger) = group();
    let below: Vec<PathBuf> = ledger.0.iter().map(|folder| folder.join("below")).collect();
    for folder in &below {
        fs::create_dir(folder).unwrap();
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let (false, Ok(value)) = (is_v2(), fs::read(folder.join("..").join(file))) {
                fs::write(folder.join(file), value).unwrap();
            }
        }
    }
    let mut child = start_in(&below, "sleep 1000 & sleep 1000");
    wait_for("both to run", || members(&below[0]) == 3);
    ledger.remove().unwrap();
    assert!(!child.wait().unwrap().success());
}

/// The next start removes the group of one that was killed at any moment; the container in it has
/// ended with its program.
fn what_is_left_of_a_killed_program_is_removed_by_the_next() {
    let run = || command(&["--memory", "64m", "--pids", "20"], "sleep 0.01");
    let kills = if Path::new("/lab").exists() { 15 } else { 80 }; // programs start slowly in there
    let mut left_once = false;
    kill_evenly(run, kills, || {
        left_once |= !groups().is_empty();
        says(&[], "true");
        assert_eq!(groups(), Vec::<PathBuf>::new());
    });
    assert!(left_once, "no kill has left a group: was there anything to remove?");
}

fn a_group_in_use_is_not_removed_by_the_next() {
    let mut container = waiting_after(&["--pids", "33"], "true");
    says(&[], "true");
    assert!(container.is_running());
    assert!(folder_of(container.pid, "pids").is_dir());
    assert_eq!(read(container.pid, "pids.max", "pids.max"), "33");
}
