//! The processes that a sandbox is made of: each is this same program, started with hidden
//! arguments, and becomes one stage.

use crate::leaks::Leaks;
use crate::sandbox::Host;
use crate::{Test, Thrown, furnish, janitor, safety_cgroup};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitStatus, wait};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};

/// The hidden argument of the first stage.
pub const OUTER: &str = "--sandbox-outer";
/// The hidden argument of the second.
const INNER: &str = "--sandbox-inner";
/// Stands in the place of a test's name before a command.
pub const COMMAND: &str = "--";

/// Becomes the stage that the hidden arguments name; `None` in an ordinary start.
pub fn stage(tests: &[Test]) -> Option<ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let words: Vec<&str> = words.iter().map(|word| word.as_ref()).collect();
    let result = match words[..] {
        [janitor::STAGE] => janitor::work(),
        [OUTER, cgroup, parent, host, ..] => outer(cgroup, parent, host, &arguments[4..]),
        [INNER, parent, host, COMMAND, ..] => inner_command(parent, host, &arguments[4..]),
        [INNER, parent, host, name] => {
            inner(tests.iter().find(|test| test.name == name)?, parent, host)
        }
        _ => return None,
    };
    Some(result.unwrap_or_else(|error| {
        eprintln!("harness: {error}");
        ExitCode::FAILURE
    }))
}

fn outer(cgroup: &str, parent: &str, host: &str, task: &[OsString]) -> io::Result<ExitCode> {
    die_with_parent(parent)?;
    close_what_we_inherited()?;
    safety_cgroup::enter(cgroup).map_err(at("cannot join the safety cgroup"))?;
    if let Err(error) = leave_the_host(cgroup, host)? {
        let reason = format!("no new namespaces here: {error}: run on a host, not in a container");
        if task[0] == COMMAND {
            return Err(io::Error::other(reason));
        }
        let mut report = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        report.write_all(format!("not run\n\n{reason}").as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let status = Command::new("/proc/self/exe")
        .args([INNER, &std::process::id().to_string(), host])
        .args(task)
        .envs(furnish::environment(host).iter().copied())
        .status()?;
    Ok(ExitCode::from(shell_status(status)))
}

/// Unshares the namespaces; the inner error says that this host lets nobody.
///
/// A list of mounts of its own is made even on a bare host: there is a check that ties all mounts
/// together, as systemd does, and a container that then unmounts the wrong root would unmount the
/// host's `/dev/pts` and `/sys/fs/cgroup` as well.
fn leave_the_host(cgroup: &str, host: &str) -> io::Result<nix::Result<()>> {
    let all = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWCGROUP;
    let fresh = if host == Host::Bare.word() { CloneFlags::CLONE_NEWNS } else { all };
    if let Err(error) = unshare(fresh) {
        return Ok(Err(error));
    }
    if fresh == all {
        safety_cgroup::enter_leaf(cgroup)
            .map_err(at("cannot join the leaf of the safety cgroup"))?;
        // A new network has this from the machine, where it may be on: coracle or docker was there.
        let _ = fs::write("/proc/sys/net/ipv4/ip_forward", "0");
    }
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|error| at("cannot make / private")(error.into()))?;
    Ok(Ok(()))
}

fn inner(test: &Test, parent: &str, host: &str) -> io::Result<ExitCode> {
    die_with_parent(parent)?; // while /proc is still the host's
    let mut report = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    furnish::furnish(host)?;
    let before = Leaks::snapshot();
    let result = std::panic::catch_unwind(test.function);
    let (word, reason) = match &result {
        Ok(()) => ("passed", ""),
        Err(thrown) => match thrown.downcast_ref::<Thrown>() {
            Some(Thrown::NotRun(reason)) => ("not run", reason.as_str()),
            Some(Thrown::Failed(reason)) => ("failed", reason.as_str()),
            None => ("died", "the test panicked"),
        },
    };
    // On a bare host others make processes too; that one of ours is left, its cgroup knows.
    let kinds: &[&str] = if host == Host::Bare.word() { &["mount"] } else { &[""] };
    let left: String =
        before.left_behind_of(kinds).iter().map(|thing| format!("{thing}\n")).collect();
    write!(report, "{word}\n{left}\n{reason}")?;
    Ok(ExitCode::SUCCESS)
}

/// PID 1 of a sandbox for one command: starts it and collects all who end, until it does.
fn inner_command(parent: &str, host: &str, command: &[OsString]) -> io::Result<ExitCode> {
    die_with_parent(parent)?;
    let folder = std::env::current_dir()?;
    furnish::furnish(host)?;
    // The way by which we came may lead into what has just been covered.
    std::env::set_current_dir(&folder).or_else(|_| std::env::set_current_dir("/"))?;
    SigSet::empty().thread_set_mask()?; // Ctrl-C is for the command; PID 1 never dies of it
    let child = Command::new(&command[0])
        .args(&command[1..])
        .spawn()
        .map_err(at(&format!("cannot start {}", command[0].to_string_lossy())))?;
    loop {
        match wait()? {
            WaitStatus::Exited(pid, code) if pid.as_raw() as u32 == child.id() => {
                return Ok(ExitCode::from(code as u8));
            }
            WaitStatus::Signaled(pid, signal, _) if pid.as_raw() as u32 == child.id() => {
                return Ok(ExitCode::from(128 + signal as u8));
            }
            _ => {}
        }
    }
}

/// The status by which a shell tells how a process ended.
pub fn shell_status(status: ExitStatus) -> u8 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()) as u8
}

/// Closes every descriptor above 2: whoever called us may have left some open, and a test of
/// descriptors that leak into a container must not see them.
fn close_what_we_inherited() -> io::Result<()> {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        let _ = nix::unistd::close(descriptor); // that of the folder itself is closed already
    }
    Ok(())
}

/// Asks for SIGKILL when the parent goes, and leaves if it went before we could ask.
fn die_with_parent(parent: &str) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    // Not getppid(2): PID 1 of a namespace has parent 0. /proc here is the parent's view.
    let status = fs::read_to_string("/proc/self/status")?;
    let actual = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap_or_default();
    if actual.trim() == parent {
        Ok(())
    } else {
        Err(io::Error::other("the parent process is gone"))
    }
}

/// Says before an error's own text what could not be done; keeps its kind.
pub fn at(what: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}
