//! Becomes root, for the one thing that needs it: making containers.

use crate::course::Course;
use crate::look;
use anyhow::{Context, Result};
use std::process::{Command, Stdio};

/// A command that will run as root.
pub fn command(course: &Course) -> Command {
    Command::new(course.checkout.join("scripts/as-root"))
}

/// Sees to it that a command can become root; asks for the password where there must be one.
///
/// # Errors
/// It can't; the text says what would help.
pub fn ask(course: &Course) -> Result<(), String> {
    if nix::unistd::geteuid().is_root() || sudo_asks_nothing() {
        return Ok(());
    }
    if !is_there("sudo") {
        let reason = "only root may make a container, and there is no sudo: become root, try again";
        return Err(reason.to_owned());
    }
    look::remark(
        "Only root may make a container, so sudo asks for your password now. Your program \
         runs in a sandbox that is thrown away; cargo itself runs as you.",
    );
    let asked = command(course).arg("true").stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let asked = asked.map_err(|error| format!("cannot run scripts/as-root: {error}"))?;
    let said = String::from_utf8_lossy(&asked.stderr);
    match asked.status.success() {
        true => Ok(()),
        false => Err(said.lines().last().unwrap_or("sudo says no").to_owned()),
    }
}

/// Is there a program of this name on the PATH?
fn is_there(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn sudo_asks_nothing() -> bool {
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    sudo.status().is_ok_and(|status| status.success())
}

/// Under sudo we become the person again who called, so that no file here becomes root's. Only what
/// needs root asks for it. Does not return if that succeeds.
///
/// # Errors
/// The other program can't be started.
pub fn step_down(course: &Course) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let caller = std::env::var("SUDO_USER").unwrap_or_default();
    if !nix::unistd::geteuid().is_root() || caller.is_empty() || caller == "root" {
        return Ok(());
    }
    let tool = std::env::current_exe().context("cannot tell where cargo-course is")?;
    let mut again = Command::new(course.checkout.join("scripts/as-user"));
    again.arg(tool).args(std::env::args_os().skip(1));
    Err(again.exec()).context("cannot run scripts/as-user")
}
