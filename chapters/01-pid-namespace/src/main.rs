//! `pid-namespace CMD ARGS…`: runs a command as PID 1 of a world of its own.

use anyhow::Result;
use clap::Parser;
use nix::sched::CloneFlags;
use process::{Guard, Signals};
use std::ffi::OsString;
use std::process::ExitCode;

/// Run a command as PID 1 of a new PID namespace.
///
/// Exits with the command's status; 128+N if signal N ended it, 127 if it was not found, 126 if
/// it could not be executed, 125 if the container could not be made.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: sudo pid-namespace sh -c 'echo I am $$'\n\n\
        ps still lists the host's processes: it reads /proc, which `mount-namespace` replaces."
)]
struct Args {
    /// Put a small init at PID 1, which collects orphans and passes signals on; the command is PID 2
    #[arg(long)]
    init: bool,
    /// Show the naive way: unshare(2) and exec, which does not give the command a new PID
    #[arg(long, conflicts_with = "init")]
    unshare: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    process::finish(run(&process::parse()))
}

fn run(args: &Args) -> Result<u8> {
    let command = process::cstrings(&args.command)?;
    if args.unshare {
        match process::unshare_and_exec(&command)? {}
    }
    let become_command = || process::exec(&command, &process::environment());

    sys::close_all_but(&[])?; // whatever our caller left open stays out of the container
    let signals = Signals::block()?; // hear them ourselves, from now on
    let mut guard = Guard::default();
    let child = process::start(
        CloneFlags::CLONE_NEWPID,
        |pid| guard.watch_over(pid), // whatever it becomes, it ends with us
        || if args.init { process::init(become_command) } else { become_command() },
    )?;
    signals.pass_on_to(&child)?;
    process::wait(&child)
}
