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
use crate::safety_cgroup::SafetyCgroup;
use crate::scratch::Scratch;
use crate::stages::{COMMAND, OUTER, shell_status};
use crate::{Test, furnish, patience};
use libtest_mimic::{Completion, Failed};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

/// What of the host's files a sandbox shares.
#[derive(Clone, Debug)]
pub enum Host {
    /// All of them: for tests of code that we trust with our files.
    Shared,
    /// All of them to read, and fresh folders to write in: `/run` and `/tmp`. Wrong code writes
    /// nothing to the disk. The files and folders named here stay to be seen, also those in `/tmp`.
    ReadOnly(Vec<PathBuf>),
    /// No sandbox: only the limits of processes, memory and time, and a list of mounts of its own.
    Bare,
}

impl Host {
    /// The word for it in a stage's arguments.
    pub fn word(&self) -> &'static str {
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
    judge_while(host, test, || true)
}

/// [`judge_on`] as long as the verdict is wanted: when it is not any more, the test is ended as if its
/// time were up.
///
/// # Errors
/// The sandbox could not be started.
pub fn judge_while(
    host: &Host,
    test: &Test,
    is_wanted: impl Fn() -> bool,
) -> io::Result<Judgement> {
    let limit = |limit| if is_wanted() { patience::unmoved(limit) } else { Duration::ZERO };
    judge_within(limit, host, test)
}

/// The same, for who is `patient` in this way.
fn judge_within(
    patient: impl Fn(Duration) -> Duration,
    host: &Host,
    test: &Test,
) -> io::Result<Judgement> {
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
    let scratch = matches!(host, Host::Bare).then(Scratch::new).transpose()?;
    let mut child = first_stage(host, &cgroup)
        .arg(test.name)
        .envs(scratch.iter().map(|scratch| ("TMPDIR", &scratch.folder)))
        .stdin(report.try_clone()?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let started = Instant::now();
    let captured = command::capture(&mut child, || patient(test.time_limit));
    let took = started.elapsed();
    let _ = child.kill(); // the stages below die with it
    cgroup.kill();
    let _ = child.wait();
    let (verdict, leaks) = verdict(took, &captured, &read_report(&mut report)?);
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

fn first_stage(host: &Host, cgroup: &SafetyCgroup) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([OUTER, &cgroup.name, &std::process::id().to_string(), host.word()]);
    command.env(furnish::KEPT, host.kept());
    command
}

/// [`judge`], in the words of the test runner; on a busy machine a test may take longer.
pub(crate) fn run(test: &Test) -> Result<(Completion, String), Failed> {
    let Judgement { verdict, leaks, output } = judge_within(crate::patient, &Host::Shared, test)?;
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
fn verdict(took: Duration, captured: &Captured, report: &str) -> (Verdict, Vec<String>) {
    let (head, reason) = report.split_once("\n\n").unwrap_or((report, ""));
    let mut lines = head.lines();
    let word = lines.next().unwrap_or_default();
    let leaks = lines.map(str::to_owned).collect();
    let reason = reason.to_owned();
    let verdict = match (captured.status, word) {
        (None, _) => Verdict::Died(format!("time limit: killed after {} seconds", took.as_secs())),
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
