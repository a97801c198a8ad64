//! What it says, and with which status, when a container can't be made.

mod container;

use container::{command, folder, rootfs, scratch, sh};
use harness::{Output, bin, run};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

harness::kernel_tests!(
    explains_a_rootfs_that_is_missing,
    explains_a_rootfs_that_is_a_file,
    explains_a_rootfs_that_is_the_root,
    explains_a_rootfs_without_mount_points,
    explains_what_it_takes_to_be_root,
    tells_an_unknown_command_by_127,
    tells_a_command_that_cannot_run_by_126,
    ends_with_the_status_of_the_command,
    refuses_a_terminal_without_one,
    refuses_volumes_that_make_no_sense,
);

/// A failure before the command: 125, one sentence with the reason, then the hint.
fn assert_explains(output: &Output, sentence: &str, hint: &str) {
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let (first, rest) = output.stderr.split_once('\n').expect("lines");
    assert!(first.starts_with("mount-namespace: ") && first.contains(sentence), "{output:?}");
    assert!(rest.starts_with("hint: ") && rest.contains(hint), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 2, "said once: {output:?}");
}

fn explains_a_rootfs_that_is_missing() {
    let nowhere = scratch().join("nowhere");
    let output = run(&mut command(&nowhere, &["true"]));
    let sentence = format!("cannot use {}: No such file", nowhere.display());
    assert_explains(&output, &sentence, "--rootfs takes a folder");
    assert!(!nowhere.exists());
}

fn explains_a_rootfs_that_is_a_file() {
    let file = scratch().join("file");
    fs::write(&file, "").expect("ours");
    let output = run(&mut command(&file, &["true"]));
    assert_explains(
        &output,
        &format!("{} is not a folder", file.display()),
        "--rootfs takes a folder",
    );
}

fn explains_a_rootfs_that_is_the_root() {
    let output = run(&mut command(Path::new("/"), &["true"]));
    assert_explains(
        &output,
        "/ is the root already",
        "--rootfs takes a folder with a system in it",
    );
}

fn explains_a_rootfs_without_mount_points() {
    for missing in ["proc", "sys", "dev"] {
        let root = rootfs();
        fs::remove_dir_all(root.join(missing)).expect("ours");
        let output = run(&mut command(&root, &["true"]));
        let place = root.join(missing);
        assert_explains(
            &output,
            &format!("cannot mount on {}: ", place.display()),
            &format!("mkdir {}", place.display()),
        );
        fs::remove_dir_all(&root).expect("ours");
    }
    let output = run(&mut command(&folder("empty"), &["true"]));
    assert_explains(&output, "/empty/proc", "is this a root file system?");
}

fn explains_what_it_takes_to_be_root() {
    let root = rootfs();
    let program = scratch().join("mount-namespace"); // where nobody can reach it
    fs::copy(bin("mount-namespace"), &program).expect("a copy");
    let output =
        run(Command::new(&program).arg("--rootfs").arg(&root).arg("true").uid(65534).gid(65534));
    assert_explains(&output, "Operation not permitted", "run it again with sudo");
}

fn tells_an_unknown_command_by_127() {
    let root = rootfs();
    let output = run(&mut command(&root, &["no-such-command"]));
    assert_eq!(output.status.code(), Some(127), "{output:?}");
    assert_eq!(output.stderr, "mount-namespace: command not found in PATH: no-such-command\n");
    let output = run(&mut command(&root, &["--init", "/no/such/command"]));
    assert_eq!(output.status.code(), Some(127), "{output:?}");
    // A command of the host's is none of the container's.
    let output = run(&mut command(&root, &["/proc/self/exe/../cargo"]));
    assert_eq!(output.status.code(), Some(127), "{output:?}");
}

fn tells_a_command_that_cannot_run_by_126() {
    let root = rootfs();
    fs::write(root.join("plain"), "text").expect("ours");
    let output = run(&mut command(&root, &["/plain"]));
    assert_eq!(output.status.code(), Some(126), "{output:?}");
    assert!(output.stderr.contains("hint: is it a file with the x bit?"), "{output:?}");
}

fn ends_with_the_status_of_the_command() {
    let root = rootfs();
    assert_eq!(sh(&root, "exit 42").status.code(), Some(42));
    let killed = run(&mut command(&root, &["--init", "sh", "-c", "kill -TERM $$"]));
    assert_eq!(killed.status.code(), Some(128 + 15), "{killed:?}");
}

fn refuses_a_terminal_without_one() {
    let output = run(&mut command(&rootfs(), &["-t", "sh"]));
    assert_explains(&output, "standard input is not a terminal", "leave -t away");
}

fn refuses_volumes_that_make_no_sense() {
    let root = rootfs();
    for volume in ["name:/data", "/tmp:data", "/tmp:/", "/tmp", "/tmp:/x:shiny"] {
        let output = run(&mut command(&root, &["-v", volume, "true"]));
        assert!(!output.status.success() && output.stderr.contains(volume), "{volume}: {output:?}");
    }
}
