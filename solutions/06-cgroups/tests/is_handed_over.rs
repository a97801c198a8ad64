//! Delegation: what an ordinary user may do with cgroups.

mod group;

use group::is_v2;
use harness::{Account, Output, random_name, run};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

harness::kernel_tests!(
    in_a_group_that_was_handed_over_a_user_sets_limits,
    in_the_top_of_a_group_that_was_handed_over_all_step_aside,
    a_container_with_the_sys_of_the_host_sees_its_own_group,
    without_one_the_user_is_told_so,
);

/// Chapter 04's root of nobody, who starts this chapter's program.
fn as_user(account: &mut Account, arguments: &[&str]) -> Command {
    let [outer, inner] = ["user-namespace", "cgroups"].map(|name| account.bin(name));
    let mut command = account.command(outer);
    command.arg(inner).args(arguments);
    command
}

/// A group that belongs to a user, as systemd makes one at a login or for `systemd-run`.
struct Handed(PathBuf);

impl Handed {
    /// With us in it, or in this group below it.
    fn to(account: &Account, below: Option<&str>) -> Handed {
        let top = Path::new("/sys/fs/cgroup");
        for controller in ["memory", "pids"] {
            fs::write(top.join("cgroup.subtree_control"), format!("+{controller}")).unwrap();
        }
        let folder = top.join(random_name("user"));
        let ours = below.map_or(folder.clone(), |below| folder.join(below));
        for folder in [&folder, &ours] {
            fs::create_dir_all(folder).unwrap();
            account.own(folder);
            for file in ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
                account.own(&folder.join(file));
            }
        }
        fs::write(ours.join("cgroup.procs"), "0").unwrap();
        Handed(folder)
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        fs::write("/sys/fs/cgroup/init/cgroup.procs", "0").unwrap();
        let below = fs::read_dir(&self.0).unwrap().flatten().map(|entry| entry.path());
        below.filter(|path| path.is_dir()).for_each(|path| fs::remove_dir(path).unwrap());
        fs::remove_dir(&self.0).unwrap();
    }
}

fn in_a_group_that_was_handed_over_a_user_sets_limits() {
    sets_limits(Some("session"));
}

/// As in `systemd-run --user --scope -p Delegate=yes bash`: a shell is in it, and whoever waits.
fn in_the_top_of_a_group_that_was_handed_over_all_step_aside() {
    sets_limits(None);
}

fn sets_limits(below: Option<&str>) {
    if !is_v2() {
        harness::not_run("cgroup version 1 can't be handed to users: scripts/lab runs it");
    }
    let mut account = Account::new();
    let handed = Handed::to(&account, below);
    let options = ["--memory", "48m", "--pids", "21", "sh", "-c", "echo ready; cat > /dev/null"];
    let mut command = as_user(&mut account, &options);
    let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let made = fs::read_dir(&handed.0).unwrap().flatten().map(|entry| entry.path());
    let is_old = |path: &PathBuf| path.ends_with(below.unwrap_or("coracle-itself"));
    let made: Vec<PathBuf> = made.filter(|path| path.is_dir() && !is_old(path)).collect();
    let values = ["memory.max", "pids.max"]
        .map(|name| made.first().map(|group| fs::read_to_string(group.join(name)).unwrap()));
    drop(program.stdin.take());
    let status = program.wait().unwrap();
    assert_eq!(said, "ready\n", "{status}");
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(values.map(Option::unwrap), [format!("{}\n", 48 << 20), "21\n".to_owned()]);
    assert!(status.success() && !made[0].exists(), "{status}");
}

/// Without a network of its own its `/sys` is the host's, on which cgroups are mounted already.
fn a_container_with_the_sys_of_the_host_sees_its_own_group() {
    if !is_v2() {
        harness::not_run("cgroup version 1 can't be handed to users: scripts/lab runs it");
    }
    let mut account = Account::new();
    let rootfs = account.home.join("rootfs");
    harness::busybox_rootfs(&rootfs);
    account.own(&rootfs);
    let handed = Handed::to(&account, None);
    let rootfs = rootfs.to_str().unwrap();
    let options = ["--rootfs", rootfs, "--memory", "48m", "cat", "/sys/fs/cgroup/memory.max"];
    let output: Output = run(&mut as_user(&mut account, &options));
    drop(handed);
    assert_eq!(output.stdout, format!("{}\n", 48 << 20), "{output:?}");
}

fn without_one_the_user_is_told_so() {
    let mut account = Account::new();
    let output: Output = run(&mut as_user(&mut account, &["--memory", "48m", "echo", "ran"]));
    let why = if is_v2() { "systemd-run --user --scope" } else { "version 1 can't be handed" };
    assert_eq!((output.status.code(), output.stdout.as_str()), (Some(125), ""), "{output:?}");
    assert!(output.stderr.contains(why) && output.stderr.contains("hint: "), "{output:?}");
}
