//! What `process::start` does for its caller, and that it does nothing to it.
//!
//! These tests call the library in their own process, which the harness keeps single-threaded.

use anyhow::{Result, bail};
use harness::Leaks;
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, chdir, sethostname};
use process::{Failure, cstrings, exec};
use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

harness::kernel_tests!(
    the_callers_own_world_stays_as_it_is,
    parent_setup_runs_with_the_childs_pid_before_the_child_goes_on,
    an_error_in_parent_setup_leaves_no_process,
    an_error_in_the_child_comes_back_with_text_and_hint,
    an_error_too_long_for_the_channel_is_cut,
    a_command_that_cannot_be_executed_comes_back_as_an_error,
    a_panic_in_the_child_does_not_run_the_callers_code,
    a_child_killed_before_its_command_counts_as_killed,
    a_dropped_child_is_killed_and_buried,
    a_caller_with_threads_is_refused,
    a_caller_without_proc_is_served,
);

fn become_true() -> Result<Infallible> {
    exec(&cstrings(&["true".into()])?, &process::environment())
}

fn become_sleep() -> Result<Infallible> {
    exec(&cstrings(&["sleep".into(), "1000".into()])?, &process::environment())
}

/// The `Failure` that a start must end in.
fn failure(result: Result<process::Child>) -> Failure {
    let error = result.err().expect("must fail");
    error.downcast::<Failure>().expect("an error of the child")
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(name)
}

/// All that a careless start could change of us.
fn our_world() -> Vec<String> {
    let link = |path: PathBuf| format!("{} -> {:?}", path.display(), fs::read_link(&path));
    let entries = |folder: &str| {
        fs::read_dir(folder).expect("/proc").map(|entry| entry.expect("/proc").path())
    };
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let kept = ["Umask", "SigBlk", "SigIgn", "SigCgt", "SigPnd", "Groups", "Uid", "Threads"];
    let lines = status.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
    let mut world: Vec<String> = entries("/proc/self/ns").map(link).collect();
    world.extend(entries("/proc/self/fd").map(|path| path.display().to_string()));
    world.extend(lines.map(str::to_owned));
    world.push(link("/proc/self/cwd".into()));
    world.push(link("/proc/self/root".into()));
    world.push(fs::read_to_string("/proc/sys/kernel/hostname").expect("/proc"));
    world.push(fs::read_to_string("/proc/self/mountinfo").expect("/proc"));
    world
}

fn the_callers_own_world_stays_as_it_is() {
    chdir("/usr").expect("there");
    umask(Mode::from_bits_truncate(0o027));
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGUSR2);
    blocked.thread_block().expect("allowed");
    let before = our_world();
    let all = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWCGROUP;
    let change_all = || {
        chdir("/tmp")?;
        umask(Mode::empty());
        sethostname("changed")?;
        SigSet::all().thread_block()?;
        become_true()
    };
    let child = process::start(all, |_| Ok(()), change_all).expect("starts");
    assert_eq!(process::wait(&child).expect("ends"), 0);
    drop(child);
    assert_eq!(our_world(), before);
}

fn parent_setup_runs_with_the_childs_pid_before_the_child_goes_on() {
    let ready = file("ready");
    let setup = |pid: Pid| {
        sleep(Duration::from_millis(300)); // long enough for a child that does not wait
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        assert!(status.contains(&format!("NSpid:\t{pid}\t1\n")), "{status}");
        Ok(fs::write(&ready, "")?)
    };
    let look = || if ready.exists() { become_true() } else { bail!("too early") };
    let child = process::start(CloneFlags::CLONE_NEWPID, setup, look).expect("starts");
    assert_eq!(process::wait(&child).expect("ends"), 0);
}

fn an_error_in_parent_setup_leaves_no_process() {
    let (mark, before) = (file("went-on"), Leaks::snapshot());
    let mut seen = None;
    let setup = |pid| {
        seen = Some(pid);
        bail!("no cable for you")
    };
    let go_on = || {
        fs::write(&mark, "")?;
        become_sleep()
    };
    let result = process::start(CloneFlags::CLONE_NEWPID, setup, go_on);
    assert_eq!(result.err().expect("must fail").to_string(), "no cable for you");
    let pid = seen.expect("setup ran");
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "not even a zombie");
    assert_eq!(before.left_behind(), [""; 0]);
    assert!(!mark.exists(), "the child has never gone on");
}

