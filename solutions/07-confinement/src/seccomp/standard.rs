//! The filter of containers for which nobody names a profile: about as strict as docker's.
//!
//! The profile is `default.json`, with a reason beside each group of calls; where it differs from
//! docker's and podman's, and why, stands in `DIFFERENCES.md`. Nobody waits for it to be parsed:
//! the filter for the usual capabilities is made beforehand, in `standard_x86_64.rs` and
//! `standard_aarch64.rs`, and a test keeps them up to date.

use super::{Filter, Machine, Profile, compile, profile};
use anyhow::Result;
use std::borrow::Cow;
use xray::capabilities::{self, Set};

#[cfg(target_arch = "aarch64")]
#[path = "standard_aarch64.rs"]
mod compiled;
#[cfg(not(target_arch = "aarch64"))]
#[path = "standard_x86_64.rs"]
mod compiled;

/// The profile.
pub const JSON: &str = include_str!("default.json");

/// The capabilities for which the profile has rules. A container with none of them gets the filter
/// that is there already.
pub const WITH_RULES: [&str; 13] = [
    "CAP_BPF",
    "CAP_DAC_READ_SEARCH",
    "CAP_PERFMON",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
];

/// The filter for a container with these capabilities in its bounding set.
pub fn filter(capabilities: Set) -> Result<Filter> {
    let number = |name: &&str| capabilities::number(name).unwrap_or_default();
    if WITH_RULES.iter().map(number).all(|number| capabilities.0 & 1 << number == 0) {
        let program = Cow::Borrowed(compiled::PROGRAM);
        return Ok(Filter { program, flags: profile::flags(None, false) });
    }
    compile(&Profile::parse(JSON)?.policy(&Machine::this(capabilities)?)?)
}
