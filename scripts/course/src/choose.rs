//! Understands which chapter and which exercise are meant.

use crate::catalogue::{Chapter, Exercise};
use crate::course::Course;
use crate::progress::Progress;
use anyhow::{Context, Result, bail};
use std::env;

/// The chapter that `argument` names: `01`, `1`, `01-pid-namespace` or `pid-namespace`. Without
/// one: the chapter in whose folder we are, else the first that is not done.
///
/// # Errors
/// There is no such chapter.
pub fn chapter<'a>(
    course: &'a Course,
    argument: Option<&str>,
    progress: &Progress,
) -> Result<&'a Chapter> {
    match argument {
        Some(name) => named(&course.chapters, name).with_context(|| unknown(course, name)),
        None => Ok(around(course).unwrap_or_else(|| current(course, progress))),
    }
}

/// The chapter and exercise that two arguments name: `01 2`, `01 pid_wait`, or `pid_wait` alone.
/// Without an exercise: the first of the chapter that has not passed.
///
/// # Errors
/// There is no such chapter or exercise.
pub fn exercise<'a>(
    course: &'a Course,
    chapter: Option<&str>,
    exercise: Option<&str>,
    progress: &Progress,
) -> Result<(&'a Chapter, &'a Exercise)> {
    if let (Some(name), None) = (chapter, exercise) {
        let found = course.chapters.iter().find_map(|chapter| Some((chapter, of(chapter, name)?)));
        if let (Some(found), true) = (found, name.contains('_')) {
            return Ok(found);
        }
    }
    let chapter = self::chapter(course, chapter, progress)?;
    let Some(name) = exercise else { return Ok((chapter, next(chapter, progress))) };
    match of(chapter, name) {
        Some(exercise) => Ok((chapter, exercise)),
        None => {
            let names: Vec<&str> = chapter.exercises.iter().map(|one| one.name.as_str()).collect();
            bail!(
                "chapter {} has no exercise {name}\nhint: it has 1 to {}: {}",
                chapter.number(),
                names.len(),
                names.join(", ")
            )
        }
    }
}

/// The first chapter with an exercise that has not passed; the last one when all have.
pub fn current<'a>(course: &'a Course, progress: &Progress) -> &'a Chapter {
    let is_open = |chapter: &&Chapter| {
        chapter.exercises.iter().any(|exercise| !progress.has_passed(&exercise.name))
    };
    let first = course.chapters.iter().find(is_open);
    first.or(course.chapters.last()).expect("a course has chapters")
}

/// The first exercise of a chapter that has not passed; the first of all when all have.
pub fn next<'a>(chapter: &'a Chapter, progress: &Progress) -> &'a Exercise {
    let open = chapter.exercises.iter().find(|exercise| !progress.has_passed(&exercise.name));
    open.unwrap_or(&chapter.exercises[0])
}

fn named<'a>(chapters: &'a [Chapter], name: &str) -> Option<&'a Chapter> {
    let name = name.trim_end_matches('/').rsplit('/').next()?;
    let number: Option<u32> = name.parse().ok();
    chapters.iter().find(|chapter| {
        let is_number = number.is_some() && chapter.number().parse().ok() == number;
        let noun = chapter.folder.split_once('-').map_or("", |(_, noun)| noun);
        is_number || chapter.folder == name || noun == name
    })
}

fn of<'a>(chapter: &'a Chapter, name: &str) -> Option<&'a Exercise> {
    let number: Option<usize> = name.parse().ok();
    let mut exercises = chapter.exercises.iter().enumerate();
    let found = exercises.find(|(index, one)| one.name == name || Some(index + 1) == number);
    found.map(|(_, exercise)| exercise)
}

fn around(course: &Course) -> Option<&Chapter> {
    let here = env::current_dir().ok()?;
    let below = here.strip_prefix(course.checkout.join("chapters")).ok()?;
    let folder = below.components().next()?.as_os_str();
    course.chapters.iter().find(|chapter| chapter.folder.as_str() == folder)
}

fn unknown(course: &Course, name: &str) -> String {
    let folders: Vec<&str> = course.chapters.iter().map(|one| one.folder.as_str()).collect();
    format!("there is no chapter {name}\nhint: there are {}", folders.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn course() -> Course {
        Course::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
    }

    #[test]
    fn a_chapter_has_many_names() {
        let course = course();
        for name in
            ["01", "1", "001", "01-pid-namespace", "pid-namespace", "chapters/01-pid-namespace/"]
        {
            let found = chapter(&course, Some(name), &Progress::default()).unwrap();
            assert_eq!(found.folder, "01-pid-namespace", "{name}");
        }
    }

    #[test]
    fn an_unknown_chapter_is_told_with_those_that_are() {
        let error = chapter(&course(), Some("77"), &Progress::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("there is no chapter 77\nhint: there are 00-xray, "), "{text}");
        for name in ["", "-", "pid", "-1", "01-"] {
            assert!(chapter(&course(), Some(name), &Progress::default()).is_err(), "{name}");
        }
    }

    #[test]
    fn an_exercise_has_a_number_and_a_name() {
        let course = course();
        let find = |chapter, one| {
            let found = exercise(&course, chapter, one, &Progress::default());
            found.map(|(_, exercise)| exercise.name.as_str()).map_err(|error| error.to_string())
        };
        assert_eq!(find(Some("1"), Some("2")), Ok("pid_wait"));
        assert_eq!(find(Some("1"), Some("pid_wait")), Ok("pid_wait"));
        assert_eq!(find(Some("pid_wait"), None), Ok("pid_wait"));
        assert_eq!(find(Some("1"), None), Ok("pid_start"));
        let error = find(Some("1"), Some("9")).unwrap_err();
        assert!(error.starts_with("chapter 01 has no exercise 9\nhint: it has 1 to 3: pid_start"));
    }
}
