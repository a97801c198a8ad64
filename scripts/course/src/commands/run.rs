//! `cargo course run`: runs the learner's program, in a sandbox that is thrown away.

use crate::build;
use crate::course::Course;
use crate::{look, sandbox};
use anyhow::Result;
use std::ffi::OsString;
use std::process::ExitCode;

/// Run your program, as root, in a sandbox that is thrown away
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo course run 01 -- sh -c 'echo I am process $$'
  cargo course run 02 -- --rootfs rootfs sh
  cargo course run               without arguments

In the sandbox you are root on a small machine of your own: it has its own
processes, mounts, network and host name, and \"the host\" is that machine. It
sees your files and can't change them. What is written to /tmp, /run and the
checkout's rootfs is thrown away in the end.
The exit status is that of your program.")]
pub struct Arguments {
    /// Such as 01, 1 or pid-namespace [default: the one you are in]
    chapter: Option<String>,
    /// What your program is given, after two dashes
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Runs it.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    let Some((_, program)) = build::chosen(course, arguments.chapter.as_deref())? else {
        return Ok(ExitCode::from(2));
    };
    look::remark("(In a sandbox: the host in here is a machine that will be thrown away.)");
    let mut command = vec![program.clone().into_os_string()];
    command.extend(arguments.arguments.iter().cloned());
    sandbox::enter(course, &program, &command)
}
