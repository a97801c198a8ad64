//! The order of the last steps: profiles that refuse one of our own calls show which of them come
//! before the filter, and which after.

mod container;

use container::*;
use std::fs;
use std::path::{Path, PathBuf};

harness::kernel_tests!(
    the_filter_comes_after_the_change_of_user,
    with_no_new_privileges_it_is_the_last_step,
    without_it_capabilities_are_given_up_under_the_filter,
    a_filter_that_refuses_the_exec_is_an_error,
);

/// A profile that allows all calls but these.
fn profile(folder: &Path, refused: &[&str]) -> PathBuf {
    let path = folder.join(format!("{}.json", refused.join("-")));
    let names = refused.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(",");
    let text = format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{{"names": [{names}], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}}]}}"#
    );
    fs::write(&path, text).unwrap();
    path
}

fn run_without(calls: &[&str], options: &[&str]) -> harness::Output {
    let rootfs = rootfs();
    let profile = profile(&std::env::temp_dir(), calls);
    let filter = format!("seccomp={}", profile.display());
    let options = [&["--security-opt", &filter], options].concat();
    sh(&rootfs, &options, "id -u; grep CapEff /proc/self/status")
}

const OUTPUT: &str = "7\nCapEff:\t0000000000000000\n";
const USER_CALLS: [&str; 4] = ["setgroups", "setgid", "setuid", "setrlimit"];
const LAST_CALLS: [&str; 2] = ["capset", "prctl"];

fn the_filter_comes_after_the_change_of_user() {
    for options in [&["-u", "7"][..], &["-u", "7", "--security-opt", "no-new-privileges"]] {
        assert_eq!(success(run_without(&USER_CALLS, options)), OUTPUT);
    }
}

fn with_no_new_privileges_it_is_the_last_step() {
    let options = ["-u", "7", "--security-opt", "no-new-privileges"];
    assert_eq!(success(run_without(&[&USER_CALLS[..], &LAST_CALLS].concat(), &options)), OUTPUT);
}

fn without_it_capabilities_are_given_up_under_the_filter() {
    for call in LAST_CALLS {
        assert_refused(&run_without(&[call], &["-u", "7"]), &["(os error 95)"]);
    }
}

fn a_filter_that_refuses_the_exec_is_an_error() {
    for options in [&[][..], &["--security-opt", "no-new-privileges"]] {
        let output = run_without(&["execve"], options);
        assert_eq!(output.status.code(), Some(126), "{output:?}");
        assert!(output.stderr.contains("(os error 95)"), "{output:?}");
    }
}
