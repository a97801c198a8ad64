//! What survives a SIGKILL: nothing, whoever is killed and whenever.

use harness::{
    Leaks, bin, child_running, children_of, kill_at_each_syscall, kill_evenly, not_run, run,
    wait_for,
};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

harness::kernel_tests!(
    nothing_survives_the_parent => 120,
    nothing_survives_the_parent_of_an_init => 120,
    nothing_survives_the_parent_of_nested_containers => 120,
    nothing_survives_a_kill_at_each_system_call => 240,
    nothing_survives_a_kill_at_each_system_call_with_an_init => 240,
    nothing_survives_the_first_process => 120,
    nothing_survives_an_init => 120,
    a_child_that_was_late_does_not_survive,
    a_command_that_changes_user_does_not_survive,
    the_guard_stays_as_long_as_it_is_needed,
);

/// A command with a family: a child, a daemon in a session of its own, and an orphan's child. It
/// ends soon, unless the program that runs the container has died: then it would stay for ever.
const FAMILY: &str =
    "sleep 1000 & (setsid sleep 1000 &); (setsid sh -c 'sleep 1000 & sleep 1000' &)
                      sleep 0.02; [ -z \"$FOR_EVER\" -a -d /proc/$OUTERMOST ] || exec sleep 1000";

fn family(options: &[&str]) -> Command {
    contained_family(&[&[bin("pid-namespace").to_str().expect("plain")][..], options].concat())
}

/// The family within `container`, whose own PID in OUTERMOST is that of the `Command`.
fn contained_family(container: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "export OUTERMOST=$$; exec \"$@\"", "sh"]);
    command.args(container).args(["sh", "-c", FAMILY]);
    command
}

/// After each kill: the next one must run as if nothing had been.
fn next_one_runs() {
    let output = run(Command::new(bin("pid-namespace")).args(["sh", "-c", "echo $$"]));
    assert_eq!(output.stdout, "1\n", "{output:?}");
}

fn nothing_survives_the_parent() {
    kill_evenly(|| family(&[]), 100, next_one_runs);
}

fn nothing_survives_the_parent_of_an_init() {
    kill_evenly(|| family(&["--init"]), 100, next_one_runs);
}

fn nothing_survives_the_parent_of_nested_containers() {
    let program = bin("pid-namespace");
    let program = program.to_str().expect("plain");
    let nested = || contained_family(&[program, program, "--init", program]);
    kill_evenly(nested, 100, next_one_runs);
}

fn nothing_survives_a_kill_at_each_system_call() {
    let calls = kill_at_each_syscall(|| family(&[]), || {});
    assert!(calls > 20, "only {calls} system calls: was it traced at all?");
}

fn nothing_survives_a_kill_at_each_system_call_with_an_init() {
    let calls = kill_at_each_syscall(|| family(&["--init"]), || {});
    assert!(calls > 20, "only {calls} system calls: was it traced at all?");
}

fn nothing_survives_the_first_process() {
    kill_the_first_process(&[]);
}

fn nothing_survives_an_init() {
    kill_the_first_process(&["--init"]);
}

/// Kills PID 1 of the container, later each time. We outside must notice, say 137 and end.
fn kill_the_first_process(options: &[&str]) {
    let mut tenths = [0; 10];
    let mut finished = 0;
    for kills in 0..100 {
        let before = Leaks::snapshot();
        let mut family = family(options);
        if kills < 50 {
            family.env("FOR_EVER", "yes"); // these fall before the end, however late they are
        }
        let mut container =
            family.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("built");
        let Some(first) = first_process(&mut container) else {
            finished += 1;
            continue;
        };
        sleep(Duration::from_micros(kills * 300)); // a run takes about 30 ms
        let _ = kill(first, Signal::SIGKILL);
        match end_within_seconds(&mut container) {
            Some(137) => tenths[kills as usize / 10] += 1,
            Some(0) => finished += 1,
            other => panic!("killed after {} µs, ended with {other:?}", kills * 300),
        }
        let left = before.left_behind_of(&["mount", "process"]);
        assert!(left.is_empty(), "killed after {} µs, left behind: {left:?}", kills * 300);
    }
    println!("kills of PID 1, 0 to 30 ms after its clone: {tenths:?}, {finished} had ended before");
    assert!(tenths[..5].iter().all(|count| *count > 0), "{tenths:?}");
}

