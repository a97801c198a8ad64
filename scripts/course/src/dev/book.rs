//! `cargo course dev book`: builds the book, and fails on all that mdBook lets pass.
//!
//! mdBook prints an error and exits 0 when an included file is missing, and says nothing of an
//! unknown anchor: the reader would see an empty listing. So the sources are read here first
//! ([`sources`]), then mdBook builds and has to be silent, then what it built is read ([`pages`]).

pub mod markdown;
mod pages;
mod sources;

use crate::course::Course;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// How the book is built.
#[derive(clap::Args)]
pub struct Arguments {
    /// Where to [default: target/book]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What is wrong at one place of the book.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as the person who mends it names it: `book/src/unix.md`.
    pub file: String,
    /// The line, from 1; 0 when it is the whole file.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl Problem {
    fn new(file: &str, line: usize, text: impl Into<String>) -> Problem {
        Problem { file: file.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.text),
            line => write!(f, "{}:{line}: {}", self.file, self.text),
        }
    }
}

/// Builds the book and prints each problem, a line each; fails if there is one.
///
/// # Errors
/// There is no mdBook of the version that the book is written for, or a file can't be read.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    let book = course.checkout.join("book");
    let out = match &arguments.out {
        Some(out) => std::path::absolute(out)?,
        None => course.checkout.join("target/book"),
    };
    let mut problems: BTreeSet<Problem> = sources::problems(&book)?.into_iter().collect();
    problems.extend(build(&mdbook(&course.checkout)?, &book, &out)?);
    problems.extend(pages::problems(&out, &sources::pages(&book)?)?);
    for problem in &problems {
        println!("{problem}");
    }
    if problems.is_empty() {
        println!("the book is in {}", out.display());
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} problems in the book", problems.len());
    Ok(ExitCode::FAILURE)
}

/// The mdBook of the version that the book is written for: the one that `scripts/setup --book`
/// has installed, else the one on the PATH if it is the same.
///
/// # Errors
/// There is none.
pub fn mdbook(checkout: &Path) -> Result<PathBuf> {
    let wanted = wanted_version(&fs::read_to_string(checkout.join("book/book.toml"))?)?;
    let installed = checkout.join("target/tools/bin/mdbook");
    let places = [installed, PathBuf::from("mdbook")];
    let is_wanted = |place: &&PathBuf| {
        let said = Command::new(place).arg("--version").output();
        said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).trim().ends_with(&wanted))
    };
    let found = places.iter().find(is_wanted).cloned();
    found.with_context(|| format!("there is no mdBook {wanted}\nhint: ./scripts/setup --book"))
}

/// Reads the version from the comment in book.toml that `scripts/setup` reads too.
fn wanted_version(book_toml: &str) -> Result<String> {
    let named = book_toml.lines().find_map(|line| line.strip_prefix("# mdbook-version = "));
    let version = named.context("book.toml names no mdbook-version")?;
    Ok(format!("v{}", version.trim().trim_matches('"')))
}

/// Has mdBook build, and takes each of its warnings for a problem.
fn build(mdbook: &Path, book: &Path, out: &Path) -> Result<Vec<Problem>> {
    // mdBook empties the folder that it builds in.
    let is_ours = |out: &Path| out.join(".nojekyll").exists() || out.join("toc.html").exists();
    let is_empty = fs::read_dir(out).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty && !is_ours(out) {
        bail!("{} is not empty, and no book is in it", out.display())
    }
    let said = Command::new(mdbook).arg("build").arg(book).arg("-d").arg(out).output();
    let said = said.with_context(|| format!("cannot start {}", mdbook.display()))?;
    let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    let mut problems = complaints(&text);
    if !said.status.success() && problems.is_empty() {
        problems.push(Problem::new("book", 0, format!("mdBook failed: {}", text.trim())));
    }
    Ok(problems)
}

/// What mdBook said that is not mere information.
fn complaints(log: &str) -> Vec<Problem> {
    let lines = log.lines().map(str::trim_start);
    let bad = lines.filter(|line| line.starts_with("ERROR") || line.starts_with("WARN"));
    bad.map(|line| Problem::new("book", 0, format!("mdBook says: {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_of_mdbook_is_a_problem() {
        let log = " INFO Book building has started\n\
                   ERROR Error updating \"{{#include no.rs}}\"\n WARN something is odd\n";
        let texts: Vec<String> = complaints(log).iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].contains("mdBook says: ERROR"), "{texts:?}");
    }

    #[test]
    fn the_version_stands_in_book_toml() {
        let book_toml = include_str!("../../../../book/book.toml");
        assert!(wanted_version(book_toml).is_ok());
        assert!(wanted_version("[book]").is_err());
    }

    #[test]
    fn a_folder_that_holds_something_else_is_never_emptied() {
        let folder = std::env::temp_dir().join(format!("course-book-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("letter"), "keep me").unwrap();
        let result = build(Path::new("/bin/true"), Path::new("/"), &folder);
        let kept = fs::read_to_string(folder.join("letter")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert!(result.is_err() && kept == "keep me");
    }
}
