//! Two judges of one call: the filter, run by an interpreter of its instructions, and the profile's
//! text, read by code that shares nothing with the compiler but the numbers of the calls.

#![allow(dead_code, reason = "not every test file needs all of it")]

pub mod interpreter;
pub mod kernel;
pub mod meaning;
pub mod probes;

use confine::seccomp::architecture::Architecture;
use confine::seccomp::machine::Machine;
use confine::seccomp::{Filter, Profile, compile};
use serde_json::Value;
use xray::capabilities::{Set, number};

pub const X86_64: u32 = 0xc000_003e;
pub const X86: u32 = 0x4000_0003;
pub const AARCH64: u32 = 0xc000_00b7;
pub const ARM: u32 = 0x4000_0028;

/// A call, as a filter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub word: u32,
    pub number: u32,
    pub arguments: [u64; 6],
}

pub fn machine(architecture: Architecture, capabilities: &[&str]) -> Machine {
    let bits = capabilities.iter().map(|name| 1 << number(name).unwrap()).sum();
    Machine { architecture, kernel: (6, 1), capabilities: Set(bits) }
}

pub fn filter(profile: &str, machine: &Machine) -> Filter {
    compile(&Profile::parse(profile).unwrap().policy(machine).unwrap()).unwrap()
}

/// Asserts that both judges say the same of every call that is worth a question. Returns how many
/// those were.
pub fn assert_alike(profile: &str, machine: &Machine) -> usize {
    let filter = filter(profile, machine);
    let json: Value = serde_json::from_str(profile).unwrap();
    let meaning = meaning::Meaning::new(&json, machine);
    interpreter::verify(&filter.program);
    let mut count = 0;
    for call in probes::calls(&meaning) {
        let (said, _) = interpreter::run(&filter.program, &call);
        let meant = meaning.of(&call);
        assert_eq!(said, meant, "{said:#x}, but {meant:#x} is meant of {call:x?} by\n{profile}");
        count += 1;
    }
    count
}
