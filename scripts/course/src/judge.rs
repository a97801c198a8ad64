//! Judges exercises as root, in the sandbox, and prints one line of JSON for each.
//!
//! This is the part of a check that runs as root. It reads one program and writes no file: what
//! it found goes to standard output, to the process of the user's that asked.

use crate::checks::{self, Finding};
use harness::{Judgement, Test, Verdict};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

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

/// Judges the named exercises, all at once, and prints them in order.
pub fn run(exercises: &[String]) -> ExitCode {
    let find = |name: &String| checks::ALL.iter().find(|check| check.name == name);
    let Some(tests) = exercises.iter().map(find).collect::<Option<Vec<_>>>() else {
        eprintln!("cargo-course: no such exercise among {exercises:?}");
        return ExitCode::from(2);
    };
    harness::sweep();
    thread::scope(|scope| {
        let threads: Vec<_> = tests.iter().map(|test| scope.spawn(|| judge(test))).collect();
        for thread in threads {
            let line = thread.join().expect("a judge does not panic");
            println!("{}", serde_json::to_string(&line).expect("a line is plain text"));
        }
    });
    ExitCode::SUCCESS
}

fn judge(test: &Test) -> Line {
    let started = Instant::now();
    let mut line = match harness::judge(test) {
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
    Line {
        exercise: test.name.to_owned(),
        outcome,
        finding: None,
        reason: None,
        leaks: Vec::new(),
        output: String::new(),
        seconds: 0.0,
    }
}
