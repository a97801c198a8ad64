//! Proves that a host that is there to read only is not written to, and that a command in a sandbox
//! is one like outside.

use harness::{Host, enter};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

harness::kernel_tests!(
    writes_nothing_to_a_host_that_is_there_to_read,
    has_fresh_folders_to_write_in,
    keeps_in_sight_what_lies_in_a_covered_folder,
    tells_the_status_of_a_command_as_a_shell_does,
    stays_in_the_folder_in_which_it_was_called,
    keeps_the_mounts_even_of_a_bare_host,
);

/// Runs a line of shell on such a host.
fn shell(kept: &[PathBuf], line: &str) -> ExitCode {
    let command = ["sh", "-c", line].map(OsString::from);
    enter(&Host::ReadOnly(kept.to_vec()), &command).expect("a sandbox")
}

fn writes_nothing_to_a_host_that_is_there_to_read() {
    let folder = std::env::current_dir().expect("a folder on the disk");
    let probe = folder.join(harness::random_name("probe"));
    let line = format!("! touch {} 2> /dev/null && ! touch /probe 2> /dev/null", probe.display());
    assert_eq!(shell(&[], &line), ExitCode::SUCCESS);
    assert!(!probe.exists());
}

fn has_fresh_folders_to_write_in() {
    let line = "for folder in /tmp /run \"$TMPDIR\"; do echo x > $folder/probe || exit 1; done";
    assert_eq!(shell(&[], line), ExitCode::SUCCESS);
}

fn keeps_in_sight_what_lies_in_a_covered_folder() {
    let folder = PathBuf::from("/run").join(harness::random_name("kept with a blank"));
    fs::create_dir(&folder).expect("the sandbox's own /run");
    fs::write(folder.join("file"), "here").expect("the sandbox's own /run");
    let (folder_name, file) = (folder.display(), folder.join("file"));
    let line =
        format!("grep -q here '{folder_name}/file' && ! touch '{folder_name}/x' 2> /dev/null");
    assert_eq!(shell(std::slice::from_ref(&folder), &line), ExitCode::SUCCESS);
    assert_eq!(shell(&[file], &format!("grep -q here '{folder_name}/file'")), ExitCode::SUCCESS);
    assert_ne!(shell(&[], &format!("test -e '{folder_name}'")), ExitCode::SUCCESS);
}

fn tells_the_status_of_a_command_as_a_shell_does() {
    assert_eq!(shell(&[], "exit 7"), ExitCode::from(7));
    assert_eq!(shell(&[], "kill -9 $$"), ExitCode::from(137));
    let absent = [OsString::from("/there/is/no/such")];
    assert_ne!(enter(&Host::ReadOnly(Vec::new()), &absent).expect("it"), ExitCode::SUCCESS);
}

fn stays_in_the_folder_in_which_it_was_called() {
    let here = std::env::current_dir().expect("a folder");
    let line = format!("test \"$(pwd -P)\" = '{}'", here.display());
    assert_eq!(shell(&[here], &line), ExitCode::SUCCESS);
}

/// The host here is the sandbox of this test, made shared as a host with systemd is.
fn keeps_the_mounts_even_of_a_bare_host() {
    let mounts = || fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    harness::run(std::process::Command::new("mount").args(["--make-rshared", "/"]));
    let before = mounts();
    let line =
        "mount --make-rshared / && mount -t tmpfs x /mnt && umount -l /dev /sys; umount -l /";
    let command = ["sh", "-c", line].map(OsString::from);
    enter(&Host::Bare, &command).expect("limits");
    assert_eq!(mounts(), before);
}
