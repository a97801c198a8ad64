//! Reads what the course knows of each chapter beside its code: `scripts/course/chapters/*.toml`.
//!
//! The folder name of a chapter is the file's name; its holes are in the solution. What is in
//! these files is what only people can write: titles, minutes, hints, what depends on what.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// A chapter of the course.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chapter {
    /// The folder below `solutions` and `chapters`: `01-pid-namespace`. Not in the file: its name.
    #[serde(skip)]
    pub folder: String,
    /// One line, as the list shows it.
    pub title: String,
    /// What it is about, two or three sentences for the starter's README.
    pub about: String,
    /// The program that the checks run: `pid-namespace`.
    pub program: String,
    /// The page of the book, below `book/src`.
    pub page: String,
    /// The exercises, in the order in which a learner does them.
    #[serde(rename = "exercise")]
    pub exercises: Vec<Exercise>,
}

/// One hole, and what helps to fill it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exercise {
    /// The name of the hole: `pid_start`. No two chapters share one.
    pub name: String,
    /// What the learner does, as a title: "Start PID 1".
    pub title: String,
    /// How long it takes somebody who reads the page first.
    pub minutes: u32,
    /// Exercises of the same chapter that must pass before this one can be judged.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Nudge, mechanism, nearly there; each a few sentences of at most 15 words.
    pub hints: [String; 3],
}

impl Chapter {
    /// The number in the folder's name: `01`.
    pub fn number(&self) -> &str {
        self.folder.split('-').next().unwrap_or(&self.folder)
    }

    /// Which exercise of the chapter this is, counted from one.
    pub fn number_of(&self, exercise: &str) -> Option<usize> {
        self.exercises.iter().position(|other| other.name == exercise).map(|index| index + 1)
    }

    /// Does an exercise need another one, directly or through what it needs?
    pub fn stands_on(&self, exercise: &str, other: &str) -> bool {
        let found = self.exercises.iter().find(|one| one.name == exercise);
        let needs = found.map_or(&[][..], |exercise| exercise.needs.as_slice());
        needs.iter().any(|need| need == other || self.stands_on(need, other))
    }
}

/// Reads all chapters of a checkout, in their order.
///
/// # Errors
/// A file can't be read or does not say what it must; the message names it.
pub fn read(checkout: &Path) -> Result<Vec<Chapter>> {
    let folder = checkout.join("scripts/course/chapters");
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    paths.iter().map(|path| read_one(path)).collect()
}

fn read_one(path: &Path) -> Result<Chapter> {
    let text = fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let mut chapter: Chapter =
        toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    chapter.folder = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(chapter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is stuck reads little: a sentence of a hint has at most 15 words.
    #[test]
    fn hints_are_short_sentences() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for chapter in read(&checkout).unwrap() {
            for (exercise, hint) in chapter
                .exercises
                .iter()
                .flat_map(|one| one.hints.iter().map(move |hint| (one, hint)))
            {
                let text = hint.replace(['?', '!', ':'], ".") + " ";
                for sentence in text.split(". ") {
                    let words = sentence.split_whitespace().count();
                    assert!(words <= 15, "{}: {words} words: {sentence}", exercise.name);
                }
            }
        }
    }
}
