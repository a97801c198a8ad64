//! `cargo course solution`: one way to write it.

use crate::catalogue::{Chapter, Exercise};
use crate::choose;
use crate::course::Course;
use crate::look::{self, DIM, paragraph, to_type};
use crate::{progress, starters};
use anyhow::{Context, Result};
use std::process::ExitCode;

/// Show the solution of an exercise: sealed until yours has passed
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo course solution 01 2           if you have passed it
  cargo course solution 01             all of them, if all have passed
  cargo course solution 01 2 --spoil   if you have not, and want to all the same

The seal is an agreement between you and yourself, not a lock: all solutions
lie open in solutions/, since they are the runtime that the chapters build.")]
pub struct Arguments {
    /// The chapter, or an exercise by its name
    chapter: Option<String>,
    /// The exercise: its number in the chapter, or its name
    exercise: Option<String>,
    /// Break the seal
    #[arg(long)]
    spoil: bool,
}

/// Shows it, or says why not.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    let progress = progress::read(&course.checkout);
    let (first, second) = (arguments.chapter.as_deref(), arguments.exercise.as_deref());
    let (chapter, next) = choose::exercise(course, first, second, &progress)?;
    let is_one = second.is_some() || first.is_some_and(|name| name == next.name);
    let is_done = chapter.exercises.iter().all(|one| progress.of(&one.name).passed.is_some());
    if is_done && !is_one {
        for exercise in &chapter.exercises {
            look::say(&(look::title(chapter, exercise) + &written(course, chapter, exercise)?));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let known = progress.of(&next.name);
    if known.passed.is_none() && !known.spoiled && !arguments.spoil {
        look::say(&(look::title(chapter, next) + &sealed(chapter, next)));
        return Ok(ExitCode::FAILURE);
    }
    look::say(&(look::title(chapter, next) + &written(course, chapter, next)?));
    if known.passed.is_none() {
        progress::keep(&course.checkout, |progress| progress.change(&next.name).spoiled = true);
    }
    Ok(ExitCode::SUCCESS)
}

fn written(course: &Course, chapter: &Chapter, exercise: &Exercise) -> Result<String> {
    let places = starters::places(course, chapter)?;
    let place = places.into_iter().find(|place| place.hole.name == exercise.name);
    let starters::Place { file, hole } = place.context("the solution has no such hole")?;
    let code: String = hole.code.lines().map(|line| format!("    {line}\n")).collect();
    let at = format!("solutions/{}/{}:{}", chapter.folder, file.display(), hole.line);
    Ok(format!("{code}\n{DIM}One way of several. It stands in {at}{DIM:#}\n"))
}

fn sealed(chapter: &Chapter, exercise: &Exercise) -> String {
    let exercise = chapter.number_of(&exercise.name).unwrap_or(1);
    let chapter = chapter.number();
    let mut text = paragraph(
        "Sealed until your own code has passed. That is an agreement and not a lock: the file lies \
         open in solutions/. What you find out yourself stays with you longer. A hint may be \
         enough:",
        2,
    );
    text += &format!("\n{}", to_type(&format!("cargo course hint {chapter} {exercise}")));
    text += "\n  And if not:\n\n";
    text + &to_type(&format!("cargo course solution {chapter} {exercise} --spoil"))
}
