//! What a command may do, by the flags of `coracle run`; chapter 07 tests each of them.

mod machine;

use machine::*;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

harness::kernel_tests!(
    is_confined_when_nobody_says_otherwise,
    an_init_shows_nothing_of_its_caller,
    the_flags_are_dockers,
    groups_are_found_by_name,
    privileged_is_all_that_we_have,
    what_cannot_be_is_told_before_anything_exists,
    a_debugger_debugs_where_it_may => 120,
);

const STATUS: &str = "cat /proc/self/status";

fn line<'a>(status: &'a str, name: &str) -> &'a str {
    let found = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.expect("the kernel has this line").trim()
}

/// It never executes anything, so its memory is still that of the program outside.
fn an_init_shows_nothing_of_its_caller() {
    busybox();
    let secret = harness::random_name("secret");
    let mut command = coracle(&["run", "--rm", "--init", IMAGE, "cat", "/proc/1/environ"]);
    let output = harness::run(command.env("SECRET", &secret));
    assert!(!output.status.success(), "{output:?}");
    assert!(!output.stdout.contains(&secret), "{output:?}");
    assert!(output.stderr.contains("Permission denied"), "{output:?}");
}

fn is_confined_when_nobody_says_otherwise() {
    busybox();
    let status = says(&[], STATUS);
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(line(&status, set), "00000000a80425fb", "{set}");
    }
    assert_eq!(line(&status, "CapInh"), "0000000000000000");
    assert_eq!(line(&status, "Seccomp"), "2");
    assert_eq!(line(&status, "NoNewPrivs"), "0");
    busybox_with(json!({ "User": "app" }));
    let status = says(&["--init"], "cat /proc/1/status");
    assert_eq!(line(&status, "CapEff"), "0000000000000000");
    assert_eq!(line(&status, "Seccomp"), "2");
}

fn the_flags_are_dockers() {
    busybox();
    let status = says(
        &[
            "--cap-drop=ALL",
            "--cap-add=net_admin",
            "--user=app",
            "--security-opt=no-new-privileges",
            "--security-opt=seccomp=unconfined",
            "--ulimit=nofile=20:30",
        ],
        "cat /proc/self/status; grep 'open files' /proc/self/limits",
    );
    for set in ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"] {
        assert_eq!(line(&status, set), "0000000000001000", "{set}");
    }
    assert_eq!(line(&status, "Seccomp"), "0");
    assert_eq!(line(&status, "NoNewPrivs"), "1");
    let limit = status.lines().last().unwrap_or_default();
    assert_eq!(limit.split_whitespace().collect::<Vec<_>>()[3..5], ["20", "30"]);
}

fn groups_are_found_by_name() {
    busybox();
    let groups = |options: &[&str]| says(options, "id -G");
    assert_eq!(groups(&["--group-add", "crew"]), "0 2000\n");
    assert_eq!(groups(&["-u", "app:app", "--group-add=crew", "--group-add=77"]), "1000 77 2000\n");
    assert_refused(&run_rm(&["--group-add", "pirates"], &["true"]), &["pirates", "\nhint: "]);
}

fn privileged_is_all_that_we_have() {
    busybox();
    let ours = fs::read_to_string("/proc/self/status").expect("/proc");
    let status = says(&["--privileged"], STATUS);
    assert_eq!(line(&status, "CapEff"), line(&ours, "CapBnd"));
    assert_eq!(line(&status, "Seccomp"), "0");
    let script = "mount -t tmpfs none /tmp && ! grep -q ' /proc/' /proc/mounts && [ -e /dev/kmsg ]";
    assert!(Path::new("/dev/kmsg").exists(), "this machine has no /dev/kmsg");
    for network in ["bridge", "none", "host"] {
        let options = ["--privileged", "--network", network];
        let mounts = says(&options, &format!("{script} && cat /proc/mounts"));
        assert!(mounts.contains("sysfs /sys sysfs rw,"), "{network}: {mounts}");
    }
}

fn what_cannot_be_is_told_before_anything_exists() {
    busybox();
    for (option, words) in [
        ("--cap-add=SYS_ADMN", &["did you mean SYS_ADMIN?"][..]),
        ("--ulimit=files=1", &["there is no limit \"files\""]),
        ("--security-opt=seccomp=/no/such/file", &["/no/such/file"]),
        ("--security-opt=apparmor=x", &["seccomp=unconfined"]),
    ] {
        assert_refused(&run_rm(&[option], &["true"]), words);
    }
}

/// This machine's own gdb, in a container with this machine's programs.
///
/// Debugging one's own program needs no right any more (since Linux 4.8). Looking into another
/// user's takes the capability, and to see each run at the same addresses takes a call that the
/// filter refuses.
fn a_debugger_debugs_where_it_may() {
    if !Path::new("/usr/bin/gdb").exists() {
        harness::not_run("no gdb here: apt-get install gdb");
    }
    busybox_changed(json!({}), |rootfs| {
        for folder in ["lib", "lib64"] {
            let _ = fs::remove_dir(rootfs.join(folder));
            symlink(format!("usr/{folder}"), rootfs.join(folder)).unwrap();
        }
    });
    let gdb = |options: &[&str], script: &str| {
        let options = [&["-v", "/usr:/usr:ro", "-e", "HOME=/tmp"], options].concat();
        let mut coracle = coracle(&[&["run", "--rm"], &options[..], &[IMAGE]].concat());
        coracle.args(["/bin/busybox", "sh", "-c", script]);
        let output = harness::run_within(&mut coracle, Duration::from_secs(60));
        format!("{}{}", output.stdout, output.stderr)
    };
    const ALLOWED: [&str; 2] = ["--cap-add=SYS_PTRACE", "--security-opt=seccomp=unconfined"];
    let another = "setpriv=/usr/bin/setpriv; $setpriv --reuid=7 --clear-groups sleep 100 &
        until grep -q sleep /proc/$!/comm; do sleep 0.05; done # it is another user then
        gdb -nx -batch -p $! -ex 'info registers' -ex detach 2>&1; kill $!";
    let text = gdb(&[], another);
    assert!(text.contains("ptrace: Operation not permitted."), "{text}");
    let text = gdb(&ALLOWED[..1], another);
    assert!(text.contains("rip") || text.contains("pc "), "{text}");
    let start = "gdb -nx -batch -ex starti -ex 'info registers' -ex kill --args /usr/bin/true 2>&1";
    let text = gdb(&[], start);
    assert!(text.contains("Error disabling address space randomization"), "{text}");
    let text = gdb(&ALLOWED, start);
    assert!(!text.contains("Error disabling"), "{text}");
    assert!(text.contains("rip") || text.contains("pc "), "{text}");
}
