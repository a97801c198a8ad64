//! The command line that every chapter's container shares, so that no flag means two things.

use crate::terminal::{Keyboard, Terminal};
use crate::{ROOTFS_HINT, Volume};
use anyhow::{Context, Result};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;
use process::{Birthplace, Guard, Signals};
use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// `-v`, `-t`, `--init`, and the command.
#[derive(clap::Args)]
pub struct Options {
    /// Show a file or folder of the host in the container; options: ro, rw, bind, rbind
    #[arg(short, long = "volume", value_name = "SRC:DST[:OPTIONS]")]
    pub volumes: Vec<Volume>,
    /// Give the command a terminal of its own
    #[arg(short, long)]
    pub tty: bool,
    /// Put a small init at PID 1, which collects orphans and passes signals on
    #[arg(long)]
    pub init: bool,
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD"
    )]
    pub command: Vec<OsString>,
}

impl Options {
    /// The terminal that `-t` asks for.
    pub fn terminal(&self) -> Result<Option<Terminal>> {
        self.tty.then(|| Terminal::prepare(Keyboard::Connected)).transpose()
    }

    /// The last step in the child: becomes the command, under an init if one was asked for.
    pub fn become_command(&self) -> Result<Infallible> {
        let command = process::cstrings(&self.command)?;
        let exec = || process::exec(&command, &process::environment());
        if self.init { process::init(exec) } else { exec() }
    }

    /// Starts the container that `in_child` prepares and stays with it until its end.
    pub fn run(
        &self,
        namespaces: impl Into<Birthplace>,
        terminal: Option<&Terminal>,
        in_child: impl FnOnce() -> Result<Infallible>,
    ) -> Result<u8> {
        self.run_prepared(namespaces, terminal, |_pid| Ok(()), in_child)
    }

    /// [`Options::run`], where `in_parent` has something to do for the child while that waits.
    pub fn run_prepared(
        &self,
        namespaces: impl Into<Birthplace>,
        terminal: Option<&Terminal>,
        in_parent: impl FnOnce(Pid) -> Result<()>,
        in_child: impl FnOnce() -> Result<Infallible>,
    ) -> Result<u8> {
        let signals = Signals::block()?;
        let mut guard = Guard::default();
        let child = process::start(
            namespaces,
            |pid| {
                guard.watch_over(pid)?; // whatever it becomes, it ends with us
                in_parent(pid)
            },
            || {
                umask(Mode::from_bits_truncate(0o022)); // not the caller's: as runc and crun do
                in_child()
            },
        )?;
        match terminal {
            Some(terminal) => terminal.relay(Keyboard::Connected, &signals, &child)?,
            None => signals.pass_on_to(&child)?,
        }
        process::wait(&child)
    }
}

/// The folder that a person named as the root, as an absolute path without links.
pub fn root_folder(named: &Path) -> Result<PathBuf> {
    let hint = || format!("cannot use {}\nhint: {ROOTFS_HINT}", named.display());
    named.canonicalize().with_context(hint)
}
