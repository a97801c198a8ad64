//! Shows a process beside the host, or beside another process.

use clap::Parser;
use std::process::ExitCode;

/// Show what isolates a process: its namespaces and all else that /proc knows of it.
#[derive(Parser)]
#[command(name = "xray", version)]
struct Cli {
    #[command(flatten)]
    arguments: xray::command::Arguments,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match xray::command::run(&cli.arguments, |_| Ok(())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// One line of what failed and why, then the hints, each on a line of its own.
fn report(error: &anyhow::Error) {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let messages = causes.iter().filter_map(|cause| cause.lines().next());
    eprintln!("xray: {}", messages.collect::<Vec<_>>().join(": "));
    for hint in causes.iter().flat_map(|cause| cause.lines().skip(1)) {
        eprintln!("{hint}");
    }
}
