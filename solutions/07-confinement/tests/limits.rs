//! What one process may use: `--ulimit`, seen in /proc/PID/limits and felt.

mod container;

use container::*;
use harness::run;
use std::process::Command;

harness::kernel_tests!(
    soft_and_hard_limits_are_set,
    a_limit_is_felt,
    without_options_they_are_our_callers,
    an_ordinary_user_cannot_raise_them_again,
    raising_one_takes_a_right,
    wrong_ones_are_refused,
    a_limit_below_what_a_process_needs_is_one_clear_end,
);

fn limits(options: &[&str]) -> xray::limits::Limits {
    xray::limits::parse(&says(&rootfs(), options, "cat /proc/self/limits")).unwrap()
}

fn soft_and_hard_limits_are_set() {
    let options =
        ["--ulimit=nofile=100:200", "--ulimit=core=0", "--ulimit=stack=1000000:unlimited"];
    let limits = limits(&options);
    let expect = [("nofile", "100:200"), ("core", "0"), ("stack", "1000000:unlimited")];
    for (name, text) in expect {
        assert_eq!(limits[name].to_string(), text);
    }
}

fn a_limit_is_felt() {
    let script = "for n in 3 4 5 6 7 8 9; do eval \"exec $n< /dev/null\" || exit; done";
    let output = sh(&rootfs(), &["--ulimit", "nofile=6"], script);
    assert!(output.stderr.contains("Too many open files"), "{output:?}");
    let output = sh(&rootfs(), &["--ulimit", "fsize=4096"], "yes > /tmp/f; stat -c %s /tmp/f");
    assert!(output.stdout.ends_with("4096\n"), "{output:?}");
}

fn without_options_they_are_our_callers() {
    let ours = std::fs::read_to_string("/proc/self/limits").unwrap();
    assert_eq!(limits(&[]), xray::limits::parse(&ours).unwrap());
}

fn an_ordinary_user_cannot_raise_them_again() {
    let script = "ulimit -n 200 && ulimit -n && ! ulimit -n 201 2> /dev/null";
    for options in [&["-u", "7"][..], &[]] {
        let options = [options, &["--ulimit", "nofile=100:200"]].concat();
        assert_eq!(says(&rootfs(), &options, script), "200\n", "{options:?}");
    }
}

fn raising_one_takes_a_right() {
    let container = confinement(&rootfs(), &["--ulimit", "nofile=65"], &["true"]);
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--nofile=64:64", "setpriv", "--bounding-set=-sys_resource"]);
    prlimit.arg(container.get_program()).args(container.get_args());
    let words = ["cannot set the limit nofile", "(os error 1)", "\nhint: ", "above 64"];
    assert_refused(&run(&mut prlimit), &words);
}

fn wrong_ones_are_refused() {
    let rootfs = rootfs();
    for (wrong, word) in [
        ("files=1", "there is no limit \"files\""),
        ("nofile", "NAME=SOFT[:HARD]"),
        ("nofile=2:1", "above the hard one"),
        ("nofile=many", "neither a number"),
        ("nofile=1:2:3", "neither a number"),
        ("nofile=-2", "neither a number"),
        ("nofile=18446744073709551616", "neither a number"),
    ] {
        assert_refused(&sh(&rootfs, &["--ulimit", wrong], "true"), &["--ulimit", word]);
    }
}

/// It fails before the command, with our word; or the kernel ends it at its exec, when nobody is
/// there any more to say why. It does not hang, and it leaves nothing behind.
fn a_limit_below_what_a_process_needs_is_one_clear_end() {
    let rootfs = rootfs();
    for (limit, statuses) in [
        ("as=4096", &[125, 126, 137, 139][..]),
        ("data=0", &[0, 125, 126, 137, 139]),
        ("stack=4096", &[125, 126, 137, 139]),
        ("nofile=0", &[0, 125]),
        ("nproc=0", &[0]), // root is not counted
        ("cpu=0", &[0, 137]),
        ("fsize=0", &[0]),
    ] {
        for init in [&[][..], &["--init"]] {
            let output = sh(&rootfs, &[&["--ulimit", limit], init].concat(), "true");
            let status = output.status.code().expect("not killed itself");
            assert!(statuses.contains(&status), "{limit} {init:?}: {output:?}");
            let told = output.stderr.starts_with("confinement: ");
            assert_eq!(told, status == 125 || status == 126, "{limit} {init:?}: {output:?}");
        }
    }
}
