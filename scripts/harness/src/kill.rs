//! Kills a program in the middle of its work, again and again, and looks at what is left.
//!
//! After SIGKILL nobody is left to tidy up: it is the kernel that must end the processes and drop
//! the mounts, because the program arranged it so *before* it made them.

use crate::Leaks;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Runs the program to its end, then `kills` times more, with SIGKILL at moments spread evenly over
/// the measured run. After each kill no process and no mount may be left; then `check` runs: start
/// the next command and look at the state. Prints in which tenth of the run the kills fell.
/// The program's output is thrown away.
///
/// # Panics
/// If something is left behind, or the whole run fails.
pub fn kill_evenly(mut make_command: impl FnMut() -> Command, kills: u32, mut check: impl FnMut()) {
    let mut start = || silent(make_command()).spawn().expect("the program starts");
    // The second run counts: the first one waits for the disk.
    let whole = [(); 2].map(|()| {
        let started = Instant::now();
        let status = start().wait().expect("our own child");
        assert!(status.success(), "the run that is not killed fails: {status}");
        started.elapsed()
    })[1];
    check();
    let mut tenths = [0; 10];
    let mut finished = 0;
    for kill in 0..kills {
        let before = Leaks::snapshot();
        let moment = whole * (2 * kill + 1) / (2 * kills);
        let started = Instant::now();
        let mut child = start();
        wait_until(started + moment);
        child.kill().expect("our own child");
        let fell = started.elapsed();
        match child.wait().expect("our own child").signal() {
            Some(9) => tenths[(fell.as_nanos() * 10 / whole.as_nanos()).min(9) as usize] += 1,
            _ => finished += 1,
        }
        assert_nothing_survives(&before, &format!("killed after {fell:?} of {whole:?}"));
        check();
    }
    print_histogram(whole, &tenths, finished);
}

/// Kills the program at the entry of its first system call, then at its second, and so on until
/// it ends by itself; returns at how many it was killed. Its children are not traced. Checks as
/// [`kill_evenly`] does. The test is not run where strace is not installed.
///
/// # Panics
/// If something is left behind.
pub fn kill_at_each_syscall(
    mut make_command: impl FnMut() -> Command,
    mut check: impl FnMut(),
) -> u32 {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        crate::not_run("no strace: apt-get install strace, or dnf or pacman install strace");
    }
    for call in 1.. {
        let before = Leaks::snapshot();
        let status = silent(traced(&make_command(), call)).status().expect("strace starts");
        if status.signal() != Some(9) {
            assert!(status.success(), "the run that is not killed fails: {status}");
            println!("killed at each of {} system calls", call - 1);
            return call - 1;
        }
        assert_nothing_survives(&before, &format!("killed at system call {call}"));
        check();
    }
    unreachable!("a program that makes every system call there is")
}

/// `command` under strace(1), which sends SIGKILL when the program enters its `call`th system call.
fn traced(command: &Command, call: u32) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-o", "/dev/null", "-e", &format!("inject=all:signal=KILL:when={call}"), "--"]);
    strace.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        strace.current_dir(folder);
    }
    strace
}

fn silent(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Sleeps, and spins for the last stretch: a run takes a few milliseconds, a sleep is late by 0.1.
fn wait_until(moment: Instant) {
    sleep(
        moment.saturating_duration_since(Instant::now()).saturating_sub(Duration::from_micros(300)),
    );
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
}

fn assert_nothing_survives(before: &Leaks, moment: &str) {
    let left = before.left_behind_of(&["mount", "process"]);
    assert!(left.is_empty(), "{moment}, left behind: {left:?}");
}

fn print_histogram(whole: Duration, tenths: &[usize; 10], finished: usize) {
    println!("kills by tenth of a run of {whole:?}:");
    for (tenth, count) in tenths.iter().enumerate() {
        println!("{:>3}% {count:>4} {}", tenth * 10, "#".repeat(*count));
    }
    println!("     {finished:>4} had ended before");
}
