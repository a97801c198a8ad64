//! The kinds of call that one kernel takes, and the number that a call has in each.
//!
//! A 64-bit kernel also runs 32-bit programs, and `read` is 0 for the one and 3 for the other. So a
//! number means nothing without the architecture, which the kernel puts beside it. x32, 32-bit
//! pointers in 64-bit registers, is the odd one: its calls say x86_64, and have bit 30 set in the
//! number.

use super::x32;
use serde::Deserialize;
use std::str::FromStr;

/// An architecture by its name in a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub enum Architecture {
    /// 64-bit PC.
    #[serde(rename = "SCMP_ARCH_X86_64")]
    X86_64,
    /// 64-bit registers, 32-bit pointers.
    #[serde(rename = "SCMP_ARCH_X32")]
    X32,
    /// 32-bit PC.
    #[serde(rename = "SCMP_ARCH_X86")]
    X86,
    /// 64-bit ARM.
    #[serde(rename = "SCMP_ARCH_AARCH64")]
    Aarch64,
    /// 32-bit ARM.
    #[serde(rename = "SCMP_ARCH_ARM")]
    Arm,
    /// One of a machine that this program is not built for. No call of it can come here.
    #[serde(
        rename = "SCMP_ARCH_MIPS",
        alias = "SCMP_ARCH_MIPS64",
        alias = "SCMP_ARCH_MIPS64N32",
        alias = "SCMP_ARCH_MIPSEL",
        alias = "SCMP_ARCH_MIPSEL64",
        alias = "SCMP_ARCH_MIPSEL64N32",
        alias = "SCMP_ARCH_PPC",
        alias = "SCMP_ARCH_PPC64",
        alias = "SCMP_ARCH_PPC64LE",
        alias = "SCMP_ARCH_S390",
        alias = "SCMP_ARCH_S390X",
        alias = "SCMP_ARCH_PARISC",
        alias = "SCMP_ARCH_PARISC64",
        alias = "SCMP_ARCH_RISCV64",
        alias = "SCMP_ARCH_LOONGARCH64",
        alias = "SCMP_ARCH_M68K",
        alias = "SCMP_ARCH_SH",
        alias = "SCMP_ARCH_SHEB"
    )]
    Foreign,
}

impl Architecture {
    /// That of this program.
    pub const NATIVE: Architecture =
        if cfg!(target_arch = "aarch64") { Architecture::Aarch64 } else { Architecture::X86_64 };

    /// The word that the kernel puts beside the number: `AUDIT_ARCH_*` of `linux/audit.h`.
    pub fn word(self) -> u32 {
        match self {
            Architecture::X86_64 | Architecture::X32 => 0xc000_003e,
            Architecture::X86 => 0x4000_0003,
            Architecture::Aarch64 => 0xc000_00b7,
            Architecture::Arm => 0x4000_0028,
            Architecture::Foreign => 0,
        }
    }

    /// Can a kernel of this architecture be called in that way?
    pub fn runs(self, other: Architecture) -> bool {
        use Architecture::{Aarch64, Arm, X32, X86, X86_64};
        matches!((self, other), (X86_64, X86_64 | X32 | X86) | (Aarch64, Aarch64 | Arm))
    }

    /// The word that docker's profiles use in `includes` and `excludes`.
    pub fn docker_name(self) -> &'static str {
        match self {
            Architecture::X86_64 => "amd64",
            Architecture::X32 => "x32",
            Architecture::X86 => "x86",
            Architecture::Aarch64 => "arm64",
            Architecture::Arm => "arm",
            Architecture::Foreign => "",
        }
    }

    /// Does a register hold 64 bits that all count? Where a program means 32, what is in the upper
    /// half is nobody's business, and only the lower is compared, as libseccomp does.
    pub fn is_wide(self) -> bool {
        matches!(self, Architecture::X86_64 | Architecture::Aarch64)
    }

    /// The number of a call, if this architecture has it.
    pub fn number(self, name: &str) -> Option<u32> {
        let number = match self {
            Architecture::X86_64 => syscalls::x86_64::Sysno::from_str(name).ok()?.id(),
            Architecture::X32 => return x32::number(name),
            Architecture::X86 => syscalls::x86::Sysno::from_str(name).ok()?.id(),
            Architecture::Aarch64 if name == "newfstatat" => 79, // the table says `fstatat`
            Architecture::Aarch64 => syscalls::aarch64::Sysno::from_str(name).ok()?.id(),
            Architecture::Arm => match ARM_ONLY.iter().find(|(only, _)| *only == name) {
                Some((_, number)) => return Some(*number),
                None => syscalls::arm::Sysno::from_str(name).ok()?.id(),
            },
            Architecture::Foreign => return None,
        };
        Some(number as u32)
    }
}

/// Calls of 32-bit ARM that stand outside its table: `arch/arm/include/uapi/asm/unistd.h`.
const ARM_ONLY: [(&str, u32); 6] = [
    ("breakpoint", ARM_FIRST + 1),
    ("cacheflush", ARM_FIRST + 2),
    ("usr26", ARM_FIRST + 3),
    ("usr32", ARM_FIRST + 4),
    ("set_tls", ARM_FIRST + 5),
    ("get_tls", ARM_FIRST + 6),
];

/// Where those begin.
pub const ARM_FIRST: u32 = 0xf_0000;
