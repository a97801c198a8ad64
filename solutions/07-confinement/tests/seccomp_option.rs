//! `--security-opt seccomp=…`: what the kernel says of the container's filter, and what a person
//! hears of a profile that is none.

use harness::{Output, bin, busybox_rootfs, random_name, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

harness::kernel_tests!(
    without_options_calls_meet_one_filter,
    unconfined_is_without_a_filter,
    a_profile_of_ones_own_takes_the_place_of_the_standard_one,
    an_init_is_behind_the_filter_too,
    the_kernels_answers_are_those_of_the_profile,
    a_bad_profile_is_named_before_anything_runs,
    a_refusal_of_a_call_that_nobody_knows_is_told,
);

fn temporary(name: &str) -> PathBuf {
    Path::new(&std::env::var("TMPDIR").unwrap()).join(random_name(name))
}

fn confinement(options: &[&str], script: &str) -> Output {
    let rootfs = temporary("rootfs");
    busybox_rootfs(&rootfs);
    let mut command = Command::new(bin("confinement"));
    run(command.arg("--rootfs").arg(rootfs).args(options).args(["sh", "-c", script]))
}

/// How many filters a process in the container has above ours.
fn filters(options: &[&str], process: &str) -> i32 {
    let count = |status: &str| -> i32 {
        let line = status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:")).unwrap();
        line.trim().parse().unwrap()
    };
    let output = confinement(options, &format!("cat /proc/{process}/status"));
    assert!(output.status.success(), "{output:?}");
    count(&output.stdout) - count(&fs::read_to_string("/proc/self/status").unwrap())
}

fn without_options_calls_meet_one_filter() {
    assert_eq!(filters(&[], "self"), 1);
    assert_eq!(filters(&["--security-opt", "seccomp=builtin"], "self"), 1);
    assert_eq!(filters(&["--security-opt", "no-new-privileges"], "self"), 1);
    assert_eq!(filters(&["--cap-drop", "ALL"], "self"), 1);
}

fn unconfined_is_without_a_filter() {
    assert_eq!(filters(&["--security-opt", "seccomp=unconfined"], "self"), 0);
    let both = ["--security-opt", "seccomp=builtin", "--security-opt", "seccomp=unconfined"];
    assert_eq!(filters(&both, "self"), 0);
    assert_eq!(filters(&["--privileged"], "self"), 0);
    assert_eq!(filters(&["--privileged", "--security-opt", "seccomp=builtin"], "self"), 1);
}

/// Root in the container could make an init without a filter do what it may not.
fn an_init_is_behind_the_filter_too() {
    assert_eq!(filters(&["--init"], "1"), 1);
    assert_eq!(filters(&["--init"], "self"), 1);
}

fn profile(text: &str) -> String {
    let path = temporary("profile");
    fs::write(&path, text).unwrap();
    format!("seccomp={}", path.display())
}

fn a_profile_of_ones_own_takes_the_place_of_the_standard_one() {
    let option = profile(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
            {"names": ["chmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_KILL_PROCESS"}]}"#,
    );
    let output = confinement(&["--security-opt", &option], "mkdir /tmp/x; chmod 700 /bin; echo $?");
    assert!(output.stderr.contains("No space left on device"), "{output:?}");
    assert_eq!(output.stdout, "159\n", "{output:?}"); // 128 + SIGSYS
}

fn the_kernels_answers_are_those_of_the_profile() {
    // The kernel would allow it: root, with CAP_SYS_CHROOT alone. What refuses is the filter.
    let unshare = "unshare -u true";
    let refused = confinement(&[], unshare);
    assert!(refused.stderr.contains("Operation not permitted"), "{refused:?}");
    let admin = ["--cap-add", "SYS_ADMIN"];
    let allowed = confinement(&admin, unshare);
    assert!(allowed.status.success(), "{allowed:?}");
    let option = profile(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["unshare"], "action": "SCMP_ACT_ERRNO", "errno": "EDOM"}]}"#,
    );
    let own = confinement(&[&admin[..], &["--security-opt", &option]].concat(), unshare);
    assert!(own.stderr.contains("argument out of domain"), "{own:?}");
}

fn a_bad_profile_is_named_before_anything_runs() {
    let missing = format!("seccomp={}", temporary("missing").display());
    let bad = [
        (missing, "cannot open the seccomp profile"),
        ("seccomp=/".into(), "/ is no seccomp profile\nhint: a JSON file of at most 1 MiB\n"),
        (profile("{"), "EOF while parsing"),
        (profile(r#"{"defaultAction": "SCMP_ACT_ALOW"}"#), "SCMP_ACT_ALOW"),
        (
            profile(
                "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"read\"],\n\
                 \"action\": \"SCMP_ACT_TRAP\", \"args\": [{\"index\": 0, \"value\": 0, \"op\": \"==\"}]}]}",
            ),
            "at line 2 column",
        ),
        (
            profile(
                r#"{"defaultAction": "SCMP_ACT_ALLOW",
                    "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}]}"#,
            ),
            "SCMP_ACT_NOTIFY",
        ),
        (
            profile(r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#),
            "lets neither execve nor write through",
        ),
        (
            profile(
                r#"{"defaultAction": "SCMP_ACT_ALLOW",
                    "syscalls": [{"names": ["capset"], "action": "SCMP_ACT_ERRNO"}]}"#,
            ),
            "hint: without no-new-privileges a profile has to let prctl and capset through",
        ),
        ("apparmor=none".into(), "seccomp=unconfined, seccomp=builtin, seccomp=FILE"),
    ];
    for (option, text) in bad {
        let output = confinement(&["--security-opt", &option], "echo ran");
        assert_eq!(output.status.code(), Some(125), "{output:?}");
        assert_eq!(output.stdout, "", "{option}");
        assert!(output.stderr.contains(text), "{option}: {}", output.stderr);
    }
}

/// In a list of what is allowed it does no harm. In one of what is refused it leaves a call open.
fn a_refusal_of_a_call_that_nobody_knows_is_told() {
    let names = r#"["mkdir", "s390_pci_mmio_read", "mkdirr"]"#;
    let with = |default: &str, action: &str| {
        let option = profile(&format!(
            r#"{{"defaultAction": "{default}", "syscalls": [
                 {{"names": {names}, "action": "{action}"}},
                 {{"names": ["sync"], "action": "SCMP_ACT_ERRNO"}}]}}"#
        ));
        confinement(&["--security-opt", &option], "echo ran")
    };
    let output = with("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO");
    assert_eq!(output.stdout, "ran\n", "{output:?}");
    assert!(output.stderr.contains("refuses mkdirr, and no call has this name here"), "{output:?}");
    assert!(!output.stderr.contains("refuses mkdir,"), "{output:?}");
    let allowing = with("SCMP_ACT_ALLOW", "SCMP_ACT_LOG");
    assert_eq!((&*allowing.stdout, &*allowing.stderr), ("ran\n", ""), "{allowing:?}");
}
