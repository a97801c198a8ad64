//! Parses `/proc/PID/uid_map` and `gid_map`: who the users of a user namespace are outside.
//!
//! Each line is a range: the first number inside, the first outside, how many
//! (`user_namespaces(7)`). Outside means the reader's user namespace; if the reader is in the
//! same one, it means the namespace around it. A number that no range contains shows as 65534.

use crate::{Group, Row, procfs, status::Status};
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt;

/// One line of an id map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first number inside the user namespace.
    pub inside: u32,
    /// The first number outside.
    pub outside: u32,
    /// How many numbers.
    pub count: u32,
}

/// A whole id map: at most 340 ranges; none before the map is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct IdMap {
    /// The ranges, in the order of the file.
    pub ranges: Vec<Range>,
}

impl IdMap {
    /// Who `inside` is outside; none if it is not mapped.
    pub fn outside(&self, inside: u32) -> Option<u32> {
        self.ranges.iter().find_map(|range| {
            let distance = inside.checked_sub(range.inside)?;
            (distance < range.count).then(|| range.outside.checked_add(distance))?
        })
    }
}

/// The map of a process's users (`"uid_map"`) or groups (`"gid_map"`); errors as in
/// [`procfs::read`].
pub fn of(pid: u32, file: &str) -> Result<IdMap> {
    let text = procfs::read(pid, file)?;
    parse(&text).with_context(|| format!("cannot understand /proc/{pid}/{file}: {text:?}"))
}

/// Parses an id map. `None` if a line is not three numbers.
pub fn parse(text: &str) -> Option<IdMap> {
    let range = |line: &str| {
        let numbers: Vec<u32> =
            line.split_whitespace().map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let [inside, outside, count] = numbers[..] else { return None };
        Some(Range { inside, outside, count })
    };
    Some(IdMap { ranges: text.lines().map(range).collect::<Option<_>>()? })
}

impl fmt::Display for IdMap {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        const EVERYONE: Range = Range { inside: 0, outside: 0, count: u32::MAX };
        match self.ranges.as_slice() {
            [] => write!(out, "nobody is mapped"),
            [EVERYONE] => write!(out, "everyone as outside"),
            ranges => {
                let lines: Vec<String> = ranges.iter().map(Range::to_string).collect();
                write!(out, "{}", lines.join("\n"))
            }
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Range { inside, outside, count } = *self;
        if count == 1 {
            return write!(out, "{inside} is {outside} outside");
        }
        let last = |first: u32| u64::from(first) + u64::from(count) - 1;
        match count {
            0 => write!(out, "none"),
            _ => write!(out, "{inside}–{} is {outside}–{} outside", last(inside), last(outside)),
        }
    }
}

/// Who a process acts as: effective and file system numbers are left out where they agree.
#[derive(PartialEq, Serialize)]
struct Ids {
    uid: u32,
    gid: u32,
    effective_uid: u32,
    effective_gid: u32,
    groups: Vec<u32>,
}

impl Ids {
    fn of(status: &Status) -> Result<Ids> {
        // Four numbers a line: real, effective, saved, file system.
        let pair = |line: &str| -> Result<(u32, u32)> {
            let numbers = status.numbers(line)?;
            let [real, effective, ..] = numbers[..] else {
                anyhow::bail!("{line} is {numbers:?}, not four numbers")
            };
            Ok((real, effective))
        };
        let ((uid, effective_uid), (gid, effective_gid)) = (pair("Uid")?, pair("Gid")?);
        let groups = status.numbers("Groups")?;
        Ok(Ids { uid, gid, effective_uid, effective_gid, groups })
    }
}

impl fmt::Display for Ids {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "uid {} gid {}", self.uid, self.gid)?;
        if (self.uid, self.gid) != (self.effective_uid, self.effective_gid) {
            write!(out, "\nacting as {}:{}", self.effective_uid, self.effective_gid)?;
        }
        if !self.groups.is_empty() {
            let groups: Vec<String> = self.groups.iter().map(u32::to_string).collect();
            write!(out, "\ngroups {}", groups.join(" "))?;
        }
        Ok(())
    }
}

/// The row `ids`: the numbers as the reader's user namespace has them.
pub fn ids_row(status: &Status, others: &Status) -> Row {
    Row::compare("ids", Group::Identity, Ids::of(status), Ids::of(others))
}

/// The rows `uid_map` and `gid_map`.
pub fn map_rows(pid: u32, other: u32) -> [Row; 2] {
    ["uid_map", "gid_map"]
        .map(|file| Row::compare(file, Group::Identity, of(pid, file), of(other, file)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_columns_in_the_kernels_order() {
        let map =
            parse("         0       1000          1\n         1     100000      65535\n").unwrap();
        assert_eq!(map.ranges[0], Range { inside: 0, outside: 1000, count: 1 });
        assert_eq!(map.to_string(), "0 is 1000 outside\n1–65535 is 100000–165534 outside");
        assert_eq!(map.outside(0), Some(1000));
        assert_eq!(map.outside(65535), Some(165_534));
        assert_eq!(map.outside(65536), None);
    }

    #[test]
    fn the_first_namespace_maps_everyone() {
        let map = parse("         0          0 4294967295\n").unwrap();
        assert_eq!(map.to_string(), "everyone as outside");
        assert_eq!(map.outside(u32::MAX), None);
    }

    #[test]
    fn an_unwritten_map_is_empty_and_nonsense_is_none() {
        assert_eq!(parse("").unwrap().ranges, []);
        for nonsense in ["0 0", "0 0 1 1", "0 -1 1", "a b c"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }

    proptest! {
        #[test]
        fn a_map_comes_back(numbers in prop::collection::vec(any::<(u32, u32, u32)>(), 0..9)) {
            let text: String = numbers
                .iter()
                .map(|(inside, outside, count)| format!("{inside:>10} {outside:>10} {count:>10}\n"))
                .collect();
            let map = parse(&text).unwrap();
            let back: Vec<_> =
                map.ranges.iter().map(|range| (range.inside, range.outside, range.count)).collect();
            prop_assert_eq!(back, numbers);
            let _ = (map.to_string(), map.outside(7));
        }

        #[test]
        fn never_panics(text in ".{0,60}") {
            let _ = parse(&text);
        }
    }
}
