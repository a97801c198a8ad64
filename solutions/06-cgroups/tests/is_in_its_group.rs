//! Who is in the group, from when on, and what both sides see of it.

mod group;

use group::{
    Disk, cpu_time, folder_of, groups, is_v2, read, rootfs, says, sh, wait_for, waiting_after,
};
use harness::{Leaks, random_name, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

harness::kernel_tests!(
    every_tree_has_it_in_a_group_of_its_own,
    it_was_there_before_its_first_instruction,
    the_limits_are_read_from_outside,
    the_limits_are_read_from_inside,
    inside_its_group_is_the_root_of_all,
    inside_the_limits_cannot_be_changed,
    what_it_starts_is_in_the_group_too,
    the_group_ends_with_it,
    a_group_below_another_is_made_and_removed,
    a_parent_that_was_there_stays,
    root_inside_cannot_read_a_disk,
    harmless_devices_are_open_to_it,
);

const TREES: [&str; 7] = ["memory", "cpu", "cpuset", "pids", "blkio", "devices", "freezer"];

fn every_tree_has_it_in_a_group_of_its_own() {
    let one = waiting_after(&[], "true");
    let other = waiting_after(&[], "true");
    for tree in TREES {
        let [one, other, we] =
            [one.pid, other.pid, std::process::id()].map(|pid| folder_of(pid, tree));
        assert_ne!(one, other);
        assert!(one != we && other != we, "{we:?}");
        assert!(one.is_dir() && other.is_dir());
    }
}

/// Were it moved in later, part of its CPU time would be on somebody else's bill. Its children end
/// first, so that their time is in its account and in that of the group.
fn it_was_there_before_its_first_instruction() {
    let container =
        waiting_after(&["--memory", "64m"], "i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done");
    let stat = fs::read_to_string(format!("/proc/{}/stat", container.pid)).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11..15].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    let (own, groups) = (Duration::from_millis(ticks * 10), cpu_time(container.pid));
    assert!(
        groups + Duration::from_millis(10) >= own,
        "it took {own:?}, its group only {groups:?}"
    );
    // Nobody else is in there: not its guard, nor we.
    let members =
        fs::read_to_string(folder_of(container.pid, "memory").join("cgroup.procs")).unwrap();
    assert!(members.lines().any(|pid| pid == container.pid.to_string()), "{members}");
    assert!(members.lines().count() <= 2, "more than the shell and cat: {members}");
}

