//! Writes the rules for devices as a program for the kernel: the filter of version 2.
//!
//! The kernel runs it at each mknod(2) and each open(2) of a device by a process of the group
//! (`BPF_PROG_TYPE_CGROUP_DEVICE`; the kernel's Documentation/bpf/instruction-set.rst). It is
//! called with a pointer to three numbers (`struct bpf_cgroup_dev_ctx` of linux/bpf.h): what is to
//! be done, 16 bits, over the kind of device, 16 bits; the major; the minor. It answers 1 for yes
//! and 0 for no. Ours walks the rules one by one, and knows no loops and no memory:
//!
//! ```text
//! r2 = kind, r3 = access, r4 = major, r5 = minor
//! rule 1:  if r2 is another kind, or r3 wants more than may be, or r4, r5 are others: to rule 2
//!          return 1
//! rule 2:  …
//! return 0
//! ```

use crate::devices::{Access, Devices, Kind, Rule};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

const BLOCK: u16 = 1; // BPF_DEVCG_DEV_BLOCK
const CHARACTER: u16 = 2; // BPF_DEVCG_DEV_CHAR
const MAKE: u16 = 1; // BPF_DEVCG_ACC_MKNOD
const READ: u16 = 2; // BPF_DEVCG_ACC_READ
const WRITE: u16 = 4; // BPF_DEVCG_ACC_WRITE

// The instructions that are needed. `destination` and `source` are registers.
const LOAD: u8 = 0x61; //       destination = *(u32 *)(source + offset)
const COPY: u8 = 0xbf; //       destination = source
const SET: u8 = 0xb7; //        destination = number
const AND: u8 = 0x57; //        destination &= number
const SHIFT_RIGHT: u8 = 0x77; // destination >>= number
const UNLESS: u8 = 0x55; //     if destination != number, skip `offset` instructions
const EXIT: u8 = 0x95; //       return r0

/// Lets the group use these devices alone. Programs of groups above it go on saying no.
pub fn attach(folder: &Path, devices: &Devices) -> Result<()> {
    let Devices::Only(rules) = devices else { return Ok(()) };
    let group = File::open(folder).with_context(|| format!("cannot open {}", folder.display()))?;
    let program = assemble(rules);
    let attach = || sys::attach_device_filter(&program, group.as_fd());
    let attached = match attach() {
        Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => unlimited(attach),
        other => other,
    };
    attached.with_context(|| {
        format!(
            "cannot attach the device filter to {}\n\
             hint: it takes root, and a kernel with CONFIG_CGROUP_BPF",
            folder.display()
        )
    })
}

/// Does it once more with as much locked memory as we may have. Before Linux 5.11 a program counts as
/// that, together with those of all other containers, and the usual 64 KiB are soon used up. The limit
/// is what it was before the container is made, which would inherit it.
fn unlimited(attach: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY)
        .or_else(|_| setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard))?;
    let result = attach();
    setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard)?;
    result
}

/// The program for these rules.
pub fn assemble(rules: &[Rule]) -> Vec<u64> {
    let mut program = vec![
        instruction(LOAD, 2, 1, 0, 0),
        instruction(COPY, 3, 2, 0, 0),
        instruction(SHIFT_RIGHT, 3, 0, 0, 16),
        instruction(AND, 2, 0, 0, 0xffff),
        instruction(LOAD, 4, 1, 4, 0),
        instruction(LOAD, 5, 1, 8, 0),
    ];
    for rule in rules {
        program.extend(assemble_rule(rule));
    }
    program.extend([instruction(SET, 0, 0, 0, 0), instruction(EXIT, 0, 0, 0, 0)]);
    program
}

/// The rule, with jumps over its own end.
fn assemble_rule(rule: &Rule) -> Vec<u64> {
    let kind = if rule.kind == Kind::Block { BLOCK } else { CHARACTER };
    // What is wanted and not allowed must be nothing.
    let mut tests = vec![(2, u32::from(kind)), (0, 0)];
    tests.extend(rule.major.map(|major| (4, major)));
    tests.extend(rule.minor.map(|minor| (5, minor)));
    let mut code = vec![
        instruction(COPY, 0, 3, 0, 0),
        instruction(AND, 0, 0, 0, !u32::from(bits(rule.access))),
    ];
    for (done, (register, number)) in tests.iter().enumerate() {
        let to_the_next_rule = (tests.len() - 1 - done) + 2;
        code.push(instruction(UNLESS, *register, 0, to_the_next_rule as u16, *number));
    }
    code.extend([instruction(SET, 0, 0, 0, 1), instruction(EXIT, 0, 0, 0, 0)]);
    code
}

