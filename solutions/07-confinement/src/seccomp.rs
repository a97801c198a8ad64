//! Lets a program make some system calls and not others: `seccomp(2)`.
//!
//! The kernel offers some 360 calls, and each is a way in. A container needs three hundred of them;
//! the others mount, load modules, change the clock, or are so rarely used that their faults are
//! found late. A *filter* is a small program that the kernel runs before each call. It sees the
//! call's number, the architecture and the six arguments as numbers, not what they point to
//! (another thread could change that after the look), and answers with an [`Action`].
//!
//! A *profile* is JSON, in which people say it by names (`seccomp/profile.rs`). On this machine it
//! means *ranges* of numbers with the same fate (`seccomp/policy.rs`, `seccomp/ranges.rs`).
//! [`compile`] makes a filter of them:
//!
//! ```text
//! load the architecture
//! is it x86_64? ── yes ─► load the number
//! is it x86? ── yes ─► …  is it 190 or more?                half of the ranges is left,
//! kill                    is it 80 or more?                 a quarter,
//!                         is it 48 or more?                 …
//!                         allow │ EPERM │ load an argument, compare it, allow or EPERM
//! ```
//!
//! The same number is another call on each architecture: a filter that forgets to look lets a
//! 32-bit program make any call that it likes (x32, the third kind, has bit 30 set in its numbers:
//! `seccomp/x32.rs`). Seven comparisons find a call, where a list would need hundreds. That counts
//! at the start: the kernel then works out for each number whether it is always allowed (since
//! 5.11), which takes half a millisecond for a long list; those calls never meet the filter again.

pub mod action;
pub mod architecture;
pub mod condition;
pub mod machine;
pub mod multiplexed;
pub mod option;
pub mod policy;
pub mod profile;
pub mod program;
pub mod ranges;
pub mod standard;
pub mod x32;

pub use action::Action;
pub use machine::Machine;
pub use option::{Chosen, SecurityOption};
pub use profile::Profile;

use anyhow::Result;
use nix::errno::Errno;
use policy::{Fate, Policy, Rule};
use program::{Place, Program, Test};
use ranges::{Range, UNLISTED};
use std::borrow::Cow;
use std::os::fd::OwnedFd;
use sys::Instruction;

/// Where the kernel puts what it tells of a call: `struct seccomp_data` of `linux/seccomp.h`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// A program that judges calls, and how it is to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The instructions, in the kernel's order.
    pub program: Cow<'static, [Instruction]>,
    /// `SECCOMP_FILTER_FLAG_*`, seccomp(2).
    pub flags: u32,
}

/// Makes a filter that does what the profile means on this machine.
///
/// It is written from its end to its beginning (see `seccomp/program.rs`): each step gets the
/// places at which to go on, and returns its own.
// ANCHOR: compile
pub fn compile(policy: &Policy) -> Result<Filter> {
    let mut program = Program::default();
    let mut start = program.answer(UNLISTED.word()); // an architecture that nobody thought of
    for (architecture, ranges) in &policy.tables {
        let found = search(&mut program, ranges);
        let table = program.load(NUMBER, found);
        start = program.jump_if(Test::Equal, *architecture, table, start);
    }
    program.load(ARCHITECTURE, start);
    let listener = if policy.notifies { sys::NEW_LISTENER } else { 0 };
    Ok(Filter { program: program.finish()?.into(), flags: policy.flags | listener })
}

/// Finds the range in which the number lies, by halves, and decides.
fn search(program: &mut Program, ranges: &[Range]) -> Place {
    // ANCHOR: todo_bpf_rules: one range: its fate; several: compare with the first of the upper half
    // | `decide` writes a fate, `search` halves; `program.jump_if(test, k, yes, no)` compares the
    // | number, which is loaded already, with k. All of them return the place where they begin.
    if let [only] = ranges {
        return decide(program, &only.fate);
    }
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    let first = upper[0].first;
    let upper = search(program, upper);
    let lower = search(program, lower);
    program.jump_if(Test::GreaterOrEqual, first, upper, lower)
    // ANCHOR_END: todo_bpf_rules
}

/// Tries one rule after the other, and each of its conditions.
fn decide(program: &mut Program, fate: &Fate) -> Place {
    if let Some(place) = program.written(fate) {
        return place;
    }
    let mut place = program.answer(fate.otherwise.word());
    for Rule { conditions, action } in fate.rules.iter().rev() {
        let otherwise = place;
        place = program.answer(action.word());
        for condition in conditions.iter().rev() {
            place = condition.compile(program, place, otherwise);
        }
    }
    program.remember(fate, place)
}
// ANCHOR_END: compile

impl Filter {
    /// Puts the filter between this process, with all that it will become, and the kernel.
    ///
    /// From here on only calls that the filter allows are made, ours too: this comes last. The
    /// kernel takes a filter from root (CAP_SYS_ADMIN), and from others only after
    /// no_new_privs(2const): else they could lie to a set-user-ID program about what it is doing.
    /// A filter that asks a supervisor gives back the descriptor on which the calls arrive.
    // ANCHOR: load
    pub fn load(&self) -> Result<Option<OwnedFd>> {
        // ANCHOR: todo_filter_load: hand the program to the kernel
        sys::seccomp(&self.program, self.flags).map_err(explain)
        // ANCHOR_END: todo_filter_load
    }
    // ANCHOR_END: load
}

/// Adds to an error of a call that was made behind the filter that it may be the filter's.
pub(crate) fn perhaps_refused(error: anyhow::Error, filter: &Option<Filter>) -> anyhow::Error {
    if filter.is_none() {
        return error;
    }
    error.context(
        "behind the seccomp filter\nhint: without no-new-privileges a profile has to let prctl and \
         capset through; with --security-opt no-new-privileges it is loaded after them",
    )
}

fn explain(error: std::io::Error) -> anyhow::Error {
    let hint = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EACCES) => "\nhint: it takes CAP_SYS_ADMIN, or no_new_privs before it",
        Some(Errno::EINVAL) => {
            "\nhint: the kernel has no filters (CONFIG_SECCOMP_FILTER), or not a flag of the profile"
        }
        Some(Errno::ENOSYS) => "\nhint: the kernel has no seccomp (CONFIG_SECCOMP)",
        Some(Errno::EBUSY) => "\nhint: a filter that is loaded already asks a supervisor",
        _ => "",
    };
    anyhow::Error::new(error).context(format!("cannot load the seccomp filter{hint}"))
}
