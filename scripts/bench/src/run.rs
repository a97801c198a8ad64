//! Runs one command and asks the kernel what it took.
//!
//! The kernel adds the CPU time of a process to its parent's account when the
//! parent waits for it, together with all that this process had waited for
//! itself (getrusage(2), RUSAGE_CHILDREN). So the difference around one child
//! counts the whole tree: the runtime, the container's first process and what
//! ran inside. A process whose parent died before it is not in that sum; as a
//! child subreaper (prctl(2)) this program inherits and waits for those too.

use anyhow::{Context, Error, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::getegid;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a process may outlive the command that started it.
const GRACE: Duration = Duration::from_secs(2);

/// A command that takes part in the comparison.
pub struct Candidate {
    /// What the table calls it.
    pub name: String,
    command: Vec<OsString>,
    /// The processes that work for it.
    daemons: Vec<u32>,
}

/// `NAME=PID[,PID…]`: the processes that work for a command without being its children.
#[derive(Clone)]
pub struct Daemons {
    command: String,
    processes: Vec<u32>,
}

impl FromStr for Daemons {
    type Err = Error;

    fn from_str(text: &str) -> Result<Daemons> {
        let (command, processes) = text.split_once('=').context("not of the form `NAME=PID`")?;
        let processes = processes.split(',').map(|one| one.parse().context("not a number"));
        Ok(Daemons { command: command.to_owned(), processes: processes.collect::<Result<_>>()? })
    }
}

/// What one run took.
#[derive(Clone, Copy)]
pub struct Sample {
    /// From the start of the command to its end.
    pub wall: Duration,
    /// User and system time of the command and of every process it left to us.
    pub cpu: Duration,
}

impl Candidate {
    /// Takes `NAME COMMAND [ARGUMENT…]`, and finds its daemons among all.
    pub fn new(words: &[OsString], daemons: &[Daemons]) -> Result<Self> {
        let [name, command @ ..] = words else { bail!("`::` without a name and a command") };
        let name = name.to_str().context("a name that is not UTF-8")?.to_owned();
        ensure!(!command.is_empty(), "no command for {name}");
        let daemons = daemons.iter().filter(|daemons| daemons.command == name);
        let daemons = daemons.flat_map(|daemons| daemons.processes.clone()).collect();
        Ok(Self { name, command: command.to_vec(), daemons })
    }
}

/// Makes this process the parent of all descendants that lose theirs.
pub fn adopt_orphans() -> Result<()> {
    set_child_subreaper(true).context("cannot become a child subreaper")
}

/// Runs the candidate once. It fails if the command does, or if it leaves a
/// process running: then there would be no end to what it takes.
pub fn once(candidate: &Candidate) -> Result<Sample> {
    let before = cpu_of_children()? + cpu_of(&candidate.daemons)?;
    let start = Instant::now();
    let status = silent(&candidate.command).status();
    let wall = start.elapsed();

    let Candidate { name, command, daemons } = candidate;
    let status = status.with_context(|| format!("cannot run {}", command[0].to_string_lossy()))?;
    reap_orphans(name)?;
    ensure!(status.success(), "{name} failed: {status}");
    Ok(Sample { wall, cpu: cpu_of_children()? + cpu_of(daemons)? - before })
}

/// Runs a shell command that is not measured.
pub fn prepare(command: &str) -> Result<()> {
    let words = ["sh", "-euc", command].map(OsString::from);
    let status = silent(&words).status().context("cannot run sh")?;
    reap_orphans("what comes before each run")?;
    ensure!(status.success(), "what comes before each run failed: {status}");
    Ok(())
}

/// Returns the resident set, in KiB, of the largest process of one run. The kernel
/// keeps one maximum for all children that a process ever had, so each run needs
/// a parent without a past.
pub fn peak(candidate: &Candidate) -> Result<u64> {
    let name = &candidate.name;
    let myself = std::env::current_exe().context("cannot find the own program")?;
    let output = Command::new(myself)
        .arg("peak")
        .args(&candidate.command)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run the own program again")?;
    reap_orphans(name)?;
    ensure!(output.status.success(), "{name} failed in the warm-up: {}", output.status);
    let line = String::from_utf8_lossy(&output.stdout);
    line.trim().parse().with_context(|| format!("not a size of {name}: {line:?}"))
}

/// The other half of [`peak`]: runs `command` and prints what it took, in KiB.
pub fn print_peak(command: &[OsString]) -> Result<()> {
    adopt_orphans()?;
    let name = command[0].to_string_lossy();
    let mut child = silent(command);
    // Until it execs, a child counts as large as what it has of its parent. The
    // standard library spawns by sharing all of it, except where the child has an
    // identity to set: then it forks, which copies about 0.4 MiB. So set the one we have.
    child.gid(getegid().as_raw());
    let status = child.status().with_context(|| format!("cannot run {name}"))?;
    reap_orphans(&name)?;
    ensure!(status.success(), "{name} failed: {status}");
    println!("{}", getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
    Ok(())
}

/// Errors go to our own standard error, as the only trace of why a run failed.
fn silent(command: &[OsString]) -> Command {
    let mut silent = Command::new(&command[0]);
    silent.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null());
    silent
}

fn reap_orphans(name: &str) -> Result<()> {
    let start = Instant::now();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return Ok(()),
            Ok(WaitStatus::StillAlive) if start.elapsed() > GRACE => {
                bail!("{name} left a process running");
            }
            Ok(WaitStatus::StillAlive) => sleep(Duration::from_millis(1)),
            Ok(_) => {}
            Err(error) => return Err(error).context("cannot wait for what a command left"),
        }
    }
}

/// CPU time of all children waited for so far, theirs included.
fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot read the CPU time")?;
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}

/// CPU time of processes that are not our children, and of all that they have waited for
/// (proc_pid_stat(5), fields 14 to 17). The kernel counts it there in hundredths of a second.
fn cpu_of(processes: &[u32]) -> Result<Duration> {
    let one = |process: &u32| -> Result<u64> {
        let path = format!("/proc/{process}/stat");
        let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let after_name = stat.rsplit_once(')').context("no name in it")?.1; // may hold anything
        let times = after_name.split_whitespace().skip(11).take(4);
        times.map(|ticks| Ok(ticks.parse::<u64>()?)).sum()
    };
    let ticks: u64 = processes.iter().map(one).sum::<Result<u64>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

fn duration(time: TimeVal) -> Duration {
    let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
    Duration::from_micros(micros.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(words: &[&str]) -> Candidate {
        Candidate::new(&words.iter().map(OsString::from).collect::<Vec<_>>(), &[]).unwrap()
    }

    /// The loop takes CPU in a grandchild whose parent is gone by then. (The only
    /// unit test that starts processes: two would wait for each other's.)
    #[test]
    fn counts_cpu_of_orphans() {
        adopt_orphans().unwrap();
        let work = "( while [ $((n += 1)) -lt 200000 ]; do :; done ) &";
        let idle = once(&candidate(&["idle", "sh", "-c", ":"])).unwrap();
        let busy = once(&candidate(&["busy", "sh", "-c", work])).unwrap();
        assert!(busy.cpu > idle.cpu + Duration::from_millis(10), "{:?}", busy.cpu);
    }
}
