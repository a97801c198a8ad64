//! `cargo course xray`: the learner's container, beside its host.

use crate::build;
use crate::catalogue::Chapter;
use crate::course::Course;
use crate::{look, sandbox};
use ::xray::Report;
use ::xray::table::{self, Style};
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The rows that the chapters so far are about.
const ROWS: &str = "pid,mnt,uts,ipc,user,net,cgroup,time,pids,root,mounts";

/// What the container does while we look.
const WAITING: [&str; 2] = ["sleep", "1000"];

/// Show what your container has of its own, beside its host
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo course xray 01         your program of chapter 01, with `sleep`
  cargo course xray 01 --all   all that /proc knows of it

It runs in the sandbox, so \"host\" means the sandbox. In chapter 00 there is no
container yet: the table is that of a sleeping process, and nothing is its own.")]
pub struct Arguments {
    /// Such as 01, 1 or pid-namespace [default: the one you are in]
    chapter: Option<String>,
    /// All rows, not only those of the first chapters
    #[arg(long)]
    all: bool,
}

/// What is told to the part that runs in the sandbox.
#[derive(clap::Args)]
pub struct Inside {
    /// All rows
    #[arg(long)]
    all: bool,
    /// With colours
    #[arg(long)]
    colour: bool,
    /// The container's program and its arguments
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// Builds the program and shows it.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    let Some((chapter, program)) = build::chosen(course, arguments.chapter.as_deref())? else {
        return Ok(ExitCode::from(2));
    };
    let mut command: Vec<OsString> = vec!["/proc/self/exe".into(), "xray-inside".into()];
    command.extend(arguments.all.then(|| "--all".into()));
    command.extend(has_colour().then(|| "--colour".into()));
    command.push("--".into());
    command.extend(container(course, chapter, &program)?);
    sandbox::enter(course, &program, &command)
}

/// The command that makes the chapter's container.
fn container(course: &Course, chapter: &Chapter, program: &Path) -> Result<Vec<OsString>> {
    let waiting = WAITING.map(OsString::from);
    let number: u32 = chapter.number().parse().unwrap_or_default();
    if number == 0 {
        return Ok(waiting.to_vec());
    }
    let mut command = vec![program.as_os_str().to_owned()];
    if number >= 2 {
        let rootfs = course.checkout.join("rootfs");
        ensure!(rootfs.is_dir(), "there is no root file system yet\nhint: cargo course rootfs");
        command.extend(["--rootfs".into(), rootfs.into_os_string()]);
    }
    command.extend(waiting);
    Ok(command)
}

fn has_colour() -> bool {
    look::is_watched() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Starts the container, in the sandbox, and draws it.
///
/// # Errors
/// No container comes of it.
pub fn inside(arguments: &Inside) -> Result<ExitCode> {
    let (program, rest) = arguments.command.split_first().context("no command")?;
    let mut started = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", program.to_string_lossy()))?;
    let drawn = wait_for_sleep(&mut started).and_then(|pid| draw(arguments, pid));
    let _ = started.kill();
    let _ = started.wait();
    look::say(&format!("\n{}", drawn?));
    Ok(ExitCode::SUCCESS)
}

fn draw(arguments: &Inside, pid: u32) -> Result<String> {
    let rows: Vec<String> = match arguments.all {
        true => Vec::new(),
        false => ROWS.split(',').map(str::to_owned).collect(),
    };
    let mut report = Report::read(pid, &rows)?;
    if !rows.is_empty() {
        report.keep(&rows)?;
    }
    Ok(table::draw(&report, if arguments.colour { Style::Colour } else { Style::Plain }))
}

/// The process that sleeps: the one that was started, or what it has made.
fn wait_for_sleep(started: &mut Child) -> Result<u32> {
    let sleeps = |pid: &u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.trim_end() == WAITING[0] || name.trim_end() == "busybox"
    };
    let deadline = Instant::now() + harness::patient(Duration::from_secs(5));
    while Instant::now() < deadline {
        let mut family = vec![started.id()];
        family.extend(harness::children_of(started.id()));
        if let Some(pid) = family.into_iter().find(sleeps) {
            return Ok(pid);
        }
        if let Some(status) = started.try_wait()? {
            bail!("your program ended before there was a container to look at ({status})");
        }
        sleep(Duration::from_millis(5));
    }
    bail!("your program runs, and after 5 seconds there is still no container below it")
}
