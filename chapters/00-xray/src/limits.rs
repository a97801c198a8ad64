//! Parses `/proc/PID/limits`: how much of sixteen things one process may use.
//!
//! Each limit has a soft value, at which the kernel says no, and a hard one, up to which the
//! process may raise the soft (`getrlimit(2)`). They are inherited; a container gets new ones if
//! somebody sets them.

use crate::{Fact, Group, Row, Verdict, procfs};
use anyhow::{Context, Result};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// The title of each limit in `/proc/PID/limits` and its name; `RLIMIT_` and the name in capitals
/// is what C, and the OCI specification, call it. Units are the file's own: bytes, seconds,
/// microseconds (`rttime`), or just a number.
pub const NAMES: [(&str, &str); 16] = [
    ("Max cpu time", "cpu"),
    ("Max file size", "fsize"),
    ("Max data size", "data"),
    ("Max stack size", "stack"),
    ("Max core file size", "core"),
    ("Max resident set", "rss"),
    ("Max processes", "nproc"),
    ("Max open files", "nofile"),
    ("Max locked memory", "memlock"),
    ("Max address space", "as"),
    ("Max file locks", "locks"),
    ("Max pending signals", "sigpending"),
    ("Max msgqueue size", "msgqueue"),
    ("Max nice priority", "nice"),
    ("Max realtime priority", "rtprio"),
    ("Max realtime timeout", "rttime"),
];

/// One limit; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Where the kernel says no.
    #[serde(serialize_with = "number_or_unlimited")]
    pub soft: Option<u64>,
    /// How far the process may raise the soft limit.
    #[serde(serialize_with = "number_or_unlimited")]
    pub hard: Option<u64>,
}

/// The limits of a process by name.
pub type Limits = BTreeMap<&'static str, Limit>;

/// The limits of a process; errors as in [`procfs::read`].
pub fn of(pid: u32) -> Result<Limits> {
    let text = procfs::read(pid, "limits")?;
    parse(&text).with_context(|| format!("cannot understand /proc/{pid}/limits: {text:?}"))
}

/// Parses the table. `None` if a known line lacks its two values; unknown lines are left out.
pub fn parse(text: &str) -> Option<Limits> {
    let mut limits = Limits::new();
    for line in text.lines() {
        // Titles consist of several words and none begins like another.
        let known = NAMES.iter().find(|(title, _)| line.starts_with(title));
        let Some((title, name)) = known else { continue };
        let mut values = line[title.len()..].split_whitespace();
        limits.insert(*name, Limit { soft: value(values.next()?)?, hard: value(values.next()?)? });
    }
    Some(limits)
}

fn value(text: &str) -> Option<Option<u64>> {
    match text {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

fn number_or_unlimited<S: Serializer>(value: &Option<u64>, out: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(number) => out.serialize_u64(*number),
        None => out.serialize_str("unlimited"),
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let word = |value: Option<u64>| value.map_or("unlimited".to_owned(), |n| n.to_string());
        match self.soft == self.hard {
            true => write!(out, "{}", word(self.soft)),
            false => write!(out, "{}:{}", word(self.soft), word(self.hard)),
        }
    }
}

/// The row `rlimits`. The text names only what differs, or what is limited if nothing does; the
/// data have all sixteen.
pub fn row(pid: u32, other: u32) -> Row {
    let (limits, others) = (of(pid), of(other));
    let verdict = Verdict::of_equals(&limits, &others);
    let shown = |name: &str| match (&limits, &others) {
        (Ok(limits), Ok(others)) if verdict == Verdict::Own => limits.get(name) != others.get(name),
        (Ok(limits), _) | (_, Ok(limits)) => {
            limits.get(name).is_some_and(|limit| *limit != Limit { soft: None, hard: None })
        }
        _ => false,
    };
    let fact = |limits: &Result<Limits>| match limits {
        Ok(limits) => Fact::known(text(limits, shown), limits),
        Err(error) => Fact::unknown(error),
    };
    Row {
        name: "rlimits".to_owned(),
        group: Group::Resources,
        verdict,
        value: fact(&limits),
        reference: fact(&others),
    }
}

fn text(limits: &Limits, shown: impl Fn(&str) -> bool) -> String {
    let words: Vec<String> = limits
        .iter()
        .filter(|(name, _)| shown(name))
        .map(|(name, limit)| format!("{name}={limit}"))
        .collect();
    match words.is_empty() {
        true => "all unlimited".to_owned(),
        false => words.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &str = "\
Limit                     Soft Limit           Hard Limit           Units     \n\
Max cpu time              unlimited            unlimited            seconds   \n\
Max stack size            8388608              unlimited            bytes     \n\
Max nice priority         0                    0                    \n";

    #[test]
    fn reads_soft_before_hard() {
        let limits = parse(TABLE).unwrap();
        assert_eq!(limits["stack"], Limit { soft: Some(8_388_608), hard: None });
        assert_eq!(limits["stack"].to_string(), "8388608:unlimited");
        assert_eq!(limits["nice"].to_string(), "0");
        assert_eq!(limits.len(), 3);
    }

    #[test]
    fn knows_every_limit_of_this_kernel() {
        let lines = procfs::read(procfs::own_pid().unwrap(), "limits").unwrap().lines().count();
        assert_eq!(of(procfs::own_pid().unwrap()).unwrap().len(), lines - 1);
    }

    #[test]
    fn a_line_without_its_values_is_refused() {
        assert_eq!(parse("Max open files\n"), None);
        assert_eq!(parse("Max open files 12 many\n"), None);
    }

    proptest! {
        #[test]
        fn values_come_back(soft: u64, hard in any::<Option<u64>>()) {
            let hard_text = hard.map_or("unlimited".to_owned(), |number| number.to_string());
            let limits = parse(&format!("Max open files  {soft}  {hard_text}  files\n")).unwrap();
            prop_assert_eq!(limits["nofile"], Limit { soft: Some(soft), hard });
        }

        #[test]
        fn never_panics(text in ".{0,80}") {
            let _ = parse(&text);
        }
    }
}
