//! Bad input, and machines that lack something: what is wrong is said, and nothing is left.

mod group;

use group::{groups, is_v2, says, sh};
use harness::{Leaks, Output, random_name};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

harness::kernel_tests!(
    what_makes_no_sense_is_refused_before_anything_runs,
    a_limit_of_no_processes_but_one_is_explained,
    memory_that_does_not_suffice_to_start_is_explained,
    cgroups_that_cannot_be_written_are_named,
    a_machine_without_cgroups_is_told_apart,
    a_controller_that_is_missing_is_named,
    a_parent_with_processes_is_named,
    a_parent_that_is_frozen_is_named,
    a_parent_of_threads_is_named,
    a_parent_with_fewer_cpus_is_named,
    the_bill_tells_what_was_used,
);

fn assert_refused(output: &Output, words: &[&str]) {
    harness::assert_refused(output, words);
    assert_eq!(groups(), Vec::<PathBuf>::new());
}

fn what_makes_no_sense_is_refused_before_anything_runs() {
    let before = Leaks::snapshot();
    for (options, words) in [
        (&["--memory", "5m"][..], &["hint: the least is 6m"][..]),
        (&["--memory", "lots"], &["lots", "hint: a number and a unit"]),
        (&["--memory", "64m", "--memory-swap", "32m"], &["less than --memory", "hint: "]),
        (&["--memory-swap", "64m"], &["hint: give --memory too"]),
        (&["--cpus", "4096"], &["more than this machine has", "hint: 0.01 to"]),
        (&["--cpus", "0.5", "--cpu-quota", "5000"], &["hint: give the one or the others"]),
        (&["--cpu-quota", "5"], &["hint: the least is 1000"]),
        (&["--cpuset-cpus", "0-60000"], &["does not have", "hint: it has"]),
        (&["--cpuset-cpus", "1-"], &["no list", "hint: numbers and ranges"]),
        (&["--pids", "-7"], &["hint: -1 is any number"]),
        (&["--blkio-weight", "1"], &["hint: 10 to 1000"]),
        (&["--device-read-bps", "/dev/null:1m"], &["/dev/null is no disk"]),
        (&["--cgroup-parent", "mine"], &["absolute path"]),
    ] {
        assert_refused(&sh(options, "echo ran"), words);
    }
    assert_eq!(before.left_behind(), Vec::<String>::new());
}

fn a_limit_of_no_processes_but_one_is_explained() {
    assert_eq!(says(&["--pids", "1"], "echo one is enough"), "one is enough\n");
    let output = sh(&["--pids", "1", "--init"], "echo ran");
    assert_refused(&output, &["Resource temporarily unavailable", "hint: a limit of processes"]);
}

/// Six MiB are docker's least. A program that needs more before it does anything dies of it.
fn memory_that_does_not_suffice_to_start_is_explained() {
    let script = "x=0123456789abcdef; while :; do x=$x$x; done";
    let output = sh(&["--memory", "6m"], script);
    assert_eq!(output.status.code(), Some(137), "{output:?}");
    assert!(
        output.stderr.contains("out of memory") && output.stderr.contains("6.0 MiB"),
        "{output:?}"
    );
}

/// All trees, read-only, as another container may have them.
fn cgroups_that_cannot_be_written_are_named() {
    let trees: Vec<PathBuf> = match is_v2() {
        true => vec!["/sys/fs/cgroup".into()],
        false => fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|one| one.path()).collect(),
    };
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    let remount = |flags| {
        trees
            .iter()
            .for_each(|tree| mount(None::<&str>, tree, None::<&str>, flags, None::<&str>).unwrap());
    };
    remount(flags | MsFlags::MS_RDONLY);
    let output = sh(&["--pids", "20"], "echo ran");
    remount(flags);
    assert_refused(&output, &["/sys/fs/cgroup", "hint: "]);
    let words = ["Read-only file system", "mounted read-only"];
    assert!(words.iter().any(|word| output.stderr.contains(word)), "{output:?}");
}

