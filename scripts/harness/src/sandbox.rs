//! Runs one test in a throw-away machine of namespaces.
//!
//! Three processes take part, all of them this same test program:
//!
//! 1. the *trial* ([`run`]) is a thread of the test program. It makes the safety cgroup, starts
//!    the outer stage, keeps the time and tells the verdict;
//! 2. the *outer stage* joins the safety cgroup and unshares the namespaces. unshare(2) needs a
//!    process of one thread and moves only *children* into a new PID namespace, hence
//! 3. the *inner stage*: PID 1 of the sandbox. It mounts what a small machine has, counts what
//!    there is, runs the test function and counts again ([`Leaks`]).
//!
//! Nothing survives: each stage dies with the one before it, and with PID 1 the kernel kills all
//! others in its PID namespace (pid_namespaces(7)). The file system is shared with the host: a
//! test writes below `TMPDIR`, which is on the sandbox's own /run.

use crate::command::{self, Captured};
use crate::leaks::Leaks;
use crate::safety_cgroup::{self, SafetyCgroup};
use crate::{Test, Thrown};
use libtest_mimic::{Completion, Failed};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Once;

const OUTER: &str = "--sandbox-outer";
const INNER: &str = "--sandbox-inner";

/// Where the programs under test keep their state inside, and where tests put their files.
const FOLDERS: [(&str, &str); 3] =
    [("CORACLE_ROOT", "/run/lib/coracle"), ("CORACLE_RUN", "/run/coracle"), ("TMPDIR", "/run/tmp")];

/// How a test ended: its verdict, and beside it what every verdict may come with.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The test's own verdict.
    pub verdict: Verdict,
    /// What it left behind, as [`Leaks`] names it; with anything in here the test has not passed.
    pub leaks: Vec<String>,
    /// What it and the programs that it started printed.
    pub output: String,
}

/// The verdict of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It returned.
    Passed,
    /// It called [`crate::fail_with`] with this text.
    Failed(String),
    /// It called [`crate::not_run`], or the sandbox can't be made here.
    NotRun(String),
    /// It panicked, or it was killed: for its time, for its memory, by itself.
    Died(String),
}

/// Runs `test` in a sandbox and waits for its verdict. Called in a thread per test.
///
/// # Errors
/// The sandbox could not be started.
pub fn judge(test: &Test) -> io::Result<Judgement> {
    if !nix::unistd::geteuid().is_root() {
        let reason = "needs root: run scripts/test, which asks sudo";
        let verdict = Verdict::NotRun(reason.to_owned());
        return Ok(Judgement { verdict, leaks: Vec::new(), output: String::new() });
    }
    let cgroup = SafetyCgroup::create();
    say_once_what_is_unlimited(&cgroup);
    // The child's stdin is the sheet on which it writes its verdict: of all descriptors above 2
    // none may be inherited, so that tests of exactly that rule work.
    let mut report =
        File::from(memfd_create("verdict", MFdFlags::MFD_CLOEXEC).map_err(io::Error::from)?);
    let mut child = Command::new("/proc/self/exe")
        .args([OUTER, test.name, &cgroup.name, &std::process::id().to_string()])
        .stdin(report.try_clone()?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let captured = command::capture(&mut child, test.time_limit);
    let _ = child.kill(); // the stages below die with it
    cgroup.kill();
    let _ = child.wait();
    let (verdict, leaks) = verdict(test, &captured, &read_report(&mut report)?);
    Ok(Judgement { verdict, leaks, output: captured.stdout + &captured.stderr })
}

/// [`judge`], in the words of the test runner.
pub(crate) fn run(test: &Test) -> Result<(Completion, String), Failed> {
    let Judgement { verdict, leaks, output } = judge(test)?;
    let left: String = leaks.iter().map(|thing| format!("left behind: {thing}\n")).collect();
    match verdict {
        Verdict::Passed if leaks.is_empty() => Ok((Completion::Completed, output)),
        Verdict::NotRun(reason) => Ok((Completion::ignored_with(reason), output)),
        Verdict::Passed => Err(format!("{left}{output}").into()),
        Verdict::Failed(reason) | Verdict::Died(reason) => {
            Err(format!("{reason}\n{left}{output}").into())
        }
    }
}

fn read_report(report: &mut File) -> io::Result<String> {
    let mut text = String::new();
    report.rewind()?;
    report.read_to_string(&mut text)?;
    Ok(text)
}

/// Reads the sheet that the inner stage has filled in: a word, then what was left behind, a line
/// each, then an empty line and the reason.
fn verdict(test: &Test, captured: &Captured, report: &str) -> (Verdict, Vec<String>) {
    let (head, reason) = report.split_once("\n\n").unwrap_or((report, ""));
    let mut lines = head.lines();
    let word = lines.next().unwrap_or_default();
    let leaks = lines.map(str::to_owned).collect();
    let reason = reason.to_owned();
    let verdict = match (captured.status, word) {
        (None, _) => {
            Verdict::Died(format!("time limit: killed after {} seconds", test.time_limit.as_secs()))
        }
        (_, "passed") => Verdict::Passed,
        (_, "not run") => Verdict::NotRun(reason),
        (_, "failed") => Verdict::Failed(reason),
        (_, "died") => Verdict::Died(reason),
        (Some(status), _) if status.code() == Some(137) => {
            Verdict::Died("killed: a test that needs more than 1 GiB of memory ends so".to_owned())
        }
        (Some(status), _) => {
            Verdict::Died(format!("the test's process ended without a verdict ({status})"))
        }
    };
    (verdict, leaks)
}

fn say_once_what_is_unlimited(cgroup: &SafetyCgroup) {
    static SAID: Once = Once::new();
    if !cgroup.missing.is_empty() {
        SAID.call_once(|| {
            let missing = cgroup.missing.join(" and ");
            eprintln!("harness: no limit of {missing} for the tests: this host lets us make no such cgroup");
        });
    }
}

/// Becomes the stage that the hidden arguments name; `None` in an ordinary start.
pub fn stage(tests: &[Test]) -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[1..] {
        [OUTER, name, cgroup, parent] => outer(name, cgroup, parent),
        [INNER, name, parent] => inner(tests.iter().find(|test| test.name == name)?, parent),
        _ => return None,
    };
    Some(result.unwrap_or_else(|error| {
        eprintln!("harness: {error}");
        ExitCode::FAILURE
    }))
}

