//! `cargo course shell`: a shell in the sandbox, to type what the book's pages show.
//!
//! It is the room in which `cargo course dev console` plays the pages: the same folder, the same
//! programs. What works there works here, and what a page breaks is thrown away.

use crate::commands::rootfs;
use crate::course::Course;
use crate::dev::console::shell;
use crate::{look, sandbox};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Open a shell in the sandbox, to type along with the book
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo course shell
  cargo course shell -- -c 'sudo pid-namespace ps'

You are root there, on a small machine that is thrown away at the end: what you rename, mount or
kill is in there. The finished programs of the chapters are on the path, and the folder that you
are in has a root file system in rootfs. Your own files can be read and not changed.")]
pub struct Arguments {
    /// What the shell is given, after two dashes
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// What the part in the sandbox is told.
#[derive(clap::Args)]
pub struct Inside {
    /// The folder of the finished programs
    programs: PathBuf,
    /// What the shell is given
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Builds what the pages call, and opens the shell.
///
/// # Errors
/// Something does not build, there is no busybox, or we can't become root.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    rootfs::busybox(course)?;
    let programs = build(course)?;
    if arguments.arguments.is_empty() {
        look::remark(
            "You are root on a machine that is thrown away when you type exit. The chapters'\n\
             programs are here, and a root file system in the folder rootfs.",
        );
    }
    let mut command: Vec<OsString> = vec!["/proc/self/exe".into(), "shell-inside".into()];
    command.push(programs.clone().into());
    command.push("--".into());
    command.extend(arguments.arguments.iter().cloned());
    sandbox::enter(course, &programs, &command)
}

/// The finished programs of all chapters, built where they are not yet.
fn build(course: &Course) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into());
    let programs = course.checkout.join(target).join("bin");
    if !programs.is_dir() {
        look::remark("building the chapters' programs, for a minute or two the first time …");
    }
    let built = Command::new(course.checkout.join("scripts/build")).output();
    let built = built.context("cannot run scripts/build")?;
    let said = String::from_utf8_lossy(&built.stderr);
    ensure!(built.status.success(), "the chapters' programs can't be built\n{said}");
    Ok(programs)
}

/// Lays out the room and becomes a shell in it.
///
/// # Errors
/// There is no shell.
pub fn inside(arguments: &Inside) -> Result<ExitCode> {
    let room = shell::furnish(std::iter::once(arguments.programs.clone()));
    // In a file and not in the environment: a container's shell shall not look like this one.
    let prompt = room.papers.join("prompt");
    fs::write(&prompt, "PS1='$ '\n").context("cannot write the prompt")?;
    let (program, plain): (_, &[&str]) = match Path::new("/bin/bash").exists() {
        true => ("/bin/bash", &["--noprofile", "--rcfile", "/run/course/prompt"]),
        false => ("/bin/sh", &[]),
    };
    let error = Command::new(program)
        .args(plain)
        .args(&arguments.arguments)
        .env("ENV", &prompt)
        .env_remove("PS1")
        .env("PATH", &room.path)
        .env("HOME", "/root")
        .env("USER", "root")
        .env_remove("HISTFILE")
        .current_dir(&room.folder)
        .exec();
    Err(error).with_context(|| format!("cannot execute {program}"))
}
