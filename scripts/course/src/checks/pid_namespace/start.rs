//! The clone: one new process, number 1 of a new namespace, and the caller where it was.

use super::super::run::{
    self, PATIENCE, Run, family, find, lives, name, namespace, numbers, random, state, status,
    until,
};
use super::super::{Diagnosis, Finding, Program};
use super::witness::{Heard, listen};
use super::{command, described, diagnosis, finding, instead, setup_order};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// A command that changes its user, and so forgets that it wanted to die with its parent.
const SLEEPER: [&str; 6] =
    ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sleep", "1000"];

const A_WORLD: &str = "a container begins with a process that is number 1 and sees no one outside";

/// Looks at a command that runs, at one that ends, at one that isn't there.
pub fn judge(program: &Program) -> Result<(), Finding> {
    let mut run = Run::start(&mut command(program, &SLEEPER));
    let sleeper = run.until(|pid| find("sleep", pid));
    let sleeper = sleeper.ok_or_else(|| not_started(&mut run))?;
    is_number_one(run.pid(), sleeper)?;
    caller_has_not_moved(run.pid())?;
    has_begun(sleeper)?;
    dies_with_us(run, sleeper)?;
    ends_with_its_command(program)?;
    cannot_be_executed(program)?;
    setup_order::judge(program)
}

fn not_started(run: &mut Run) -> Finding {
    let program = name(run.pid());
    let copies = family(run.pid()).into_iter().filter(|pid| name(*pid) == program).count();
    let diagnosis = match run.ended() {
        None if copies > 1 => diagnosis(
            "never-let-go",
            "The child is there and waits in `begin` for the parent's word. \
             The parent gives it with `ours.let_go_on()`, before it asks for the `outcome`.",
        ),
        // The end of the parent's side reached the child before the exec.
        Some(ended) if ended.stderr.is_empty() => error_lost(),
        _ => None,
    };
    finding("the command `sleep` runs, in a new process", instead(run), A_WORLD, diagnosis)
}

fn is_number_one(program: u32, command: u32) -> Result<(), Finding> {
    let expected = format!("/proc/{command}/status says NSpid: {command} 1");
    let seen = numbers(command);
    if seen == [command, 1] {
        return Ok(());
    }
    let words: Vec<String> = seen.iter().map(u32::to_string).collect();
    let ours = namespace(std::process::id(), "pid");
    let there = namespace(command, "pid");
    let seen = format!("it says NSpid: {}, and /proc/{command}/ns/pid is {there}", words.join(" "));
    let diagnosis = if command == program {
        diagnosis(
            "no-clone",
            "The caller itself has become the command. A process never changes its own PID: \
             only a child can be born as number 1. Clone, and let the child exec.",
        )
    } else if there == ours {
        diagnosis(
            "no-flag",
            "There is a child, but it was born in our own PID namespace. \
             Hand `namespaces` on to `clone3::into_namespaces`.",
        )
    } else {
        None
    };
    Err(finding(expected, seen, A_WORLD, diagnosis))
}

fn caller_has_not_moved(program: u32) -> Result<(), Finding> {
    let kinds = fs::read_dir(format!("/proc/{program}/ns")).into_iter().flatten().flatten();
    let kinds = kinds.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let ours = |kind: &str| namespace(std::process::id(), kind);
    let moved = |kind: &String| namespace(program, kind) != ours(kind);
    let Some(kind) = kinds.into_iter().find(moved) else { return Ok(()) };
    Err(finding(
        format!("the program stays where it was: /proc/{program}/ns/{kind} is {}", ours(&kind)),
        format!("it is {}", namespace(program, &kind)),
        "a program that starts a second container would start it inside the first",
        diagnosis(
            "unshare-moves-the-caller",
            "unshare(2) changes the caller: each child to come is born in the new namespace, \
             our guard too. clone3 changes nothing but the child: give it the namespaces.",
        ),
    ))
}

fn has_begun(command: u32) -> Result<(), Finding> {
    let blocked = status(command, "SigBlk");
    if blocked.bytes().all(|digit| digit == b'0') {
        return Ok(());
    }
    Err(finding(
        format!("the command begins with no signal blocked: /proc/{command}/status, SigBlk: 0"),
        format!("SigBlk: {blocked}"),
        "a command that inherits our mask never hears SIGTERM and can only be killed",
        diagnosis(
            "begin-skipped",
            "The child runs `child` without `begin` before it. `begin` waits for the parent, \
             and gives the signals back: call `begin(&theirs, child)`.",
        ),
    ))
}

