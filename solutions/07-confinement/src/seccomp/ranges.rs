//! The fate of every number that a call can have, as ranges: from this number on, that happens.
//!
//! Four hundred calls make some hundred ranges, because most neighbours share their fate.

use super::action::Action;
use super::architecture::{ARM_FIRST, Architecture};
use super::policy::Fate;
use super::x32;
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};

/// Calls with neighbouring numbers and the same fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first number; the next range's first ends it.
    pub first: u32,
    /// What happens to them.
    pub fate: Fate,
}

/// What a profile says of one architecture.
pub struct Calls {
    /// Which.
    pub architecture: Architecture,
    /// The numbers of all calls that the profile names, here or for other machines.
    pub known: BTreeSet<u32>,
    /// What happens to those that it has rules for here.
    pub fates: BTreeMap<u32, Fate>,
}

/// Puts the architectures that share one word of the kernel, x86_64 and x32, into one list.
pub fn ranges(all: &[Calls], default: Action) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for calls in all {
        calls.add_to(&mut ranges, default);
    }
    // An x32 call is none of x86_64, even where the table is the same. If the profile does not
    // list it, it is as any other architecture that is not listed.
    if all[0].architecture == Architecture::X86_64 && all.len() == 1 {
        ranges.push(Range { first: x32::BIT, fate: Fate::always(UNLISTED) });
    }
    if all[0].architecture == Architecture::X86_64 {
        // A tracer makes a call void by giving it the number -1 (seccomp(2), SECCOMP_RET_TRACE).
        ranges.push(Range { first: u32::MAX, fate: Fate::always(default) });
    }
    ranges.sort_by_key(|range| range.first);
    ranges.dedup_by(|later, earlier| later.fate == earlier.fate);
    ranges
}

/// What happens to calls of an architecture that a profile does not list, as with libseccomp
/// (`SCMP_FLTATR_ACT_BADARCH`, seccomp_attr_set(3)).
pub const UNLISTED: Action = Action::KillThread;

impl Calls {
    fn add_to(&self, ranges: &mut Vec<Range>, default: Action) {
        let base = if self.architecture == Architecture::X32 { x32::BIT } else { 0 };
        let newer = self.newer(default);
        let mut edges = BTreeSet::from([base]);
        edges.extend(self.fates.keys().flat_map(|number| [*number, number + 1]));
        edges.extend(newer.iter().flat_map(|newer| [newer.first, newer.end]));
        let fate = |number: u32| match self.fates.get(&number) {
            Some(fate) => fate.clone(),
            None if newer.as_ref().is_some_and(|newer| newer.contains(number)) => {
                Fate::always(Action::Errno(Errno::ENOSYS as u16))
            }
            None => Fate::always(default),
        };
        ranges.extend(edges.into_iter().map(|first| Range { first, fate: fate(first) }));
    }

    /// Calls that were invented after the profile was written. A program that tries a new one and
    /// is told that there is none (ENOSYS) takes the old one; told that it may not, it gives up.
    /// So where such calls would be refused, they are not known, as runc does it
    /// (libcontainer/seccomp/patchbpf).
    fn newer(&self, default: Action) -> Option<Newer> {
        let ordinary = |number: &&u32| **number & !x32::BIT < ARM_FIRST;
        let last = self.known.iter().rfind(ordinary)?;
        let end = match self.architecture {
            Architecture::X86_64 => x32::BIT,
            Architecture::Arm => ARM_FIRST,
            _ => u32::MAX,
        };
        (!default.lets_through()).then_some(Newer { first: last + 1, end })
    }
}

/// From `first` on, up to and without `end`.
struct Newer {
    first: u32,
    end: u32,
}

impl Newer {
    fn contains(&self, number: u32) -> bool {
        (self.first..self.end).contains(&number)
    }
}
