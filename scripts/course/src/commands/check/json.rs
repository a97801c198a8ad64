//! `cargo course check --json`: the same for programs.

use super::{Arguments, Checked};
use crate::judge::{Line, Outcome};
use crate::verdict::{State, Verdict};
use anyhow::Result;
use serde_json::{Value, json};

/// The shape of it, for `--help`.
pub const SHAPE: &str = "\
JSON (format 1; fields may be added without a new number):
  format      1
  chapter     01-pid-namespace
  sandbox     false with --bare
  compiles    false if the compiler refuses; its words are on standard error
  passed      whether all exercises passed
  exercises   list, in order, empty if it does not compile; each has
    number      counted from 1
    name        pid_start
    title       as the list shows it
    state       passed, failed, blocked, open, not_run
    blocked_by  number of the exercise that has to pass first, else null
    expected    what should be,           \\
    seen        what the kernel shows,     > texts, null unless it failed so
    why         why it matters             /
    diagnosis   {id, text} or null: what is probably wrong with the code
    reason      why it was ended or not run, else null
    leaks       list of what was left behind
    output      what it printed
    seconds     how long it took";

/// One object.
pub fn of(checked: &Checked, arguments: &Arguments) -> Result<String> {
    let verdicts = checked.verdicts.as_deref().unwrap_or_default();
    let object = json!({
        "format": 1,
        "chapter": checked.chapter.folder,
        "sandbox": !arguments.bare,
        "compiles": checked.verdicts.is_some(),
        "passed": checked.has_passed(),
        "exercises": verdicts.iter().map(exercise).collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&object)?)
}

fn exercise(verdict: &Verdict) -> Value {
    let line = verdict.line.clone().unwrap_or_else(|| Line::not_run(&verdict.exercise.name, ""));
    let (state, blocked_by) = match verdict.state {
        State::Passed => ("passed", None),
        State::Failed => ("failed", None),
        State::Blocked(number) => ("blocked", Some(number)),
        State::Open => ("open", None),
        State::NotRun => ("not_run", None),
    };
    let finding = line.finding.as_ref();
    let has_reason = matches!(line.outcome, Outcome::Died | Outcome::NotRun);
    json!({
        "number": verdict.number,
        "name": verdict.exercise.name,
        "title": verdict.exercise.title,
        "state": state,
        "blocked_by": blocked_by,
        "expected": finding.map(|finding| &finding.expected),
        "seen": finding.map(|finding| &finding.seen),
        "why": finding.map(|finding| &finding.why),
        "diagnosis": finding.and_then(|finding| finding.diagnosis.as_ref()),
        "reason": line.reason.filter(|reason| has_reason && !reason.is_empty()),
        "leaks": line.leaks,
        "output": line.output,
        "seconds": line.seconds,
    })
}
