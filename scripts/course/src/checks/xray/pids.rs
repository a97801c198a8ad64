//! Exercise 2: all numbers of a process.

use super::{Sleeper, answer, diagnosis};
use crate::checks::run::{self, numbers, random};
use crate::checks::{Finding, Program};
use serde_json::{Value, json};
use std::process::Command;

/// Judges `pid_chain`.
///
/// # Errors
/// What the program says is not what the kernel says.
pub fn pid_chain(program: &Program) -> Result<(), Finding> {
    for depth in [random(2, 4), 0, 1] {
        let script: Vec<String> = (0..depth).map(|_| crowded_namespace(random(1, 5))).collect();
        let sleeper = match depth {
            0 => Sleeper::start(&["env"]),
            _ => Sleeper::start(&["sh", "-c", &nested(&script)]),
        };
        let truth = numbers(sleeper.pid);
        let report = look_at_pids(program, sleeper.pid)?;
        let said = &report["rows"]["pids"]["value"];
        if *said != json!(truth) {
            return Err(wrong_chain(sleeper.pid, &truth, said, &report));
        }
    }
    Ok(())
}

/// Begins a PID namespace in which the next process is not number 2: some have been there before.
fn crowded_namespace(before: u32) -> String {
    format!("unshare --pid --fork --kill-child sh -c '{}", "/bin/true; ".repeat(before as usize))
}

/// Puts one inside the other. Each level needs one more layer of quotes, so they are files.
fn nested(levels: &[String]) -> String {
    let mut inner = "sleep 1000; :".to_owned();
    for level in levels {
        let path = run::folder().join(harness::random_name("level"));
        std::fs::write(&path, &inner).expect("the folder is ours");
        inner = format!("{level} sh {}; :'; :", path.display());
    }
    // The words that Sleeper adds become arguments that nobody reads.
    inner
}

fn look_at_pids(program: &Program, pid: u32) -> Result<Value, Finding> {
    answer(Command::new(&program.path).args(["--rows", "pids"]), &[&pid.to_string()])
}

fn wrong_chain(pid: u32, truth: &[u32], said: &Value, report: &Value) -> Finding {
    let is = |numbers: &[u32]| *said == json!(numbers);
    let reversed: Vec<u32> = truth.iter().rev().copied().collect();
    let of_line = |line: &str| -> Vec<u32> {
        run::status(pid, line).split(' ').filter_map(|number| number.parse().ok()).collect()
    };
    let (first, last) = (truth[0], truth[truth.len() - 1]);
    let diagnosis = if is(&[first]) {
        diagnosis(
            "first-number-only",
            "You have the first number alone. That is the PID out here; the process itself knows \
             the last one. Read the whole line NSpid. (The line Pid holds no more.)",
        )
    } else if is(&[last]) {
        diagnosis(
            "last-number-only",
            "You keep the last number of the line. That is the PID inside; out here nobody can \
             send a signal to it. Read the whole line.",
        )
    } else if is(&[first, last]) {
        diagnosis(
            "middle-missing",
            "You keep the outermost and the innermost number. This process has more than two: \
             PID namespaces nest.",
        )
    } else if is(&reversed) {
        diagnosis(
            "reversed",
            "All numbers are there, the innermost first: leave their order as it is.",
        )
    } else if is(&truth[1..]) {
        diagnosis("first-number-missing", "The first number is missing: it belongs to the chain.")
    } else if is(&of_line("NSpgid")) || is(&of_line("NSsid")) {
        diagnosis(
            "another-line",
            "You read another line: NSpgid counts process groups, NSsid sessions. Yours is NSpid.",
        )
    } else if said.is_null() {
        diagnosis(
            "always-an-error",
            "pid_chain returns an error, though the line is there. What it takes for a number may \
             be none: the line's name, or nothing between two tabs.",
        )
    } else {
        None
    };
    let reason = report["rows"]["pids"]["unknown"].as_str();
    let seen = reason.map_or_else(|| said.to_string(), |reason| format!("unknown, for {reason:?}"));
    let chain: Vec<String> = truth.iter().map(u32::to_string).collect();
    Finding {
        expected: format!(
            "/proc/{pid}/status says NSpid: {}, and the row pids the same",
            chain.join(" ")
        ),
        seen: format!("the row pids is {seen}"),
        why: "a signal reaches a process by its number in the sender's namespace, so you need all"
            .into(),
        diagnosis,
    }
}
