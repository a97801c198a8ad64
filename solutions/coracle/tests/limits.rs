//! The limits of `coracle run`, and what becomes of a container's cgroup.

mod machine;

use harness::{Leaks, random_name};
use machine::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

harness::kernel_tests!(
    every_container_has_a_group_of_its_own,
    the_state_names_the_group,
    limits_are_the_kernels,
    out_of_memory_is_137_and_written_down,
    what_makes_no_sense_is_refused_before_an_image_is_read,
    a_group_may_be_asked_for_below_another,
    the_next_command_removes_the_group_of_a_killed_one,
    rm_removes_the_group_of_a_record_that_cannot_be_read,
    without_cgroups_nothing_runs_but_what_may_open_all_devices,
    root_cannot_read_a_disk_unless_it_was_given,
    a_device_may_be_given_for_reading_alone,
    what_is_no_device_is_refused,
);

fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.procs").exists()
}

/// The folders that the state names.
fn folders() -> Vec<PathBuf> {
    let state = state();
    let folders = state["cgroups"].as_array().expect("a list").iter();
    folders.map(|folder| folder.as_str().expect("a path").into()).collect()
}

/// A file of the container's group: its name in version 1, and in version 2.
fn read(v1: &str, v2: &str) -> String {
    let id = state()["id"].as_str().unwrap().to_owned();
    let name = if is_v2() { v2 } else { v1 };
    let of_it = folders().into_iter().filter(|folder| folder.ends_with(&id));
    let file = of_it.map(|folder| folder.join(name)).find(|file| file.exists());
    fs::read_to_string(file.unwrap_or_else(|| panic!("no {name}"))).unwrap().trim_end().to_owned()
}

fn every_container_has_a_group_of_its_own() {
    busybox();
    let (one, other) = (Background::start(&[], ""), Background::start(&["--memory", "64m"], ""));
    let groups = |pid: u32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let [one, other] = [&one, &other].map(|container| groups(container.first_process()));
    assert_ne!(one, other);
    let ours = groups(std::process::id());
    let name = if is_v2() { "0::" } else { "memory" };
    for text in [one, other] {
        let line = text.lines().find(|line| line.contains(name)).unwrap();
        assert!(line.contains("/coracle/"), "{text}");
        assert!(!ours.contains(line), "{ours}");
    }
}

fn the_state_names_the_group() {
    busybox();
    let container = Background::start(&["--pids-limit", "50"], "sleep 1000 &");
    let id = state()["id"].as_str().unwrap().to_owned();
    let own: Vec<PathBuf> = folders().into_iter().filter(|one| one.ends_with(&id)).collect();
    assert_eq!(own.len() == 1, is_v2(), "{own:?}");
    for folder in own {
        let members = fs::read_to_string(folder.join("cgroup.procs")).unwrap();
        assert!(members.lines().any(|pid| pid == container.first_process().to_string()));
        assert_eq!(members.lines().count(), 2, "the container's two, not its guard: {members}");
    }
}

fn limits_are_the_kernels() {
    busybox();
    let options =
        ["-m", "48m", "--memory-swap", "64m", "--cpus", "0.5", "--pids-limit", "33", "-c", "512"];
    let _container = Background::start(&options, "");
    assert_eq!(read("memory.limit_in_bytes", "memory.max"), (48 << 20).to_string());
    let swap = if is_v2() { 16 << 20 } else { 64 << 20 };
    assert_eq!(read("memory.memsw.limit_in_bytes", "memory.swap.max"), swap.to_string());
    let half = if is_v2() { "50000 100000" } else { "50000" };
    assert_eq!(read("cpu.cfs_quota_us", "cpu.max"), half);
    assert_eq!(read("pids.max", "pids.max"), "33");
    let weight = if is_v2() { "59" } else { "512" }; // runc 1.3.2 makes 59 of 512
    assert_eq!(read("cpu.shares", "cpu.weight"), weight);
}

