//! Exercise 1: whose are the namespaces of a process?

use super::{KINDS, Sleeper, Verdicts, answer, diagnosis, look, verdicts};
use crate::checks::run::{namespace, random};
use crate::checks::{Diagnosis, Finding, Program};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Those in which xray can be started without another `/proc`.
const PLACES: [&str; 3] = ["uts", "ipc", "net"];

/// Nobody in particular.
const ORDINARY_USER: u32 = 65534;

/// Judges `same_ns`.
///
/// # Errors
/// What the program says is not what the kernel says.
pub fn same_ns(program: &Program) -> Result<(), Finding> {
    let kinds: Vec<&str> = KINDS
        .iter()
        .map(|(kind, _)| *kind)
        .filter(|kind| !namespace(std::process::id(), kind).is_empty()) // an old kernel has fewer
        .collect();
    let (some, others) = halves(&kinds);
    let (one, two) = (Sleeper::with_own(&some), Sleeper::with_own(&others));

    let mut reason = None;
    let from_here = [one.pid, two.pid].map(|pid| -> Result<_, Finding> {
        let report = look(program, &[&pid.to_string()])?;
        let said = verdicts(&report, &kinds)?;
        reason = report["rows"][kinds[0]]["unknown"].as_str().map(str::to_owned);
        Ok((pid, truth(pid, std::process::id(), ["host", "own"], &kinds), said))
    });
    let [first, second] = from_here;
    from_the_host(&[first?, second?], reason.as_deref())?;
    from_elsewhere(program, &kinds)?;

    let pair = [one.pid.to_string(), two.pid.to_string()];
    let said = verdicts(&look(program, &[&pair[0], &pair[1]])?, &kinds)?;
    let truth = truth(one.pid, two.pid, ["same", "different"], &kinds);
    if said != truth {
        let beside = format!("process {}", two.pid);
        let diagnosis = match said == beside_xray(one.pid, &kinds) {
            true => diagnosis(
                "compares-with-itself",
                "You compare with the process that looks. That is right only where xray passes its \
                 own PID: the other process is `other`.",
            ),
            false => None,
        };
        return Err(wrong_verdict(one.pid, &beside, &truth, &said, diagnosis));
    }
    as_an_ordinary_user(program, &kinds, one.pid, two.pid)
}

/// What is true of a process beside us, and beside an xray that we have started.
fn beside_xray(pid: u32, kinds: &[&'static str]) -> Verdicts {
    truth(pid, std::process::id(), ["same", "different"], kinds)
}

/// Two halves of the kinds, each at random, neither of them empty: every kind is once own and
/// once shared.
fn halves<'a>(kinds: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let bits = random(1, (1 << kinds.len()) - 2);
    let chosen = |index: usize| bits & (1 << index) != 0;
    let half = |wanted: bool| {
        let kinds = kinds.iter().enumerate().filter(|(index, _)| chosen(*index) == wanted);
        kinds.map(|(_, kind)| *kind).collect()
    };
    (half(true), half(false))
}