fn outer(name: &str, cgroup: &str, parent: &str) -> io::Result<ExitCode> {
    die_with_parent(parent)?;
    close_what_we_inherited()?;
    safety_cgroup::enter(cgroup).map_err(at("cannot join the safety cgroup"))?;
    let fresh = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWCGROUP;
    if let Err(error) = unshare(fresh) {
        let reason = format!(
            "not run\n\nno new namespaces here: {error}: run on a host, not in a container"
        );
        File::from(io::stdin().as_fd().try_clone_to_owned()?).write_all(reason.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    safety_cgroup::enter_leaf(cgroup).map_err(at("cannot join the leaf of the safety cgroup"))?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|error| at("cannot make / private")(error.into()))?;
    let status = Command::new("/proc/self/exe")
        .args([INNER, name, &std::process::id().to_string()])
        .envs(FOLDERS)
        .status()?;
    let killed_by = status.signal().unwrap_or_default();
    Ok(ExitCode::from(status.code().unwrap_or(128 + killed_by) as u8)) // as a shell tells it
}

fn inner(test: &Test, parent: &str) -> io::Result<ExitCode> {
    die_with_parent(parent)?; // while /proc is still the host's
    let mut report = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    furnish()?;
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
    let left: String = before.left_behind().iter().map(|thing| format!("{thing}\n")).collect();
    write!(report, "{word}\n{left}\n{reason}")?;
    Ok(ExitCode::SUCCESS)
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

/// Gives the sandbox what a small machine of its own has.
fn furnish() -> io::Result<()> {
    mount_at("proc", "/proc", "")?; // of the new PID namespace
    mount_sys()?; // of the new network and cgroup namespaces
    mount_at("tmpfs", "/run", "mode=755,size=512m")?;
    for (_, folder) in FOLDERS {
        fs::create_dir_all(folder)?;
    }
    fs::set_permissions("/run/tmp", fs::Permissions::from_mode(0o1777))?;
    nix::unistd::sethostname(crate::random_name("sandbox"))?;
    let _ = Command::new("ip").args(["link", "set", "lo", "up"]).stderr(Stdio::null()).status();
    Ok(())
}

/// Mounts a fresh /sys and on it each cgroup hierarchy where it was before: in the new cgroup
/// namespace its root is the sandbox's own folder, and the limits above it are out of reach.
fn mount_sys() -> io::Result<()> {
    let hierarchies = safety_cgroup::hierarchies(); // read before /sys covers them
    mount_at("sysfs", "/sys", "")?;
    let base = Path::new("/sys/fs/cgroup");
    let below: Vec<_> =
        hierarchies.iter().filter(|one| one.mount_point.starts_with(base)).collect();
    if below.iter().all(|one| one.mount_point != base) {
        mount_at("tmpfs", "/sys/fs/cgroup", "mode=755")?;
    }
    for hierarchy in below {
        fs::create_dir_all(&hierarchy.mount_point)?;
        let target = hierarchy.mount_point.to_string_lossy();
        match hierarchy.v2 {
            true => mount_at("cgroup2", &target, "")?,
            false => mount_at("cgroup", &target, &hierarchy.options)?,
        }
    }
    Ok(())
}

fn mount_at(file_system: &str, target: &str, options: &str) -> io::Result<()> {
    mount(Some(file_system), Path::new(target), Some(file_system), MsFlags::empty(), Some(options))
        .map_err(|error| at(&format!("cannot mount {file_system} on {target}"))(error.into()))
}

/// Says before an error's own text what could not be done; keeps its kind.
fn at(what: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}
