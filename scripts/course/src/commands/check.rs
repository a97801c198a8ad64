//! `cargo course check`: builds the learner's program and lets the kernel judge it.

mod json;
mod report;

use crate::build::{self, Built};
use crate::catalogue::{Chapter, Exercise};
use crate::checks::PROGRAM;
use crate::course::Course;
use crate::judge::{self, Line};
use crate::progress::{self, Pass, Progress};
use crate::verdict::{self, State, Verdict};
use crate::{choose, holes, look, root, starters};
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  cargo course check                 the chapter that you are in
  cargo course check 01              chapter 01
  cargo course check 01 --watch      again, each time you save
  cargo course check 01 --bin ./a.out
                                     a program of yours in another language

Exit status: 0 all exercises passed, 1 not all did, 2 the check could not begin.";

/// Judge what you wrote: the kernel decides
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", json::SHAPE))]
pub struct Arguments {
    /// Such as 01, 1 or pid-namespace [default: the one you are in]
    chapter: Option<String>,
    /// Check again each time you save; Ctrl-C ends it
    #[arg(long, conflicts_with_all = ["json", "bin"])]
    watch: bool,
    /// Judge this program in place of the one in chapters/
    #[arg(long, value_name = "PATH")]
    bin: Option<PathBuf>,
    /// Without the sandbox: a mistake of your program hits this machine
    #[arg(long)]
    bare: bool,
    /// Print one JSON object; `--help` describes it
    #[arg(long)]
    json: bool,
}

/// What a check has found out.
pub struct Checked<'a> {
    /// The chapter.
    pub chapter: &'a Chapter,
    /// `None` if it does not compile.
    pub verdicts: Option<Vec<Verdict<'a>>>,
}

impl Checked<'_> {
    fn has_passed(&self) -> bool {
        let verdicts = self.verdicts.as_deref().unwrap_or_default();
        !verdicts.is_empty() && verdicts.iter().all(|verdict| verdict.state == State::Passed)
    }
}

/// Checks once, or each time something is saved.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    let progress = progress::read(&course.checkout);
    let chapter = choose::chapter(course, arguments.chapter.as_deref(), &progress)?;
    if arguments.watch {
        return watch(arguments, course, chapter);
    }
    let checked = check(arguments, course, chapter)?;
    match arguments.json {
        true => look::say(&(json::of(&checked, arguments)? + "\n")),
        false => show(&checked, course, arguments),
    }
    Ok(ExitCode::from(u8::from(!checked.has_passed())))
}

/// Shows it, and remembers that with a failure comes the first hint.
fn show(checked: &Checked, course: &Course, arguments: &Arguments) {
    let progress = progress::read(&course.checkout);
    look::say(&report::of(checked, course, arguments.bin.as_deref(), &progress));
    let verdicts = checked.verdicts.as_deref().unwrap_or_default();
    let Some(verdict) = verdicts.iter().find(|verdict| verdict.state == State::Failed) else {
        return;
    };
    progress::keep(&course.checkout, |progress| {
        let known = progress.change(&verdict.exercise.name);
        known.hints = known.hints.max(1);
    });
}

fn watch(arguments: &Arguments, course: &Course, chapter: &Chapter) -> Result<ExitCode> {
    loop {
        let before = starters::fingerprint(course, chapter);
        if look::is_watched() {
            look::say("\x1b[2J\x1b[3J\x1b[H"); // clears the screen, the cursor goes home
        }
        match check(arguments, course, chapter) {
            Ok(checked) => show(&checked, course, arguments),
            Err(error) => crate::report(&error),
        }
        look::say("\nWaiting until you save. Ctrl-C ends.\n");
        while starters::fingerprint(course, chapter) == before {
            sleep(Duration::from_millis(200));
        }
        sleep(Duration::from_millis(100)); // an editor may write more than one file
    }
}

