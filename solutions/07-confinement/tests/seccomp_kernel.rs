//! The kernel understands our filters as the interpreter does: each call is really made, by a child
//! of its own. To do no harm, whatever would be let through is trapped instead.

mod judge;

use anyhow::{Context, Result};
use confine::seccomp::architecture::Architecture;
use confine::seccomp::{Filter, Machine, Profile, compile, standard};
use judge::kernel::{Became, answers};
use judge::{Call, X86, X86_64, filter, interpreter, machine, probes};
use nix::poll::{PollFd, PollFlags};
use nix::sched::CloneFlags;
use serde_json::Value;
use std::os::fd::AsFd;
use sys::{Fork, Instruction};
use xray::capabilities::Set;
use xray::seccomp::Seccomp;
use xray::status::Status;

harness::kernel_tests!(
    the_standard_filter_judges_every_call_as_it_should => 120,
    every_action_and_comparison_is_what_the_kernel_takes_it_for => 120,
    a_program_over_255_instructions_jumps_to_the_right_place => 120,
    the_kernel_counts_the_filter,
    without_the_right_to_it_the_error_says_what_is_missing,
    the_kernel_takes_the_flags_of_any_profile,
    a_supervisor_is_asked,
    where_a_filter_hides_clone3_a_process_is_started_all_the_same,
);

/// SIGSYS with this number instead of the call.
const LET_THROUGH: u16 = 77;

/// The same program, but whatever it lets through is trapped.
fn harmless(program: &[Instruction]) -> Vec<Instruction> {
    let trap = |one: &Instruction| match (one.code, one.k & 0xffff_0000) {
        (0x06, 0x7fff_0000 | 0x7ffc_0000) => {
            Instruction { k: 0x0003_0000 | u32::from(LET_THROUGH), ..*one }
        }
        _ => *one,
    };
    program.iter().map(trap).collect()
}

/// What the kernel does with a call for which a filter answers this word.
fn expected(word: u32, call: &Call) -> Became {
    let data = word as u16;
    match word & 0xffff_0000 {
        0x0003_0000 => Became::Trapped { data, number: call.number, word: call.word },
        // 0 is success without the call.
        0x0005_0000 if data == 0 => Became::Returned,
        0x0005_0000 => Became::Errno(data),
        0x7ff0_0000 | 0x7fc0_0000 => Became::Errno(38), // nobody there to ask
        _ => Became::Signal(31),
    }
}

/// How many calls are made beside one for each number that exists. The interpreter is asked about
/// all of them in `seccomp_meaning`.
const SAMPLE: usize = 700;

/// Asks interpreter and kernel; returns how many calls were made.
fn compare(profile: &str, capabilities: &[&str]) -> usize {
    if cfg!(not(target_arch = "x86_64")) {
        harness::not_run("the calls are those of x86_64: run it there");
    }
    let machine = machine(Architecture::X86_64, capabilities);
    let program = harmless(&filter(profile, &machine).program);
    let json: Value = serde_json::from_str(profile).unwrap();
    let meaning = judge::meaning::Meaning::new(&json, &machine);
    let mut calls = probes::calls(&meaning);
    calls.retain(|call| call.word == X86_64 || call.word == X86);
    for call in calls.iter_mut().filter(|call| call.word == X86) {
        // What is above the 32 bits of a register no 32-bit call can pass.
        call.arguments = call.arguments.map(|argument| argument & 0xffff_ffff);
    }
    // Since Linux 6.14 these two, which only the kernel's own code makes, meet no filter.
    calls.retain(|call| call.word != X86_64 || ![335, 336].contains(&call.number));
    calls.dedup();
    let (mut real, other): (Vec<Call>, Vec<Call>) =
        calls.into_iter().partition(|call| call.number < 480 && call.arguments == [0; 6]);
    let stride = other.len().div_ceil(SAMPLE);
    real.extend(other.into_iter().step_by(stride));
    let calls = real;
    for (call, became) in calls.iter().zip(answers(&program, &calls)) {
        let (word, _) = interpreter::run(&program, call);
        assert_eq!(became, expected(word, call), "{call:x?}, answer {word:#x}");
    }
    calls.len()
}

fn the_standard_filter_judges_every_call_as_it_should() {
    let count = compare(standard::JSON, &[]);
    assert!(count > 1500, "only {count} calls were made");
}

