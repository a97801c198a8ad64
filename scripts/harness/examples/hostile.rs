//! Tests that misbehave, each in its own way; `tests/sandbox.rs` watches what becomes of them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

harness::kernel_tests!(
    behaves,
    says_it_cannot_run,
    would_do_harm,
    panics,
    leaks_a_mount,
    leaks_a_process,
    leaks_a_cgroup,
    leaks_a_link,
    leaks_a_loop_device,
    leaks_a_setting,
    leaks_state,
    hangs => 2,
    hangs_long,
    forks_without_end,
    renames_the_host,
    unmounts_everything,
    kills_everything,
    eats_memory,
    lifts_its_limits,
);

fn behaves() {}

fn would_do_harm() {
    harness::lab_only();
}

fn says_it_cannot_run() {
    harness::not_run("no such thing here: install it");
}

fn panics() {
    assert_eq!(1, 2, "words of the panic");
}

fn mount_tmpfs(target: &str) {
    let status = Command::new("mount").args(["-t", "tmpfs", "none", target]).status();
    assert!(status.expect("mount starts").success());
}

fn leaks_a_mount() {
    fs::create_dir("/run/tmp/leaked").expect("a folder of our own");
    mount_tmpfs("/run/tmp/leaked");
}

#[expect(clippy::zombie_processes, reason = "that is the point")]
fn leaks_a_process() {
    Command::new("sleep").arg("4321").spawn().expect("sleep starts");
}

fn leaks_a_cgroup() {
    let first = fs::read_dir("/sys/fs/cgroup")
        .expect("cgroups")
        .flatten()
        .find(|entry| entry.path().is_dir());
    let hierarchy = first.map_or("/sys/fs/cgroup".into(), |entry| entry.path());
    fs::create_dir(hierarchy.join("leaked")).expect("a cgroup of our own");
}

fn leaks_a_link() {
    let link = ["link", "add", "leaked", "type", "veth", "peer", "name", "other"];
    assert!(Command::new("ip").args(link).status().expect("ip starts").success());
}

fn leaks_a_loop_device() {
    let file = "/run/tmp/leaked-disk";
    fs::write(file, vec![0; 1 << 20]).expect("a file of our own");
    let made = harness::run(Command::new("losetup").args(["--find", file]));
    if !made.status.success() {
        harness::not_run("no loop devices here");
    }
}

fn leaks_a_setting() {
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("root may");
}

fn leaks_state() {
    fs::write("/run/coracle/leaked", "").expect("a file of our own");
}

fn hangs() {
    sleep(Duration::from_secs(3600));
}

/// Runs until somebody ends the test program.
fn hangs_long() {
    let _ = Command::new("sleep").arg("5432").status();
}

/// Children that neither end nor exec, until the kernel says no; 600 at most.
fn forks_without_end() {
    let mut children = Vec::new();
    for _ in 0..600 {
        match Command::new("sleep").arg("60").spawn() {
            Ok(child) => children.push(child),
            Err(_) => break,
        }
    }
    println!("forked {}", children.len());
    for child in &mut children {
        child.kill().and_then(|()| child.wait()).expect("our own child");
    }
    panic!("so that the number is shown");
}

fn renames_the_host() {
    fs::write("/proc/sys/kernel/hostname", "renamed-by-a-test").expect("root may");
    fs::write("/proc/sys/kernel/shmmax", "4096").expect("root may");
}

fn unmounts_everything() {
    let _ = Command::new("umount").args(["-a", "-l"]).stderr(Stdio::null()).status();
    let _ = Command::new("umount").args(["-l", "/sys/fs/cgroup", "/proc", "/run"]).status();
}

fn kills_everything() {
    let _ = Command::new("sh").args(["-c", "kill -9 -1; kill -9 1"]).status();
}

/// Two GiB in a tmpfs, which are charged as memory. It asks to be killed before those who watch.
fn eats_memory() {
    fs::write("/proc/self/oom_score_adj", "1000").expect("anybody may volunteer");
    mount_tmpfs("/mnt");
    let status = Command::new("dd")
        .args(["if=/dev/zero", "of=/mnt/file", "bs=1M", "count=2048"])
        .stderr(Stdio::null())
        .status();
    let written = fs::metadata("/mnt/file").map_or(0, |file| file.len()) >> 20;
    panic!("wrote {written} MiB, {status:?}");
}

/// Looks for the files that limit it, in the cgroups it can see and mount.
fn lifts_its_limits() {
    for name in ["pids/pids.max", "memory/memory.limit_in_bytes", "pids.max", "memory.max"] {
        let file = Path::new("/sys/fs/cgroup").join(name);
        let lifted = fs::write(&file, "max").is_ok() || fs::write(&file, "-1").is_ok();
        println!("{}: {lifted}", file.display());
    }
    forks_without_end();
}
