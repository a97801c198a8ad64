//! Names the eight kinds of namespace, and reads the number of the one a process is in.
//!
//! `/proc/PID/ns` has a link per kind that reads `net:[4026531833]`: the kind and the inode
//! number of a file in a file system that nobody can list (nsfs). Two more links end in
//! `_for_children`: a PID or time namespace that is made with `unshare(2)` is for the *next*
//! child, the caller stays where it is.

use crate::{Fact, Group, Row, Verdict, procfs, same_ns};
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt;

/// One kind of namespace, see `namespaces(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespace {
    /// The name of its link in `/proc/PID/ns`.
    pub name: &'static str,
    /// What a process has for itself in a namespace of its own.
    pub holds: &'static str,
    /// The second link, for kinds that `unshare(2)` gives to the next child only.
    pub for_children: Option<&'static str>,
}

/// The eight kinds, in the order in which the chapters of the course come to them.
pub const ALL: [Namespace; 8] = [
    Namespace { for_children: Some("pid_for_children"), ..kind("pid", "process numbers") },
    kind("mnt", "mounts"),
    kind("uts", "host and domain name"),
    kind("ipc", "System V IPC and POSIX message queues"),
    kind("user", "user and group numbers, capabilities"),
    kind("net", "network links, addresses, routes, ports"),
    kind("cgroup", "the root of the cgroup tree"),
    Namespace { for_children: Some("time_for_children"), ..kind("time", "clocks since boot") },
];

const fn kind(name: &'static str, holds: &'static str) -> Namespace {
    Namespace { name, holds, for_children: None }
}

/// The inode number of a process's namespace, such as 4026531836 for `"pid"`; the names are in
/// [`ALL`], and `"pid_for_children"` works too.
///
/// # Errors
/// `EACCES` without the rights of a debugger over the process; `ENOENT` if it has ended, or if
/// this kernel does not know such namespaces.
pub fn inode(pid: u32, namespace: &str) -> Result<u64> {
    let link = procfs::read_link(pid, &format!("ns/{namespace}"))?;
    parse(&link).with_context(|| format!("/proc/{pid}/ns/{namespace} says {link:?}"))
}

/// The number in `net:[4026531833]`. `None` if the text is not of this form.
pub fn parse(link: &str) -> Option<u64> {
    let (_kind, number) = link.strip_suffix(']')?.split_once(":[")?;
    number.parse().ok()
}

/// What a row of the report holds for one process and one kind of namespace.
#[derive(Serialize)]
struct Membership {
    inode: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<Children>,
}

/// Where the next child will start, if not beside its parent.
#[derive(Serialize)]
struct Children {
    /// `None`: the namespace is still waiting for its first process.
    inode: Option<u64>,
}

impl Membership {
    fn read(pid: u32, namespace: Namespace) -> Result<Membership> {
        let inode = inode(pid, namespace.name)?;
        let children = match namespace.for_children.map(|link| self::inode(pid, link)) {
            Some(Ok(next)) if next != inode => Some(Children { inode: Some(next) }),
            // The kernel shows no PID namespace that has no PID 1 yet.
            Some(Err(error)) if procfs::is_gone(&error) => Some(Children { inode: None }),
            _ => None,
        };
        Ok(Membership { inode, children })
    }
}

impl fmt::Display for Membership {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}", self.inode)?;
        match &self.children {
            Some(Children { inode: Some(next) }) => write!(out, "\nchildren in {next}"),
            Some(Children { inode: None }) => write!(out, "\nchildren in a new one"),
            None => Ok(()),
        }
    }
}

/// The eight rows of the report, `"pid"` to `"time"`.
pub fn rows(pid: u32, other: u32) -> Vec<Row> {
    let row = |namespace: Namespace| {
        let is_same = same_ns(namespace.name, pid, other);
        let mut value = Fact::of(Membership::read(pid, namespace));
        let reference = Fact::of(Membership::read(other, namespace));
        if let (Err(error), Fact::Known { .. }, Fact::Known { .. }) = (&is_same, &value, &reference)
        {
            value = Fact::unknown(error); // else nobody would say why
        }
        let (name, verdict) = (namespace.name.to_owned(), Verdict::of(&is_same));
        Row { name, group: Group::Namespaces, verdict, value, reference }
    };
    ALL.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    #[test]
    fn names_every_namespace_that_this_kernel_has() {
        let known: Vec<&str> = ALL
            .iter()
            .flat_map(|namespace| [Some(namespace.name), namespace.for_children])
            .flatten()
            .collect();
        for entry in fs::read_dir("/proc/self/ns").unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(known.contains(&name.as_str()), "{name} is missing from the table");
        }
    }

    proptest! {
        #[test]
        fn the_number_comes_back(number: u64, kind in "[a-z_]{1,12}") {
            prop_assert_eq!(parse(&format!("{kind}:[{number}]")), Some(number));
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
