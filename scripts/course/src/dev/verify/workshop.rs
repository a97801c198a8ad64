//! Builds the variants of a chapter, in a copy of the checkout.
//!
//! The copy is made once and then kept up to date, file by file: a file that has not changed
//! keeps its time, and cargo does not build it again.

use super::must;
use crate::catalogue::{Chapter, Exercise};
use crate::judge::{self, Line};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is not copied, at the top of the checkout or below.
const NOT_COPIED: [&str; 4] = [".git", "target", ".course", "node_modules"];

/// Where it is done.
pub struct Workshop {
    /// The checkout that is proved.
    pub checkout: PathBuf,
    /// Everything of ours: the copy, what is built, the programs.
    pub folder: PathBuf,
}

/// A wrong answer, from the catalogue in `scripts/course/wrong`.
#[derive(Clone, Debug)]
pub struct WrongAnswer {
    /// The hole that it fills: `pid_wait`.
    pub exercise: String,
    /// The diagnosis that must answer it: `raw-status`.
    pub diagnosis: String,
    /// The name of the file: `raw-status`.
    pub name: String,
    /// The file itself.
    pub patch: PathBuf,
}

/// What a variant changes in the solution.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// Nothing: it is the solution.
    Nothing,
    /// Every hole is open: it is what a learner begins with.
    Starter,
    /// One hole is open.
    Reopened(&'a Exercise),
    /// One hole is filled with something wrong.
    Wrong(&'a WrongAnswer),
}

/// One program to be made and judged.
#[derive(Clone, Copy, Debug)]
pub struct Variant<'a> {
    /// Of which chapter.
    pub chapter: &'a Chapter,
    /// What is different in it.
    pub change: Change<'a>,
}

/// What came of a build.
pub struct Built {
    /// The program, in a place of its own; none if it does not compile.
    pub program: Option<PathBuf>,
    /// Every warning and error.
    pub complaints: Vec<String>,
    /// The exercises that are still open in its source.
    pub open: BTreeSet<String>,
}

impl Change<'_> {
    /// What was done, for the table.
    pub fn words(&self) -> String {
        match self {
            Change::Nothing => "the solution".to_owned(),
            Change::Starter => "the starter".to_owned(),
            Change::Reopened(_) => "its hole alone is open".to_owned(),
            Change::Wrong(wrong) => format!("wrong: {}", wrong.name),
        }
    }
}

impl Variant<'_> {
    /// What was done, for the table.
    pub fn words(&self) -> String {
        self.change.words()
    }

    /// Which exercise it is about; empty if all.
    pub fn exercise(&self) -> &str {
        match self.change {
            Change::Nothing | Change::Starter => "",
            Change::Reopened(exercise) => &exercise.name,
            Change::Wrong(wrong) => &wrong.exercise,
        }
    }

    /// A name for its folder.
    fn name(&self) -> String {
        match self.change {
            Change::Nothing => "solution".to_owned(),
            Change::Starter => "starter".to_owned(),
            Change::Reopened(exercise) => format!("open-{}", exercise.name),
            Change::Wrong(wrong) => format!("wrong-{}-{}", wrong.exercise, wrong.name),
        }
    }
}

