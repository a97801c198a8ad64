//! Judges exercises as root, in the sandbox, and prints one line of JSON for each.
//!
//! This is the part of a check that runs as root. It reads one program and writes no file: what
//! it found goes to standard output, to the process of the user's that asked.

use crate::catalogue::{Chapter, Exercise};
use crate::checks::{self, Finding};
use anyhow::{Context, Result};
use harness::{Host, Judgement, Test, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// How long the judging of an exercise goes on when one has failed that it needs, for which it will be
/// called blocked. One that is not even written says so within that.
pub const REMAINDER: Duration = Duration::from_secs(2);

/// What one line says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// The name of the exercise.
    pub exercise: String,
    /// How it went.
    pub outcome: Outcome,
    /// Why it failed, where the check could tell.
    pub finding: Option<Finding>,
    /// Why it died or did not run.
    pub reason: Option<String>,
    /// What was left behind; with anything in here the exercise has not passed.
    pub leaks: Vec<String>,
    /// What the check and the programs that it started printed.
    pub output: String,
    /// How long it took.
    pub seconds: f64,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The kernel shows what it should.
    Passed,
    /// It does not, or something was left behind.
    Failed,
    /// The check was ended: out of time, out of memory, or it broke itself.
    Died,
    /// It can't be judged here.
    NotRun,
}

impl Line {
    /// What can be said of an exercise that nobody judged.
    pub fn not_run(exercise: &str, reason: &str) -> Line {
        Line {
            exercise: exercise.to_owned(),
            outcome: Outcome::NotRun,
            finding: None,
            reason: Some(reason.to_owned()),
            leaks: Vec::new(),
            output: String::new(),
            seconds: 0.0,
        }
    }
}

/// What to judge, and how.
#[derive(clap::Args)]
pub struct Arguments {
    /// Without a sandbox: only the limits of processes, memory and time
    #[arg(long)]
    bare: bool,
    /// The process that wants to know: judging ends when it does
    #[arg(long, value_name = "PID")]
    caller: Option<u32>,
    /// The exercises, by name, and after a colon what each stands on: pid_reap:pid_start,pid_wait
    exercises: Vec<String>,
}

/// How the judge is told of an exercise.
pub fn named(chapter: &Chapter, exercise: &Exercise) -> String {
    let below = chapter.exercises.iter().map(|other| other.name.as_str());
    let below: Vec<_> = below.filter(|other| chapter.stands_on(&exercise.name, other)).collect();
    format!("{}:{}", exercise.name, below.join(","))
}

/// Judges the named exercises, all at once, and prints them in order.
///
/// # Errors
/// There is no such exercise, or the sandbox can't be made ready.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let names = &arguments.exercises;
    let find = |argument: &String| {
        let (name, needs) = argument.split_once(':').unwrap_or((argument, ""));
        let test = checks::ALL.iter().find(|check| check.name == name)?;
        Some((test, needs.split(',').map(str::to_owned).collect::<Vec<_>>()))
    };
    let tests = names.iter().map(find).collect::<Option<Vec<_>>>();
    let tests = tests.with_context(|| format!("no such exercise among {names:?}"))?;
    if let Some(caller) = arguments.caller {
        harness::end_with(caller);
    }
    harness::sweep();
    let _janitor = harness::Janitor::hire().context("cannot start the janitor")?;
    let host = if arguments.bare { Host::Bare } else { read_only_host() };
    let failed = Mutex::new(BTreeMap::new());
    let failed = || failed.lock().expect("no holder panics");
    let judge = |test: &Test, needs: &[String]| {
        let is_blocked = |name: &String| {
            failed().get(name.as_str()).is_some_and(|since: &Instant| since.elapsed() > REMAINDER)
        };
        let line = judge(&host, test, || !needs.iter().any(is_blocked));
        if matches!(line.outcome, Outcome::Failed | Outcome::Died) {
            failed().insert(test.name, Instant::now());
        }
        line
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            tests.iter().map(|(test, needs)| scope.spawn(|| judge(test, needs))).collect();
        for thread in threads {
            let line = thread.join().expect("a judge does not panic");
            println!("{}", serde_json::to_string(&line).expect("a line is plain text"));
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// The learner's disk is safe from the learner's code. The folder that we were called in stays in
/// sight, and so does the program, which may lie in it: what is around comes first.
fn read_only_host() -> Host {
    let program = std::env::var_os(checks::PROGRAM).map(PathBuf::from);
    Host::ReadOnly(std::env::current_dir().into_iter().chain(program).collect())
}

fn judge(host: &Host, test: &Test, is_wanted: impl Fn() -> bool) -> Line {
    let started = Instant::now();
    let mut line = match harness::judge_while(host, test, is_wanted) {
        Ok(judgement) => of(test, judgement),
        Err(error) => Line {
            reason: Some(format!("the sandbox could not be started: {error}")),
            ..empty(test, Outcome::NotRun)
        },
    };
    line.seconds = started.elapsed().as_secs_f64();
    line
}

fn of(test: &Test, judgement: Judgement) -> Line {
    let Judgement { verdict, leaks, output } = judgement;
    let line = match verdict {
        Verdict::Passed if leaks.is_empty() => empty(test, Outcome::Passed),
        Verdict::Passed => empty(test, Outcome::Failed),
        Verdict::Failed(text) => {
            Line { finding: serde_json::from_str(&text).ok(), ..empty(test, Outcome::Failed) }
        }
        Verdict::Died(reason) => Line { reason: Some(reason), ..empty(test, Outcome::Died) },
        Verdict::NotRun(reason) => Line { reason: Some(reason), ..empty(test, Outcome::NotRun) },
    };
    Line { leaks, output, ..line }
}

fn empty(test: &Test, outcome: Outcome) -> Line {
    Line { outcome, reason: None, ..Line::not_run(test.name, "") }
}
