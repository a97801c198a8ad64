//! Calls worth a question: every number that exists and many that do not, on every architecture,
//! with arguments on both sides of each boundary that the profile names.

use super::meaning::{Meaning, arguments, base_of};
use super::{AARCH64, ARM, Call, X86, X86_64};

pub fn calls(meaning: &Meaning) -> Vec<Call> {
    let mut calls = Vec::new();
    let spaces = [
        (X86_64, "SCMP_ARCH_X86_64"),
        (X86_64, "SCMP_ARCH_X32"),
        (X86, "SCMP_ARCH_X86"),
        (AARCH64, "SCMP_ARCH_AARCH64"),
        (ARM, "SCMP_ARCH_ARM"),
    ];
    for (word, architecture) in spaces {
        let base = base_of(architecture);
        let odd = [0xeffff, 0xf0000, 0xf0001, 0xf0005, 0xf0006, 0xf0007, 0x3fff_fffe, 0x3fff_ffff];
        for number in (0..=1024).chain(odd).map(|number| base + number) {
            calls.push(Call { word, number, arguments: [0; 6] });
            if !meaning.listed.contains(&architecture) {
                continue;
            }
            calls.extend(with_arguments(meaning, architecture, word, number));
        }
    }
    for number in [0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xffff_fffe, 0xffff_ffff] {
        for word in [X86_64, X86, AARCH64, ARM] {
            calls.push(Call { word, number, arguments: [0; 6] });
        }
    }
    // x86 with its 64-bit flag, ARM big-endian, MIPS, nothing, everything
    for word in [0x8000_0003, 0x40_0028, 0x4000_0008, 0, u32::MAX, X86_64 ^ 1, X86_64 & 0xffff] {
        calls.extend([0, 1, 41, 59].map(|number| Call { word, number, arguments: [0; 6] }));
    }
    calls
}

fn with_arguments(
    meaning: &Meaning,
    architecture: &'static str,
    word: u32,
    number: u32,
) -> Vec<Call> {
    let mut interesting: [Vec<u64>; 6] = Default::default();
    for entry in meaning.naming(architecture, number) {
        for condition in arguments(entry) {
            let index = condition["index"].as_u64().unwrap() as usize;
            let value = condition["value"].as_u64().unwrap();
            let second = condition["valueTwo"].as_u64().unwrap_or(0);
            interesting[index].extend(around(value).into_iter().chain(around(second)));
            interesting[index].extend([second & value, !value, second | !value, second ^ value]);
        }
    }
    if architecture == "SCMP_ARCH_X86" && [102, 117].contains(&number) {
        interesting[0].extend((0..=30).chain([0x10001, 1 << 32 | 1]));
    }
    let mut calls = Vec::new();
    // Each pair of arguments that count, the others zero; then all of them at once.
    for (first, values) in interesting.iter().enumerate() {
        for value in values {
            let mut arguments = [0; 6];
            arguments[first] = *value;
            calls.push(Call { word, number, arguments });
            for (second, values) in interesting.iter().enumerate().skip(first + 1) {
                for value in values {
                    arguments[second] = *value;
                    calls.push(Call { word, number, arguments });
                }
                arguments[second] = 0;
            }
        }
    }
    let most = interesting.iter().map(Vec::len).max().unwrap_or(0);
    calls.extend((0..most).map(|at| {
        let pick = |values: &Vec<u64>| values.get(at % values.len().max(1)).copied().unwrap_or(0);
        Call { word, number, arguments: std::array::from_fn(|index| pick(&interesting[index])) }
    }));
    calls
}

/// The value, its neighbours, and those that differ in the upper half alone.
fn around(value: u64) -> [u64; 9] {
    [
        value,
        value.wrapping_add(1),
        value.wrapping_sub(1),
        value ^ 1 << 32,
        value | 1 << 63,
        value & 0xffff_ffff,
        value | 0xffff_ffff_0000_0000,
        value.wrapping_add(1 << 32),
        value.wrapping_sub(1 << 32),
    ]
}
