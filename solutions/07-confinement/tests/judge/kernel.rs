//! What the kernel says to a call: `probe.c`, which makes it in a child of its own.

use super::{Call, X86};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use sys::Instruction;

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
    /// SIGSYS, with the filter's data, the number and the architecture.
    Trapped { data: u16, number: u32, word: u32 },
    /// It failed.
    Errno(u16),
    /// It succeeded, or ended the process as it should.
    Returned,
    /// A signal ended the process.
    Signal(i32),
    /// It did not come back.
    Blocked,
}

/// The probe, as a program that needs no library: for this machine, or for a container.
pub fn probe() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge/probe.c");
    let probe = Path::new(&std::env::var("TMPDIR").unwrap()).join("probe");
    if !probe.exists() {
        let built =
            Command::new("cc").args(["-O1", "-static", "-o"]).arg(&probe).arg(source).status();
        if !built.is_ok_and(|status| status.success()) {
            harness::not_run("no static C program can be built: apt-get install gcc libc6-dev");
        }
    }
    probe
}

/// The lines that the probe reads.
pub fn questions(calls: &[Call]) -> String {
    let line = |call: &Call| {
        let bits = if call.word == X86 { 32 } else { 64 };
        let arguments = call.arguments.map(|argument| argument.to_string()).join(" ");
        format!("{bits} {} {arguments}\n", call.number)
    };
    calls.iter().map(line).collect()
}

/// What the kernel makes of the calls behind this filter.
pub fn answers(filter: &[Instruction], calls: &[Call]) -> Vec<Became> {
    let temporary = PathBuf::from(std::env::var("TMPDIR").unwrap());
    let [file, input] = ["filter", "calls"].map(|name| temporary.join(harness::random_name(name)));
    let mut bytes = Vec::new();
    for Instruction { code, jump_true, jump_false, k } in filter {
        bytes.extend(code.to_ne_bytes());
        bytes.extend([*jump_true, *jump_false]);
        bytes.extend(k.to_ne_bytes());
    }
    fs::write(&file, bytes).unwrap();
    fs::File::create(&input).unwrap().write_all(questions(calls).as_bytes()).unwrap();
    let mut command = Command::new(probe());
    command.arg(&file).stdin(fs::File::open(&input).unwrap()).stderr(Stdio::inherit());
    let output = command.output().unwrap();
    assert!(output.status.success(), "the probe failed: {output:?}");
    let answers: Vec<Became> = parse(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(answers.len(), calls.len(), "the probe did not answer every question");
    answers
}

/// The lines that the probe prints.
pub fn parse(output: &str) -> Vec<Became> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["trap", data, number, word] => Became::Trapped {
                data: data.parse().unwrap(),
                number: number.parse::<i32>().unwrap() as u32,
                word: word.parse().unwrap(),
            },
            ["errno", number] => Became::Errno(number.parse().unwrap()),
            ["signal", number] => Became::Signal(number.parse().unwrap()),
            ["returned"] => Became::Returned,
            ["blocked"] => Became::Blocked,
            _ => panic!("{line}"),
        }
    };
    output.lines().map(line).collect()
}
