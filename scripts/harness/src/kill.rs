//! Kills a program in the middle of its work, again and again, and looks at what is left.
//!
//! After SIGKILL nobody is left to tidy up: it is the kernel that must end the processes and drop
//! the mounts, because the program arranged it so *before* it made them.

use crate::Leaks;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Runs the program to its end, then `kills` times more, with SIGKILL at moments spread evenly over
/// the measured run. After each kill no process and no mount may be left; then `check` runs: start
/// the next command and look at the state. Prints in which tenth of the run the kills fell.
/// The program's output is thrown away. On a slow machine there are fewer kills ([`crate::rounds`]).
///
/// # Panics
/// If something is left behind, or the whole run fails.
pub fn kill_evenly(mut make_command: impl FnMut() -> Command, kills: u32, mut check: impl FnMut()) {
    let kills = crate::rounds(kills);
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

/// Calls that leave everything outside of the process as it is: who is killed at one of them leaves
/// what he leaves at the next other call.
const WITHOUT_TRACE: [&str; 22] = [
    "access",
    "brk",
    "faccessat2",
    "fcntl",
    "fstat",
    "getdents64",
    "getegid",
    "geteuid",
    "getrandom",
    "gettid",
    "lseek",
    "mmap",
    "mprotect",
    "munmap",
    "newfstatat",
    "prctl",
    "read",
    "rt_sigaction",
    "rt_sigprocmask",
    "sigaltstack",
    "statfs",
    "statx",
];

/// Lists the program's system calls, then kills it at the entry of the first that could leave a
/// trace, of the second, and so on; returns at how many it was killed. Its children are not traced. Checks as [`kill_evenly`]
/// does. The test is not run where strace is not installed. On a slow machine ([`crate::rounds`]) one
/// of several is tried, and counts for them.
///
/// # Panics
/// If something is left behind, or the whole run fails.
pub fn kill_at_each_syscall(
    mut make_command: impl FnMut() -> Command,
    mut check: impl FnMut(),
) -> u32 {
    let calls = system_calls(&make_command());
    let tried = crate::rounds(calls.len() as u32).max(1) as usize;
    let step = calls.len().div_ceil(tried);
    let mut kills = 0;
    let mut seen = BTreeMap::new();
    for (index, call) in calls.iter().enumerate() {
        // strace counts each kind of system call for itself: the third `close`.
        let nth = *seen.entry(call).and_modify(|nth| *nth += 1).or_insert(1);
        if WITHOUT_TRACE.contains(&call.as_str()) {
            continue;
        }
        if index % step != 0 {
            continue;
        }
        let before = Leaks::snapshot();
        let inject = format!("inject={call}:signal=KILL:when={nth}");
        let status = silent(traced(&make_command(), &["-o", "/dev/null", "-e", &inject])).status();
        let status = status.expect("strace starts");
        if status.signal() == Some(9) {
            kills += step as u32;
            assert_nothing_survives(&before, &format!("killed at {call} number {nth}"));
        } else {
            // This run had fewer of them than the first: two runs are seldom quite the same.
            assert!(status.success(), "the run that is not killed fails: {status}");
        }
        check();
    }
    println!("killed at {kills} of {} system calls", calls.len());
    kills
}

/// The names of the system calls that a whole run makes, in order, without those of its children.
fn system_calls(command: &Command) -> Vec<String> {
    let file = std::env::temp_dir().join(crate::random_name("strace"));
    let status = match silent(traced(command, &["-o", &file.to_string_lossy()])).status() {
        Ok(status) => status,
        Err(_) => {
            crate::not_run("no strace: apt-get install strace, or dnf or pacman install strace")
        }
    };
    assert!(status.success(), "the run that is not killed fails: {status}");
    let trace = fs::read_to_string(&file).expect("strace wrote it");
    fs::remove_file(&file).expect("strace wrote it");
    // `close(3) = 0`; signals and the exit are lines that begin with --- and +++.
    let calls = trace.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name);
    calls
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .map(str::to_owned)
        .collect()
}

/// `command` under strace(1).
fn traced(command: &Command, options: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace.args(options).arg("--").arg(command.get_program()).args(command.get_args());
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