fn every_action_and_comparison_is_what_the_kernel_takes_it_for() {
    let mut rules = Vec::new();
    let actions = [
        r#""SCMP_ACT_KILL""#,
        r#""SCMP_ACT_KILL_THREAD""#,
        r#""SCMP_ACT_KILL_PROCESS""#,
        r#""SCMP_ACT_TRAP""#,
        r#""SCMP_ACT_ERRNO""#,
        r#""SCMP_ACT_ERRNO", "errnoRet": 0"#,
        r#""SCMP_ACT_ERRNO", "errnoRet": 4095"#,
        r#""SCMP_ACT_TRACE", "errnoRet": 9"#,
        r#""SCMP_ACT_LOG""#,
        r#""SCMP_ACT_ALLOW""#,
        r#""SCMP_ACT_NOTIFY""#,
    ];
    let calls = ["read", "write", "stat", "ioctl", "select", "socket", "semop", "bind"];
    for (at, action) in actions.iter().enumerate() {
        rules.push(format!(
            r#"{{"names": ["getpid", "get{}id"], "action": {action}}}"#,
            ["u", "g", "eu", "eg", "pp"][at % 5]
        ));
        let call = calls[at % calls.len()];
        let index = at % 6;
        for (op, value, two) in [
            ("EQ", 7, 0_u64),
            ("NE", u64::MAX, 0),
            ("LT", 1 << 33, 0),
            ("LE", 5 << 32 | 5, 0),
            ("GT", u64::MAX - 9, 0),
            ("GE", 1 << 63, 0),
            ("MASKED_EQ", 0xf_0000_000f, 0x3_0000_0003),
        ] {
            rules.push(format!(
                r#"{{"names": ["{call}"], "action": {action}, "args": [
                     {{"index": {index}, "value": {value}, "valueTwo": {two}, "op": "SCMP_CMP_{op}"}},
                     {{"index": {}, "value": 1, "op": "SCMP_CMP_LE"}}]}}"#,
                (index + 1) % 6
            ));
        }
    }
    let profile = format!(
        r#"{{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 99,
             "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
             "syscalls": [{}]}}"#,
        rules.join(",\n")
    );
    compare(&profile, &[]);
}

fn a_program_over_255_instructions_jumps_to_the_right_place() {
    let rule = |(number, name): (usize, &str)| {
        format!(
            r#"{{"names": ["{name}"], "action": "SCMP_ACT_ERRNO", "errnoRet": {}, "args": [
                 {{"index": {}, "value": {}, "op": "SCMP_CMP_GT"}},
                 {{"index": {}, "value": {}, "op": "SCMP_CMP_LT"}}]}}"#,
            100 + number,
            number % 6,
            number * 1_000_000_007,
            (number + 1) % 6,
            number << 40
        )
    };
    let names = "read write open close stat fstat lstat poll lseek mmap mprotect munmap brk ioctl \
        pread64 pwrite64 readv writev access pipe select mremap msync mincore madvise shmget shmat \
        dup dup2 nanosleep getitimer alarm setitimer getpid sendfile socket connect accept sendto \
        recvfrom sendmsg recvmsg shutdown bind listen wait4 kill uname semget semop semctl shmdt";
    let rules: Vec<String> = names.split_whitespace().enumerate().map(rule).collect();
    let profile =
        format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{}]}}"#, rules.join(","));
    let length = filter(&profile, &machine(Architecture::X86_64, &[])).program.len();
    assert!(length > 2 * 255, "only {length} instructions");
    compare(&profile, &[]);
}

/// A child that loads the filter, does something and ends; its status.
fn behind(filter: &Filter, then: impl FnOnce() -> Result<u8>) -> Result<u8> {
    let child = process::start(
        CloneFlags::empty(),
        |_| Ok(()),
        || {
            filter.load()?;
            sys::exit_now(then()?)
        },
    )?;
    process::wait(&child)
}

fn of(profile: &str) -> Filter {
    let machine = Machine::this(Set(0)).unwrap();
    compile(&Profile::parse(profile).unwrap().policy(&machine).unwrap()).unwrap()
}