/// PID 1 of the container; `None` if that has ended before we could look.
fn first_process(container: &mut Child) -> Option<Pid> {
    while container.try_wait().expect("our own child").is_none() {
        if let Some(child) = children_of(container.id()).first() {
            return Some(Pid::from_raw(*child as i32));
        }
    }
    None
}

fn end_within_seconds(container: &mut Child) -> Option<i32> {
    let started = Instant::now();
    while started.elapsed() < harness::patient(Duration::from_secs(20)) {
        if let Some(status) = container.try_wait().expect("our own child") {
            return status.code();
        }
        sleep(Duration::from_millis(1));
    }
    panic!("PID 1 is dead, and pid-namespace still waits");
}

/// The child asks to die with its parent by prctl(2), and what asks too late asks in vain. So we
/// hold it back there until the parent has said "go on" and is dead.
fn a_child_that_was_late_does_not_survive() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        not_run("no strace: apt-get install strace, or dnf or pacman install strace");
    }
    for options in [&[][..], &["--init"]] {
        let before = Leaks::snapshot();
        let mut strace = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-e", "inject=prctl:delay_enter=1000000", "--"])
            .arg(bin("pid-namespace"))
            .args(options)
            .args(["sleep", "1000"])
            .spawn()
            .expect("strace starts");
        let parent = child_running("pid-namespace", strace.id());
        let child = child_running("pid-namespace", parent);
        sleep(Duration::from_millis(300)); // the parent's word is in the queue now
        kill(Pid::from_raw(parent as i32), Signal::SIGKILL).expect("it waits for the child");
        let left = before.left_behind_of(&["process"]);
        // What survives would be traced, and strace with it.
        let _ = kill(Pid::from_raw(child as i32), Signal::SIGKILL);
        let _ = strace.wait();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// The kernel forgets the wish to die with the parent when a process changes its user. The guard
/// does not, and an init never changes.
fn a_command_that_changes_user_does_not_survive() {
    for options in [&[][..], &["--init"]] {
        let before = Leaks::snapshot();
        let mut container = Command::new(bin("pid-namespace"))
            .args(options)
            .args(["setpriv", "--reuid=65534", "--clear-groups", "sleep", "1000"])
            .spawn()
            .expect("it is built");
        let parent = match options {
            [] => container.id(),
            _ => child_running("pid-namespace", container.id()),
        };
        child_running("sleep", parent);
        container.kill().expect("our own child");
        container.wait().expect("our own child");
        let left = before.left_behind_of(&["process"]);
        assert!(left.is_empty(), "left behind of {options:?}: {left:?}");
    }
}

/// Nor does the guard stay when all is over, or fall to what its terminal or group is told.
fn the_guard_stays_as_long_as_it_is_needed() {
    let mut container = Command::new(bin("pid-namespace"))
        .args(["setpriv", "--reuid=65534", "--clear-groups", "sleep", "1000"])
        .process_group(0)
        .spawn()
        .expect("it is built");
    let group = Pid::from_raw(container.id() as i32);
    let guard = Pid::from_raw(child_running("guard", container.id()) as i32);
    let sleep = Pid::from_raw(child_running("sleep", container.id()) as i32);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(guard, signal).expect("it is there");
    }
    killpg(group, Signal::SIGKILL).expect("it is there"); // the container is in that group too
    container.wait().expect("our own child");
    let gone =
        |pid: Pid| !fs::exists(format!("/proc/{pid}/ns")).unwrap_or(false) || stat_is_zombie(pid);
    wait_for("the guard and the container to be gone", || gone(guard) && gone(sleep));
}

fn stat_is_zombie(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|rest| rest.starts_with('Z'))
}