fn out_of_memory_is_137_and_written_down() {
    busybox();
    let script = "x=0123456789abcdef; while :; do x=$x$x; done";
    let output = harness::run(&mut coracle(&["run", "-m", "24m", IMAGE, "sh", "-c", script]));
    assert_eq!(output.status.code(), Some(137), "{output:?}");
    assert!(
        output.stderr.contains("out of memory") && output.stderr.contains("24.0 MiB"),
        "{output:?}"
    );
    assert_eq!((&state()["oomKilled"], &state()["exitCode"]), (&true.into(), &137.into()));
    assert_eq!(folders(), Vec::<PathBuf>::new());
    let name = state()["name"].as_str().unwrap().to_owned();
    success(harness::run(&mut coracle(&["rm", &name])));
    // Killed by somebody else it is the same status, and no such word.
    let killed = harness::run(&mut coracle(&["run", "--init", IMAGE, "sh", "-c", "kill -KILL $$"]));
    assert_eq!((killed.status.code(), killed.stderr.as_str()), (Some(137), ""));
    assert_eq!(state()["oomKilled"], false);
    let name = state()["name"].as_str().unwrap().to_owned();
    success(harness::run(&mut coracle(&["rm", &name])));
}

fn what_makes_no_sense_is_refused_before_an_image_is_read() {
    for (options, word) in [
        (&["--memory", "1m"][..], "the least is 6m"),
        (&["--memory-swap", "64m"], "give --memory too"),
        (&["--memory", "64m", "--memory-swap", "8m"], "less than --memory"),
        (&["--memory", "64m", "--memory-reservation", "128m"], "more than --memory"),
        (&["--cpus", "1000"], "more than this machine has"),
        (&["--cpuset-cpus", "9999"], "does not have"),
        (&["--cpuset-mems", "9999"], "does not have"),
        (&["--blkio-weight", "5"], "10 to 1000"),
        (&["--device-write-bps", "/dev/zero:1m"], "is no disk"),
        (&["--cpu-period", "1", "--cpu-quota", "2000"], "out of range"),
    ] {
        let arguments = [&["run"], options, &["oci:/there/is/no/such/image"]].concat();
        assert_refused(&harness::run(&mut coracle(&arguments)), &[word, "hint: "]);
    }
}

fn a_group_may_be_asked_for_below_another() {
    busybox();
    let parent = random_name("upper");
    let before = Leaks::snapshot();
    let container =
        Background::start(&["--cgroup-parent", &format!("/{parent}/deep"), "-m", "64m"], "");
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.first_process())).unwrap();
    assert!(
        text.contains(&format!("/{parent}/deep/{}", state()["id"].as_str().unwrap())),
        "{text}"
    );
    drop(container);
    let left = before.left_behind_of(&["cgroup"]);
    assert!(left.is_empty(), "{left:?}");
}

fn the_next_command_removes_the_group_of_a_killed_one() {
    busybox();
    let before = Leaks::snapshot();
    for options in [&[][..], &["--cgroup-parent", "/some/where"]] {
        let mut container = Background::start(options, "sleep 1000 & (setsid sleep 1000 &)");
        let folders = folders();
        container.kill();
        assert!(folders.iter().all(|folder| folder.is_dir()), "they stay, and are empty");
        success(harness::run(&mut coracle(&["ps"])));
        let left = before.left_behind_of(&["cgroup"]);
        assert!(left.is_empty(), "{left:?}");
        assert_nothing_left();
    }
}

fn rm_removes_the_group_of_a_record_that_cannot_be_read() {
    busybox();
    let before = Leaks::snapshot();
    let mut container = Background::start(&["--network", "none"], "");
    let id = state()["id"].as_str().unwrap().to_owned();
    container.kill();
    fs::write(run_folder().join(&id).join("state.json"), "{").unwrap();
    success(harness::run(&mut coracle(&["rm", &id])));
    let left = before.left_behind_of(&["cgroup"]);
    assert!(left.is_empty(), "{left:?}");
    assert_nothing_left();
}

