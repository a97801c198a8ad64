//! The filter that most containers get is made beforehand. This keeps it up to date:
//!
//! ```console
//! CORACLE_REGENERATE=1 cargo test -p confinement --test seccomp_standard
//! ```

mod judge;

use confine::seccomp::architecture::Architecture::{self, Aarch64, X86_64};
use confine::seccomp::{Machine, standard};
use judge::{filter, machine};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use sys::Instruction;
use xray::capabilities::Set;

/// The source of a filter, with what each instruction does beside it.
fn source(program: &[Instruction], name: &str) -> String {
    let mut text = format!(
        "//! The standard filter of {name}: `default.json`, compiled. Generated, and kept up to date, by\n\
         //! `tests/seccomp_standard.rs`.\n\n\
         use sys::Instruction;\n\n\
         const fn i(code: u16, jump_true: u8, jump_false: u8, k: u32) -> Instruction {{\n    \
         Instruction {{ code, jump_true, jump_false, k }}\n}}\n\n\
         /// The filter.\n#[rustfmt::skip]\npub const PROGRAM: &[Instruction] = &[\n"
    );
    for (at, one) in program.iter().enumerate() {
        let Instruction { code, jump_true, jump_false, k } = *one;
        let to = |skipped: u8| at + 1 + usize::from(skipped);
        let branch = format!("go to {}, else {}", to(jump_true), to(jump_false));
        let meaning = match code {
            0x20 => format!("load {}", loaded(k)),
            0x54 => format!("keep the bits {k:#x}"),
            0x05 => format!("go to {}", at + 1 + k as usize),
            0x15 => format!("{k:#x}? {branch}"),
            0x25 => format!("more than {k:#x}? {branch}"),
            0x35 => format!("{k} or more? {branch}"),
            _ => answer(k),
        };
        writeln!(text, "    i({code:#04x}, {jump_true}, {jump_false}, {k:#x}), // {at}: {meaning}")
            .unwrap();
    }
    text + "];\n"
}

fn loaded(offset: u32) -> String {
    match offset {
        0 => "the number".into(),
        4 => "the architecture".into(),
        _ => {
            let half = if offset % 8 == 0 { "lower" } else { "upper" };
            format!("the {half} half of argument {}", (offset - 16) / 8)
        }
    }
}

fn answer(word: u32) -> String {
    match word {
        0x7fff_0000 => "allow".into(),
        0 => "kill".into(),
        _ => format!("errno {}", word & 0xffff),
    }
}

fn up_to_date(architecture: Architecture, name: &str) {
    let source = source(&filter(standard::JSON, &machine(architecture, &[])).program, name);
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/seccomp/standard_{name}.rs"));
    if std::env::var_os("CORACLE_REGENERATE").is_some() {
        fs::write(&path, &source).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap();
    assert!(
        there == source,
        "{} is old: set CORACLE_REGENERATE=1 and run this again",
        path.display()
    );
}

#[test]
fn the_compiled_filters_are_up_to_date() {
    up_to_date(X86_64, "x86_64");
    up_to_date(Aarch64, "aarch64");
}

#[test]
fn the_capabilities_with_rules_are_those_that_the_profile_names() {
    let json: Value = serde_json::from_str(standard::JSON).unwrap();
    let entries = json["syscalls"].as_array().unwrap().iter();
    let lists = entries.flat_map(|entry| [&entry["includes"]["caps"], &entry["excludes"]["caps"]]);
    let named: BTreeSet<&str> = lists
        .flat_map(|list| list.as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(named.into_iter().collect::<Vec<_>>(), standard::WITH_RULES);
}

/// Whatever else a container is granted, it gets the filter that its profile means.
#[test]
fn the_filter_made_beforehand_is_the_one_that_would_be_made() {
    for capabilities in [0, 0xa804_25fb, 1 << 12, 1 << 21, u64::MAX >> 23] {
        let machine = Machine::this(Set(capabilities)).unwrap();
        let quick = standard::filter(Set(capabilities)).unwrap();
        assert_eq!(quick, filter(standard::JSON, &machine), "{capabilities:#x}");
    }
}

/// A start must stay cheap, and so must a call.
#[test]
fn the_filters_are_short() {
    for (architecture, word) in [(X86_64, judge::X86_64), (Aarch64, judge::AARCH64)] {
        let program = filter(standard::JSON, &machine(architecture, &[])).program;
        let mut longest = 0;
        for number in 0..500 {
            let call = judge::Call { word, number, arguments: [3; 6] };
            longest = longest.max(judge::interpreter::run(&program, &call).1);
        }
        println!("{architecture:?}: {} instructions, at most {longest} for a call", program.len());
        assert!(program.len() <= 300 && longest <= 32, "{} and {longest}", program.len());
    }
}
