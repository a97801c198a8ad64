//! Builds the learner's program, as the learner.

use crate::catalogue::Chapter;
use crate::course::Course;
use crate::{choose, look, progress};
use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{AccessFlags, access};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What came of building.
pub enum Built {
    /// The program.
    Program(PathBuf),
    /// The compiler has said why not.
    DoesNotCompile,
}

/// One line of `cargo build --message-format=json`, as far as it matters.
#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
}

/// The chapter that is meant, with its program; `None` if it does not compile, which has been said.
///
/// # Errors
/// There is no such chapter, or cargo can't even begin.
pub fn chosen<'a>(
    course: &'a Course,
    named: Option<&str>,
) -> Result<Option<(&'a Chapter, PathBuf)>> {
    let chapter = choose::chapter(course, named, &progress::read(&course.checkout))?;
    match program(course, chapter)? {
        Built::Program(program) => Ok(Some((chapter, program))),
        Built::DoesNotCompile => {
            look::remark("your program does not compile yet: the compiler says why, above");
            Ok(None)
        }
    }
}

/// Builds a chapter's program. What the compiler says goes to standard error as it says it.
///
/// # Errors
/// Cargo can't even begin: a manifest is gone, or there is no cargo.
pub fn program(course: &Course, chapter: &Chapter) -> Result<Built> {
    refuse_what_is_gone(course)?;
    let folder = course.checkout.join("chapters");
    let target = target(&folder);
    let mut cargo = Command::new(course.checkout.join("scripts/as-user"));
    cargo.args(["cargo", "build", "--bin", &chapter.program]);
    cargo.args(["--package", &format!("ch{}", chapter.folder)]);
    cargo.args(["--message-format", "json-render-diagnostics"]).arg("--target-dir").arg(&target);
    match target.join("debug").join(&chapter.program).exists() {
        true => _ = cargo.arg("--quiet"),
        false => look::remark("Building your program. Only the first time takes a minute."),
    }
    let cargo = cargo.current_dir(&folder).stderr(Stdio::inherit()).stdin(Stdio::null());
    let output = cargo.output().context("cannot run scripts/as-user")?;
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let messages: Vec<Message> =
        lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    if !output.status.success() {
        let has_begun = messages.iter().any(|message| message.reason == "build-finished");
        ensure!(has_begun, "cargo can't build chapter {}: it says why, above", chapter.number());
        return Ok(Built::DoesNotCompile);
    }
    let program = messages.into_iter().filter_map(|message| message.executable).next_back();
    program.map(Built::Program).with_context(|| format!("cargo built no {}", chapter.program))
}

/// A folder of its own, so that learners' programs and ours of the same name never mix. Where the
/// checkout can't be written it is in the learner's cache.
fn target(chapters: &Path) -> PathBuf {
    if let Some(folder) = std::env::var_os("CARGO_TARGET_DIR") {
        return Path::new(&folder).join("chapters");
    }
    match access(chapters, AccessFlags::W_OK) {
        Ok(()) => chapters.join("target"),
        Err(_) => cache().join("coracle/chapters"),
    }
}

/// The learner's folder for what can be made again. Not `/tmp`: there anybody could have put a
/// folder by a name that we shall use, and what is built in it runs as root.
fn cache() -> PathBuf {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || folder("HOME").unwrap_or("/root".into());
    folder("XDG_CACHE_HOME").unwrap_or_else(|| home().join(".cache"))
}

/// Cargo refuses a whole workspace if one member lacks its manifest, and says so in its own words.
fn refuse_what_is_gone(course: &Course) -> Result<()> {
    for chapter in &course.chapters {
        let folder = course.starter(chapter);
        if !folder.join("Cargo.toml").is_file() {
            bail!(
                "chapters/{}/Cargo.toml is gone\n\
                 hint: cargo course reset {} puts it back; what you wrote is kept in a backup",
                chapter.folder,
                chapter.number()
            );
        }
    }
    let workspace = course.checkout.join("chapters/Cargo.toml");
    ensure!(
        workspace.is_file(),
        "chapters/Cargo.toml is gone\nhint: cargo course reset puts it back, beside the chapter"
    );
    Ok(())
}
