//! Names the capabilities, and reads the five sets of a process.
//!
//! Linux has cut the power of root into pieces, 41 by now (`capabilities(7)`). A process uses
//! those of its *effective* set, can take up those of its *permitted* set, and what is left after
//! an exec follows from the other three: *inheritable*, *bounding* (never more than this) and
//! *ambient* (kept by programs that know nothing of capabilities). The sets count inside the
//! process's user namespace: full sets in a namespace of its own are no power over the host.

use crate::{Group, Row, status::Status};
use anyhow::Result;
use serde::{Serialize, Serializer};
use std::fmt;
use std::fs;

/// The names in the order of their numbers, as in `include/uapi/linux/capability.h`, the OCI
/// specification and `docker run --cap-add`.
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The name of a capability; `CAP_41` and so on for those of a newer kernel than this table.
pub fn name(number: u32) -> String {
    NAMES.get(number as usize).map_or_else(|| format!("CAP_{number}"), |name| (*name).to_owned())
}

/// The number of a capability by its name, with or without `CAP_`, in any case. `None` if there
/// is none of this name.
pub fn number(name: &str) -> Option<u32> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    NAMES.iter().position(|known| known[4..] == *name).map(|number| number as u32)
}

/// The highest capability that the running kernel knows. Where it does not say (a `/proc` with
/// `subset=pid` has no `/proc/sys`), the highest that this table knows.
pub fn last() -> u32 {
    let said = fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok();
    said.and_then(|number| number.trim().parse().ok()).unwrap_or(NAMES.len() as u32 - 1).min(63)
}

/// A set of capabilities, bit N for capability N.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set(pub u64);

impl Set {
    /// All that the running kernel knows.
    pub fn all() -> Set {
        Set(u64::MAX >> (63 - last()))
    }

    /// The names of its members, lowest number first.
    pub fn names(self) -> Vec<String> {
        (0..64).filter(|number| self.0 & (1 << number) != 0).map(name).collect()
    }

    fn describe(self, all: Set) -> String {
        let count = |set: Set| set.0.count_ones();
        let words = |set: Set| set.names().join(" ").replace("CAP_", "").to_lowercase();
        let missing = Set(all.0 & !self.0);
        match (count(self), count(missing)) {
            (0, _) => "none".to_owned(),
            (mine, 0) => format!("all {mine}"),
            (mine, without) if without < mine => {
                format!("{mine} of {}, without {}", count(all), words(missing))
            }
            (mine, _) => format!("{mine} of {}: {}", count(all), words(self)),
        }
    }
}

impl fmt::Display for Set {
    /// How many of how many, with the shorter list of names: those it has or those it lacks.
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}", self.describe(Set::all()))
    }
}

impl Serialize for Set {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.names().serialize(out)
    }
}

/// The sets by the name of their row and of their line in `/proc/PID/status`.
const SETS: [(&str, &str); 5] = [
    ("effective", "CapEff"),
    ("permitted", "CapPrm"),
    ("inheritable", "CapInh"),
    ("bounding", "CapBnd"),
    ("ambient", "CapAmb"),
];

/// The five rows, `effective` to `ambient`.
pub fn rows(status: &Status, others: &Status) -> [Row; 5] {
    let set = |status: &Status, line| status.bits(line).map(Set);
    SETS.map(|(row, line)| {
        Row::compare(row, Group::Capabilities, set(status, line), set(others, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shorter_list_is_shown() {
        let all = Set(0x1ff_ffff_ffff);
        assert_eq!(Set(0).describe(all), "none");
        assert_eq!(all.describe(all), "all 41");
        assert_eq!(Set(0x1ff_feff_ffff).describe(all), "40 of 41, without sys_resource");
        assert_eq!(Set(0x401).describe(all), "2 of 41: chown net_bind_service");
    }

    #[test]
    fn a_newer_kernels_capability_has_its_number_for_a_name() {
        assert_eq!(Set(1 << 41).names(), ["CAP_41"]);
    }

    #[test]
    fn takes_names_as_people_write_them() {
        assert_eq!(number("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(number("net_raw"), Some(13));
        assert_eq!(number("ADMIN"), None);
        assert_eq!(number(""), None);
    }

    proptest! {
        #[test]
        fn names_and_numbers_agree(bits in 0u64..1 << 41) {
            let back = Set(bits).names().iter().map(|name| 1 << number(name).unwrap()).sum::<u64>();
            prop_assert_eq!(back, bits);
        }
    }
}
