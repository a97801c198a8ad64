//! Who a command runs as, and what is left of who we were.

mod container;

use container::*;
use harness::{children_of, random_name, run};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

harness::kernel_tests!(
    all_four_user_ids_and_group_ids_change,
    groups_of_our_caller_are_given_up,
    groups_can_be_added,
    files_are_made_in_the_users_name,
    it_cannot_become_root_again,
    it_dies_with_us_whoever_it_is,
    a_user_that_cannot_be_is_refused,
);

fn ids(options: &[&str]) -> Vec<String> {
    let text = says(&rootfs(), options, "grep -E '^(Uid|Gid|Groups)' /proc/self/status");
    let words = |line: &str| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
    text.lines().map(words).collect()
}

fn all_four_user_ids_and_group_ids_change() {
    assert_eq!(ids(&["-u", "7:8"]), ["7 7 7 7", "8 8 8 8", "8"]);
    assert_eq!(ids(&["--user=4711"]), ["4711 4711 4711 4711", "0 0 0 0", "0"]);
    assert_eq!(ids(&[]), ["0 0 0 0", "0 0 0 0", "0"]);
    assert_eq!(ids(&["-u", "4294967294:4294967294"])[2], "4294967294");
}

fn groups_of_our_caller_are_given_up() {
    let rootfs = rootfs();
    for options in [&["-u", "7:8"][..], &[]] {
        let mut setpriv = Command::new("setpriv");
        let container = confinement(&rootfs, options, &["id", "-G"]);
        setpriv.args(["--groups", "4711,6"]);
        setpriv.arg(container.get_program()).args(container.get_args());
        let expected = if options.is_empty() { "0\n" } else { "8\n" };
        assert_eq!(success(run(&mut setpriv)), expected);
    }
}

fn groups_can_be_added() {
    assert_eq!(ids(&["-u", "7:8", "--group-add", "9", "--group-add", "10"])[2], "8 9 10");
    assert_eq!(ids(&["--group-add", "9"])[2], "0 9");
}

fn files_are_made_in_the_users_name() {
    let script = "touch /tmp/file; stat -c %u:%g /tmp/file; touch /file 2>&1";
    let output = sh(&rootfs(), &["-u", "7:8"], script);
    assert_eq!(output.stdout, "7:8\ntouch: /file: Permission denied\n");
}

fn it_cannot_become_root_again() {
    let rootfs = rootfs();
    compile(
        &rootfs,
        "again",
        "#include <stdio.h>\n#include <unistd.h>\n#include <errno.h>\n#include <grp.h>\n\
         int main(void) { gid_t group = 0; int a = setuid(0), b = errno, c = setgroups(1, &group);\n\
         printf(\"%d %d %d %d\", a, b == EPERM, c, errno == EPERM); }",
    );
    assert_eq!(says(&rootfs, &["-u", "7"], "again"), "-1 1 -1 1");
    // Root without the capability is no better off.
    let options = ["--cap-drop", "SETUID", "--cap-drop", "SETGID"];
    assert_eq!(says(&rootfs, &options, "again"), "0 0 -1 1");
}

/// The kernel forgets the wish to die with the parent when the user changes.
fn it_dies_with_us_whoever_it_is() {
    let rootfs = rootfs();
    for options in [&["-u", "7"][..], &["-u", "7", "--cap-add", "KILL"], &["-u", "7", "--init"]] {
        let mark = random_name("mark");
        let script = format!("echo ready; sleep 1000; echo {mark}");
        let mut command = confinement(&rootfs, options, &["sh", "-c", &script]);
        let mut program = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let first = children_of(program.id())[0];
        program.kill().unwrap();
        program.wait().unwrap();
        let started = Instant::now();
        while is_running(first) {
            let limit = harness::patient(Duration::from_secs(20));
            assert!(started.elapsed() < limit, "{options:?} lives on");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    success(sh(&rootfs, &[], "true")); // it tidies up what was left of their cgroups
}

/// An orphan that has ended is a zombie until the sandbox's first process, this test, asks for it.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn a_user_that_cannot_be_is_refused() {
    let rootfs = rootfs();
    for user in ["-1", "4294967295", "7:4294967295", "app", "", ":", "7:8:9", "0x7"] {
        let option = format!("--user={user}");
        assert_refused(&sh(&rootfs, &[&option], "true"), &["--user", "a number, or two"]);
    }
    assert_refused(&sh(&rootfs, &["--group-add", "wheel"], "true"), &["--group-add"]);
    assert_refused(
        &sh(&rootfs, &["--group-add", "4294967295"], "true"),
        &["cannot set the groups"],
    );
}
