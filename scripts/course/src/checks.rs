//! The checks: one function an exercise, run in the sandbox, asking the kernel.
//!
//! A check is given a program, any program, and nothing else: it does not know whether the source
//! is a solution, a starter or another language. It starts it with values that no one could have
//! guessed, and looks at what the kernel says of it from outside.

pub mod mount_namespace;
pub mod pid_namespace;
mod powers;
mod run;
pub mod xray;

use serde::{Deserialize, Serialize};
use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// The environment variable that names the program to be judged.
pub const PROGRAM: &str = "COURSE_PROGRAM";

/// The program under judgement.
pub struct Program {
    /// A copy in the sandbox, which every user can execute.
    pub path: PathBuf,
}

/// Why a program has not passed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// What should be, with the values of this run: "the process is PID 1 in its namespace".
    pub expected: String,
    /// What the kernel shows instead, and where: "/proc/12/status says NSpid: 12".
    pub seen: String,
    /// Why it matters: what would go wrong with such a container.
    pub why: String,
    /// What is probably wrong with this learner's code, if the check could tell.
    pub diagnosis: Option<Diagnosis>,
}

/// What the state that was seen says of the code that made it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Diagnosis {
    /// A name for the mistake, the same in the catalogue of wrong answers: `no-clone`.
    pub id: String,
    /// "Your child is PID 1, but its /proc is the host's: mount proc after the clone."
    pub text: String,
}

/// A check: `Ok` is passed.
pub type Check = fn(&Program) -> Result<(), Finding>;

/// Lists the checks for the sandbox; each is called as the hole of its exercise. After the chapter
/// stands what its programs keep of the powers that the others lose.
macro_rules! all {
    ($($chapter:ident, $powers:ident: $($exercise:ident $(=> $seconds:literal)?),+;)+) => {
        /// Every check of the course, each a task for the sandbox by the name of its exercise.
        pub static ALL: &[harness::Test] = &[$($(harness::Test {
            name: stringify!($exercise),
            function: || judge($chapter::$exercise, powers::$powers),
            time_limit: harness::seconds(&[30 $(, $seconds)?]),
        }),+),+];
    };
}

all! {
    xray, TO_LOOK: same_ns, pid_chain;
    pid_namespace, NONE: pid_start, pid_wait, pid_reap;
    mount_namespace, NONE: root_private, root_proc, bind_ro, root_pivot;
}

/// Runs one check in the sandbox and throws what it found to whoever judges.
fn judge(check: Check, kept: rustix::thread::CapabilitySet) {
    powers::take_away_all_but(kept);
    let named = std::env::var_os(PROGRAM).expect("the judge names a program");
    let named = Path::new(&named);
    let path = std::env::temp_dir().join(named.file_name().expect("a program is a file"));
    fs::copy(named, &path).expect("the program can be copied");
    let program = Program { path };
    match catch_unwind(AssertUnwindSafe(|| check(&program))) {
        Ok(Ok(())) => {}
        Ok(Err(finding)) => fail(&finding),
        Err(thrown) => match words_of(&*thrown) {
            Some(message) => broken(message),
            None => resume_unwind(thrown), // the harness's own: "not run", "failed"
        },
    }
}

/// What a panic says.
fn words_of(thrown: &(dyn Any + Send)) -> Option<&str> {
    let text = thrown.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| thrown.downcast_ref::<&str>().copied())
}

fn fail(finding: &Finding) -> ! {
    harness::fail_with(serde_json::to_string(finding).expect("a finding is plain text"))
}

/// What to say of a program that has panicked, unless at a hole: those say so themselves.
fn panicked(said: &str) -> Option<Diagnosis> {
    let is_panic = said.contains(" panicked at ") && !said.contains("not yet implemented: ");
    is_panic.then(|| Diagnosis {
        id: "panicked".to_owned(),
        text: "Your code has panicked, at the line that the message names: it unwraps what may \
               not be there, or counts too far. Where something can fail, hand that on with `?`."
            .to_owned(),
    })
}

/// What a program said of its panic: where, and what.
fn words_of_panic(said: &str) -> String {
    let lines = said.lines().skip_while(|line| !line.contains(" panicked at "));
    lines.take(2).collect::<Vec<_>>().join(" ")
}

/// Fails the exercise because its check could not go on.
fn broken(message: &str) -> ! {
    fail(&Finding {
        expected: "the check can do its work".to_owned(),
        seen: format!("it had to give up: {message}"),
        why: "your program has removed, filled or ended what the check needs; if it has not, the \
              mistake is in the check: please report it"
            .to_owned(),
        diagnosis: None,
    })
}

/// Fails the exercise because the kernel refuses to execute a program: it is none, or it is for
/// another kind of machine.
fn cannot_start(command: &std::process::Command, error: &std::io::Error) -> ! {
    let program = command.get_program().to_string_lossy();
    fail(&Finding {
        expected: "a program that this machine can execute".to_owned(),
        seen: format!("execve(2) of {program} says: {error}"),
        why: "before there is a process, there is nothing to judge".to_owned(),
        diagnosis: None,
    })
}