fn check<'a>(
    arguments: &Arguments,
    course: &'a Course,
    chapter: &'a Chapter,
) -> Result<Checked<'a>> {
    let sources = starters::fingerprint(course, chapter);
    let program = match &arguments.bin {
        Some(path) => program_at(path)?,
        None => match build::program(course, chapter)? {
            Built::Program(path) => path,
            Built::DoesNotCompile => return Ok(Checked { chapter, verdicts: None }),
        },
    };
    let text = match arguments.bin {
        Some(_) => String::new(), // whatever it was made of
        None => starters::sources(&course.starter(chapter))?.into_values().collect(),
    };
    let is_open = |name: &str| holes::is_open(&text, name);
    let wanted = verdict::to_judge(chapter, is_open);
    let lines = match wanted.is_empty() {
        true => Vec::new(),
        false => judge(arguments, course, &program, chapter, &wanted)?,
    };
    let verdicts = verdict::of(chapter, is_open, &lines);
    if arguments.bin.is_none() && sources == starters::fingerprint(course, chapter) {
        remember(course, &verdicts, &sources);
    }
    Ok(Checked { chapter, verdicts: Some(verdicts) })
}

fn program_at(path: &Path) -> Result<PathBuf> {
    let full = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
    let mode = full.metadata().map_or(0, |metadata| metadata.permissions().mode());
    let is_program = full.is_file() && mode & 0o111 != 0;
    ensure!(is_program, "{} is no program that can be executed", path.display());
    Ok(full)
}

/// Asks the judge, which runs as root. If it can't, each exercise says why it was not run.
fn judge(
    arguments: &Arguments,
    course: &Course,
    program: &Path,
    chapter: &Chapter,
    exercises: &[&Exercise],
) -> Result<Vec<Line>> {
    let not_run = |exercise: &Exercise, reason: &str| Line::not_run(&exercise.name, reason);
    if let Err(reason) = root::ask(course) {
        return Ok(exercises.iter().map(|exercise| not_run(exercise, &reason)).collect());
    }
    let mut command = root::command(course);
    command.arg("env").arg(in_environment(program));
    command.arg(std::env::current_exe().context("cannot tell where cargo-course is")?);
    command.args(["judge", "--caller", &std::process::id().to_string()]);
    if arguments.bare {
        look::remark(
            "--bare: no sandbox. What your program does, mounts aside, it does to this machine, as root.",
        );
        command.arg("--bare");
    }
    command.args(exercises.iter().map(|exercise| judge::named(chapter, exercise)));
    command.current_dir(&course.checkout).stdin(Stdio::null());
    let output = command.output().context("cannot run scripts/as-root")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<Line> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let said = String::from_utf8_lossy(&output.stderr);
    if lines.len() < exercises.len() {
        let reason = said.lines().last().unwrap_or("the judge was ended");
        let is_missing = |one: &&&Exercise| lines.iter().all(|line| line.exercise != one.name);
        let missing = exercises.iter().filter(is_missing);
        let missing: Vec<Line> = missing.map(|one| not_run(one, reason)).collect();
        return Ok(lines.into_iter().chain(missing).collect());
    }
    for line in said.lines() {
        look::remark(line);
    }
    Ok(lines)
}

fn in_environment(program: &Path) -> std::ffi::OsString {
    let mut setting = std::ffi::OsString::from(format!("{PROGRAM}="));
    setting.push(program);
    setting
}

fn remember(course: &Course, verdicts: &[Verdict], sources: &str) {
    let pass = Pass { at: progress::now(), sources: sources.to_owned() };
    progress::keep(&course.checkout, |progress: &mut Progress| {
        for verdict in verdicts {
            let known = progress.of(&verdict.exercise.name);
            match verdict.state {
                State::Passed => {
                    let known = progress.change(&verdict.exercise.name);
                    known.lapsed = false;
                    if known.passed.as_ref().is_none_or(|known| known.sources != pass.sources) {
                        known.passed = Some(pass.clone());
                    }
                }
                State::Failed | State::Open if known.passed.is_some() => {
                    progress.change(&verdict.exercise.name).lapsed = true;
                }
                _ => {}
            }
        }
    });
}
