//! `sys::exit_now` leaves at once, with the status and without a word.

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::dup2_stdout;
use std::fs::{self, File};
use std::os::fd::AsFd;
use sys::{Fork, clone3, exit_now};

harness::kernel_tests!(the_status_is_passed_on, nothing_is_flushed,);

fn the_status_is_passed_on() {
    for status in [0, 1, 127, 255] {
        let Fork::Parent { pidfd, .. } = clone3(0, None).expect("alone") else { exit_now(status) };
        let ended = waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED).expect("our child");
        assert!(matches!(ended, WaitStatus::Exited(_, code) if code == i32::from(status)));
    }
}

/// A line that the parent has half written is in the child's buffer too, and must appear once.
fn nothing_is_flushed() {
    let path = std::env::temp_dir().join("half-a-line");
    let written = || fs::read_to_string(&path).expect("ours");
    let stdout = std::io::stdout().as_fd().try_clone_to_owned().expect("a descriptor");
    dup2_stdout(File::create(&path).expect("ours")).expect("ours");
    print!("half a line");
    let in_buffer = written().is_empty();
    let Fork::Parent { pidfd, .. } = clone3(0, None).expect("alone") else { exit_now(0) };
    waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED).expect("our child");
    let after_the_child = written();
    println!();
    dup2_stdout(stdout).expect("ours");
    assert!(in_buffer, "else this tests nothing");
    assert_eq!(after_the_child, "");
    assert_eq!(written(), "half a line\n");
}
