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
//! others in its PID namespace (pid_namespaces(7)). What of the host's files there is to see, [`Host`]
//! says; a test writes below `TMPDIR`, which is on the sandbox's own /run.

use crate::command::{self, Captured};
use crate::leaks::Leaks;
use crate::safety_cgroup::{self, SafetyCgroup};
use crate::{Test, Thrown, furnish, janitor};
use libtest_mimic::{Completion, Failed};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitStatus, wait};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Once;

const OUTER: &str = "--sandbox-outer";
const INNER: &str = "--sandbox-inner";
/// Stands in the place of a test's name before a command.
const COMMAND: &str = "--";

/// What of the host's files a sandbox shares.
#[derive(Clone, Debug)]
pub enum Host {
    /// All of them: for tests of code that we trust with our files.
    Shared,
    /// All of them to read, and fresh folders to write in: `/run` and `/tmp`. Wrong code writes
    /// nothing to the disk. The files and folders named here stay to be seen, also those in `/tmp`.
    ReadOnly(Vec<PathBuf>),
    /// No sandbox at all: only the limits of processes, memory and time.
    Bare,
}

impl Host {
    fn word(&self) -> &'static str {
        match self {
            Host::Shared => "shared",
            Host::ReadOnly(_) => furnish::READ_ONLY,
            Host::Bare => furnish::BARE,
        }
    }

    /// The folders that stay, as one value of the environment.
    fn kept(&self) -> OsString {
        match self {
            Host::ReadOnly(folders) => std::env::join_paths(folders).unwrap_or_default(),
            _ => OsString::new(),
        }
    }
}

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
    judge_on(&Host::Shared, test)
}

/// [`judge`] on another kind of host.
///
/// # Errors
/// The sandbox could not be started.
pub fn judge_on(host: &Host, test: &Test) -> io::Result<Judgement> {
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
    let scratch = Scratch::on(host)?;
    let mut child = first_stage(host, &cgroup)
        .arg(test.name)
        .envs(scratch.environment())
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

/// Runs a command in a sandbox, with our own standard streams, in the folder that we are in, as
/// long as it likes. Returns its exit status as a shell tells it.
///
/// # Errors
/// The sandbox could not be started.
pub fn enter(host: &Host, command: &[OsString]) -> io::Result<ExitCode> {
    let cgroup = SafetyCgroup::create();
    say_once_what_is_unlimited(&cgroup);
    let status = first_stage(host, &cgroup).arg(COMMAND).args(command).status()?;
    Ok(ExitCode::from(shell_status(status)))
}

/// Where a test puts its files on a bare host; gone with it. In a sandbox that folder is inside.
struct Scratch(Option<PathBuf>);

impl Scratch {
    fn on(host: &Host) -> io::Result<Scratch> {
        let Host::Bare = host else { return Ok(Scratch(None)) };
        let folder = std::env::temp_dir().join(crate::random_name("coracle-test"));
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        Ok(Scratch(Some(folder)))
    }

    fn environment(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.0.iter().map(|folder| ("TMPDIR", folder.as_path()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn first_stage(host: &Host, cgroup: &SafetyCgroup) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([OUTER, &cgroup.name, &std::process::id().to_string(), host.word()]);
    command.env(furnish::KEPT, host.kept());
    command
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
    if host != Host::Bare.word() {
        if let Err(error) = leave_the_host(cgroup)? {
            let reason =
                format!("no new namespaces here: {error}: run on a host, not in a container");
            if task[0] == COMMAND {
                return Err(io::Error::other(reason));
            }
            let mut report = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            report.write_all(format!("not run\n\n{reason}").as_bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    let status = Command::new("/proc/self/exe")
        .args([INNER, &std::process::id().to_string(), host])
        .args(task)
        .envs(furnish::environment(host).iter().copied())
        .status()?;
    Ok(ExitCode::from(shell_status(status)))
}

/// Unshares the namespaces; the inner error says that this host lets nobody.
fn leave_the_host(cgroup: &str) -> io::Result<nix::Result<()>> {
    let fresh = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWCGROUP;
    if let Err(error) = unshare(fresh) {
        return Ok(Err(error));
    }
    safety_cgroup::enter_leaf(cgroup).map_err(at("cannot join the leaf of the safety cgroup"))?;
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
fn shell_status(status: ExitStatus) -> u8 {
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
pub(crate) fn at(what: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}
