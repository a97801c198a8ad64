//! The exit code: the command's own, or 128 and the signal that ended it.

use super::super::run::{Ended, Run, find, random, run};
use super::super::{Diagnosis, Finding, Program};
use super::{command, described, diagnosis, fault, finding, instead, send};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

/// What a command came to, what a shell expects then, and what the program ended with.
struct Case {
    words: String,
    number: i32,
    expected: i32,
    ended: Ended,
}

/// Compares exit codes of all kinds.
pub fn judge(program: &Program) -> Result<(), Finding> {
    let exits = [0, 1, random(2, 99), random(126, 254), 255].map(|status| {
        let script = format!("exit {status}");
        let ended = ended(&mut Run::start(&mut command(program, &["sh", "-c", &script])))?;
        let (number, words) = (status as i32, format!("exits with {status}"));
        Ok(Case { words, number, expected: number, ended })
    });
    let exits = exits.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut deaths = vec![killed(program)?];
    forbid_core_dumps();
    for fault in fault::all() {
        let path = fault.write();
        let path = path.to_string_lossy();
        let ended = run(&mut command(program, &[&path])).ok_or_else(no_end)?;
        let words = format!("is ended by signal {}", fault.signal);
        deaths.push(Case { words, number: fault.signal, expected: 128 + fault.signal, ended });
    }
    let is_wrong = |case: &&Case| case.ended.code != case.expected;
    let Some(wrong) = exits.iter().chain(&deaths).find(is_wrong) else { return Ok(()) };
    Err(finding(
        format!("a command {}, and the program ends with {}", wrong.words, wrong.expected),
        described(&wrong.ended),
        "scripts decide by this number: `&&`, `set -e`, every CI",
        diagnose(&exits, &deaths),
    ))
}

/// With a limit of 1, and not with 0, no handler of core dumps is called on the host: core(5). It
/// fails where the limit is 0 already and this root may raise none, as below sudo in a container:
/// then there may be such a call, which harms nobody.
fn forbid_core_dumps() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 1, 1);
}

fn ended(run: &mut Run) -> Result<Ended, Finding> {
    run.end().ok_or_else(no_end)
}

fn no_end() -> Finding {
    let seen = "the program still runs two seconds after it was started";
    finding("the program ends when its command has ended", seen, "a shell waits for it", None)
}

/// PID 1 can be killed from outside.
fn killed(program: &Program) -> Result<Case, Finding> {
    let mut run = Run::start(&mut command(program, &["sleep", "1000"]));
    let Some(sleeper) = run.until(|pid| find("sleep", pid)) else {
        let expected = "the command `sleep` runs";
        return Err(finding(expected, instead(&mut run), "only what runs can be killed", None));
    };
    send(sleeper, Signal::SIGKILL);
    let words = "is ended by signal 9".to_owned();
    Ok(Case { words, number: 9, expected: 137, ended: ended(&mut run)? })
}

fn diagnose(exits: &[Case], deaths: &[Case]) -> Option<Diagnosis> {
    let all = |cases: &[Case], code: fn(i32) -> i32| {
        cases.iter().all(|case| case.ended.code == code(case.number) & 0xff)
    };
    let same = |cases: &[Case]| cases.iter().all(|case| case.ended.code == cases[0].ended.code);
    if exits.iter().chain(deaths).any(|case| case.ended.stderr.contains("panicked")) {
        return None;
    }
    if all(exits, |status| status) {
        // The first half is right.
        return if all(deaths, |signal| signal) {
            diagnosis(
                "signal-without-128",
                "The signal's number comes out bare. A shell takes 9 for a command that exited \
                 with 9: signals begin above 128.",
            )
        } else if all(deaths, |_| 0) {
            diagnosis(
                "killed-looks-like-success",
                "A command that was killed comes out as 0, which means that all went well. \
                 It has no status; it has a signal: 128 plus its number.",
            )
        } else if all(deaths, |signal| -signal) {
            diagnosis(
                "negative-signal",
                "The signal's number comes out negative, and one byte makes 256 - N of it. \
                 A shell says 128 + N.",
            )
        } else if same(deaths) {
            diagnosis(
                "killed-looks-like-failure",
                "Every signal comes out as one and the same code, so nobody can tell them apart. \
                 It is 128 plus the signal's number.",
            )
        } else {
            None
        };
    }
    if all(&exits[1..], |_| 0) {
        diagnosis(
            "raw-status",
            "Every status comes out as 0. The word that wait(2) fills holds the status in its \
             second byte, and the first is what you kept. `status` here is the status itself.",
        )
    } else if all(exits, |status| 128 + status) {
        diagnosis(
            "adds-128-always",
            "128 is added to a status too. Only a signal needs it: the status is the answer as it is.",
        )
    } else if same(exits) {
        diagnosis(
            "one-code-for-all",
            "Every command comes out with the same code. Its own status is the answer.",
        )
    } else {
        None
    }
}
