//! Starts the program under judgement and looks at processes through `/proc`, never for long.
//!
//! A wrong program hangs, forks what it should not, or leaves processes behind. So all waiting
//! here has an end, and what came out goes to files, for no pipe that a descendant holds open.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a program may take for what a right one does in some milliseconds. [`until`] gives it
/// more on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// A program that runs; killed and buried when this is dropped.
pub struct Run {
    child: Child,
    output: PathBuf,
}

/// How it ended and what it printed.
pub struct Ended {
    /// Its exit code, 128 + N if signal N ended it.
    pub code: i32,
    /// Standard output and standard error.
    pub stdout: String,
    /// Standard error alone.
    pub stderr: String,
}

impl Run {
    /// Starts a command in the sandbox's folder for files, where a core dump would do no harm.
    pub fn start(command: &mut Command) -> Run {
        let output = folder().join(harness::random_name("output"));
        let file = |name| File::create(output.with_extension(name)).expect("the folder is ours");
        let child = command.current_dir(folder()).stdout(file("out")).stderr(file("err")).spawn();
        let child = child.unwrap_or_else(|error| super::cannot_start(command, &error));
        Run { child, output }
    }

    /// The number of the process that was started.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far: standard output or error.
    fn printed(&self, name: &str) -> String {
        let bytes = fs::read(self.output.with_extension(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its exit code, as soon as it has ended; `None` if it still runs.
    pub fn ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().expect("our own child")?;
        Some(Ended { code: code(status), stdout: self.printed("out"), stderr: self.printed("err") })
    }

    /// Waits for its end; `None` if it has not come in time.
    pub fn end(&mut self) -> Option<Ended> {
        until(PATIENCE, || self.ended())
    }

    /// Waits for something about it; `None` if the time is up, or if it has ended without.
    pub fn until<T>(&mut self, mut ask: impl FnMut(u32) -> Option<T>) -> Option<T> {
        let pid = self.pid();
        let answer = until(PATIENCE, || match ask(pid) {
            Some(answer) => Some(Some(answer)),
            None => self.ended().map(|_| None),
        });
        answer.flatten()
    }

    /// Kills it, as `kill -9` does: nothing of its own code runs any more.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Option<Ended> {
    Run::start(command).end()
}

/// As a shell tells it.
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// The sandbox's folder for files, open to all users.
pub fn folder() -> PathBuf {
    std::env::temp_dir()
}

/// A number that nobody can guess, from `lowest` to `highest`.
pub fn random(lowest: u32, highest: u32) -> u32 {
    let name = harness::random_name("");
    let number = u32::from_str_radix(&name[1..], 16).expect("eight hexadecimal digits");
    lowest + number % (highest - lowest + 1)
}

/// `limit`, and up to three times as much on a busy machine: a check has an end of its own, and must
/// have come to its verdict before.
pub fn patient(limit: Duration) -> Duration {
    harness::patient(limit).min(3 * limit)
}

/// Asks again and again until there is an answer or the time is up: so [`patient`] are we.
pub fn until<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if started.elapsed() > patient(limit) {
            return None;
        }
        sleep(Duration::from_millis(1));
    }
}

/// A file of `/proc/PID`, empty if the process is gone.
pub fn read(pid: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}

/// A line of `/proc/PID/status` without its name, such as the numbers behind `NSpid:`.
pub fn status(pid: u32, line: &str) -> String {
    let text = read(pid, "status");
    let found = text.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(':'));
    found.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All PIDs of a process, the outermost first; empty if it is gone.
pub fn numbers(pid: u32) -> Vec<u32> {
    status(pid, "NSpid").split(' ').filter_map(|number| number.parse().ok()).collect()
}

/// What a link in `/proc/PID/ns` says, such as `net:[4026531833]`.
pub fn namespace(pid: u32, kind: &str) -> String {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}"));
    link.map(|link| link.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The kernel's name for a process, empty if it is gone.
pub fn name(pid: u32) -> String {
    read(pid, "comm").trim_end().to_owned()
}

/// The letter of `ps`: R runs, S sleeps, Z has ended and waits to be collected. None: it is gone.
pub fn state(pid: u32) -> Option<char> {
    status(pid, "State").chars().next()
}

/// Whether a process runs, or could.
pub fn lives(pid: u32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// A process and all that descend from it, parents first.
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(pid) = family.get(next) {
        family.extend(harness::children_of(*pid));
        next += 1;
    }
    family
}

/// The first process of a family that runs a program of this name.
pub fn find(program: &str, ancestor: u32) -> Option<u32> {
    family(ancestor).into_iter().find(|pid| name(*pid) == program)
}
