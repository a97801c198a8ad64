//! `cargo course`: the path through the chapters, and the judge of what a learner writes.

mod build;
mod catalogue;
mod checks;
mod choose;
mod commands;
mod course;
mod dev;
mod holes;
mod judge;
mod look;
mod progress;
mod root;
mod sandbox;
mod starters;
mod text;
mod verdict;

use clap::Parser;
use commands as c;
use course::Course;
use std::process::ExitCode;

/// With the folder of its source: a tool of another checkout judges other chapters.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " of ", env!("CARGO_MANIFEST_DIR"));

/// The path through the chapters of Coracle.
///
/// Without a command: where you are, and what to type next.
/// It works in every folder of the checkout.
#[derive(Parser)]
#[command(name = "cargo course", bin_name = "cargo course", version = VERSION, verbatim_doc_comment)]
#[command(after_help = "\
Examples:
  cargo course               where you are, and what to type next
  cargo course check 01      is chapter 01 right? the kernel decides
  cargo course help check    all about one command")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    Book(c::book::Arguments),
    Check(c::check::Arguments),
    Hint(c::hint::Arguments),
    Run(c::run::Arguments),
    Xray(c::xray::Arguments),
    Shell(c::shell::Arguments),
    Rootfs(c::rootfs::Arguments),
    Diff(c::diff::Arguments),
    Solution(c::solution::Arguments),
    Reset(c::reset::Arguments),
    List(c::list::Arguments),
    Doctor(c::doctor::Arguments),
    /// For those who write the course
    #[command(subcommand)]
    Dev(dev::Command),
    /// Judge exercises, as root
    #[command(hide = true)]
    Judge(judge::Arguments),
    /// Make a sandbox for a command, as root
    #[command(hide = true)]
    Sandbox(sandbox::Arguments),
    /// Become that command, in the sandbox
    #[command(hide = true)]
    Inside(sandbox::Inside),
    /// Draw a container, in the sandbox
    #[command(hide = true)]
    XrayInside(c::xray::Inside),
    /// Become a shell, in the sandbox
    #[command(hide = true)]
    ShellInside(c::shell::Inside),
}

fn main() -> ExitCode {
    if cfg!(panic = "abort") {
        eprintln!(
            "cargo course: built so that a check that fails ends the judge\nhint: ./scripts/setup"
        );
        return ExitCode::from(2);
    }
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
        Some(Command::Judge(arguments)) => judge::run(arguments),
        Some(Command::Sandbox(arguments)) => sandbox::as_root(arguments),
        Some(Command::Inside(arguments)) => sandbox::inside(arguments),
        Some(Command::XrayInside(arguments)) => c::xray::inside(arguments),
        Some(Command::ShellInside(arguments)) => c::shell::inside(arguments),
        command => {
            let course = Course::here()?;
            let is_roots = matches!(command, Some(Command::Dev(dev)) if dev.is_roots());
            if !is_roots {
                root::step_down(&course)?;
            }
            learn(command.as_ref(), &course)
        }
    }
}

fn learn(command: Option<&Command>, course: &Course) -> anyhow::Result<ExitCode> {
    match command {
        None => c::start::run(course),
        Some(Command::List(_)) => c::list::run(course),
        Some(Command::Check(arguments)) => c::check::run(arguments, course),
        Some(Command::Hint(arguments)) => c::hint::run(arguments, course),
        Some(Command::Run(arguments)) => c::run::run(arguments, course),
        Some(Command::Diff(arguments)) => c::diff::run(arguments, course),
        Some(Command::Solution(arguments)) => c::solution::run(arguments, course),
        Some(Command::Reset(arguments)) => c::reset::run(arguments, course),
        Some(Command::Shell(arguments)) => c::shell::run(arguments, course),
        Some(Command::Rootfs(arguments)) => c::rootfs::run(arguments, course),
        Some(Command::Xray(arguments)) => c::xray::run(arguments, course),
        Some(Command::Book(arguments)) => c::book::run(arguments, course),
        Some(Command::Doctor(_)) => c::doctor::run(course),
        Some(Command::Dev(command)) => dev::run(command, course),
        Some(_) => unreachable!("the others came before"),
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