/// What the kernel says of two processes: `words` are those for shared and for not.
fn truth(pid: u32, other: u32, words: [&str; 2], kinds: &[&'static str]) -> Verdicts {
    let is_same = |kind| namespace(pid, kind) == namespace(other, kind);
    let verdict = |kind| if is_same(kind) { words[0] } else { words[1] };
    kinds.iter().map(|kind| (*kind, verdict(kind).to_owned())).collect()
}

type Look = (u32, Verdicts, Verdicts);

fn from_the_host(looks: &[Look; 2], reason: Option<&str>) -> Result<(), Finding> {
    let Some((pid, truth, said)) = looks.iter().find(|(_, truth, said)| truth != said) else {
        return Ok(());
    };
    let all = |word: &str| looks.iter().all(|(.., said)| said.values().all(|one| one == word));
    let is_alike = |said: &Verdicts| said.values().all(|one| Some(one) == said.values().next());
    let diagnosis = if all("unknown") {
        diagnosis(
            "always-an-error",
            format!(
                "same_ns returns an error also where root may read both links{}. \
                 Is there such a path? What it leads to can't be read; ask for its metadata, \
                 or read the link itself.",
                reason.map_or(String::new(), |reason| format!(": {reason:?}"))
            ),
        )
    } else if all("host") {
        diagnosis(
            "always-the-same",
            "Your answer is \"the same\" for every process and every kind. \
             Do both sides of the comparison read one process? Does the path hold the PID and the kind?",
        )
    } else if all("own") {
        diagnosis(
            "always-different",
            "Your answer is \"different\" even for what both share. \
             Compare what lies behind the links, not the paths, which differ by the PID.",
        )
    } else if looks.iter().all(|(.., said)| is_alike(said)) {
        diagnosis(
            "one-kind-for-all",
            "All rows of one process have the same answer, so you look at one kind only. \
             The kind is the first parameter, and a part of the path.",
        )
    } else if looks.iter().all(|(_, truth, said)| is_opposite(truth, said)) {
        diagnosis("upside-down", "Each answer is the opposite of what is true: == or !=?")
    } else {
        None
    };
    Err(wrong_verdict(*pid, "the check, where xray was started", truth, said, diagnosis))
}

fn is_opposite(truth: &Verdicts, said: &Verdicts) -> bool {
    truth.iter().all(|(kind, truth)| said[kind] != *truth && said[kind] != "unknown")
}

/// "Host" is where xray stands, and not where PID 1 does.
fn from_elsewhere(program: &Program, kinds: &[&'static str]) -> Result<(), Finding> {
    let bits = random(1, (1 << PLACES.len()) - 1);
    let place: Vec<&str> =
        (0..PLACES.len()).filter(|i| bits & (1 << i) != 0).map(|i| PLACES[i]).collect();
    let there = Sleeper::with_own(&place);
    let pid = there.pid.to_string();
    let mut command = Command::new("nsenter");
    let options = KINDS.iter().filter(|(kind, _)| place.contains(kind));
    command.args(["--target", &pid]).args(options.map(|(_, option)| option)).arg(&program.path);
    let said = verdicts(&answer(&mut command, &[&pid])?, kinds)?;
    let expected: Verdicts = kinds.iter().map(|kind| (*kind, "host".to_owned())).collect();
    if said == expected {
        return Ok(());
    }
    let diagnosis = match said == truth(there.pid, 1, ["host", "own"], kinds) {
        true => diagnosis(
            "compares-with-pid-1",
            "You compare with PID 1. The other process is `other`, the second PID that you are \
             given: xray passes its own.",
        ),
        false => None,
    };
    let beside = format!("xray, started in its {} namespace", place.join(", "));
    Err(wrong_verdict(there.pid, &beside, &expected, &said, diagnosis))
}

/// Who may not read a link must not be told what it says.
fn as_an_ordinary_user(
    program: &Program,
    kinds: &[&'static str],
    one: u32,
    two: u32,
) -> Result<(), Finding> {
    let look = |pids: &[&str]| {
        let mut command = Command::new(&program.path);
        verdicts(&answer(command.uid(ORDINARY_USER).gid(ORDINARY_USER), pids)?, kinds)
    };
    let (one, two) = (one.to_string(), two.to_string());
    let (beside_host, beside_other) = (look(&[&one])?, look(&[&one, &two])?);
    let wrong = |said: &Verdicts| {
        said.iter().find(|(_, said)| *said != "unknown").map(|(kind, said)| (*kind, said.clone()))
    };
    let (kind, said, against) = match (wrong(&beside_host), wrong(&beside_other)) {
        (None, None) => return Ok(()),
        (Some((kind, said)), _) => (kind, said, "xray itself".to_owned()),
        (None, Some((kind, said))) => (kind, said, format!("process {two}")),
    };
    let guess = |said: &Verdicts, word: &str| said.values().any(|one| one == word);
    let diagnosis = if guess(&beside_host, "host") {
        diagnosis(
            "refusal-is-host",
            "Where the kernel refuses, you say \"the same\". An error has to leave same_ns as an \
             error: `?` before you compare, no unwrap_or, no default.",
        )
    } else if guess(&beside_other, "same") {
        diagnosis(
            "two-refusals-compared",
            "You take a refusal for an answer, such as an empty text, and compare that. \
             Let each error leave same_ns with `?` before anything is compared.",
        )
    } else {
        diagnosis(
            "refusal-is-own",
            "Where the kernel refuses, you say \"different\". An error has to leave same_ns as an \
             error: `?` before you compare, no unwrap_or, no is_ok_and.",
        )
    };
    Err(Finding {
        expected: format!(
            "user {ORDINARY_USER} looks at process {one} of root's, and each row says unknown"
        ),
        seen: format!(
            "compared with {against}, the row {kind} says {said}; reading \
             /proc/{one}/ns/{kind} as that user fails with EACCES"
        ),
        why: "a tool that guesses calls a container safe, or broken, that it has never seen".into(),
        diagnosis,
    })
}

fn wrong_verdict(
    pid: u32,
    beside: &str,
    truth: &Verdicts,
    said: &Verdicts,
    diagnosis: Option<Diagnosis>,
) -> Finding {
    let wrong: Vec<&str> = truth
        .iter()
        .filter(|(kind, truth)| said[*kind] != **truth)
        .map(|(kind, _)| *kind)
        .collect();
    let row = wrong[0];
    let more = match wrong.len() {
        1 => String::new(),
        _ => format!("; {} are wrong too", wrong[1..].join(", ")),
    };
    Finding {
        expected: format!("process {pid} beside {beside}: the row {row} says {}", truth[row]),
        seen: format!(
            "it says {}, and /proc/{pid}/ns/{row} is {}{more}",
            said[row],
            namespace(pid, row)
        ),
        why: "every later chapter looks at its container through these rows".into(),
        diagnosis,
    }
}