fn the_kernel_counts_the_filter() {
    let counted = || Seccomp::of(&Status::read(std::process::id())?);
    let before = counted().unwrap();
    let filter = standard::filter(Set(0)).unwrap();
    let status = behind(&filter, || {
        let now = counted()?;
        let one_more = now.filters == before.filters.map(|count| count + 1);
        Ok(if now.mode == "filter" && one_more { 0 } else { 1 })
    });
    assert_eq!(status.unwrap(), 0);
    assert_eq!(counted().unwrap(), before);
}

fn without_the_right_to_it_the_error_says_what_is_missing() {
    let nobody = || {
        nix::unistd::setgid(65534.into())?;
        nix::unistd::setuid(65534.into())?;
        standard::filter(Set(0))?.load()?;
        sys::exit_now(0)
    };
    let error = process::start(CloneFlags::empty(), |_| Ok(()), nobody).err().unwrap();
    assert_eq!(
        error.to_string(),
        "cannot load the seccomp filter: Permission denied (os error 13)\n\
         hint: it takes CAP_SYS_ADMIN, or no_new_privs before it"
    );
    let with_no_new_privs = || {
        nix::unistd::setuid(65534.into())?;
        nix::sys::prctl::set_no_new_privs()?;
        standard::filter(Set(0))?.load()?;
        sys::exit_now(7)
    };
    let child = process::start(CloneFlags::empty(), |_| Ok(()), with_no_new_privs);
    // It may have ended before its exec was seen; what counts is that no error came.
    assert_eq!(process::wait(&child.unwrap()).unwrap(), 7);
}

/// What a profile gets that says nothing of flags.
const SPEC_ALLOW: u32 = 4;

/// Some go only with others, and the kernel refuses the rest.
fn the_kernel_takes_the_flags_of_any_profile() {
    let names = ["TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"];
    for (mask, action) in (0..16).flat_map(|mask| [(mask, "ERRNO"), (mask, "NOTIFY")]) {
        let chosen = names.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
        let flags: Vec<String> =
            chosen.map(|(_, name)| format!("\"SECCOMP_FILTER_FLAG_{name}\"")).collect();
        let filter = of(&format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "flags": [{}], "syscalls": [
                {{"names": ["setsid"], "action": "SCMP_ACT_{action}"}}]}}"#,
            flags.join(", ")
        ));
        if behind(&filter, || Ok(3)).map_err(|error| format!("{error:#}")) != Ok(3) {
            let kernel = Machine::this(Set(0)).unwrap().kernel;
            let is_too_old = mask & 8 != 0 && action == "NOTIFY" && kernel < (5, 19);
            assert!(is_too_old, "{action} and {flags:?}: {:?}", behind(&filter, || Ok(3)));
        }
    }
    assert_eq!(of(r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": []}"#).flags, 0);
    assert_eq!(of(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#).flags, SPEC_ALLOW);
}

fn a_supervisor_is_asked() {
    let filter = of(r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["setsid"], "action": "SCMP_ACT_NOTIFY"}]}"#);
    assert_eq!(filter.flags, SPEC_ALLOW | sys::NEW_LISTENER);
    let supervise = || {
        let listener = filter.load()?.context("no descriptor came back")?;
        let asked = |milliseconds: u16| -> Result<bool> {
            let mut poll = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
            Ok(nix::poll::poll(&mut poll, milliseconds)? == 1)
        };
        let quiet = asked(50)?;
        // The child hangs in its call until somebody answers; our end is its end.
        if let Fork::Child = sys::clone3(0, None)? {
            process::die_with_parent()?;
            nix::unistd::setsid()?;
            sys::exit_now(0)
        }
        sys::exit_now(if !quiet && asked(10_000)? { 0 } else { 1 })
    };
    let child = process::start(CloneFlags::empty(), |_| Ok(()), supervise).unwrap();
    assert_eq!(process::wait(&child).unwrap(), 0);
}

fn where_a_filter_hides_clone3_a_process_is_started_all_the_same() {
    let filter = of(standard::JSON);
    let start = |namespaces| {
        behind(&filter, || {
            let leave = || sys::exit_now(5);
            let child = process::start(namespaces, |_| Ok(()), leave)?;
            process::wait(&child)
        })
    };
    assert_eq!(start(CloneFlags::empty()).unwrap(), 5);
    let error = start(CloneFlags::CLONE_NEWUTS).unwrap_err().to_string();
    assert!(error.contains("Operation not permitted (os error 1)"), "{error}");
}
