//! `cargo course`: the path through the chapters, and the judge of what a learner writes.

mod catalogue;
mod checks;
mod judge;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(status) = harness::stage(checks::ALL) {
        return status; // this process is one that the sandbox started
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((command, exercises)) if command == "judge" => judge::run(exercises),
        _ => {
            eprintln!("usage: cargo-course judge EXERCISE…");
            ExitCode::from(2)
        }
    }
}
