//! A container in forty lines, and a bad one: the book breaks it in five ways.

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, chroot};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["inside", rootfs, program, ..] => inside(rootfs, program, &arguments[3..]),
        [_, _, ..] => outside(&arguments),
        _ => bail!("usage: naive ROOTFS PROGRAM ARGUMENTS…"),
    }
}

/// Asks for new namespaces, and starts this program a second time: as PID 1 in there.
fn outside(arguments: &[&str]) -> Result<ExitCode> {
    unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS)
        .context("cannot make namespaces\nhint: only root may: use sudo")?;
    let status = Command::new("/proc/self/exe").arg("inside").args(arguments).status()?;
    Ok(ExitCode::from(status.code().unwrap_or(1) as u8))
}

/// Makes `rootfs` the root folder, mounts /proc there, and becomes the program.
fn inside(rootfs: &str, program: &str, arguments: &[&str]) -> Result<ExitCode> {
    chroot(rootfs).with_context(|| format!("cannot make {rootfs} the root"))?;
    chdir("/")?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>)
        .context("cannot mount /proc")?;
    let error = Command::new(program).args(arguments).exec(); // returns only if it fails
    Err(error).with_context(|| format!("cannot start {program}"))
}
