//! Compares commands: what each takes, side by side in one run.
//!
//! Absolute times say more about the machine than about the program, so the
//! commands take turns, round after round, and the result is a ratio: whatever
//! else the machine was doing, it did to all of them. `scripts/bench/run` knows
//! which commands are worth comparing; this program only measures.

mod bound;
mod carry;
mod run;
mod table;

use anyhow::{Context, Result, bail, ensure};
use bound::{Bound, Verdict};
use clap::{Args, Parser, Subcommand};
use run::{Candidate, Daemons, Sample};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

/// Measures commands side by side: CPU, wall time and peak memory.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run commands in turn and print a table with their ratios.
    Compare(Compare),
    /// Run one command and print the peak resident set of its largest process, in KiB.
    Peak {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// Send bytes to `receive`, and hear as many from it.
    Send {
        /// Where it is.
        to: SocketAddr,
        /// In each direction, in MiB.
        mebibytes: u64,
    },
    /// Listen at an address, and answer everybody with as many bytes as they sent.
    Receive {
        /// Where to.
        at: SocketAddr,
    },
}

#[derive(Args)]
struct Compare {
    /// Measured runs of each command.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Runs of each command before the measured ones; with 0, no peak memory is measured.
    #[arg(long, default_value_t = 3)]
    warmup: usize,
    /// Milliseconds between two runs. Joining a v1 cgroup waits for a kernel lock that stays
    /// warm for about 140 ms, so without a pause the next command would look faster than it is.
    #[arg(long, default_value_t = 150)]
    pause: u64,
    /// A shell command to run before each run; it is not measured.
    #[arg(long, value_name = "COMMAND")]
    before: Option<String>,
    /// What these processes take while NAME runs is NAME's, too: they work for it. For each command
    /// that asks a daemon to do the work.
    #[arg(long, value_name = "NAME=PID[,PID…]")]
    daemon: Vec<Daemons>,
    /// Print each command's CPU as a multiple of this command's; may be repeated.
    #[arg(long)]
    baseline: Vec<String>,
    /// Print what NAME takes more than BASE: the price of what it does beside; may be repeated.
    #[arg(long, value_name = "NAME=BASE")]
    extra: Vec<String>,
    /// A bound to judge, such as `coracle cpu <= 2 floor` or `chapter-01 wall < 30 s`; may be
    /// repeated. The exit status is 1 if one is broken.
    #[arg(long)]
    require: Vec<Bound>,
    /// `:: NAME COMMAND [ARGUMENT...]` for each command.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    commands: Vec<OsString>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Compare(compare) => compare_commands(&compare),
        Task::Peak { command } => run::print_peak(&command).map(|()| ExitCode::SUCCESS),
        Task::Send { to, mebibytes } => {
            carry::send(to, mebibytes << 20).map(|()| ExitCode::SUCCESS)
        }
        Task::Receive { at } => carry::receive(at),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        ExitCode::from(2)
    })
}

fn compare_commands(options: &Compare) -> Result<ExitCode> {
    ensure!(options.rounds > 0, "cannot compare anything in 0 rounds");
    let candidates = candidates(&options.commands, &options.daemon)?;
    run::adopt_orphans()?;
    let peaks = warm_up(&candidates, options)?;
    let samples = measure(&candidates, options)?;

    let results = table::results(&candidates, &samples, peaks);
    table::print(&results, &options.baseline);
    table::print_extras(&results, &options.extra)?;
    let verdicts: Vec<Verdict> = options.require.iter().map(|b| b.judge(&results)).collect();
    for (bound, verdict) in options.require.iter().zip(&verdicts) {
        println!("{verdict:<10} {bound}");
    }
    let broken = verdicts.iter().any(|v| matches!(v, Verdict::Broken(_)));
    Ok(ExitCode::from(u8::from(broken)))
}

/// Splits `:: name command argument… :: name command…` into its commands.
fn candidates(words: &[OsString], daemons: &[Daemons]) -> Result<Vec<Candidate>> {
    let mut groups = words.split(|word| word == "::");
    if groups.next().is_some_and(|before| !before.is_empty()) {
        bail!("each command starts with `:: NAME`, also the first");
    }
    groups.map(|words| Candidate::new(words, daemons)).collect()
}

/// Fills the caches, and measures peak memory on the way: that takes a process
/// more per run, which would disturb the times.
fn warm_up(candidates: &[Candidate], options: &Compare) -> Result<Vec<Option<u64>>> {
    let mut peaks = vec![None; candidates.len()];
    for _ in 0..options.warmup {
        for (candidate, peak) in candidates.iter().zip(&mut peaks) {
            options.before.iter().try_for_each(|command| run::prepare(command))?;
            *peak = (*peak).max(Some(run::peak(candidate)?));
        }
    }
    Ok(peaks)
}

/// Returns each candidate's samples, in the order of the candidates.
fn measure(candidates: &[Candidate], options: &Compare) -> Result<Vec<Vec<Sample>>> {
    let mut samples = vec![Vec::with_capacity(options.rounds); candidates.len()];
    for round in 0..options.rounds {
        for (candidate, samples) in candidates.iter().zip(&mut samples) {
            options.before.iter().try_for_each(|command| run::prepare(command))?;
            sleep(Duration::from_millis(options.pause));
            let sample = run::once(candidate).with_context(|| format!("in round {}", round + 1))?;
            samples.push(sample);
        }
    }
    Ok(samples)
}
