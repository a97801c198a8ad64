//! `cargo course` alone: where you are, and the one command to type next.

use crate::catalogue::Chapter;
use crate::choose;
use crate::course::Course;
use crate::look::{self, BOLD, DIM, GOOD, minutes, to_type};
use crate::progress::{self, Progress};
use anyhow::Result;
use std::process::ExitCode;

/// How long it takes to read a page, in minutes.
const READING: u32 = 20;

/// The two pages before the first chapter; the first leads on to the second.
const PRIMER: &str = "unix";

/// Says it.
pub fn run(course: &Course) -> Result<ExitCode> {
    let progress = progress::read(&course.checkout);
    let mut text =
        format!("\n{BOLD}Coracle{BOLD:#}: build a container runtime, chapter by chapter.\n\n");
    for chapter in &course.chapters {
        text += &row(chapter, &progress);
    }
    text.push('\n');
    text += &next(course, &progress);
    text += &format!("\n{DIM}All commands: cargo course --help{DIM:#}\n");
    look::say(&text);
    Ok(ExitCode::SUCCESS)
}

fn row(chapter: &Chapter, progress: &Progress) -> String {
    let all = chapter.exercises.len();
    let passed = passed(chapter, progress);
    let dots: String = "●".repeat(passed) + &"○".repeat(all - passed);
    let (style, word) = match passed {
        _ if passed == all => (GOOD, "done".to_owned()),
        _ => (DIM, format!("{passed} of {all}")),
    };
    let title = chapter.title.split(':').next().unwrap_or(&chapter.title);
    format!("  {}  {title:<38} {dots:<6} {style}{word}{style:#}\n", chapter.number())
}

fn passed(chapter: &Chapter, progress: &Progress) -> usize {
    chapter.exercises.iter().filter(|exercise| progress.has_passed(&exercise.name)).count()
}

fn next(course: &Course, progress: &Progress) -> String {
    let chapter = choose::current(course, progress);
    let (number, all) = (chapter.number(), chapter.exercises.len());
    let exercise = choose::next(chapter, progress);
    if passed(chapter, progress) == all {
        return format!(
            "{GOOD}You have done all chapters that there are.{GOOD:#} Look at your container:\n\n{}",
            to_type(&format!("cargo course xray {number}"))
        );
    }
    if progress.pages.is_empty() && progress.exercises.is_empty() {
        return format!(
            "{BOLD}Next{BOLD:#}: read the two pages before the first chapter, about {}.\n\n{}\n\
             You know system calls, fork and mounts, and have broken out of a chroot?\n\n{}",
            minutes(2 * READING),
            to_type(&format!("cargo course book {PRIMER}")),
            to_type(&format!("cargo course book {number}")),
        );
    }
    if passed(chapter, progress) == 0 && !progress.pages.contains(&chapter.folder) {
        return format!(
            "{BOLD}Next{BOLD:#}: read the page of chapter {number}, about {}.\n\n{}",
            minutes(READING),
            to_type(&format!("cargo course book {number}"))
        );
    }
    let which = chapter.number_of(&exercise.name).unwrap_or(1);
    format!(
        "{BOLD}Next{BOLD:#}: exercise {which} of {all} in chapter {number}, about {}.\n      {}\n      \
         It is in chapters/{}, as todo!(\"{}\").\n\n{}",
        minutes(exercise.minutes),
        exercise.title,
        chapter.folder,
        exercise.name,
        to_type(&format!("cargo course check {number} --watch"))
    )
}