fn an_error_in_the_child_comes_back_with_text_and_hint() {
    let before = Leaks::snapshot();
    let fail = || {
        let error = std::io::Error::from_raw_os_error(16);
        Err(anyhow::Error::new(error).context("cannot mount /x\nhint: unmount it first"))
    };
    let failure = failure(process::start(CloneFlags::CLONE_NEWPID, |_| Ok(()), fail));
    let text = "cannot mount /x: Device or resource busy (os error 16)\nhint: unmount it first";
    assert_eq!(failure, Failure { status: 125, message: text.into() });
    assert_eq!(before.left_behind(), [""; 0]);
}

fn an_error_too_long_for_the_channel_is_cut() {
    let long = || bail!("{}", "é".repeat(100_000));
    let failure = failure(process::start(CloneFlags::CLONE_NEWPID, |_| Ok(()), long));
    assert_eq!(failure.status, 125);
    assert!(failure.message.starts_with(&"é".repeat(2000)), "{} bytes", failure.message.len());
}

fn a_command_that_cannot_be_executed_comes_back_as_an_error() {
    let command = cstrings(&["no-such-command".into()]).expect("no NUL");
    let missing = || exec(&command, &[]);
    let failure = failure(process::start(CloneFlags::CLONE_NEWPID, |_| Ok(()), missing));
    assert_eq!(failure.status, 127);
    assert_eq!(failure.message, "command not found in PATH: no-such-command");
}

/// A panic unwinds: without a catch at the clone it would come out of `start`, in the child, and
/// run on through the code of the caller, a second time.
fn a_panic_in_the_child_does_not_run_the_callers_code() {
    let diary = file("diary");
    let write_down = |words: &str| {
        let mut file = OpenOptions::new().create(true).append(true).open(&diary).expect("ours");
        writeln!(file, "{words}").expect("ours");
    };
    let before = Leaks::snapshot();
    let started = std::panic::catch_unwind(|| {
        process::start(
            CloneFlags::CLONE_NEWPID,
            |_| Ok(()),
            || panic!("in the child, as it should"),
        )
    });
    write_down("after the start");
    let failure = failure(started.expect("no panic in the parent"));
    assert_eq!(failure.status, 101);
    assert_eq!(before.left_behind(), [""; 0]);
    assert_eq!(fs::read_to_string(&diary).expect("written"), "after the start\n");
}

fn a_child_killed_before_its_command_counts_as_killed() {
    let murder = |pid| Ok(kill(pid, Signal::SIGKILL)?);
    let child = process::start(CloneFlags::CLONE_NEWPID, murder, become_sleep).expect("it started");
    assert_eq!(process::wait(&child).expect("ends"), 137);
}

fn a_dropped_child_is_killed_and_buried() {
    let child = process::start(CloneFlags::CLONE_NEWPID, |_| Ok(()), become_sleep).expect("starts");
    let folder = format!("/proc/{}", child.pid);
    assert!(Path::new(&folder).exists());
    drop(child);
    assert!(!Path::new(&folder).exists(), "not even a zombie");
}

fn a_caller_with_threads_is_refused() {
    let before = Leaks::snapshot();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || stopped.recv());
    let error = process::start(CloneFlags::CLONE_NEWPID, |_| Ok(()), become_true).err();
    drop(stop);
    let _ = thread.join();
    let text = format!("{:#}", error.expect("must be refused"));
    assert!(text.contains("hint: only a single-threaded process may clone itself"), "{text}");
    assert_eq!(before.left_behind(), [""; 0]);
}

/// An init starts its command when a container is half built: there may be no /proc.
fn a_caller_without_proc_is_served() {
    let child = process::start(
        CloneFlags::CLONE_NEWNS,
        |_| Ok(()),
        || {
            let nothing = nix::mount::MsFlags::empty();
            nix::mount::mount(None::<&str>, "/proc", Some("tmpfs"), nothing, None::<&str>)?;
            anyhow::ensure!(!Path::new("/proc/self").exists(), "there still is a /proc");
            process::init(become_true)
        },
    );
    assert_eq!(process::wait(&child.expect("starts")).expect("ends"), 0);
}
