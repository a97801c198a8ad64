//! `cargo course shell`: a shell in the sandbox, to type what the book's pages show.
//!
//! It is the room in which `cargo course dev console` plays the pages: the same folder, the same
//! programs. What works there works here, and what a page breaks is thrown away.

use crate::commands::rootfs;
use crate::course::Course;
use crate::dev::console::{self, shell};
use crate::{look, sandbox};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
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
    /// The folders of the finished programs, as in PATH
    programs: OsString,
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
    look::remark("Building the chapters' programs. Only the first time takes a minute.");
    let programs = console::build(course)?;
    if arguments.arguments.is_empty() {
        look::remark(
            "You are root on a machine that is thrown away when you type exit. The chapters'\n\
             programs are here, and a root file system in the folder rootfs.",
        );
    }
    let mut command: Vec<OsString> = vec!["/proc/self/exe".into(), "shell-inside".into()];
    command.push(std::env::join_paths(&programs)?);
    command.push("--".into());
    command.extend(arguments.arguments.iter().cloned());
    sandbox::enter(course, &programs[0], &command)
}

/// Lays out the room and becomes a shell in it.
///
/// # Errors
/// There is no shell.
pub fn inside(arguments: &Inside) -> Result<ExitCode> {
    // A fresh /tmp may cover the tool's own folder, which nobody misses here.
    let programs = std::env::split_paths(&arguments.programs).filter(|folder| folder.is_dir());
    let room = shell::furnish(programs);
    // In a file and not in the environment: a container's shell shall not look like this one.
    let prompt = room.papers.join("prompt");
    fs::write(&prompt, "PS1='$ '\nunset ENV\n").context("cannot write the prompt")?;
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
