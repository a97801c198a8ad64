//! `cargo course dev starters`: writes `chapters/`, or says what in it is out of date.

use crate::course::Course;
use crate::starters::{self, Files};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Derive the learner's copies in chapters/ from solutions/
#[derive(clap::Args)]
#[command(after_help = "Example: cargo course dev starters --check")]
pub struct Arguments {
    /// Change nothing: list what differs, and then exit with 1
    #[arg(long)]
    check: bool,
}

/// Does it.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    let mut wanted = starters::all(course)?;
    wanted.insert("Cargo.lock".into(), lock(course, &wanted)?);
    let chapters = course.checkout.join("chapters");
    let stale = stale(&chapters, &wanted);
    if arguments.check {
        return Ok(report(&stale));
    }
    for path in &stale {
        let file = chapters.join(path);
        match wanted.get(path) {
            Some(text) => write(&file, text)?,
            None => fs::remove_file(&file)
                .with_context(|| format!("cannot remove {}", file.display()))?,
        }
    }
    println!("chapters: {} files, {} changed", wanted.len(), stale.len());
    Ok(ExitCode::SUCCESS)
}

/// The files that are not as they should be: changed, missing, or of no chapter.
fn stale(chapters: &Path, wanted: &Files) -> Vec<PathBuf> {
    let differs = |path: &&PathBuf| {
        fs::read_to_string(chapters.join(path)).ok().as_ref() != wanted.get(*path)
    };
    let mut stale: Vec<PathBuf> = wanted.keys().filter(differs).cloned().collect();
    for entry in fs::read_dir(chapters).into_iter().flatten().flatten() {
        let found = starters::sources(&entry.path()).unwrap_or_default();
        let found = found.into_keys().map(|path| Path::new(&entry.file_name()).join(path));
        stale.extend(found.filter(|path| !wanted.contains_key(path)));
    }
    stale
}

fn report(stale: &[PathBuf]) -> ExitCode {
    if stale.is_empty() {
        println!("chapters: up to date");
        return ExitCode::SUCCESS;
    }
    println!("not as the solutions say:");
    for path in stale {
        println!("  chapters/{}", path.display());
    }
    println!("hint: type: cargo course dev starters");
    ExitCode::FAILURE
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(file))
        .and_then(|()| fs::write(file, text))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// The root's lock without what the chapters do not need. Cargo throws that out, in a copy of the
/// workspace that names the solutions by full paths.
fn lock(course: &Course, files: &Files) -> Result<String> {
    let folder = std::env::temp_dir().join(harness::random_name("coracle-starters"));
    let locked = lock_in(&folder, course, files);
    let _ = fs::remove_dir_all(&folder);
    locked
}

fn lock_in(folder: &Path, course: &Course, files: &Files) -> Result<String> {
    for (path, text) in files {
        let above = format!("path = \"{}/", course.checkout.display());
        write(&folder.join(path), &text.replace("path = \"../", &above))?;
    }
    let lock = folder.join("Cargo.lock");
    fs::copy(course.checkout.join("Cargo.lock"), &lock).context("cannot copy Cargo.lock")?;
    let update = |options: &[&str]| {
        let mut command = Command::new(course.checkout.join("scripts/as-user"));
        command.args(["cargo", "update", "--workspace", "--quiet"]).args(options);
        command.current_dir(folder).stderr(Stdio::inherit()).status()
    };
    // Without the network first: all is on this machine if the solutions have been built.
    if !update(&["--offline"])?.success() {
        ensure!(update(&[])?.success(), "cargo cannot lock chapters/Cargo.toml");
    }
    fs::read_to_string(&lock).context("cannot read the lock")
}
