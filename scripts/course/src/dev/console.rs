//! `cargo course dev console`: executes the console blocks of the book, and tells where a page
//! says something else than the kernel does.
//!
//! Three processes, as with a check: this one belongs to the user, builds the programs and
//! compares; [`ROOM`] is its copy that runs as root; in the sandbox of `harness` a third one plays
//! the pages, one sandbox and one `sh` a page ([`shell`]). "The host" of a page is its sandbox.

pub mod script;
pub mod shell;
mod varies;

use crate::course::Course;
use anyhow::{Context, Result, bail};
use harness::{Host, Leaks, Verdict};
use script::Block;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use varies::Sides;

/// The page that the sandbox plays.
const PAGE: &str = "COURSE_PAGE";
/// The folders of the programs that its commands find, as in a PATH.
const PROGRAMS: &str = "COURSE_PROGRAMS";

/// The sandbox's side of this command.
pub static ROOM: &[harness::Test] = &[harness::Test {
    name: "console",
    function: play_in_sandbox,
    time_limit: Duration::from_secs(540),
}];

/// What is executed.
#[derive(clap::Args)]
pub struct Arguments {
    /// Pages of the book, `01-pid-namespace` or `book/src/01-pid-namespace.md` [default: all]
    pages: Vec<String>,
    /// Write what was really printed into the pages, where it is something else
    #[arg(long)]
    update: bool,
    /// Play one page as root, and print what it said as JSON
    #[arg(long, hide = true)]
    pub play: bool,
}

/// What the commands of one page have printed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Played {
    /// The name of the host that they saw.
    host: String,
    /// The folder that they started in.
    folder: String,
    /// For each block that is executed, an answer for each of its commands.
    answers: Vec<Vec<shell::Answer>>,
    /// What the page left behind on the machine.
    left: Vec<String>,
}

/// Executes the pages; fails if one says something else than it printed.
///
/// # Errors
/// A page can't be read or executed at all.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    if arguments.play {
        return play(&arguments.pages);
    }
    let pages = pages(&arguments.pages, &course.checkout)?;
    let programs = build(course)?;
    let mut sum = Sum::default();
    for page in &pages {
        let text = fs::read_to_string(page);
        let text = text.with_context(|| format!("cannot read {}", page.display()))?;
        let name = page.strip_prefix(&course.checkout).unwrap_or(page).display().to_string();
        let blocks = match script::read(&text) {
            Ok(blocks) => blocks,
            Err(problems) => {
                problems.iter().for_each(|(line, problem)| println!("{name}:{line}: {problem}"));
                sum.mismatches += problems.len();
                continue;
            }
        };
        sum.blocks += blocks.len();
        let executed: Vec<&Block> = blocks.iter().filter(|block| block.is_executed).collect();
        if executed.is_empty() {
            continue;
        }
        let played = ask_root(page, &programs, course)?;
        let wrong = compare(&name, &executed, &played, &mut sum);
        if arguments.update && !wrong.is_empty() {
            fs::write(page, script::rewrite(&text, &wrong))?;
            println!("{name}: rewritten");
        }
    }
    println!(
        "{} of {} console blocks executed; {} mismatches",
        sum.executed, sum.blocks, sum.mismatches
    );
    if sum.executed == 0 && arguments.pages.is_empty() {
        bail!("no console block was executed: that proves nothing")
    }
    Ok(if sum.mismatches == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Default)]
struct Sum {
    executed: usize,
    blocks: usize,
    mismatches: usize,
}

/// The pages that were named, or all.
fn pages(named: &[String], checkout: &Path) -> Result<Vec<PathBuf>> {
    let folder = checkout.join("book/src");
    if !named.is_empty() {
        let find = |name: &String| {
            let places =
                [PathBuf::from(name), folder.join(name), folder.join(format!("{name}.md"))];
            let found = places.iter().find(|place| place.is_file());
            found.cloned().with_context(|| format!("there is no page {name}"))
        };
        return named.iter().map(find).map(|page| Ok(std::path::absolute(page?)?)).collect();
    }
    let entries = fs::read_dir(&folder).with_context(|| format!("in {}", folder.display()))?;
    let mut pages: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    Ok(pages)
}

// ---- The programs that the pages call ----