fn dies_with_us(mut run: Run, sleeper: u32) -> Result<(), Finding> {
    let children = || harness::children_of(run.pid());
    let guarded = until(Duration::from_millis(200), || (children().len() > 1).then_some(()));
    run.kill();
    if until(Duration::from_secs(1), || (!lives(sleeper)).then_some(())).is_some() {
        return Ok(());
    }
    let diagnosis = match guarded {
        None => diagnosis(
            "parent-setup-skipped",
            "`parent_setup` never ran: main starts the container's guard in it. \
             Call it in the parent, with the child's PID, before the child goes on.",
        ),
        Some(()) => None,
    };
    Err(finding(
        format!("after SIGKILL to the program, nothing of the container runs: not {sleeper}"),
        format!("process {sleeper} (sleep) runs on, though the program is gone"),
        "a container that nobody runs any more is found by nobody and stopped by nobody",
        diagnosis,
    ))
}

fn ends_with_its_command(program: &Program) -> Result<(), Finding> {
    let mut run = Run::start(&mut command(program, &["true"]));
    if run.end().is_some() {
        return Ok(());
    }
    let children = harness::children_of(run.pid());
    let ended: Vec<String> =
        children.iter().filter(|child| state(**child) == Some('Z')).map(u32::to_string).collect();
    let sockets = fs::read_dir(format!("/proc/{}/fd", run.pid())).into_iter().flatten().flatten();
    let sockets = sockets.filter_map(|entry| fs::read_link(entry.path()).ok());
    let sockets = sockets.filter(|target| target.to_string_lossy().starts_with("socket:")).count();
    let diagnosis = match sockets > 1 {
        true => diagnosis(
            "holds-both-ends",
            "The parent holds both ends of the channel. `outcome` returns when the last copy of \
             the child's end closes, and yours is one: `drop(theirs)` in the parent.",
        ),
        false => None,
    };
    Err(finding(
        "`pid-namespace true` ends when `true` has ended",
        format!(
            "{} ms later the program still runs; of its children {} have ended, and it has {sockets} sockets open",
            PATIENCE.as_millis(),
            if ended.is_empty() { "none".to_owned() } else { ended.join(", ") },
        ),
        "a shell, or whoever started it, waits for ever",
        diagnosis,
    ))
}

/// Nothing there to execute (127), and something that nobody may (126).
fn cannot_be_executed(program: &Program) -> Result<(), Finding> {
    let missing = harness::random_name("no-such-command");
    let forbidden = run::folder().join(harness::random_name("no-x-bit"));
    fs::write(&forbidden, "#!/bin/sh\n").expect("the folder is ours");
    fs::set_permissions(&forbidden, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let forbidden = forbidden.to_string_lossy();
    let mut attempts = [(missing.as_str(), 127), (&*forbidden, 126)];
    attempts.rotate_left(random(0, 1) as usize);
    for (name, code) in attempts {
        let heard = listen(&mut command(program, &[name]));
        one_error_of_the_program(name, code, &heard)?;
    }
    Ok(())
}

fn one_error_of_the_program(name: &str, code: i32, heard: &Heard) -> Result<(), Finding> {
    let all: String = heard.said.iter().map(|said| said.text.as_str()).collect();
    let stranger = heard.said.iter().find(|said| said.by != heard.pid);
    let times = all.matches(name).count();
    if heard.code == Some(code) && stranger.is_none() && times == 1 {
        return Ok(());
    }
    let expected = format!(
        "`pid-namespace {name}` ends with {code}, and process {}, the program, says why, once",
        heard.pid
    );
    let why = "the child is a copy of the program: what it does wrong happens twice, as root";
    if let Some(said) = stranger {
        let diagnosis = diagnosis(
            "child-runs-parents-code",
            "The error left `start` in the child too, so a second copy of the program ran on and \
             printed it. The child must end where it began: `theirs.run(…)` never returns.",
        );
        let seen = format!("process {}, a copy of it, wrote {:?}", said.by, said.text.trim_end());
        return Err(finding(expected, seen, why, diagnosis));
    }
    let ended = run::Ended { code: heard.code.unwrap_or(-1), stdout: String::new(), stderr: all };
    let diagnosis = match (heard.code, times) {
        (None, _) | (_, 1..) => None,
        (Some(_), 0) => error_lost(),
    };
    let seen = match heard.code {
        Some(_) => described(&ended),
        None => "it had to be killed after two seconds".to_owned(),
    };
    Err(finding(
        expected,
        seen,
        "an error that nobody hears is looked for in the wrong place",
        diagnosis,
    ))
}

fn error_lost() -> Option<Diagnosis> {
    diagnosis(
        "error-lost",
        "`start` returned before the child had said how it went: it could not exec, and nobody \
         heard why. Its answer is in the channel: wait for it with `ours.outcome()?`.",
    )
}