impl Workshop {
    /// Brings the copy up to date with the checkout.
    pub fn prepare(checkout: &Path) -> Result<Workshop> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
        let folder = checkout.join(target).join("verify");
        let workshop = Workshop { checkout: checkout.to_owned(), folder };
        for part in ["Cargo.toml", "Cargo.lock", "solutions", "scripts", "chapters"] {
            copy(&checkout.join(part), &workshop.tree().join(part))?;
        }
        Ok(workshop)
    }

    /// The copy of the checkout.
    fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    /// Where the program of a variant is kept.
    pub fn program(&self, chapter: &Chapter, variant: &str) -> PathBuf {
        self.folder.join("programs").join(&chapter.folder).join(variant).join(&chapter.program)
    }

    /// Writes the source of a variant and builds it.
    ///
    /// # Errors
    /// The source can't be written: a patch does not apply, a hole is not there. That it does not
    /// compile is no error but a result.
    pub fn build(&self, variant: &Variant) -> Result<Built> {
        let Variant { chapter, change } = variant;
        let solution = self.checkout.join("solutions").join(&chapter.folder).join("src");
        let package = self.tree().join("chapters").join(&chapter.folder);
        let source = package.join("src");
        match change {
            Change::Starter => {
                copy(&self.checkout.join("chapters").join(&chapter.folder).join("src"), &source)?;
            }
            _ => copy(&solution, &source)?,
        }
        match change {
            Change::Reopened(exercise) => reopen(&source, &exercise.name)?,
            Change::Wrong(wrong) => apply(&wrong.patch, &package)?,
            Change::Nothing | Change::Starter => {}
        }
        let (works, complaints) = self.cargo_build(&package)?;
        let program = if works { Some(self.keep(variant)?) } else { None };
        let open = chapter.exercises.iter().map(|exercise| exercise.name.clone());
        let text = all_text(&source)?;
        let open = open.filter(|name| crate::holes::is_open(&text, name)).collect();
        Ok(Built { program, complaints, open })
    }

    /// Whether it compiles, and what the compiler says.
    fn cargo_build(&self, package: &Path) -> Result<(bool, Vec<String>)> {
        let output = Command::new(self.checkout.join("scripts/as-user"))
            .args(["cargo", "build", "--locked", "--bins", "--message-format=short"])
            .current_dir(package)
            .env("CARGO_TARGET_DIR", self.folder.join("build"))
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_PROFILE_DEV_DEBUG", "none") // a quarter less to write and to link
            .stdin(Stdio::null())
            .output()
            .context("cannot start cargo")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_complaint = |line: &&str| line.contains("warning") || line.contains("error");
        let complaints = said.lines().filter(is_complaint).map(str::to_owned).collect();
        Ok((output.status.success(), complaints))
    }

    /// Judges a program, as root: one line for each exercise, in their order.
    ///
    /// # Errors
    /// There was no judge to be had.
    pub fn judge(
        &self,
        program: &Path,
        chapter: &Chapter,
        exercises: &[&Exercise],
    ) -> Result<Vec<Line>> {
        let mut assignment = OsString::from(format!("{}=", crate::checks::PROGRAM));
        assignment.push(program);
        let output = Command::new(self.checkout.join("scripts/as-root"))
            .arg("env")
            .arg(assignment)
            .arg(std::env::current_exe()?)
            .arg("judge")
            .args(exercises.iter().map(|exercise| judge::named(chapter, exercise)))
            .current_dir(&self.folder) // which stays to be seen in the sandbox: attacks look there
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start the judge")?;
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<Line> = lines
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .context("the judge speaks no JSON")?;
        ensure!(
            lines.len() == exercises.len(),
            "the judge said {} lines of {}",
            lines.len(),
            exercises.len()
        );
        Ok(lines)
    }

    /// A folder on the learner's disk that no program under judgement may change.
    pub fn canary(&self) -> PathBuf {
        self.folder.join("canary")
    }

    /// Copies the program away, as the next build overwrites it.
    fn keep(&self, variant: &Variant) -> Result<PathBuf> {
        let built = self.folder.join("build/debug").join(&variant.chapter.program);
        let kept = self.program(variant.chapter, &variant.name());
        fs::create_dir_all(kept.parent().unwrap_or(&self.folder))?;
        let _ = fs::remove_file(&kept);
        fs::copy(&built, &kept).with_context(|| format!("cannot copy {}", built.display()))?;
        Ok(kept)
    }
}

/// Lists the wrong answers to a chapter's exercises, by exercise and name.
///
/// # Errors
/// A patch does not say which exercise it answers, or which diagnosis must answer it.
pub fn wrong_answers(checkout: &Path, chapter: &Chapter) -> Result<Vec<WrongAnswer>> {
    let folder = checkout.join("scripts/course/wrong").join(&chapter.folder);
    let mut patches = files_below(&folder)?;
    patches.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches.into_iter().map(|patch| wrong_answer(chapter, patch)).collect()
}

