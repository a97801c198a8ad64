//! `cargo course reset`: puts a starter back, and keeps what was there.

use crate::catalogue::Chapter;
use crate::course::Course;
use crate::look::{self, TYPE};
use crate::starters::{self, Files};
use crate::{choose, progress};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What building makes; it can be made again.
const MADE: [&str; 1] = ["target"];

/// Put a chapter back as it was at first; your work is kept in a backup
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo course reset 01    chapter 01 as it was at first
  cp -r .course/backups/01-pid-namespace-1/. chapters/01-pid-namespace/
                           your work again, after that

It works when files of the chapter are gone, or the whole folder.")]
pub struct Arguments {
    /// Such as 01, 1 or pid-namespace [default: the one you are in]
    chapter: Option<String>,
}

/// Resets it.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    let progress = progress::read(&course.checkout);
    let chapter = choose::chapter(course, arguments.chapter.as_deref(), &progress)?;
    let starter = starters::of(course, chapter)?; // in memory, before anything is touched
    let folder = course.starter(chapter);
    let backup = match is_as_at_first(&folder, &starter) {
        true => None,
        false => back_up(course, chapter, &folder)?,
    };
    empty(&folder)?;
    write(&folder, &starter)?;
    mend_workspace(course)?;
    progress::keep(&course.checkout, |progress| {
        for exercise in &chapter.exercises {
            let known = progress.change(&exercise.name);
            (known.passed, known.lapsed) = (None, false);
        }
    });
    let mut text = format!("chapters/{} is as it was at first.\n", chapter.folder);
    if let Some(backup) = backup {
        let backup = backup.strip_prefix(&course.checkout).unwrap_or(&backup).display();
        text += &format!("What you had is kept in {TYPE}{backup}{TYPE:#}\n");
    }
    look::say(&text);
    Ok(ExitCode::SUCCESS)
}

fn is_as_at_first(folder: &Path, starter: &Files) -> bool {
    let mut files = Vec::new();
    let _ = collect(folder, Path::new(""), &mut files);
    files.len() == starter.len()
        && starter.iter().all(|(path, text)| {
            fs::read_to_string(folder.join(path)).is_ok_and(|found| &found == text)
        })
}

/// Copies all that the learner has made to a new folder, and only then returns. `None` if there is
/// nothing.
fn back_up(course: &Course, chapter: &Chapter, folder: &Path) -> Result<Option<PathBuf>> {
    let mut files = Vec::new();
    collect(folder, Path::new(""), &mut files)?;
    if files.is_empty() {
        return Ok(None);
    }
    let backups = course.checkout.join(progress::FOLDER).join("backups");
    let free = (1..).map(|count| backups.join(format!("{}-{count}", chapter.folder)));
    let backup = free.into_iter().find(|path| !path.exists()).unwrap_or_default();
    copy(folder, &files, &backup).inspect_err(|_| {
        let _ = fs::remove_dir_all(&backup); // half a backup is none
    })?;
    Ok(Some(backup))
}

fn copy(folder: &Path, files: &[PathBuf], backup: &Path) -> Result<()> {
    fs::create_dir_all(backup).with_context(|| format!("cannot make {}", backup.display()))?;
    for path in files {
        let target = backup.join(path);
        fs::create_dir_all(target.parent().unwrap_or(backup))
            .and_then(|()| fs::copy(folder.join(path), &target))
            .with_context(|| format!("cannot keep {} in {}", path.display(), backup.display()))?;
    }
    Ok(())
}

fn collect(folder: &Path, below: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let here = folder.join(below);
    let Ok(entries) = fs::read_dir(&here) else { return Ok(()) };
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", here.display()))?;
        let path = below.join(entry.file_name());
        let kind = entry.file_type().with_context(|| format!("cannot read {}", path.display()))?;
        let is_made = MADE.iter().any(|made| path == Path::new(made));
        if is_made || (kind.is_symlink() && !here.join(entry.file_name()).exists()) {
            continue; // a link that leads nowhere is an editor's lock
        }
        if kind.is_dir() { collect(folder, &path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// Removes what is in the folder and not the folder: a shell may stand in it.
fn empty(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if MADE.iter().any(|made| entry.file_name() == *made) {
            continue;
        }
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let gone = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        gone.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

fn write(folder: &Path, files: &Files) -> Result<()> {
    for (path, text) in files {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap_or(folder))
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The manifest of all chapters belongs to none of them; it is only written where it is gone.
fn mend_workspace(course: &Course) -> Result<()> {
    let chapters = course.checkout.join("chapters");
    if chapters.join("Cargo.toml").exists() {
        return Ok(());
    }
    let manifest = starters::all(course)?.remove(Path::new("Cargo.toml")).unwrap_or_default();
    write(&chapters, &Files::from([("Cargo.toml".into(), manifest)]))
}