/// Without the mounts. They come back as they were, so that the harness finds its own again.
fn a_machine_without_cgroups_is_told_apart() {
    mount(Some("tmpfs"), "/sys/fs/cgroup", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    // A tree that is covered is in the list of mounts all the same.
    let output = sh(&["--pids", "20"], "echo ran");
    umount2("/sys/fs/cgroup", MntFlags::empty()).unwrap();
    assert_refused(&output, &["/sys/fs/cgroup", "hint: "]);
}

/// In version 1 the tree is not mounted; in version 2 the group above hands nothing down.
fn a_controller_that_is_missing_is_named() {
    if is_v2() {
        let bare = Path::new("/sys/fs/cgroup").join(random_name("bare"));
        fs::create_dir(&bare).unwrap();
        fs::write("/sys/fs/cgroup/cgroup.subtree_control", "-pids").unwrap();
        let script = format!(
            "echo $$ > {0}/cgroup.procs && exec unshare -C -m sh -c '
            mount --bind {0} /sys/fs/cgroup && exec {1} --pids 20 echo ran'",
            bare.display(),
            harness::bin("cgroups").display()
        );
        let output = harness::run(Command::new("sh").args(["-c", &script]));
        fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+pids").unwrap();
        fs::remove_dir(&bare).unwrap();
        assert_refused(&output, &["the controller pids is not to be had", "hint: "]);
    } else {
        let without = |option: &str, value: &str| {
            let program = harness::bin("cgroups");
            let script = format!(
                "umount /sys/fs/cgroup/pids && exec {} {option} {value} echo ran",
                program.display()
            );
            harness::run(Command::new("unshare").args(["-m", "sh", "-c", &script]))
        };
        let output = without("--pids", "20");
        let works = without("--memory", "64m").stdout;
        assert_refused(&output, &["no controller pids here", "hint: ", "memory"]);
        assert_eq!(works, "ran\n", "other limits are possible still");
    }
}

/// The no internal process rule, which version 1 does not have.
fn a_parent_with_processes_is_named() {
    if !is_v2() {
        harness::not_run("a rule of cgroup version 2 alone: scripts/lab runs it");
    }
    let parent = random_name("crowded");
    let folder = Path::new("/sys/fs/cgroup").join(&parent);
    fs::create_dir(&folder).unwrap();
    let mut inside = Command::new("sleep").arg("1000").stdout(Stdio::null()).spawn().unwrap();
    fs::write(folder.join("cgroup.procs"), inside.id().to_string()).unwrap();
    let options = ["--cgroup-parent", &format!("/{parent}"), "--pids", "20"];
    let output = sh(&options, "echo ran");
    let without_limits = says(&options[..2], "echo ran");
    inside.kill().unwrap();
    inside.wait().unwrap();
    fs::remove_dir(&folder).unwrap();
    assert_refused(&output, &[&parent, "there are processes in it", "hint: "]);
    assert_eq!(without_limits, "ran\n");
}

/// Whoever were born there would stand still, and not even hear that they shall end.
fn a_parent_that_is_frozen_is_named() {
    let parent = random_name("frozen");
    let (tree, file, freeze, thaw) = match is_v2() {
        true => ("/sys/fs/cgroup", "cgroup.freeze", "1", "0"),
        false => ("/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED"),
    };
    let folder = Path::new(tree).join(&parent);
    fs::create_dir(&folder).unwrap();
    let options = ["--cgroup-parent", &format!("/{parent}")];
    let [frozen, thawed] = [freeze, thaw].map(|state| {
        fs::write(folder.join(file), state).unwrap();
        sh(&options, "echo ran")
    });
    let _ = fs::remove_dir(&folder);
    assert_refused(&frozen, &[&parent, "a group above it is frozen", "hint: "]);
    assert_eq!(thawed.stdout, "ran\n", "{thawed:?}");
}

fn a_parent_of_threads_is_named() {
    if !is_v2() {
        harness::not_run("a kind of group that version 2 alone has: scripts/lab runs it");
    }
    let parent = random_name("threads");
    let above = Path::new("/sys/fs/cgroup").join(&parent);
    let folder = above.join("below"); // of one that hands nothing down, as the kernel wants it
    fs::create_dir_all(&folder).unwrap();
    let made = fs::write(folder.join("cgroup.type"), "threaded");
    let output = sh(&["--cgroup-parent", &format!("/{parent}/below")], "echo ran");
    fs::remove_dir(&folder).and_then(|()| fs::remove_dir(&above)).unwrap();
    made.unwrap();
    assert_refused(&output, &[&parent, "hint: this cgroup is one of threads"]);
}

/// In version 1 it is an error, which says nothing of CPUs; in version 2 what is left counts.
fn a_parent_with_fewer_cpus_is_named() {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    if is_v2() || online.trim() == "0" {
        harness::not_run("it takes two CPUs and cgroup version 1");
    }
    let parent = random_name("narrow");
    let folder = Path::new("/sys/fs/cgroup/cpuset").join(&parent);
    fs::create_dir(&folder).unwrap();
    for (file, numbers) in [("cpuset.cpus", "0"), ("cpuset.mems", "0")] {
        fs::write(folder.join(file), numbers).unwrap();
    }
    let last = online.trim().rsplit([',', '-']).next().unwrap();
    let output = sh(&["--cgroup-parent", &format!("/{parent}"), "--cpuset-cpus", last], "echo ran");
    fs::remove_dir(&folder).unwrap();
    let words = [&format!("{parent}/cpuset.cpus"), "hint: a group of version 1 has no CPUs"];
    assert_refused(&output, &words);
}

fn the_bill_tells_what_was_used() {
    let script = "x=0123456789abcdef; while [ ${#x} -lt 4000000 ]; do x=$x$x; done; i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done";
    let output = sh(&["--memory", "64m", "--pids", "20", "--cpus", "0.5"], script);
    assert!(output.status.success(), "{output:?}");
    let line = |name: &str| {
        let found = output.stderr.lines().find(|line| line.trim_start().starts_with(name));
        found.unwrap_or_else(|| panic!("no {name}: {output:?}")).trim().to_owned()
    };
    assert!(output.stderr.contains("64.0 MiB of memory, 0.50 CPUs, 20 processes"), "{output:?}");
    let seconds: f64 = line("cpu").split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!((0.01..30.0).contains(&seconds), "{output:?}");
    if !line("memory").contains("not counted") {
        let mib: f64 = line("memory").split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!((4.0..64.0).contains(&mib), "{output:?}");
    }
    if !line("processes").contains("not counted") {
        assert!(
            line("processes").starts_with("processes  1 at most")
                || line("processes").starts_with("processes  2 at most"),
            "{output:?}"
        );
    }
    line("disks");
}