fn wrong_answer(chapter: &Chapter, patch: PathBuf) -> Result<WrongAnswer> {
    let text = fs::read_to_string(&patch).with_context(|| format!("cannot read {patch:?}"))?;
    let field = |name: &str| {
        let header = text.lines().take_while(|line| !line.starts_with("--- "));
        let value = header.into_iter().find_map(|line| line.strip_prefix(name));
        let value = value.with_context(|| format!("{} has no line {name} …", patch.display()))?;
        anyhow::Ok(value.trim().to_owned())
    };
    let (exercise, diagnosis) = (field("exercise:")?, field("diagnosis:")?);
    let is_known = chapter.exercises.iter().any(|known| known.name == exercise);
    ensure!(is_known, "{} answers {exercise}, which is no exercise", patch.display());
    let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(WrongAnswer { exercise, diagnosis, name, patch })
}

/// Puts `todo!` in the place of one hole's code.
fn reopen(source: &Path, name: &str) -> Result<()> {
    let begin = format!("// ANCHOR: todo_{name}:");
    for path in files_below(source)? {
        let text = fs::read_to_string(&path)?;
        if text.contains(&begin) {
            return write(&path, without(&text, name).as_bytes());
        }
    }
    anyhow::bail!("no hole todo_{name} in {}", source.display())
}

/// The text with `todo!("name")` where the hole's code was.
fn without(text: &str, name: &str) -> String {
    let begin = format!("// ANCHOR: todo_{name}:");
    let end = format!("// ANCHOR_END: todo_{name}");
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        inside |= line.trim().starts_with(&begin);
        if !inside {
            kept += &format!("{line}\n");
        } else if line.trim() == end {
            // With a semicolon it fits in every place: what never returns has any type.
            kept += &format!("todo!(\"{name}\");\n");
            inside = false;
        }
    }
    kept
}

fn apply(patch: &Path, package: &Path) -> Result<()> {
    let options = ["-s", "-p1", "--no-backup-if-mismatch", "-r", "-", "-i"];
    must(Command::new("patch").args(options).arg(patch).arg("-d").arg(package))
        .with_context(|| format!("{} does not fit the solution", patch.display()))
}

fn all_text(folder: &Path) -> Result<String> {
    let texts: Result<Vec<_>, _> = files_below(folder)?.iter().map(fs::read_to_string).collect();
    Ok(texts?.concat())
}

/// Every file below a folder, in the order of their names; none if there is no such folder.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for name in names_in(folder)? {
        let path = folder.join(name);
        match path.is_dir() {
            true => files.extend(files_below(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}

fn names_in(folder: &Path) -> Result<BTreeSet<OsString>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.file_name()).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", folder.display())),
    }
}

/// Makes `to` what `from` is, and touches nothing that is so already.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_symlink() || NOT_COPIED.iter().any(|name| from.ends_with(name)) {
        return Ok(());
    }
    if !from.is_dir() {
        let text = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        return write(to, &text);
    }
    let names = names_in(from)?;
    for gone in names_in(to)?.difference(&names) {
        let path = to.join(gone);
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    names.iter().try_for_each(|name| copy(&from.join(name), &to.join(name)))
}

fn write(path: &Path, text: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reopened_hole_is_open_and_all_else_stays() {
        let solution = "fn a() {\n    // ANCHOR: todo_a: do it\n    // | well\n    one();\n    \
                        // ANCHOR_END: todo_a\n}\n// ANCHOR: todo_ab: x\ntwo();\n// ANCHOR_END: todo_ab\n";
        let reopened = without(solution, "a");
        assert!(crate::holes::is_open(&reopened, "a"));
        assert!(!reopened.contains("one()") && reopened.contains("two()"));
    }
}