/// Builds the chapters' programs and examples from the solutions, statically where this machine
/// can, so that they run in a container too. Returns their folders and our own.
///
/// # Errors
/// They do not build.
pub fn build(course: &Course) -> Result<Vec<PathBuf>> {
    let machine = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => std::path::absolute(folder)?,
        None => course.checkout.join("target"),
    };
    let flags = format!("target.{machine}.rustflags = [\"-Ctarget-feature=+crt-static\"]");
    let statically = ["--target", &machine, "--config", &flags];
    let folder = if cargo_builds(course, &statically, true)? {
        target.join(machine).join("debug")
    } else if cargo_builds(course, &[], false)? {
        target.join("debug")
    } else {
        bail!("the chapters' programs can't be built")
    };
    let tool = std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(vec![folder.clone(), folder.join("examples"), tool])
}

fn cargo_builds(course: &Course, options: &[&str], is_quiet: bool) -> Result<bool> {
    let mut command = Command::new(course.checkout.join("scripts/as-user"));
    command.args(["cargo", "build", "-q", "--bins", "--examples"]).args(options);
    for chapter in &course.chapters {
        command.args(["-p", &package(&course.solution(chapter))?]);
    }
    command.current_dir(&course.checkout);
    if is_quiet {
        command.stderr(Stdio::null());
    }
    Ok(command.status().context("cannot start scripts/as-user")?.success())
}

/// The name of the package in a folder.
fn package(folder: &Path) -> Result<String> {
    let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml"))?.parse()?;
    let name = manifest.get("package").and_then(|package| package.get("name"));
    let name = name.and_then(|name| name.as_str()).map(str::to_owned);
    name.with_context(|| format!("no package in {}", folder.display()))
}

// ---- As the user, as root, and in the sandbox ----

/// Has root play a page.
fn ask_root(page: &Path, programs: &[PathBuf], course: &Course) -> Result<Played> {
    let said = Command::new(course.checkout.join("scripts/as-root"))
        .arg(std::env::current_exe()?)
        .args(["dev", "console", "--play"])
        .arg(page)
        .args(programs)
        .current_dir(&course.checkout)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start scripts/as-root")?;
    let line = String::from_utf8_lossy(&said.stdout);
    serde_json::from_str(&line)
        .with_context(|| format!("{} could not be played: {}", page.display(), line.trim()))
}

/// Runs as root: starts the sandbox for the page that comes first, with the programs after it.
fn play(arguments: &[String]) -> Result<ExitCode> {
    let [page, programs @ ..] = arguments else { bail!("no page") };
    if std::env::var_os(PAGE).is_none() {
        // What the sandbox is to know, it knows by its environment.
        let status = Command::new(std::env::current_exe()?)
            .args(["dev", "console", "--play", page])
            .env(PAGE, page)
            .env(PROGRAMS, std::env::join_paths(programs)?)
            .status()?;
        return Ok(ExitCode::from(status.code().unwrap_or(1) as u8));
    }
    harness::sweep();
    // The page, and the programs, are to be seen wherever they lie.
    let programs = std::env::var_os(PROGRAMS).unwrap_or_default();
    let kept = [PathBuf::from(page), std::env::current_dir()?].into_iter();
    let kept = kept.chain(std::env::split_paths(&programs));
    let judgement = harness::judge_on(&Host::ReadOnly(kept.collect()), &ROOM[0])?;
    let sheet = judgement.output.lines().find_map(|line| line.strip_prefix(SHEET));
    match (judgement.verdict, sheet) {
        (Verdict::Passed, Some(sheet)) => {
            println!("{sheet}");
            Ok(ExitCode::SUCCESS)
        }
        (Verdict::NotRun(reason), _) => bail!("not run: {reason}"),
        (verdict, _) => bail!("the sandbox gave no answer: {verdict:?}\n{}", judgement.output),
    }
}

/// What the line with the result begins with.
const SHEET: &str = "played: ";

fn play_in_sandbox() {
    let page = std::env::var_os(PAGE).expect("the page is named");
    let programs = std::env::var_os(PROGRAMS).unwrap_or_default();
    let text = fs::read_to_string(page).expect("the page was readable outside");
    let blocks = script::read(&text).expect("the page was parsed outside");
    let room = shell::furnish(std::env::split_paths(&programs));
    let before = Leaks::snapshot(); // with what we have mounted ourselves
    let mut shell = shell::Shell::start("sh".as_ref(), &room).expect("a shell");
    let answers = blocks.iter().filter(|block| block.is_executed);
    let answers = answers.map(|block| shell.answer_all(&block.commands)).collect();
    shell.end();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let folder = room.folder.to_string_lossy().into_owned();
    let played =
        Played { host: host.trim().to_owned(), folder, answers, left: before.left_behind() };
    println!("{SHEET}{}", serde_json::to_string(&played).expect("plain text"));
}

