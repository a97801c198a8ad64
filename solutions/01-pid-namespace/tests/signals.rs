//! Which signals reach the command, and in what state it finds its own.

use harness::{bin, run, wait_for};
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, dup2_stdout};
use process::{cstrings, exec};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

harness::kernel_tests!(
    each_signal_reaches_the_command_once,
    each_signal_reaches_the_command_once_through_an_init,
    the_first_process_without_a_handler_hears_nothing,
    a_command_below_an_init_needs_no_handler,
    what_the_caller_ignores_is_not_inherited,
    what_the_caller_blocks_is_not_inherited,
);

const PASSED_ON: [(Signal, &str); 7] = [
    (Signal::SIGTERM, "TERM"),
    (Signal::SIGINT, "INT"),
    (Signal::SIGHUP, "HUP"),
    (Signal::SIGQUIT, "QUIT"),
    (Signal::SIGUSR1, "USR1"),
    (Signal::SIGUSR2, "USR2"),
    (Signal::SIGWINCH, "WINCH"),
];

/// Writes down every signal that it hears, until there is a file `stop`.
const DIARIST: &str = "for signal in TERM INT HUP QUIT USR1 USR2 WINCH; do
    trap \"echo $signal >> diary\" $signal
done
echo ready >> diary
until [ -e stop ]; do sleep 0.02; done
exit 7";

fn each_signal_reaches_the_command_once() {
    send_each_signal(&[]);
}

fn each_signal_reaches_the_command_once_through_an_init() {
    send_each_signal(&["--init"]);
}

fn send_each_signal(options: &[&str]) {
    let folder = std::env::temp_dir();
    let mut container = Command::new(bin("pid-namespace"))
        .args(options)
        .args(["bash", "-c", DIARIST])
        .current_dir(&folder)
        .spawn()
        .expect("it is built");
    let diary = || fs::read_to_string(folder.join("diary")).unwrap_or_default();
    wait_for("ready", || diary() == "ready\n");
    let mut expected = "ready\n".to_owned();
    for (signal, name) in PASSED_ON {
        kill(Pid::from_raw(container.id() as i32), signal).expect("our own child");
        expected += &format!("{name}\n");
        wait_for(name, || diary().contains(name));
    }
    sleep(Duration::from_millis(200)); // time for a second copy
    assert_eq!(diary(), expected);
    fs::write(folder.join("stop"), "").expect("ours");
    assert_eq!(container.wait().expect("our own child").code(), Some(7));
}

/// The sleeping command, started with `options`, gets SIGTERM through us; the status.
fn terminate_sleep(options: &[&str]) -> Option<i32> {
    let mut container = Command::new(bin("pid-namespace"))
        .args(options)
        .args(["sleep", "2"])
        .spawn()
        .expect("it is built");
    let pid = container.id();
    wait_for("sleep runs", || runs_below(pid, "sleep"));
    kill(Pid::from_raw(pid as i32), Signal::SIGTERM).expect("our own child");
    container.wait().expect("our own child").code()
}

/// Has `parent` a descendant of that name?
fn runs_below(parent: u32, name: &str) -> bool {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    children.unwrap_or_default().split_whitespace().any(|child| {
        let comm = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
        comm.trim_end() == name || runs_below(child.parse().expect("a PID"), name)
    })
}

fn the_first_process_without_a_handler_hears_nothing() {
    assert_eq!(terminate_sleep(&[]), Some(0));
}

fn a_command_below_an_init_needs_no_handler() {
    assert_eq!(terminate_sleep(&["--init"]), Some(128 + 15));
}

/// The value of a line of proc_pid_status(5).
fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("in every status");
    line.trim_start_matches(':').trim()
}

fn assert_a_clean_slate(status: &str) {
    for name in ["SigIgn", "SigBlk", "SigPnd", "ShdPnd"] {
        assert_eq!(field(status, name), "0000000000000000", "{name} of\n{status}");
    }
}

/// nohup(1) ignores SIGHUP, a background job of a script SIGINT, Rust's runtime SIGPIPE.
fn what_the_caller_ignores_is_not_inherited() {
    for options in [&[][..], &["--init"]] {
        let ignore = "trap '' HUP INT QUIT TERM PIPE USR1 CHLD TSTP TTOU 40; exec \"$@\"";
        let careless = |program: &[&str]| {
            let mut bash = Command::new("bash");
            run(bash.args(["-c", ignore, "bash"]).args(program).args(["cat", "/proc/self/status"]))
        };
        let without_us = careless(&["env"]).stdout;
        assert_ne!(field(&without_us, "SigIgn"), "0000000000000000", "the test tests something");
        let program = bin("pid-namespace");
        let arguments = [&[program.to_str().expect("plain")][..], options].concat();
        assert_a_clean_slate(&careless(&arguments).stdout);
    }
}

/// By the library, because Rust's `Command` empties the mask by itself.
fn what_the_caller_blocks_is_not_inherited() {
    let path = std::env::temp_dir().join("status");
    SigSet::all().thread_block().expect("allowed");
    for below_an_init in [false, true] {
        let print_status = || {
            let command = cstrings(&["cat".into(), "/proc/self/status".into()])?;
            dup2_stdout(File::create(&path)?)?;
            exec(&command, &process::environment())
        };
        let child = process::start(
            CloneFlags::CLONE_NEWPID,
            |_| Ok(()),
            || if below_an_init { process::init(print_status) } else { print_status() },
        );
        assert_eq!(process::wait(&child.expect("starts")).expect("ends"), 0);
        assert_a_clean_slate(&read(&path));
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("written by the command")
}
