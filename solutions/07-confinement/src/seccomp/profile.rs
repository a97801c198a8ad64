//! A profile as people write it: the JSON of docker's and podman's `--security-opt seccomp=FILE`,
//! and the plainer one of the OCI runtime specification (`config-linux.md`, "Seccomp"), which is
//! the same without `includes`, `excludes` and `archMap`.
//!
//! What a profile means on this machine is found out in `policy.rs`.

use super::action::{self, Action, ErrnoRet};
use super::architecture::Architecture;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// The most bytes that are read as a profile; docker's own has 17,000.
const LARGEST: u64 = 1 << 20;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// What happens to a call that no rule is for.
    pub default_action: action::Name,
    /// The errno of that, EPERM if there is none.
    pub default_errno_ret: Option<u32>,
    /// The same by its name, as podman has it.
    pub default_errno: Option<String>,
    /// Beside that of this machine.
    pub architectures: Option<Vec<Architecture>>,
    /// docker's: for each kind of machine the architectures that it takes calls of.
    pub arch_map: Option<Vec<ArchMap>>,
    /// How the filter is loaded.
    pub flags: Option<Vec<Flag>>,
    /// The socket of whoever answers SCMP_ACT_NOTIFY.
    pub listener_path: Option<PathBuf>,
    /// What to tell them first.
    pub listener_metadata: Option<String>,
    /// The rules.
    pub syscalls: Option<Vec<Entry>>,
}

/// A machine and what else it runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchMap {
    /// The kernel's own.
    pub architecture: Architecture,
    /// Those of older programs.
    pub sub_architectures: Option<Vec<Architecture>>,
}

/// `SECCOMP_FILTER_FLAG_*`, seccomp(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Flag {
    /// For all threads. A container's process has but one when its filter is loaded.
    #[serde(rename = "SECCOMP_FILTER_FLAG_TSYNC")]
    Tsync = 1,
    /// Whatever is not allowed is logged, where the machine is set to log it.
    #[serde(rename = "SECCOMP_FILTER_FLAG_LOG")]
    Log = 2,
    /// Leaves a processor's guard against Spectre variant 4 alone.
    #[serde(rename = "SECCOMP_FILTER_FLAG_SPEC_ALLOW")]
    SpecAllow = 4,
    /// A call that waits for its supervisor's answer can only be killed (since Linux 5.19).
    #[serde(rename = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")]
    WaitKillableRecv = 32,
}

/// One rule, for several calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The calls.
    pub names: Option<Vec<String>>,
    /// One call, as profiles of old have it.
    pub name: Option<String>,
    /// What happens to them.
    pub action: action::Name,
    /// The errno of that, EPERM if there is none.
    pub errno_ret: Option<u32>,
    /// The same by its name, as podman has it.
    pub errno: Option<String>,
    /// Only if all of these are true.
    pub args: Option<Vec<Argument>>,
    /// Only on machines like this.
    pub includes: Option<Machines>,
    /// Not on machines like this.
    pub excludes: Option<Machines>,
}

/// A comparison with one argument of the call.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// Which, from 0 to 5.
    pub index: u32,
    /// What to compare it with; the mask of SCMP_CMP_MASKED_EQ.
    pub value: u64,
    /// What the masked argument must be.
    pub value_two: Option<u64>,
    /// How to compare.
    pub op: Operator,
}

/// The comparisons, all of unsigned numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "as in any language")]
pub enum Operator {
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
}

/// What the kernel is told of a filter: `SECCOMP_FILTER_FLAG_*`.
///
/// A profile that says nothing of flags leaves the processor's guard alone, as with runc (pull
/// request 3588) and crun: before Linux 5.16 a filter would switch it on, which makes interpreters
/// take twice as long. The kernel refuses two flags that make no sense, and libseccomp does not pass
/// them on: to wait for a supervisor where there is none, and to be told of a thread that does not
/// follow in the place where the supervisor's descriptor comes back.
pub fn flags(listed: Option<&[Flag]>, notifies: bool) -> u32 {
    let listed = listed.unwrap_or(&[Flag::SpecAllow]);
    let flags = listed.iter().fold(0, |all, flag| all | *flag as u32);
    match notifies {
        true if flags & Flag::Tsync as u32 != 0 => flags | TSYNC_ESRCH,
        true => flags,
        false => flags & !(Flag::WaitKillableRecv as u32),
    }
}

/// A thread that can't follow is the error ESRCH, and not its number: `SECCOMP_FILTER_FLAG_TSYNC_ESRCH`.
const TSYNC_ESRCH: u32 = 16;

/// Which containers on which machines a rule is for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machines {
    /// Capabilities of the container: `includes` wants all of them, `excludes` any.
    pub caps: Option<Vec<String>>,
    /// Architectures by docker's names: one of them.
    pub arches: Option<Vec<String>>,
    /// This kernel or a newer one: `4.8`.
    pub min_kernel: Option<String>,
}

impl Profile {
    /// Reads a file. An error names the line and column, or the rule.
    pub fn read(path: &Path) -> Result<Profile> {
        let shown = path.display();
        let metadata = fs::metadata(path).with_context(|| {
            format!(
                "cannot open the seccomp profile {shown}\nhint: a JSON file, unconfined or builtin"
            )
        })?;
        if !metadata.is_file() || metadata.len() > LARGEST {
            bail!("{shown} is no seccomp profile\nhint: a JSON file of at most 1 MiB");
        }
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        Profile::parse(&text).with_context(|| format!("the seccomp profile {shown}"))
    }

    /// Reads the text of a profile.
    pub fn parse(text: &str) -> Result<Profile> {
        // serde_json's message ends in "at line 3 column 8"; unknown words are named in it.
        Ok(serde_json::from_str(text)?)
    }
}

impl Entry {
    /// All its calls.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let single = self.name.as_deref().filter(|name| !name.is_empty());
        self.names.iter().flatten().map(String::as_str).chain(single)
    }

    /// Its action, and its conditions: alternatives of what must be true together.
    pub fn meaning(&self) -> Result<(Action, Vec<Vec<Argument>>)> {
        let both = self.name.as_deref().is_some_and(|name| !name.is_empty())
            && self.names.as_ref().is_some_and(|names| !names.is_empty());
        ensure!(!both, "both name and names are given\nhint: keep one of them");
        let errno = ErrnoRet { number: self.errno_ret, name: self.errno.as_deref() };
        let action = self.action.action(errno)?;
        let arguments = self.args.clone().unwrap_or_default();
        let mut seen = [false; 6];
        let mut twice = false;
        for argument in &arguments {
            let Some(seen) = seen.get_mut(argument.index as usize) else {
                bail!("a call has no argument {}\nhint: index is 0 to 5", argument.index);
            };
            twice |= std::mem::replace(seen, true);
        }
        let alone = |argument| vec![argument];
        let alternatives =
            if twice { arguments.into_iter().map(alone).collect() } else { vec![arguments] };
        Ok((action, alternatives))
    }
}
