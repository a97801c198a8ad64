//! `cargo course list`: all exercises, and which have passed.

use crate::catalogue::{Chapter, Exercise};
use crate::course::Course;
use crate::holes;
use crate::look::{self, BOLD, DIM, GOOD, TODO};
use crate::progress::{self, Progress};
use crate::starters;
use anyhow::Result;
use std::process::ExitCode;

/// Show all exercises, and which have passed
#[derive(clap::Args)]
#[command(after_help = "\
Example: cargo course list

It shows what the last check found. \"changed since\" means that you have edited
the chapter after that: check again to be sure.")]
pub struct Arguments {}

/// Lists them.
pub fn run(course: &Course) -> Result<ExitCode> {
    let progress = progress::read(&course.checkout);
    let mut text = String::new();
    for chapter in &course.chapters {
        text += &format!("\n{BOLD}{}{BOLD:#}  {}\n", chapter.folder, chapter.title);
        let now = starters::fingerprint(course, chapter);
        let sources = starters::sources(&course.starter(chapter)).unwrap_or_default();
        let code: String = sources.into_values().collect();
        for exercise in &chapter.exercises {
            let is_open = holes::is_open(&code, &exercise.name);
            text += &row(chapter, exercise, is_open, &progress, &now);
        }
    }
    look::say(&text);
    Ok(ExitCode::SUCCESS)
}

fn row(
    chapter: &Chapter,
    exercise: &Exercise,
    is_open: bool,
    progress: &Progress,
    now: &str,
) -> String {
    let known = progress.of(&exercise.name);
    let (style, word) = match &known.passed {
        Some(_) if !is_open && !known.lapsed => (GOOD, "✓ passed"),
        _ => (TODO, "○ to do "),
    };
    let mut more = vec![format!("{} min", exercise.minutes)];
    match &known.passed {
        Some(_) if is_open || known.lapsed => more.push("passed once".to_owned()),
        Some(pass) if pass.sources != now => more.push("changed since".to_owned()),
        _ => {}
    }
    if known.hints > 0 {
        more.push(format!("{} of 3 hints", known.hints.min(3)));
    }
    if known.spoiled {
        more.push("solution seen".to_owned());
    }
    let number = chapter.number_of(&exercise.name).unwrap_or_default();
    format!(
        "  {style}{word}{style:#}  {number}  {:<36}  {DIM}{}{DIM:#}\n",
        exercise.title,
        more.join(", ")
    )
}
