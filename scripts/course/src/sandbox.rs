//! Runs a command of the learner's in the sandbox, with the learner's own terminal.
//!
//! Three programs stand in a row, all of them this one: as the learner ([`enter`]), who asks sudo;
//! as root ([`as_root`]), which makes the sandbox; and in it ([`inside`]), which lays out what can
//! be written and then becomes the command.

use crate::course::Course;
use crate::{look, root};
use anyhow::{Context, Result};
use harness::Host;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What the middle one is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// The process that wants it: all ends when it does
    #[arg(long)]
    caller: u32,
    /// The checkout
    #[arg(long)]
    checkout: PathBuf,
    /// The program that stays in sight
    #[arg(long)]
    program: PathBuf,
    /// The command
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// What the innermost is told.
#[derive(clap::Args)]
pub struct Inside {
    /// The checkout
    checkout: PathBuf,
    /// The command
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// Runs `command` in a sandbox in which `program` can be seen, and returns its exit status.
///
/// # Errors
/// We can't become root.
pub fn enter(course: &Course, program: &Path, command: &[OsString]) -> Result<ExitCode> {
    if let Err(reason) = root::ask(course) {
        look::remark(&format!("cargo course: {reason}"));
        look::remark("hint: cargo course doctor says what helps");
        return Ok(ExitCode::from(2));
    }
    let tool = std::env::current_exe().context("cannot tell where cargo-course is")?;
    let mut raised = root::command(course);
    raised.arg(tool).arg("sandbox").args(["--caller", &std::process::id().to_string()]);
    raised.arg("--checkout").arg(&course.checkout).arg("--program").arg(program);
    raised.arg("--").args(command);
    hold_back_keys()?;
    let status = raised.status().context("cannot run scripts/as-root")?;
    Ok(ExitCode::from(status.code().unwrap_or(130) as u8))
}

/// Makes the sandbox; as root.
///
/// # Errors
/// It can't be made.
pub fn as_root(arguments: &Arguments) -> Result<ExitCode> {
    hold_back_keys()?; // again: sudo has let them through
    harness::end_with(arguments.caller);
    harness::sweep();
    let _janitor = harness::Janitor::hire().context("cannot start the janitor")?;
    let mut kept = vec![arguments.checkout.clone(), arguments.program.clone()];
    kept.extend(std::env::current_dir());
    let mut command: Vec<OsString> = vec!["/proc/self/exe".into(), "inside".into()];
    command.extend([arguments.checkout.clone().into(), "--".into()]);
    command.extend(arguments.command.iter().cloned());
    harness::enter(&Host::ReadOnly(kept), &command).context("the sandbox could not be made")
}

/// Ctrl-C is for the program in the sandbox, not for those who wait for it.
fn hold_back_keys() -> Result<()> {
    let keys: SigSet = [Signal::SIGINT, Signal::SIGQUIT].into_iter().collect();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&keys), None).context("cannot hold back Ctrl-C")
}

/// Lays out what can be written, and becomes the command.
///
/// # Errors
/// It can't be executed.
pub fn inside(arguments: &Inside) -> Result<ExitCode> {
    let rootfs = arguments.checkout.join("rootfs");
    if rootfs.is_dir() {
        make_writable(&rootfs)?;
    }
    let (program, rest) = arguments.command.split_first().context("no command")?;
    let error = Command::new(program).args(rest).exec();
    Err(error).with_context(|| format!("cannot execute {}", program.to_string_lossy()))
}

/// Puts a copy in its place: a program may make mount points in it, and they vanish with us.
fn make_writable(rootfs: &Path) -> Result<()> {
    let copy = Path::new("/run/rootfs");
    let what = || format!("cannot copy {}", rootfs.display());
    let copied = Command::new("cp").arg("-a").arg(rootfs).arg(copy).status().with_context(what)?;
    anyhow::ensure!(copied.success(), what());
    let none = None::<&str>;
    mount(Some(copy), rootfs, none, MsFlags::MS_BIND, none)
        .with_context(|| format!("cannot mount on {}", rootfs.display()))
}