// ---- The comparison ----

/// Prints each mismatch, counts, and returns the blocks that are wrong with what they printed.
fn compare<'a>(
    name: &str,
    blocks: &[&'a Block],
    played: &Played,
    sum: &mut Sum,
) -> Vec<(&'a Block, Vec<String>)> {
    let mut wrong = Vec::new();
    let silence = Vec::new();
    for (number, block) in blocks.iter().enumerate() {
        let answers = played.answers.get(number).unwrap_or(&silence);
        let mut sides = Sides::new(&block.varies, &played.host, &played.folder);
        let (mut is_wrong, mut is_complete) = (false, true);
        for (place, command) in block.commands.iter().enumerate() {
            let answer = answers.get(place).unwrap_or(&shell::Answer::NotReached);
            let expected = sides.expected(&command.expected.join("\n"));
            let actual = sides.actual(answer.text());
            if let Some(reason) = answer.failure() {
                is_complete = false;
                println!("{name}:{}: {reason}: $ {}", command.line, command.typed);
                show("printed until then", answer.text());
                sum.mismatches += 1;
            } else if expected != actual {
                is_wrong = true;
                println!("{name}:{}: $ {}", command.line, command.typed);
                show("expected", &command.expected.join("\n"));
                show("actual", answer.text());
                sum.mismatches += 1;
            }
        }
        sum.executed += usize::from(is_complete);
        if is_wrong && is_complete {
            let texts = answers.iter().map(|answer| sides.for_page(answer.text())).collect();
            wrong.push((*block, texts));
        }
    }
    for thing in &played.left {
        println!("{name}: what is typed here leaves on the machine: {thing}");
        sum.mismatches += 1;
    }
    wrong
}

fn show(what: &str, text: &str) {
    println!("  {what}:");
    for line in text.trim_end().lines() {
        println!("    │ {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shell::Answer;

    const PAGE: &str =
        "```console\n$ echo a\na\n$ cat no\ncat: no: No such file or directory\n```\n";

    fn mismatches(page: &str, answers: Vec<Answer>, left: &[&str]) -> (usize, usize) {
        let blocks = script::read(page).unwrap();
        let played = Played {
            host: "h".to_owned(),
            folder: "/f".to_owned(),
            answers: vec![answers],
            left: left.iter().map(ToString::to_string).collect(),
        };
        let mut sum = Sum::default();
        compare("page", &blocks.iter().collect::<Vec<_>>(), &played, &mut sum);
        (sum.mismatches, sum.executed)
    }

    fn said(text: &str) -> Answer {
        Answer::Said(text.to_owned())
    }

    #[test]
    fn what_the_page_says_is_what_was_printed() {
        let right = vec![said("a\n"), said("cat: no: No such file or directory\n")];
        assert_eq!(mismatches(PAGE, right.clone(), &[]), (0, 1));
        assert_eq!(mismatches(PAGE, right, &["mount /x (tmpfs)"]), (1, 1));
    }

    #[test]
    fn a_wrong_output_a_wrong_error_and_no_output_are_caught() {
        let error = "cat: no: No such file or directory\n";
        assert_eq!(mismatches(PAGE, vec![said("b\n"), said(error)], &[]).0, 1);
        assert_eq!(mismatches(PAGE, vec![said("a\n"), said("cat: no: EPERM\n")], &[]).0, 1);
        assert_eq!(mismatches(PAGE, vec![said(""), said("")], &[]).0, 2);
        assert_eq!(mismatches(PAGE, vec![said("a\na\n"), said(error)], &[]).0, 1);
    }

    #[test]
    fn what_was_not_executed_is_not_counted_as_executed() {
        assert_eq!(mismatches(PAGE, vec![], &[]), (2, 0));
        let silent = vec![Answer::Silent("a\n".to_owned()), Answer::NotReached];
        assert_eq!(mismatches(PAGE, silent, &[]), (2, 0));
        let ended = vec![said("a\n"), Answer::Ended(String::new())];
        assert_eq!(mismatches(PAGE, ended, &[]), (1, 0));
    }
}
