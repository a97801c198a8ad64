//! `cargo course rootfs`: a small root file system for the containers of chapter 02 and later.

use crate::course::Course;
use crate::look::{self, to_type};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Make a small root file system from this machine's busybox
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo course rootfs            the folder rootfs in the checkout
  cargo course rootfs /tmp/r     another folder, new or empty

It downloads nothing. It needs a static busybox, which scripts/setup installs.")]
pub struct Arguments {
    /// The folder [default: rootfs in the checkout]
    folder: Option<PathBuf>,
}

/// Makes it.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    let folder = arguments.folder.clone().unwrap_or_else(|| course.checkout.join("rootfs"));
    let is_ours = folder.join("bin/busybox").is_file();
    ensure!(
        is_ours || is_free(&folder),
        "{} exists and is no root file system of ours\nhint: name another folder, new or empty",
        folder.display()
    );
    let busybox = busybox(course)?;
    harness::busybox_rootfs_from(&busybox, &folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let word = if is_ours { "is up to date" } else { "made" };
    let here = std::env::current_dir().unwrap_or_default();
    let shown = folder.strip_prefix(&here).unwrap_or(&folder).display();
    look::say(&format!("{word}: {shown}\n\nIn chapter 02 it becomes the root of a container:\n\n"));
    look::say(&to_type(&format!("cargo course run 02 -- --rootfs {shown} sh")));
    Ok(ExitCode::SUCCESS)
}

fn is_free(folder: &Path) -> bool {
    match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// The static busybox of this machine.
///
/// # Errors
/// There is none.
pub fn busybox(course: &Course) -> Result<PathBuf> {
    let find = course.checkout.join("scripts/find-busybox");
    let output = Command::new(find).output().context("cannot run scripts/find-busybox")?;
    ensure!(
        output.status.success(),
        "there is no static busybox on this machine\nhint: ./scripts/setup installs one"
    );
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}
