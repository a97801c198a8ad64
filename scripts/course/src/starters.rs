//! Derives the learner's copies of the chapters from the solutions.
//!
//! `chapters/` is a workspace of its own. A chapter in it stands on the *solutions* of those before
//! it, so that anyone can begin anywhere. Nothing in it is written by hand: sources lose their
//! holes ([`crate::holes`]), the manifest is the solution's without what tests the solution.

mod manifest;
mod readme;

use crate::catalogue::Chapter;
use crate::course::Course;
use crate::holes::{self, Hole};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub use manifest::workspace;

/// The text of each file, by its path.
pub type Files = BTreeMap<PathBuf, String>;

/// A hole, and the file of the chapter that it is in: `src/lib.rs`.
pub struct Place {
    /// The file, below the chapter's folder.
    pub file: PathBuf,
    /// What is to be written there.
    pub hole: Hole,
}

/// The starter of one chapter, by paths below its own folder.
///
/// # Errors
/// The solution can't be read, or its holes and the exercises of the catalogue do not agree.
pub fn of(course: &Course, chapter: &Chapter) -> Result<Files> {
    check_holes(chapter, &places(course, chapter)?)
        .with_context(|| format!("chapter {}", chapter.folder))?;
    let solution = course.solution(chapter);
    let mut files = Files::new();
    for (path, text) in sources(&solution)? {
        let text = holes::take_out(&text, |name| chapter.number_of(name))
            .with_context(|| format!("in {}", solution.join(&path).display()))?;
        files.insert(path, text);
    }
    let manifest = solution.join("Cargo.toml");
    let derived = manifest::of_chapter(&read(&manifest)?, chapter, &files)
        .with_context(|| format!("in {}", manifest.display()))?;
    files.insert("Cargo.toml".into(), derived);
    files.insert("README.md".into(), readme::of(course, chapter));
    Ok(files)
}

/// All that is derived, by paths below `chapters`; without Cargo.lock, which cargo writes.
///
/// # Errors
/// As [`of`]; or two chapters have an exercise of the same name.
pub fn all(course: &Course) -> Result<Files> {
    check_names(&course.chapters)?;
    let mut files = Files::new();
    for chapter in &course.chapters {
        let derived = of(course, chapter)?;
        files.extend(
            derived.into_iter().map(|(path, text)| (Path::new(&chapter.folder).join(path), text)),
        );
    }
    files.insert("Cargo.toml".into(), workspace(course, &files)?);
    Ok(files)
}

/// The holes of a chapter, in the order of its exercises.
///
/// # Errors
/// The solution can't be read, or an anchor in it does not fit.
pub fn places(course: &Course, chapter: &Chapter) -> Result<Vec<Place>> {
    let solution = course.solution(chapter);
    let mut places = Vec::new();
    for (file, text) in sources(&solution)? {
        let holes =
            holes::find(&text).with_context(|| format!("in {}", solution.join(&file).display()))?;
        places.extend(holes.into_iter().map(|hole| Place { file: file.clone(), hole }));
    }
    places.sort_by_key(|place| chapter.number_of(&place.hole.name));
    Ok(places)
}

/// The Rust sources of a folder's `src` and `examples`, by their paths below it.
///
/// # Errors
/// One can't be read.
pub fn sources(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    for part in ["src", "examples"] {
        collect(folder, Path::new(part), &mut files)?;
    }
    Ok(files)
}

/// A short name for what a learner has written: the same as long as nothing is changed.
pub fn fingerprint(course: &Course, chapter: &Chapter) -> String {
    let folder = course.starter(chapter);
    let mut files = sources(&folder).unwrap_or_default();
    files.insert("Cargo.toml".into(), read(&folder.join("Cargo.toml")).unwrap_or_default());
    crate::progress::fingerprint(&files)
}

fn collect(folder: &Path, below: &Path, files: &mut Files) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder.join(below)) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = below.join(entry.file_name());
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue; // an editor's own: a lock, a swap file
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(folder, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = read(&folder.join(&path))?;
            files.insert(path, text);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn check_holes(chapter: &Chapter, places: &[Place]) -> Result<()> {
    for exercise in &chapter.exercises {
        let count = places.iter().filter(|place| place.hole.name == exercise.name).count();
        ensure!(
            count > 0,
            "no hole is called {}, and its toml has such an exercise",
            exercise.name
        );
        ensure!(count == 1, "{count} holes are called {}", exercise.name);
        for other in &exercise.needs {
            ensure!(
                chapter.number_of(other).is_some(),
                "{} needs {other}, which is no exercise of this chapter",
                exercise.name
            );
        }
    }
    for Place { file, hole } in places {
        ensure!(
            chapter.number_of(&hole.name).is_some(),
            "{} has the hole {}, and its toml has no such exercise",
            file.display(),
            hole.name
        );
    }
    Ok(())
}

fn check_names(chapters: &[Chapter]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for chapter in chapters {
        for exercise in &chapter.exercises {
            if let Some(other) = seen.insert(&exercise.name, &chapter.folder) {
                let (name, this) = (&exercise.name, &chapter.folder);
                anyhow::bail!("two exercises are called {name}: in {other} and in {this}");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course() -> Course {
        Course::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
    }

    #[test]
    fn no_starter_has_an_anchor_and_each_exercise_is_open_in_it() {
        let course = course();
        for chapter in &course.chapters {
            let files = of(&course, chapter).unwrap();
            let sources = files.iter().filter(|(path, _)| path.extension().unwrap() == "rs");
            let text: String = sources.map(|(_, text)| text.as_str()).collect();
            assert!(!text.contains("// ANCHOR"), "{}", chapter.folder);
            for exercise in &chapter.exercises {
                assert!(holes::is_open(&text, &exercise.name), "{}", exercise.name);
            }
        }
    }

    #[test]
    fn an_exercise_without_a_hole_is_an_error() {
        let course = course();
        let chapter = &course.chapters[0];
        let text = check_holes(chapter, &[]).unwrap_err().to_string();
        let name = &chapter.exercises[0].name;
        assert_eq!(text, format!("no hole is called {name}, and its toml has such an exercise"));
    }

    #[test]
    fn a_name_is_used_once() {
        let mut chapters = course().chapters;
        let name = chapters[0].exercises[0].name.clone();
        chapters[1].exercises[0].name = name.clone();
        let text = check_names(&chapters).unwrap_err().to_string();
        assert!(text.starts_with(&format!("two exercises are called {name}")), "{text}");
    }
}
