//! Judges chapter 00: what `xray --json` says of processes, beside what the kernel says.
//!
//! The check makes processes in namespaces that nobody could guess, and compares. Root reads the
//! truth in `/proc/PID/ns` and `/proc/PID/status`.

use super::run::{self, Ended, Run, namespace, numbers, random};
use super::{Diagnosis, Finding, Program};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
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

/// Those in which xray can be started without another `/proc`.
const PLACES: [&str; 3] = ["uts", "ipc", "net"];

/// Nobody in particular.
const ORDINARY_USER: u32 = 65534;

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

    let from_here = [one.pid, two.pid].map(|pid| -> Result<_, Finding> {
        let said = verdicts(&look(program, &[&pid.to_string()])?, &kinds)?;
        Ok((pid, truth(pid, std::process::id(), ["host", "own"], &kinds), said))
    });
    let [first, second] = from_here;
    from_the_host(&[first?, second?])?;
    from_elsewhere(program, &kinds)?;

    let pair = [one.pid.to_string(), two.pid.to_string()];
    let said = verdicts(&look(program, &[&pair[0], &pair[1]])?, &kinds)?;
    let truth = truth(one.pid, two.pid, ["same", "different"], &kinds);
    if said != truth {
        return Err(wrong_verdict(one.pid, &format!("process {}", two.pid), &truth, &said, None));
    }
    as_an_ordinary_user(program, &kinds, one.pid, two.pid)
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

fn from_the_host(looks: &[Look; 2]) -> Result<(), Finding> {
    let Some((pid, truth, said)) = looks.iter().find(|(_, truth, said)| truth != said) else {
        return Ok(());
    };
    let all = |word: &str| looks.iter().all(|(.., said)| said.values().all(|one| one == word));
    let is_alike = |said: &Verdicts| said.values().all(|one| Some(one) == said.values().next());
    let diagnosis = if all("unknown") {
        diagnosis(
            "always-an-error",
            "same_ns returns an error also where root may read both links. \
             The row's `unknown` in --json has its text: does the path name a file that is there?",
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
        (Some((kind, said)), _) => (kind, said, "itself".to_owned()),
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
            "You compare two refusals with each other, and two errors are equal. \
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
            "You keep the first number of the line. That is the PID out here; the process itself \
             knows the last one. Read the whole line.",
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
            "pid_chain returns an error where the line is there; `unknown` in --json has its text.",
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
                no_answer(&line, format!("it ended with {code} and said {:?}", stderr.trim_end()))
            })
        }
    }
}

fn no_answer(line: &str, seen: String) -> Finding {
    Finding {
        expected: format!("`{line}` prints a report"),
        seen,
        why: "what is not printed can't be compared with the kernel".into(),
        diagnosis: None,
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

fn diagnosis(id: &str, text: &str) -> Option<Diagnosis> {
    Some(Diagnosis { id: id.to_owned(), text: text.to_owned() })
}
