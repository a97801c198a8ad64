//! `cargo course diff`: what the learner has changed.

use crate::catalogue::Chapter;
use crate::choose;
use crate::course::Course;
use crate::look::{self, BAD, BOLD, DIM, GOOD};
use crate::starters::{self, Files};
use crate::{holes, progress};
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// Show what you have changed in a chapter
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo course diff 01              beside the starter
  cargo course diff 01 --solution   beside the solution, once you have passed")]
pub struct Arguments {
    /// Such as 01, 1 or pid-namespace [default: the one you are in]
    chapter: Option<String>,
    /// Beside the solution: sealed until the chapter has passed
    #[arg(long)]
    solution: bool,
    /// Break that seal
    #[arg(long, requires = "solution")]
    spoil: bool,
}

/// Shows it.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    let progress = progress::read(&course.checkout);
    let chapter = choose::chapter(course, arguments.chapter.as_deref(), &progress)?;
    let known = |name: &str| progress.of(name);
    let is_sealed = chapter
        .exercises
        .iter()
        .any(|one| known(&one.name).passed.is_none() && !known(&one.name).spoiled);
    if arguments.solution && is_sealed && !arguments.spoil {
        let number = chapter.number();
        bail!(
            "the solution of chapter {number} is sealed until all its exercises have passed\n\
             hint: that is an agreement, not a lock: cargo course diff {number} --solution --spoil"
        );
    }
    let (word, other) = match arguments.solution {
        true => ("solution", solution(course, chapter)?),
        false => ("starter", starters::of(course, chapter)?),
    };
    let text = compare(word, &other, course, chapter)?;
    match text.is_empty() {
        true => {
            look::say(&format!("Your chapter {} is the {word}, word for word.\n", chapter.number()))
        }
        false => look::say(&text),
    }
    if arguments.spoil {
        progress::keep(&course.checkout, |progress| {
            for exercise in &chapter.exercises {
                let known = progress.change(&exercise.name);
                known.spoiled |= known.passed.is_none();
            }
        });
    }
    Ok(ExitCode::SUCCESS)
}

/// The starter with the solution's code in its holes.
fn solution(course: &Course, chapter: &Chapter) -> Result<Files> {
    let mut files = starters::of(course, chapter)?;
    for (path, text) in starters::sources(&course.solution(chapter))? {
        files.insert(path, holes::fill_in(&text, |name| chapter.number_of(name))?);
    }
    Ok(files)
}

fn compare(word: &str, other: &Files, course: &Course, chapter: &Chapter) -> Result<String> {
    let folder = course.starter(chapter);
    let yours = starters::sources(&folder)?;
    let mut paths: Vec<&Path> =
        other.keys().chain(yours.keys()).map(|path| path.as_path()).collect();
    paths.sort();
    paths.dedup();
    let mut text = String::new();
    for path in paths {
        let before = other.get(path).map(String::as_str).unwrap_or_default();
        let after = std::fs::read_to_string(folder.join(path)).unwrap_or_default();
        if before != after {
            let names = [format!("{word}/{}", path.display()), format!("yours/{}", path.display())];
            text += &coloured(&unified(&names, before, &after)?);
        }
    }
    Ok(text)
}

/// What diff(1) says of two texts.
fn unified(names: &[String; 2], before: &str, after: &str) -> Result<String> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let file = folder.path().join("before");
    std::fs::write(&file, before).with_context(|| format!("cannot write {}", file.display()))?;
    let mut diff = Command::new("diff")
        .args(["-u", "--label", &names[0], "--label", &names[1]])
        .arg(&file)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run diff\nhint: install diffutils")?;
    let mut stdin = diff.stdin.take().context("diff has no input")?;
    let after = after.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(after.as_bytes()));
    let output = diff.wait_with_output().context("cannot run diff")?;
    let _ = writer.join();
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn coloured(text: &str) -> String {
    let line = |line: &str| {
        let style = match line.chars().next() {
            _ if line.starts_with("---") || line.starts_with("+++") => BOLD,
            Some('+') => GOOD,
            Some('-') => BAD,
            Some('@') => DIM,
            _ => return format!("{line}\n"),
        };
        format!("{style}{line}{style:#}\n")
    };
    text.lines().map(line).collect()
}
