//! `cargo course dev`: what those need who write the course.

pub mod book;
pub mod console;
pub mod starters;
pub mod verify;

use crate::course::Course;
use anyhow::Result;
use std::process::ExitCode;

/// What writers of the course do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Build the book, and fail on what mdBook lets pass
    Book(book::Arguments),
    /// Execute the console blocks of the book, and compare
    Console(console::Arguments),
    /// Derive the learner's copies in chapters/ from solutions/
    Starters(starters::Arguments),
    /// Prove that the checks can tell right from wrong, and that nothing gets out of the sandbox
    Verify(verify::Arguments),
}

impl Command {
    /// Whether this is the part of a command that runs as root.
    pub fn is_roots(&self) -> bool {
        matches!(self, Command::Console(arguments) if arguments.play)
    }
}

/// Does it.
pub fn run(command: &Command, course: &Course) -> Result<ExitCode> {
    match command {
        Command::Book(arguments) => book::run(arguments, course),
        Command::Console(arguments) => console::run(arguments, course),
        Command::Starters(arguments) => starters::run(arguments, course),
        Command::Verify(arguments) => verify::run(arguments, course),
    }
}
