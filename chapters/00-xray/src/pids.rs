//! Shows the numbers of a process, outside and inside, as a row of the report.

use crate::{Fact, Group, Row, Verdict, pid_chain, same_ns};
use anyhow::Result;
use serde::Serialize;
use std::fmt;

/// All numbers of a process, the outermost first; see [`pid_chain`].
#[derive(Serialize)]
struct Pids(Vec<u32>);

impl fmt::Display for Pids {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        match numbers.len() {
            0 | 1 => write!(out, "{}", numbers.join("")),
            _ => write!(out, "{} here → {} inside", numbers[0], numbers[1..].join(" → ")),
        }
    }
}

/// The row `pids`. A number is always a process's own; the verdict is about where it counts.
pub fn row(pid: u32, other: u32) -> Row {
    let (chain, others) = (pid_chain(pid), pid_chain(other));
    Row {
        name: "pids".to_owned(),
        group: Group::Process,
        verdict: Verdict::of(&counted_together(pid, &chain, other, &others)),
        value: Fact::of(chain.map(Pids)),
        reference: Fact::of(others.map(Pids)),
    }
}

/// Whether two processes get their numbers from one namespace. The line NSpid is readable by
/// everyone, so an ordinary user learns this even where the namespace itself is closed to them.
fn counted_together(
    pid: u32,
    chain: &Result<Vec<u32>>,
    other: u32,
    others: &Result<Vec<u32>>,
) -> Result<bool> {
    match (chain, others) {
        // One number each: both live in the very namespace that this /proc belongs to.
        (Ok(chain), Ok(others)) if chain.len() == 1 && others.len() == 1 => Ok(true),
        (Ok(chain), Ok(others)) if chain.len() != others.len() => Ok(false),
        // Equally deep, perhaps in two neighbours: the line cannot tell.
        _ => same_ns("pid", pid, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_way_in() {
        assert_eq!(Pids(vec![4711]).to_string(), "4711");
        assert_eq!(Pids(vec![4711, 1]).to_string(), "4711 here → 1 inside");
        assert_eq!(Pids(vec![4711, 12, 1]).to_string(), "4711 here → 12 → 1 inside");
    }
}
