//! Parses `/proc/PID/cgroup`: the groups in which a process's use of the machine is counted.
//!
//! ```text
//! 4:memory:/user/alice      a hierarchy of version 1, with its controllers
//! 1:name=systemd:/          one without a controller, for names only
//! 0::/user.slice            version 2: one tree for all controllers
//! ```
//!
//! A path is as seen from the root of the *reader's* cgroup namespace: what lies outside of it
//! begins with `/..` (`cgroups(7)`, `cgroup_namespaces(7)`).

use crate::{Group, Row, procfs};
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The groups of one process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cgroups {
    /// The path in the tree of version 2; none if this machine has version 1 only.
    pub v2: Option<String>,
    /// The path by controller in the trees of version 1, such as `memory` or `name=systemd`.
    pub v1: BTreeMap<String, String>,
}

/// The groups of a process; errors as in [`procfs::read`].
pub fn of(pid: u32) -> Result<Cgroups> {
    let text = procfs::read(pid, "cgroup")?;
    parse(&text).with_context(|| format!("cannot understand /proc/{pid}/cgroup: {text:?}"))
}

/// Parses the file. `None` if a line is not of the form above.
pub fn parse(text: &str) -> Option<Cgroups> {
    let mut groups = Cgroups::default();
    for line in text.lines() {
        // The path comes last because it may contain colons.
        let mut fields = line.splitn(3, ':');
        let (hierarchy, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        match (hierarchy, controllers) {
            ("0", "") => groups.v2 = Some(path.to_owned()),
            (_, controllers) => groups
                .v1
                .extend(controllers.split(',').map(|name| (name.to_owned(), path.to_owned()))),
        }
    }
    Some(groups)
}

impl fmt::Display for Cgroups {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Some(v2) = &self.v2 else { return write_v1(out, &self.v1) };
        write!(out, "{v2}")?;
        // On hybrid machines most trees of version 1 are unused: only the others are worth a line.
        let elsewhere: BTreeMap<_, _> = self
            .v1
            .iter()
            .filter(|(_, path)| *path != v2)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        if elsewhere.is_empty() {
            return Ok(());
        }
        writeln!(out)?;
        write_v1(out, &elsewhere)
    }
}

/// One line per path, with the controllers that count there.
fn write_v1(out: &mut fmt::Formatter, v1: &BTreeMap<String, String>) -> fmt::Result {
    let mut by_path: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (controller, path) in v1 {
        by_path.entry(path).or_default().push(controller);
    }
    let lines: Vec<String> =
        by_path.iter().map(|(path, names)| format!("{}: {path}", names.join(","))).collect();
    write!(out, "{}", lines.join("\n"))
}

/// The row `cgroups`.
pub fn row(pid: u32, other: u32) -> Row {
    Row::compare("cgroups", Group::Resources, of(pid), of(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_a_hybrid_machine() {
        let groups = parse("9:name=systemd:/\n4:memory:/a\n2:cpu,cpuacct:/a\n0::/\n").unwrap();
        assert_eq!(groups.v2.as_deref(), Some("/"));
        assert_eq!(groups.v1["cpuacct"], "/a");
        assert_eq!(groups.v1["name=systemd"], "/");
        assert_eq!(groups.to_string(), "/\ncpu,cpuacct,memory: /a");
    }

    #[test]
    fn a_path_may_hold_colons() {
        assert_eq!(parse("0::/system.slice/a:b").unwrap().v2.unwrap(), "/system.slice/a:b");
    }

    #[test]
    fn version_one_alone_has_no_tree_of_version_two() {
        let groups = parse("4:memory:/a\n").unwrap();
        assert_eq!((groups.v2.as_ref(), groups.to_string().as_str()), (None, "memory: /a"));
        assert_eq!(parse("nonsense"), None);
    }

    proptest! {
        #[test]
        fn any_path_comes_back(path in "/[^\n\r]{0,30}") {
            prop_assert_eq!(parse(&format!("0::{path}\n")).unwrap().v2, Some(path));
        }

        #[test]
        fn never_panics(text in ".{0,60}") {
            let _ = parse(&text);
        }
    }
}