/// The trees are covered, as in a sandbox of somebody else's.
fn without_cgroups_nothing_runs_but_what_may_open_all_devices() {
    busybox();
    let mount = |arguments: &[&str]| success(harness::run(Command::new("mount").args(arguments)));
    mount(&["-t", "tmpfs", "tmpfs", "/sys/fs/cgroup"]);
    let limited = run_rm(&["-m", "64m"], &["echo", "ran"]);
    let filtered = run_rm(&[], &["echo", "ran"]);
    let free = run_rm(&["--privileged"], &["echo", "ran"]);
    success(harness::run(Command::new("umount").arg("/sys/fs/cgroup")));
    assert_refused(
        &limited,
        &["cannot limit the container", "no cgroups are mounted here", "hint: "],
    );
    assert_refused(&filtered, &["disks of this machine", "no cgroups are mounted here", "hint: "]);
    assert_eq!(free.stdout, "ran\n", "{free:?}");
}

/// A loop device of the test's own; where there is none, a disk of the machine's.
struct Disk(String, bool);

impl Disk {
    fn find() -> Disk {
        let file = scratch().join("disk");
        fs::write(&file, [0; 1 << 20]).unwrap();
        let mut losetup = Command::new("losetup");
        let made = harness::run(losetup.args(["--find", "--show"]).arg(file));
        if made.status.success() {
            return Disk(made.stdout.trim().to_owned(), true);
        }
        let mut names = fs::read_dir("/sys/block").unwrap().flatten().map(|one| one.file_name());
        let disk = names.find_map(|name| {
            let path = format!("/dev/{}", name.to_string_lossy());
            let first = std::io::Read::read(&mut fs::File::open(&path).ok()?, &mut [0; 512]);
            (first.ok()? > 0).then_some(path)
        });
        Disk(disk.unwrap_or_else(|| harness::not_run("no disk that could be read")), false)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.1 {
            let _ = Command::new("losetup").args(["--detach", &self.0]).status();
        }
    }
}

fn root_cannot_read_a_disk_unless_it_was_given() {
    busybox();
    let Disk(path, _) = &Disk::find();
    let number = fs::read_to_string(format!("/sys/block/{}/dev", &path[5..])).unwrap();
    let number = number.trim().replace(':', " ");
    let read =
        format!("mknod /dev/d b {number} && echo made; head -c 1 /dev/d > /dev/null && echo read");
    let refused = run_rm(&[], &["sh", "-c", &read]);
    assert_eq!(refused.stdout, "made\n", "{refused:?}");
    assert!(refused.stderr.contains("Operation not permitted"), "{refused:?}");
    let given = says(
        &["--device", &format!("{path}:/dev/given")],
        "test -b /dev/given && head -c 1 /dev/given > /dev/null && echo read",
    );
    assert_eq!(given, "read\n");
}

fn a_device_may_be_given_for_reading_alone() {
    busybox();
    let Disk(path, _) = &Disk::find();
    let options = ["--device", &format!("{path}:/dev/given:r")];
    let output = run_rm(
        &options,
        &["sh", "-c", "head -c 1 /dev/given > /dev/null && echo read; : >> /dev/given"],
    );
    assert_eq!(output.stdout, "read\n", "{output:?}");
    assert!(output.stderr.contains("Operation not permitted"), "{output:?}");
}

fn what_is_no_device_is_refused() {
    busybox();
    for (device, word) in
        [("/etc/passwd", "use -v"), ("/dev", "one by one"), ("/dev/nothing", "No such file")]
    {
        assert_refused(&run_rm(&["--device", device], &["true"]), &[device, word]);
    }
    assert_refused(&run_rm(&["--device", "/dev/null:/dev/x:z"], &["true"]), &["no access"]);
}
