//! `cargo course hint`: the next of three hints.

use crate::choose;
use crate::course::Course;
use crate::look::{self, TODO, labelled, to_type};
use crate::progress;
use anyhow::Result;
use std::process::ExitCode;

/// Show the next hint: a nudge, the mechanism, nearly there
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo course hint              for the next exercise of the chapter you are in
  cargo course hint 01           for the next exercise of chapter 01
  cargo course hint 01 2         for its second exercise; pid_wait is the same
  cargo course hint 01 2 --again
                                 those that you have seen")]
pub struct Arguments {
    /// The chapter, or an exercise by its name
    chapter: Option<String>,
    /// The exercise: its number in the chapter, or its name
    exercise: Option<String>,
    /// Show again those that you have seen, and no new one
    #[arg(long)]
    again: bool,
}

/// Shows it.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    let progress = progress::read(&course.checkout);
    let (chapter, named) = (arguments.chapter.as_deref(), arguments.exercise.as_deref());
    let (chapter, exercise) = choose::exercise(course, chapter, named, &progress)?;
    let number = chapter.number_of(&exercise.name).unwrap_or_default();
    let seen = progress.of(&exercise.name).hints.min(3);
    let shown = match seen {
        _ if arguments.again => 0..seen,
        3 => 0..3,
        _ => seen..seen + 1,
    };
    let mut text = look::title(chapter, exercise);
    for index in shown.clone() {
        text += &labelled(&format!("hint {} of 3", index + 1), &exercise.hints[index], TODO);
    }
    if shown.is_empty() {
        text += "  You have seen no hint of this exercise yet.\n";
    }
    text += &what_then(chapter.number(), number, seen.max(shown.end));
    look::say(&text);
    progress::keep(&course.checkout, |progress| {
        let known = progress.change(&exercise.name);
        known.hints = known.hints.max(shown.end);
    });
    Ok(ExitCode::SUCCESS)
}

fn what_then(chapter: &str, exercise: usize, seen: usize) -> String {
    match seen {
        3 => format!(
            "\nThat was the last. If nothing helps, look at the solution:\n\n{}",
            to_type(&format!("cargo course solution {chapter} {exercise} --spoil"))
        ),
        _ => format!(
            "\nThe next one:\n\n{}",
            to_type(&format!("cargo course hint {chapter} {exercise}"))
        ),
    }
}
