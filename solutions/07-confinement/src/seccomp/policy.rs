//! What a profile means on a machine, for each architecture and each number of a call.
//!
//! Names become numbers, and a name that an architecture does not have is left out: profiles are
//! written for many machines. The order of rules counts for little, as with libseccomp, by which
//! docker, podman, runc and crun compile profiles:
//!
//! - a rule whose action is the default is no rule: it can't take anything out of another;
//! - a rule without conditions outweighs all others for its call, and of two the first counts;
//! - else the first rule counts whose conditions are all true. (libseccomp sorts them by needs of
//!   its own; the outcome is the same unless two different actions fit one call.)
//! - Two conditions on one argument are alternatives, while all others must be true together: the
//!   first runtimes did so, and profiles rely on it (`matchCall` of runc, libcontainer/seccomp).

use super::action::{self, Action, ErrnoRet};
use super::architecture::Architecture;
use super::condition::Condition;
use super::machine::Machine;
use super::multiplexed::other_way;
use super::profile::{Argument, Entry, Profile, flags};
use super::ranges::{Calls, Range, ranges};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;

/// A profile, ready to be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For each architecture, by the kernel's word for it, the fate of all numbers from 0 up.
    pub tables: Vec<(u32, Vec<Range>)>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
    /// Does a rule ask a supervisor?
    pub notifies: bool,
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fate {
    /// Tried in turn.
    pub rules: Vec<Rule>,
    /// If none of them fits.
    pub otherwise: Action,
}

/// What happens if all conditions are true.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// At least one.
    pub conditions: Vec<Condition>,
    /// The answer.
    pub action: Action,
}

impl Policy {
    /// Is a call of this program's own architecture refused, whatever its arguments are?
    pub fn refuses(&self, name: &str) -> bool {
        let Some(number) = Architecture::NATIVE.number(name) else { return false };
        let own = self.tables.iter().find(|(word, _)| *word == Architecture::NATIVE.word());
        let range = own.and_then(|(_, all)| all.iter().rfind(|range| range.first <= number));
        let open = |action: Action| action.lets_through() || action == Action::Notify;
        range.is_some_and(|Range { fate, .. }| {
            !open(fate.otherwise) && fate.rules.iter().all(|rule| !open(rule.action))
        })
    }
}

impl Fate {
    /// Whatever the arguments are.
    pub fn always(action: Action) -> Fate {
        Fate { rules: Vec::new(), otherwise: action }
    }
}

/// A rule for one name: any of these lists of conditions has to be all true.
struct Named<'a> {
    name: &'a str,
    action: Action,
    alternatives: Vec<Vec<Argument>>,
}

impl Profile {
    /// What it means on such a machine.
    pub fn policy(&self, machine: &Machine) -> Result<Policy> {
        let errno =
            ErrnoRet { number: self.default_errno_ret, name: self.default_errno.as_deref() };
        let default = self.default_action.action(errno).context("defaultAction")?;
        ensure!(default != Action::Notify, "defaultAction: nobody could answer SCMP_ACT_NOTIFY");
        let mut rules = Vec::new();
        for (index, entry) in self.syscalls.iter().flatten().enumerate() {
            let place = || match entry.names().next() {
                Some(name) => format!("syscalls[{index}], {name}"),
                None => format!("syscalls[{index}]"),
            };
            let (action, alternatives) = entry.meaning().with_context(place)?;
            let suits = machine.suits(entry.includes.as_ref(), entry.excludes.as_ref());
            if suits.with_context(place)? && action != default {
                let rule = |name| Named { name, action, alternatives: alternatives.clone() };
                rules.extend(entry.names().map(rule));
            }
        }
        let mut tables: BTreeMap<u32, Vec<Calls>> = BTreeMap::new();
        for architecture in self.architectures(machine.architecture)? {
            let names = self.syscalls.iter().flatten().flat_map(Entry::names);
            let known = names.filter_map(|name| architecture.number(name)).collect();
            let fates = fates(architecture, &rules, default);
            let table = tables.entry(architecture.word()).or_default();
            table.push(Calls { architecture, known, fates });
        }
        let table = |(word, calls): (u32, Vec<Calls>)| (word, ranges(&calls, default));
        let notifies = rules.iter().any(|rule| rule.action == Action::Notify);
        let flags = flags(self.flags.as_deref(), notifies);
        Ok(Policy { tables: tables.into_iter().map(table).collect(), flags, notifies })
    }

    /// The calls that it refuses and that nobody knows, where what is not listed is let through: so
    /// they are, too, under the name that was perhaps meant.
    pub fn unknown_refusals(&self) -> Vec<&str> {
        use Architecture::{Aarch64, Arm, X86, X86_64};
        let opens = |name: action::Name| {
            name.action(ErrnoRet::default()).is_ok_and(|action| action.lets_through())
        };
        let is_known =
            |name: &&str| [X86_64, X86, Aarch64, Arm].iter().any(|a| a.number(name).is_some());
        let entries = self.syscalls.iter().flatten();
        let refusing = entries.filter(|entry| opens(self.default_action) && !opens(entry.action));
        refusing.flat_map(Entry::names).filter(|name| !name.is_empty() && !is_known(name)).collect()
    }

    /// Those whose calls can come: the machine's own, and what else the profile lists.
    fn architectures(&self, native: Architecture) -> Result<Vec<Architecture>> {
        let listed = self.architectures.as_deref().unwrap_or_default();
        let map = self.arch_map.as_deref().unwrap_or_default();
        if !listed.is_empty() && !map.is_empty() {
            bail!("both architectures and archMap are given\nhint: keep one of them");
        }
        let mapped = map.iter().find(|entry| entry.architecture == native);
        let mapped =
            mapped.and_then(|entry| entry.sub_architectures.as_deref()).unwrap_or_default();
        let mut all = vec![native];
        for architecture in listed.iter().chain(mapped) {
            if native.runs(*architecture) && !all.contains(architecture) {
                all.push(*architecture);
            }
        }
        Ok(all)
    }
}

/// The fate of each number that has rules.
fn fates(architecture: Architecture, rules: &[Named], default: Action) -> BTreeMap<u32, Fate> {
    let mut found: BTreeMap<u32, Vec<Rule>> = BTreeMap::new();
    let wide = architecture.is_wide();
    for Named { name, action, alternatives } in rules {
        if let Some(number) = architecture.number(name) {
            found.entry(number).or_default().extend(alternatives.iter().map(|arguments| {
                let condition = |argument| Condition::new(argument, wide);
                Rule { conditions: arguments.iter().map(condition).collect(), action: *action }
            }));
        }
        let conditional = alternatives.iter().any(|arguments| !arguments.is_empty());
        if architecture == Architecture::X86 && !(conditional && action.lets_through()) {
            if let Some((through, argument)) = other_way(name) {
                let number = architecture.number(through).unwrap_or_default();
                let conditions = vec![Condition::new(&argument, wide)];
                found.entry(number).or_default().push(Rule { conditions, action: *action });
            }
        }
    }
    let fate = |rules: Vec<Rule>| match rules.iter().find(|rule| rule.conditions.is_empty()) {
        Some(always) => Fate::always(always.action),
        None => Fate { rules, otherwise: default },
    };
    found.into_iter().map(|(number, rules)| (number, fate(rules))).collect()
}
