//! That `sys::default_signal_handlers` leaves nothing ignored or handled, and we die as we should.

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::fs;
use std::os::fd::AsFd;
use sys::{Fork, clone3, default_signal_handlers, exit_now};

harness::kernel_tests!(nothing_stays_ignored_or_handled, an_ignored_signal_ends_the_process_again,);

/// A line of signals in proc_pid_status(5).
fn signals(name: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("in every status");
    line.trim_start_matches(':').trim().to_owned()
}

const NONE: &str = "0000000000000000";

fn nothing_stays_ignored_or_handled() {
    // And whoever started this test by glibc's posix_spawn left signals 32 and 33 ignored, which
    // glibc's own signal() refuses to undo.
    assert_ne!(signals("SigIgn"), NONE, "Rust's runtime ignores SIGPIPE");
    assert_ne!(signals("SigCgt"), NONE, "Rust's runtime handles SIGSEGV");
    let Fork::Parent { pidfd, .. } = clone3(0, None).expect("alone") else {
        default_signal_handlers();
        exit_now(u8::from(signals("SigIgn") == NONE && signals("SigCgt") == NONE))
    };
    let ended = waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED).expect("our child");
    assert!(matches!(ended, WaitStatus::Exited(_, 1)), "{ended:?}");
}

fn an_ignored_signal_ends_the_process_again() {
    let Fork::Parent { pidfd, .. } = clone3(0, None).expect("alone") else {
        default_signal_handlers();
        let _ = kill(Pid::this(), Signal::SIGPIPE);
        exit_now(0)
    };
    let ended = waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED).expect("our child");
    assert!(matches!(ended, WaitStatus::Signaled(_, Signal::SIGPIPE, _)), "{ended:?}");
}
