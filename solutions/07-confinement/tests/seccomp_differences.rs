//! The standard profile beside podman's, call by call: `DIFFERENCES.md` lists what differs, and this
//! keeps the list true.

mod judge;

use confine::seccomp::architecture::Architecture::{self, Aarch64, X86_64};
use confine::seccomp::standard;
use judge::{Call, filter, interpreter, machine};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use sys::Instruction;

harness::kernel_tests!(
    every_difference_from_podmans_profile_is_listed_with_its_reason,
    capabilities_open_the_calls_that_they_open_with_podman,
);

/// docker's fourteen.
const DEFAULT: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

fn podmans() -> String {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = "usr/share/containers/seccomp.json";
    let places = [PathBuf::from("/").join(file), checkout.join("target/peers").join(file)];
    match places.iter().find_map(|place| fs::read_to_string(place).ok()) {
        Some(text) => text,
        None => {
            harness::not_run("no /usr/share/containers/seccomp.json: scripts/bench/peer podman")
        }
    }
}

/// What a filter says to a call, in a word: its answers to many arguments.
fn fate(program: &[Instruction], word: u32, number: u32) -> String {
    // Whatever either profile compares with is among these.
    let values =
        (0..64).chain([131_072, 131_080, u64::from(u32::MAX), 0x2_0000, 1 << 32 | 40, 0x1000_0000]);
    let answers: BTreeSet<u32> = values
        .flat_map(|value| [[value, 0, 0, 0, 0, 0], [16, 0, value, 0, 0, 0]])
        .map(|arguments| interpreter::run(program, &Call { word, number, arguments }).0)
        .collect();
    let name = |answer: &u32| match *answer {
        0x7fff_0000 => "allow".to_owned(),
        0x0005_0001 => "EPERM".to_owned(),
        0x0005_0016 => "EINVAL".to_owned(),
        0x0005_0026 => "ENOSYS".to_owned(),
        other => format!("{other:#x}"),
    };
    match answers.len() {
        1 => name(answers.first().unwrap()),
        _ => "some".to_owned(),
    }
}

/// Calls that the two profiles treat differently, by name, with both words.
fn differences(capabilities: &[&str]) -> BTreeMap<String, BTreeSet<(String, String)>> {
    let podmans = podmans();
    let mut found: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for native in [X86_64, Aarch64] {
        let machine = machine(native, capabilities);
        let [ours, theirs] = [standard::JSON, &podmans].map(|text| filter(text, &machine).program);
        let spaces: &[Architecture] = match native {
            X86_64 => &[X86_64, Architecture::X86],
            _ => &[Aarch64, Architecture::Arm],
        };
        for space in spaces {
            for (name, number) in calls(*space) {
                let word = space.word();
                let (ours, theirs) = (fate(&ours, word, number), fate(&theirs, word, number));
                if ours != theirs {
                    found.entry(name).or_default().insert((ours, theirs));
                }
            }
        }
    }
    found
}

fn calls(architecture: Architecture) -> Vec<(String, u32)> {
    let name = |number| -> Option<String> {
        Some(
            match architecture {
                X86_64 => syscalls::x86_64::Sysno::new(number)?.name(),
                Architecture::X86 => syscalls::x86::Sysno::new(number)?.name(),
                Aarch64 => syscalls::aarch64::Sysno::new(number)?.name(),
                _ => syscalls::arm::Sysno::new(number)?.name(),
            }
            .trim_start_matches("r#")
            .to_owned(),
        )
    };
    (0..500).filter_map(|number| Some((name(number)?, number as u32))).collect()
}

/// A difference: capability (or none), call, our word, theirs.
type Difference = (String, String, String, String);

/// The tables of `DIFFERENCES.md` with this many columns. The last one is the reason.
fn listed(columns: usize) -> BTreeSet<Difference> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/seccomp/DIFFERENCES.md");
    let text = fs::read_to_string(path).unwrap();
    let podmans = text.split("\n## ").find(|part| part.starts_with("podman")).unwrap();
    let mut listed = BTreeSet::new();
    for line in podmans.lines().filter(|line| line.contains('`') && line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if cells.len() != columns {
            continue;
        }
        let [calls, here, there, why] = cells[columns - 4..] else { panic!("{line}") };
        assert!(why.len() > 5, "no reason: {line}");
        let capability = if columns == 5 { cells[0] } else { "" };
        listed.extend(calls.split(' ').map(|call| {
            let call = call.trim_matches('`').to_owned();
            (capability.to_owned(), call, here.to_owned(), there.to_owned())
        }));
    }
    listed
}

fn every_difference_from_podmans_profile_is_listed_with_its_reason() {
    let mut found = BTreeSet::new();
    for (name, fates) in differences(&DEFAULT) {
        found.extend(
            fates.into_iter().map(|(ours, theirs)| (String::new(), name.clone(), ours, theirs)),
        );
    }
    assert_same(&found, &listed(4));
}

fn capabilities_open_the_calls_that_they_open_with_podman() {
    let usual = differences(&DEFAULT);
    let mut found = BTreeSet::new();
    for capability in standard::WITH_RULES {
        let capabilities: Vec<&str> = DEFAULT.into_iter().chain([capability]).collect();
        for (name, fates) in differences(&capabilities) {
            let new = fates
                .into_iter()
                .filter(|fate| !usual.get(&name).is_some_and(|old| old.contains(fate)));
            found.extend(
                new.map(|(ours, theirs)| (capability.to_owned(), name.clone(), ours, theirs)),
            );
        }
    }
    assert_same(&found, &listed(5));
}

fn assert_same(found: &BTreeSet<Difference>, listed: &BTreeSet<Difference>) {
    let missing: Vec<_> = found.difference(listed).collect();
    let gone: Vec<_> = listed.difference(found).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "not listed: {missing:#?}\nlisted, but not so: {gone:#?}"
    );
    assert!(found.len() >= 5, "only {} differences: are these the right profiles?", found.len());
}
