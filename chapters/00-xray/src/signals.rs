//! Names the signals, and reads what a process does about each.
//!
//! Three lines of `/proc/PID/status` are sets of signals: caught (it has a handler), ignored,
//! blocked (they wait). What is in none of them does what `signal(7)` says, mostly: kill. The
//! first process of a PID namespace is the exception that surprises everyone: from its own
//! namespace it receives only what it catches, so a shell as PID 1 sleeps through a SIGTERM.

use crate::{Fact, Group, Row, Verdict, status::Status};
use anyhow::Result;
use serde::Serialize;
use std::fmt;

/// The names of signals 1 to 31 without `SIG`, as on every architecture but alpha, mips, parisc
/// and sparc; see `signal(7)`.
pub const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The name of a signal without `SIG`; real-time signals (32 to 64) are called `RT32` to `RT64`,
/// by their number, since each C library begins to count elsewhere.
pub fn name(signal: u32) -> String {
    match signal.checked_sub(1).and_then(|index| NAMES.get(index as usize)) {
        Some(name) => (*name).to_owned(),
        None => format!("RT{signal}"),
    }
}

/// The signal of this name, with or without `SIG`, in any case, or of this number (1 to 64).
/// `None` if there is no such signal.
pub fn number(name: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return (1..=64).contains(&number).then_some(number);
    }
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    if let Some(index) = NAMES.iter().position(|known| *known == name) {
        return Some(index as u32 + 1);
    }
    let number = name.strip_prefix("RT")?.parse().ok()?;
    (32..=64).contains(&number).then_some(number)
}

/// What a process does about signals.
#[derive(Debug, PartialEq, Serialize)]
struct Handling {
    catches: Vec<String>,
    ignores: Vec<String>,
    blocks: Vec<String>,
}

impl Handling {
    fn of(status: &Status) -> Result<Handling> {
        let set = |line| status.bits(line).map(names);
        Ok(Handling { catches: set("SigCgt")?, ignores: set("SigIgn")?, blocks: set("SigBlk")? })
    }
}

/// The signals in a set: bit 0 is signal 1.
fn names(set: u64) -> Vec<String> {
    (1..=64).filter(|signal| set & (1 << (signal - 1)) != 0).map(name).collect()
}

impl fmt::Display for Handling {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let parts =
            [("catches", &self.catches), ("ignores", &self.ignores), ("blocks", &self.blocks)];
        let lines: Vec<String> = parts
            .into_iter()
            .filter(|(_, signals)| !signals.is_empty())
            .map(|(verb, signals)| format!("{verb} {}", summary(signals)))
            .collect();
        match lines.is_empty() {
            true => write!(out, "catches, ignores and blocks none"),
            false => write!(out, "{}", lines.join("\n")),
        }
    }
}

/// The signals with names, and how many real-time ones: a Go program catches all of them.
fn summary(signals: &[String]) -> String {
    let (named, unnamed): (Vec<&String>, Vec<&String>) =
        signals.iter().partition(|signal| NAMES.contains(&signal.as_str()));
    let mut words: Vec<String> = named.into_iter().cloned().collect();
    match unnamed.as_slice() {
        [] => {}
        [one] => words.push(one.to_string()),
        more => words.push(format!("and {} real-time", more.len())),
    }
    words.join(" ")
}

/// The row `signals`. It is not compared: what a program catches is its own affair everywhere.
pub fn row(status: &Status, others: &Status) -> Row {
    Row {
        name: "signals".to_owned(),
        group: Group::Process,
        verdict: Verdict::Uncompared,
        value: Fact::of(Handling::of(status)),
        reference: Fact::of(Handling::of(others)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bit_zero_is_hangup() {
        let status = Status::from("SigBlk:\t0\nSigIgn:\t1000\nSigCgt:\t4001\n");
        let handling = Handling::of(&status).unwrap();
        assert_eq!(handling.catches, ["HUP", "TERM"]);
        assert_eq!(handling.ignores, ["PIPE"]);
        assert_eq!(handling.to_string(), "catches HUP TERM\nignores PIPE");
    }

    #[test]
    fn takes_names_as_people_write_them() {
        assert_eq!(number("sigterm"), Some(15));
        assert_eq!(number("Kill"), Some(9));
        assert_eq!(number("2"), Some(2));
        for nonsense in ["", "0", "65", "-1", "SIG", "RT5", "SIGSIGTERM"] {
            assert_eq!(number(nonsense), None, "{nonsense}");
        }
    }

    proptest! {
        #[test]
        fn every_name_leads_back_to_its_number(signal in 32u32..=64) {
            prop_assert_eq!(number(&name(signal)), Some(signal));
            prop_assert_eq!(number(&name(signal - 31)), Some(signal - 31).filter(|n| *n > 0));
        }
    }
}