fn bits(access: Access) -> u16 {
    let bit = |may: bool, bit: u16| if may { bit } else { 0 };
    bit(access.make, MAKE) | bit(access.read, READ) | bit(access.write, WRITE)
}

/// One instruction: operation, two registers of four bits, offset, number. The order of the
/// registers is that of machines which store the low byte first.
fn instruction(operation: u8, destination: u8, source: u8, offset: u16, number: u32) -> u64 {
    u64::from(operation)
        | u64::from(destination) << 8
        | u64::from(source) << 12
        | u64::from(offset) << 16
        | u64::from(number) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Walks a program as the kernel does, and panics where its verifier would refuse.
    fn run(program: &[u64], context: [u32; 3]) -> bool {
        let mut registers = [0_u64; 11];
        let mut at = 0;
        loop {
            let code = program[at];
            let (to, from) = ((code >> 8 & 15) as usize, (code >> 12 & 15) as usize);
            let (offset, number) = ((code >> 16) as u16, (code >> 32) as u32);
            let extended = number as i32 as i64 as u64; // numbers are signed
            at += 1;
            match code as u8 {
                LOAD if from == 1 => registers[to] = u64::from(context[usize::from(offset) / 4]),
                COPY => registers[to] = registers[from],
                SET => registers[to] = extended,
                AND => registers[to] &= extended,
                SHIFT_RIGHT => registers[to] >>= number,
                UNLESS if registers[to] != extended => at += usize::from(offset),
                UNLESS => {}
                EXIT => return registers[0] == 1,
                other => panic!("instruction {other:#x} at {at}"),
            }
        }
    }

    /// What the rules say, without a program.
    fn allows(rules: &[Rule], kind: Kind, major: u32, minor: u32, access: u16) -> bool {
        rules.iter().any(|rule| {
            rule.kind == kind
                && rule.major.is_none_or(|one| one == major)
                && rule.minor.is_none_or(|one| one == minor)
                && access & !bits(rule.access) == 0
        })
    }

    fn ask(program: &[u64], kind: Kind, major: u32, minor: u32, access: u16) -> bool {
        let kind = if kind == Kind::Block { BLOCK } else { CHARACTER };
        run(program, [u32::from(access) << 16 | u32::from(kind), major, minor])
    }

    #[test]
    fn a_limit_that_is_raised_is_what_it_was() {
        let limit = || getrlimit(Resource::RLIMIT_MEMLOCK).unwrap();
        let before = limit();
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, before.1.min(4096), before.1);
        let (lowered, raised) = (limit(), std::cell::Cell::new((0, 0)));
        let look = || {
            raised.set(limit());
            Ok(())
        };
        unlimited(look).unwrap();
        assert!(raised.get().0 >= before.1, "{raised:?}");
        assert_eq!(limit(), lowered);
        setrlimit(Resource::RLIMIT_MEMLOCK, before.0, limit().1).unwrap();
    }

    #[test]
    fn the_default_lets_nobody_read_a_disk() {
        let Devices::Only(rules) = Devices::default() else { panic!("not everything") };
        let program = assemble(&rules);
        assert!(ask(&program, Kind::Character, 1, 3, READ | WRITE), "null");
        assert!(ask(&program, Kind::Character, 136, 77, READ | WRITE), "a terminal");
        assert!(ask(&program, Kind::Block, 8, 0, MAKE), "a file for a disk");
        assert!(!ask(&program, Kind::Block, 8, 0, READ), "a disk");
        assert!(!ask(&program, Kind::Block, 8, 0, READ | MAKE), "a disk");
        assert!(!ask(&program, Kind::Block, 1, 3, READ), "the number of null, but a block device");
        assert!(!ask(&program, Kind::Character, 1, 1, READ), "memory");
        assert!(!run(&assemble(&[]), [1 << 16 | 1, 8, 0]), "without a rule nothing is allowed");
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        let number = || prop::option::of(0_u32..4);
        (any::<bool>(), number(), number(), any::<[bool; 3]>()).prop_map(
            |(block, major, minor, may)| {
                let kind = if block { Kind::Block } else { Kind::Character };
                Rule {
                    kind,
                    major,
                    minor,
                    access: Access { read: may[0], write: may[1], make: may[2] },
                }
            },
        )
    }

    proptest! {
        #[test]
        fn the_program_says_what_the_rules_say(rules in prop::collection::vec(any_rule(), 0..6)) {
            let program = assemble(&rules);
            for kind in [Kind::Block, Kind::Character] {
                for (major, minor, access) in (0..4).flat_map(|a| (0..4).flat_map(move |b| (1..8).map(move |c| (a, b, c)))) {
                    let expected = allows(&rules, kind, major, minor, access);
                    prop_assert_eq!(ask(&program, kind, major, minor, access), expected);
                }
            }
        }
    }
}
