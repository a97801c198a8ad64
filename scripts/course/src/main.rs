//! `cargo course`: the path through the chapters, and the judge of what a learner writes.

mod catalogue;
mod checks;
mod course;
mod dev;
mod holes;
mod judge;
mod starters;
mod text;

use clap::Parser;
use course::Course;
use std::process::ExitCode;

/// The path through the chapters of Coracle.
#[derive(Parser)]
#[command(name = "cargo course", bin_name = "cargo course", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// For those who write the course
    #[command(subcommand)]
    Dev(dev::Command),
    /// Judge exercises as root: what `check` calls
    #[command(hide = true)]
    Judge(judge::Arguments),
}

fn main() -> ExitCode {
    let stage = harness::stage(checks::ALL).or_else(|| harness::stage(dev::console::ROOM));
    if let Some(status) = stage {
        return status; // this process is one that the sandbox started
    }
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|argument| argument == "course") {
        arguments.remove(1); // cargo passes its subcommand's own name on
    }
    run(&Cli::parse_from(arguments)).unwrap_or_else(|error| {
        report(&error);
        ExitCode::from(2)
    })
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Judge(arguments) => judge::run(arguments),
        Command::Dev(command) => dev::run(command, &Course::here()?),
    }
}

/// One line of what failed and why, then the hints, each on a line of its own.
fn report(error: &anyhow::Error) {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let messages = causes.iter().filter_map(|cause| cause.lines().next());
    eprintln!("cargo course: {}", messages.collect::<Vec<_>>().join(": "));
    for hint in causes.iter().flat_map(|cause| cause.lines().skip(1)) {
        eprintln!("{hint}");
    }
}
