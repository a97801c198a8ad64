//! Killed at any moment, alone or one of many: no process and no mount is left.

mod inside;

use harness::{Leaks, Waiting, children_of, kill_at_each_syscall, kill_evenly};
use inside::{account, command, rootfs, waiting_after};
use std::process::Command;

harness::kernel_tests!(
    killed_at_any_moment_it_leaves_nothing => 120,
    killed_at_each_system_call_it_leaves_nothing => 300,
    a_container_that_has_become_another_user_ends_with_us,
    ten_at_once_do_not_disturb_each_other,
);

fn killed_at_any_moment_it_leaves_nothing() {
    let mut account = account();
    let rootfs = rootfs(&account);
    let arguments = ["--rootfs", rootfs.to_str().unwrap(), "sleep", "0.05"];
    let mut make = || command(&mut account, &arguments);
    kill_evenly(&mut make, 40, || {});
}

fn killed_at_each_system_call_it_leaves_nothing() {
    let mut account = account();
    let program = account.bin("user-namespace");
    let make = || {
        // strace starts it, so the program itself becomes the user.
        let [user, group] = [account.uid, account.gid].map(|number| number.to_string());
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &group, "--clear-groups"]);
        command.arg(&program).args(["--range", "true"]);
        command
    };
    let kills = kill_at_each_syscall(make, || {});
    assert!(kills > 50, "{kills}");
}

/// Then the kernel has forgotten that it should die with its parent, and belongs to a user whom an
/// ordinary process may not signal. The guard may: it is the owner of the user namespace.
fn a_container_that_has_become_another_user_ends_with_us() {
    let mut account = account();
    let rootfs = rootfs(&account);
    let rootfs = rootfs.to_str().unwrap();
    let script = "exec su app -c 'echo ready; exec sleep 1000'";
    let mut command = command(&mut account, &["--rootfs", rootfs, "sh", "-c", script]);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
    let before = Leaks::snapshot();
    let mut program = command.spawn().unwrap();
    let mut said = String::new();
    let stdout = program.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut said).unwrap();
    assert_eq!(said, "ready\n");
    let first = children_of(program.id())[0];
    let status = std::fs::read_to_string(format!("/proc/{first}/status")).unwrap();
    let user = format!("Uid:\t{}\t", account.first_subuid + 999);
    assert!(status.contains(&user), "{status}");
    program.kill().unwrap();
    program.wait().unwrap();
    assert_eq!(before.left_behind_of(&["process", "mount"]), [""; 0]);
}

fn ten_at_once_do_not_disturb_each_other() {
    let mut account = account();
    let rootfs = rootfs(&account);
    let rootfs = rootfs.to_str().unwrap();
    let names: Vec<String> = (0..10).map(|number| format!("boat-{number}")).collect();
    let all: Vec<Waiting> = names
        .iter()
        .map(|name| waiting_after(&mut account, &["--rootfs", rootfs, "--hostname", name], "true"))
        .collect();
    for (waiting, name) in all.iter().zip(&names) {
        let target = format!("--target={}", waiting.pid);
        let said = harness::run(Command::new("nsenter").args([&target, "--uts", "uname", "-n"]));
        assert_eq!(said.stdout.trim_end(), name);
    }
    let mut namespaces: Vec<_> = all
        .iter()
        .map(|one| std::fs::read_link(format!("/proc/{}/ns/user", one.pid)).unwrap())
        .collect();
    namespaces.sort();
    namespaces.dedup();
    assert_eq!(namespaces.len(), 10);
}
