//! `cargo course doctor`: what works on this machine, what does not, and what to type.

mod looks;

use crate::course::Course;
use crate::look::{self, BAD, BOLD, DIM, GOOD, TODO, TYPE};
use crate::text::wrap;
use anyhow::Result;
use std::process::ExitCode;

/// Say what works on this machine, what does not, and what to type
#[derive(clap::Args)]
#[command(after_help = "\
Example: cargo course doctor

It changes nothing.
Exit status: 0 all that the chapters need is there, 1 something is missing.")]
pub struct Arguments {}

/// Where the findings begin.
const INDENT: usize = 25;

/// What was found out about one thing.
pub struct Sign {
    /// What was looked at, in a word or two.
    what: &'static str,
    /// How it stands.
    health: Health,
    /// What was found.
    found: String,
    /// What to do about it; empty if nothing.
    cure: String,
}

/// How a thing stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It is as it should be.
    Good,
    /// One can live with it.
    Fair,
    /// A chapter can't be done so.
    Bad,
}

impl Sign {
    fn good(what: &'static str, found: impl Into<String>) -> Sign {
        Sign { what, health: Health::Good, found: found.into(), cure: String::new() }
    }

    fn fair(what: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Sign {
        Sign { what, health: Health::Fair, found: found.into(), cure: cure.into() }
    }

    fn bad(what: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Sign {
        Sign { what, health: Health::Bad, found: found.into(), cure: cure.into() }
    }
}

/// Looks at everything.
pub fn run(course: &Course) -> Result<ExitCode> {
    let signs = looks::at_all(course);
    let mut text = String::from("\n");
    for sign in &signs {
        text += &row(sign);
    }
    let is_missing = signs.iter().any(|sign| sign.health == Health::Bad);
    text += &match is_missing {
        false => format!("\n{GOOD}All that the chapters need is there.{GOOD:#}\n"),
        true => format!(
            "\n{BAD}Something that the chapters need is missing{BAD:#}: see the lines with ✗.\n"
        ),
    };
    look::say(&text);
    Ok(ExitCode::from(u8::from(is_missing)))
}

fn row(sign: &Sign) -> String {
    let (style, symbol) = match sign.health {
        Health::Good => (GOOD, "✓ good "),
        Health::Fair => (TODO, "! note "),
        Health::Bad => (BAD, "✗ wrong"),
    };
    let mut text = String::new();
    for (index, line) in wrap(&sign.found, look::width() - INDENT).iter().enumerate() {
        text += &match index {
            0 => format!("  {style}{symbol}{style:#}  {BOLD}{:<12}{BOLD:#}  {line}\n", sign.what),
            _ => format!("{:INDENT$}{line}\n", ""),
        };
    }
    if !sign.cure.is_empty() {
        text += &format!("{:INDENT$}{DIM}type:{DIM:#} {TYPE}{}{TYPE:#}\n", "", sign.cure);
    }
    text
}