/// A file of a group, and what it says.
type Says = (&'static str, String);

/// Numbers that no default has. Flag, value, and what the two versions make of it.
fn limits() -> Vec<(&'static str, String, Says, Says)> {
    let random = u64::from(fs::read("/proc/self/stat").unwrap().len() as u32)
        + u64::from(std::process::id());
    let pages = 8192 + random % 4096;
    let (bytes, quota, pids, shares) =
        ((pages * 4096).to_string(), 2_000 + random % 9_000, 50 + random % 50, 1024);
    let swap = ((pages + 256) * 4096).to_string();
    vec![
        (
            "--memory",
            bytes.clone(),
            ("memory.limit_in_bytes", bytes.clone()),
            ("memory.max", bytes.clone()),
        ),
        (
            "--memory-swap",
            swap.clone(),
            ("memory.memsw.limit_in_bytes", swap),
            ("memory.swap.max", "1048576".into()),
        ),
        (
            "--memory-reservation",
            "8m".into(),
            ("memory.soft_limit_in_bytes", "8388608".into()),
            ("memory.low", "8388608".into()),
        ),
        (
            "--cpu-quota",
            quota.to_string(),
            ("cpu.cfs_quota_us", quota.to_string()),
            ("cpu.max", format!("{quota} 20000")),
        ),
        (
            "--cpu-period",
            "20000".into(),
            ("cpu.cfs_period_us", "20000".into()),
            ("cpu.max", format!("{quota} 20000")),
        ),
        (
            "--cpu-shares",
            shares.to_string(),
            ("cpu.shares", shares.to_string()),
            ("cpu.weight", "100".into()),
        ),
        ("--cpuset-cpus", "0".into(), ("cpuset.cpus", "0".into()), ("cpuset.cpus", "0".into())),
        (
            "--pids-limit",
            pids.to_string(),
            ("pids.max", pids.to_string()),
            ("pids.max", pids.to_string()),
        ),
    ]
}

fn the_limits_are_read_from_outside() {
    let limits = limits();
    let options: Vec<&str> = limits.iter().flat_map(|(flag, value, ..)| [*flag, value]).collect();
    let container = waiting_after(&options, "true");
    for (flag, _, v1, v2) in &limits {
        let expected = if is_v2() { &v2.1 } else { &v1.1 };
        assert_eq!(read(container.pid, v1.0, v2.0), *expected, "{flag}");
    }
}

fn the_limits_are_read_from_inside() {
    let (limits, rootfs) = (limits(), rootfs());
    let mut options: Vec<&str> = vec!["--rootfs", rootfs.to_str().unwrap()];
    options.extend(limits.iter().flat_map(|(flag, value, ..)| [*flag, value]));
    let (mut script, mut expected) = ("cat".to_owned(), String::new());
    for (_, _, v1, v2) in &limits {
        let (name, value) = if is_v2() { v2 } else { v1 };
        let folder = if is_v2() { String::new() } else { tree_of(name) };
        script += &format!(" /sys/fs/cgroup{folder}/{name}");
        expected += &format!("{value}\n");
    }
    assert_eq!(says(&options, &script), expected, "{script}");
}

/// `/cpu,cpuacct` for `cpu.shares`: the tree's folder, the same inside as here.
fn tree_of(name: &str) -> String {
    let controller = &name[..name.find('.').unwrap()];
    let trees = fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
    let mut names = trees.map(|tree| tree.file_name().to_string_lossy().into_owned());
    let tree = names.find(|tree| tree.split(',').any(|one| one == controller)).unwrap();
    format!("/{tree}")
}

fn inside_its_group_is_the_root_of_all() {
    let rootfs = rootfs();
    let options = ["--rootfs", rootfs.to_str().unwrap(), "--memory", "64m"];
    let seen = says(&options, "cat /proc/self/cgroup");
    let trees = TREES.map(|tree| format!(":{tree}:")).to_vec();
    for line in seen.lines().filter(|line| is_v2() || trees.iter().any(|tree| line.contains(tree)))
    {
        assert!(line.ends_with(":/"), "{seen}");
    }
    let mounts = says(&options, "grep ' - cgroup' /proc/self/mountinfo");
    assert!(!mounts.is_empty());
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        assert_eq!(fields[3], "/", "a tree's root is the container's own group: {line}");
        assert!(fields[5].starts_with("ro,nosuid,nodev,noexec"), "{line}");
    }
    // Nothing above it can be seen, nor a neighbour beside it.
    let neighbour = waiting_after(&[], "true");
    let place = if is_v2() { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/memory" };
    let members =
        says(&options, &format!("cat {place}/cgroup.procs; ls -d {place}/*/ 2>/dev/null || true"));
    assert!(members.lines().all(|line| line.parse::<u32>().is_ok_and(|pid| pid < 10)), "{members}");
    drop(neighbour);
}

fn inside_the_limits_cannot_be_changed() {
    let rootfs = rootfs();
    let options = ["--rootfs", rootfs.to_str().unwrap(), "--memory", "64m"];
    let (file, folder) = match is_v2() {
        true => ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/new"),
        false => ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/new"),
    };
    let script = format!("echo 999999999 > {file} || mkdir {folder} || echo none of it");
    let output = sh(&options, &script);
    assert_eq!(output.stdout, "none of it\n", "{output:?}");
    assert_eq!(output.stderr.matches("Read-only file system").count(), 2, "{output:?}");
}

fn what_it_starts_is_in_the_group_too() {
    let container = waiting_after(&[], "sleep 1000 & (setsid sleep 1000 &); true");
    let members = folder_of(container.pid, "pids").join("cgroup.procs");
    let count = || fs::read_to_string(&members).unwrap().lines().count();
    wait_for("the shell, cat and two of sleep", || count() == 4);
    wait_for("the kernel to count them", || {
        read(container.pid, "pids.current", "pids.current") == "4"
    });
    container.kill();
}

fn the_group_ends_with_it() {
    let before = Leaks::snapshot();
    for script in ["true", "exit 3", "kill -KILL $$; sleep 1000 & true", "sleep 1000 & exit 0"] {
        sh(&["--memory", "64m"], script);
        assert_eq!(groups(), Vec::<PathBuf>::new(), "{script}");
    }
    assert_eq!(sh(&["--memory", "64m"], "exit 3").status.code(), Some(3));
    let missing = run(Command::new(harness::bin("cgroups")).arg("there-is-no-such-command"));
    assert_eq!(missing.status.code(), Some(127), "{missing:?}");
    assert_eq!(before.left_behind(), Vec::<String>::new());
}

fn a_group_below_another_is_made_and_removed() {
    let before = Leaks::snapshot();
    let parent = format!("/{}/{}", random_name("upper"), random_name("lower"));
    let container = waiting_after(&["--cgroup-parent", &parent, "--memory", "64m"], "true");
    let folder = folder_of(container.pid, "memory");
    assert!(folder.to_str().unwrap().contains(&parent), "{folder:?} is not below {parent}");
    assert_eq!(read(container.pid, "memory.limit_in_bytes", "memory.max"), (64 << 20).to_string());
    drop(container);
    assert_eq!(before.left_behind(), Vec::<String>::new());
}

fn a_parent_that_was_there_stays() {
    let name = random_name("mine");
    let tree =
        if is_v2() { Path::new("/sys/fs/cgroup") } else { Path::new("/sys/fs/cgroup/memory") };
    fs::create_dir(tree.join(&name)).unwrap();
    says(&["--cgroup-parent", &format!("/{name}")], "true");
    assert!(tree.join(&name).is_dir(), "it was not ours to remove");
    fs::remove_dir(tree.join(&name)).unwrap();
}

fn root_inside_cannot_read_a_disk() {
    let (rootfs, disk) = (rootfs(), Disk::find());
    let (major, minor) = disk.number();
    let script = |kind: &str, major: &str, minor: &str| {
        format!(
            "mknod /tmp/d {kind} {major} {minor} && echo made; head -c 1 /tmp/d > /dev/null && echo read; rm /tmp/d"
        )
    };
    let options = ["--rootfs", rootfs.to_str().unwrap()];
    for (kind, major, minor) in [("b", &*major, &*minor), ("c", "1", "1"), ("c", "1", "11")] {
        let output = sh(&options, &script(kind, major, minor));
        assert_eq!(output.stdout, "made\n", "{kind} {major}:{minor}: {output:?}");
        assert!(output.stderr.contains("Operation not permitted"), "{output:?}");
    }
    // It is the group that forbids it: chapter 03's container has none.
    let mut without = Command::new(harness::bin("uts-ipc"));
    without.args(options).args(["sh", "-c", &script("b", &major, &minor)]);
    let output = run(&mut without);
    assert!(output.stdout.contains("read\n"), "{output:?}");
}

fn harmless_devices_are_open_to_it() {
    let rootfs = rootfs();
    let script = "head -c 4 /dev/zero /dev/urandom /dev/random > /dev/null && echo x > /dev/null
        head -c 1 /dev/null; echo x > /dev/full 2> /dev/null || echo fully open; : < /dev/ptmx && echo terminals";
    let output = says(&["--rootfs", rootfs.to_str().unwrap()], script);
    assert_eq!(output, "fully open\nterminals\n");
}
