//! Judges chapter 00: what `xray --json` says of processes, beside what the kernel says.
//!
//! The check makes processes in namespaces that nobody could guess, and compares. Root reads the
//! truth in `/proc/PID/ns` and `/proc/PID/status`.

mod namespaces;
mod pids;

pub use namespaces::same_ns;
pub use pids::pid_chain;

use super::run::{self, Ended, Run};
use super::{Diagnosis, Finding, Program};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// The kinds, each with the option of `unshare(1)` that makes a new one.
const KINDS: [(&str, &str); 8] = [
    ("pid", "--pid"),
    ("mnt", "--mount"),
    ("uts", "--uts"),
    ("ipc", "--ipc"),
    ("user", "--user"),
    ("net", "--net"),
    ("cgroup", "--cgroup"),
    ("time", "--time"),
];

/// A verdict for each kind: `own`, `host`, …
type Verdicts = BTreeMap<&'static str, String>;

/// A process that sleeps; ended when this is dropped.
struct Sleeper {
    _run: Run,
    pid: u32,
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.pid as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
}

impl Sleeper {
    /// Starts `words` with a `sleep` at its end, and finds that.
    fn start(words: &[&str]) -> Sleeper {
        let mut words = words.to_vec();
        words.extend(["sleep", "1000"]);
        let run = Run::start(Command::new(words[0]).args(&words[1..]));
        let found = run::until(run::PATIENCE, || run::find("sleep", run.pid()));
        let pid = found.unwrap_or_else(|| panic!("{words:?} did not start"));
        Sleeper { _run: run, pid }
    }

    /// A process with its own namespaces of these kinds.
    fn with_own(kinds: &[&str]) -> Sleeper {
        let option = |kind: &&str| KINDS.iter().find(|(name, _)| name == kind).map(|(_, o)| *o);
        let mut words = vec!["unshare"];
        words.extend(kinds.iter().filter_map(option));
        if kinds.contains(&"pid") || kinds.contains(&"time") {
            words.push("--fork"); // these two are for the next child only
        }
        Sleeper::start(&words)
    }
}

/// What `xray --json` says of the eight kinds.
fn look(program: &Program, pids: &[&str]) -> Result<Value, Finding> {
    answer(&mut Command::new(&program.path), pids)
}

/// Runs xray; asks for the eight kinds if the command does not name rows.
fn answer(command: &mut Command, pids: &[&str]) -> Result<Value, Finding> {
    let kinds = KINDS.map(|(kind, _)| kind).join(",");
    if !command.get_args().any(|argument| argument == "--rows") {
        command.args(["--rows", &kinds]);
    }
    let ended = run::run(command.arg("--json").args(pids));
    let line = format!("xray --json {}", pids.join(" "));
    match ended {
        None => Err(no_answer(&line, "it has not ended after two seconds".into())),
        Some(Ended { code, stdout, stderr }) => {
            let parsed = serde_json::from_str(&stdout);
            parsed.map_err(|_| {
                let said = match super::panicked(&stderr) {
                    Some(_) => super::words_of_panic(&stderr),
                    None => stderr,
                };
                no_answer(&line, format!("it ended with {code} and said {:?}", said.trim()))
            })
        }
    }
}

fn no_answer(line: &str, seen: String) -> Finding {
    let diagnosis = super::panicked(&seen);
    Finding {
        expected: format!("`{line}` prints a report"),
        seen,
        why: "what is not printed can't be compared with the kernel".into(),
        diagnosis,
    }
}

fn verdicts(report: &Value, kinds: &[&'static str]) -> Result<Verdicts, Finding> {
    let verdict = |kind: &&'static str| {
        let verdict = report["rows"][*kind]["verdict"].as_str()?;
        Some((*kind, verdict.to_owned()))
    };
    let all: Option<Verdicts> = kinds.iter().map(verdict).collect();
    all.ok_or_else(|| {
        no_answer("xray --json", "a row of the eight, or its verdict, is missing".into())
    })
}

fn diagnosis(id: &str, text: impl Into<String>) -> Option<Diagnosis> {
    Some(Diagnosis { id: id.to_owned(), text: text.into() })
}
