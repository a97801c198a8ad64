//! Profiles of every kind: random ones mean the same to both judges, wrong ones are refused with a
//! place to look at, and nothing makes the compiler panic.

mod judge;

use confine::seccomp::architecture::Architecture::{Aarch64, X86_64};
use confine::seccomp::{Action, Filter, Machine, Profile, compile, x32};
use judge::{Call, assert_alike, interpreter, machine};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

const ACTIONS: [&str; 9] = [
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
];

/// Calls that are everywhere, that are twice, that one architecture has alone, and that are nowhere.
const NAMES: [&str; 20] = [
    "read",
    "write",
    "openat",
    "clone",
    "socket",
    "semop",
    "recv",
    "ipc",
    "socketcall",
    "set_tls",
    "newfstatat",
    "rt_sigaction",
    "arch_prctl",
    "mseal",
    "uselib",
    "_llseek",
    "bind",
    "fork",
    "of_tomorrow",
    "",
];

fn arguments() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        any::<u64>(),
        0..3_u64,
        Just(u64::from(u32::MAX)),
        (0..3_u64).prop_map(|low| 1 << 32 | low),
        Just(u64::MAX)
    ];
    let operator = select(vec!["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]);
    let one = (0..6_u32, value.clone(), value, operator).prop_map(|(index, value, two, op)| {
        json!({"index": index, "value": value, "valueTwo": two, "op": format!("SCMP_CMP_{op}")})
    });
    prop_oneof![3 => Just(json!([])), 1 => Just(Value::Null), 4 => vec(one, 1..3).prop_map(Value::from)]
}

fn entry() -> impl Strategy<Value = Value> {
    let machines = prop_oneof![
        6 => Just(Value::Null),
        1 => Just(json!({"caps": ["CAP_SYS_ADMIN"]})),
        1 => Just(json!({"arches": ["amd64"]})),
        1 => Just(json!({"minKernel": "6.2"})),
    ];
    let names = vec(select(NAMES.to_vec()), 1..4);
    (names, select(ACTIONS.to_vec()), 0..200_u32, arguments(), machines.clone(), machines).prop_map(
        |(names, action, errno, args, includes, excludes)| {
            let numbered = action == "SCMP_ACT_ERRNO" || action == "SCMP_ACT_TRACE";
            let errno = if numbered { json!(errno) } else { Value::Null };
            json!({"names": names, "action": action, "errnoRet": errno, "args": args,
                   "includes": includes, "excludes": excludes})
        },
    )
}

fn profile() -> impl Strategy<Value = Value> {
    let architectures = select(vec![
        json!({}),
        json!({"architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM"]}),
        json!({"architectures": ["SCMP_ARCH_X32", "SCMP_ARCH_RISCV64"]}),
        json!({"archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null}]}),
    ]);
    (select(ACTIONS[..8].to_vec()), architectures, vec(entry(), 0..12)).prop_map(
        |(default, mut profile, entries)| {
            profile["defaultAction"] = json!(default);
            profile["syscalls"] = Value::from(entries);
            profile
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_profiles_mean_the_same_to_both_judges(profile in profile(), arm in any::<bool>(), admin in any::<bool>()) {
        let capabilities: &[&str] = if admin { &["CAP_SYS_ADMIN"] } else { &[] };
        let machine = machine(if arm { Aarch64 } else { X86_64 }, capabilities);
        assert_alike(&profile.to_string(), &machine);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// A profile with one byte changed, or cut short, is read or refused. What is read is compiled
    /// to what the kernel takes, or refused.
    #[test]
    fn no_text_makes_the_compiler_panic(profile in profile(), at in any::<usize>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut text = profile.to_string().into_bytes();
        let at = at % text.len();
        if cut { text.truncate(at) } else { text[at] = byte }
        let _ = try_compile(&String::from_utf8_lossy(&text));
    }

    #[test]
    fn no_words_make_the_compiler_panic(text in ".{0,200}") {
        let _ = try_compile(&text);
    }
}

fn try_compile(text: &str) -> anyhow::Result<Filter> {
    let filter = compile(&Profile::parse(text)?.policy(&machine(X86_64, &[]))?)?;
    interpreter::verify(&filter.program);
    Ok(filter)
}

/// The whole error, as a person sees it.
fn error(profile: &Value) -> String {
    format!("{:#}", try_compile(&profile.to_string()).unwrap_err())
}

fn of(text: &Value, machine: &Machine) -> Filter {
    compile(&Profile::parse(&text.to_string()).unwrap().policy(machine).unwrap()).unwrap()
}

fn says(profile: &Value, word: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let filter = of(profile, &machine(X86_64, &[]));
    interpreter::run(&filter.program, &Call { word, number, arguments }).0
}

/// Profiles are written for many machines and for kernels to come.
#[test]
fn calls_that_nobody_knows_are_ignored() {
    let rules = |names: Value| {
        json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5,
               "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]})
    };
    let x86_64 = machine(X86_64, &[]);
    let with = rules(json!(["read", "of_tomorrow", "riscv_hwprobe", "set_tls", ""]));
    assert_eq!(of(&with, &x86_64), of(&rules(json!(["read"])), &x86_64));
    let none = rules(json!(["of_tomorrow"]));
    assert_eq!(says(&none, judge::X86_64, 0, [0; 6]), 0x0005_0005);
}

#[test]
fn what_it_does_not_understand_it_names_with_its_place() {
    let text = "{\n  \"defaultAction\": \"SCMP_ACT_ERRNO\",\n  \"syscalls\": [\n    {\"names\": [\"read\"], \"action\": \"SCMP_ACT_ALOW\"}\n  ]\n}";
    let error = Profile::parse(text).unwrap_err().to_string();
    assert!(error.contains("SCMP_ACT_ALOW") && error.contains("line 4 column"), "{error}");
    for (wrong, right) in [
        (r#"{"index": 0, "value": 1, "op": "SCMP_CMP_XX"}"#, "SCMP_CMP_XX"),
        (r#"{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}"#, "-1"),
        (r#"{"index": 0, "op": "SCMP_CMP_EQ"}"#, "value"),
    ] {
        let text = format!(
            "{{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [\n\
             {{\"names\": [\"read\"], \"action\": \"SCMP_ACT_TRAP\", \"args\": [{wrong}]}}]}}"
        );
        let error = Profile::parse(&text).unwrap_err().to_string();
        assert!(error.contains(right) && error.contains("line 2 column"), "{error}");
    }
    for (architecture, flag) in
        [("SCMP_ARCH_PDP11", "SECCOMP_FILTER_FLAG_LOG"), ("SCMP_ARCH_X86", "QUICK")]
    {
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [architecture], "flags": [flag]});
        let error = self::error(&profile);
        assert!(error.contains("PDP11") || error.contains("QUICK"), "{error}");
    }
}

#[test]
fn what_contradicts_itself_is_refused_by_the_rule() {
    let with = |rule: Value| {
        let first = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW"});
        error(&json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [first, rule]}))
    };
    let both = with(json!({"name": "stat", "names": ["write"], "action": "SCMP_ACT_ALLOW"}));
    assert_eq!(both, "syscalls[1], write: both name and names are given\nhint: keep one of them");
    let args = json!([{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]);
    let sixth = with(json!({"names": ["write"], "action": "SCMP_ACT_ALLOW", "args": args}));
    assert_eq!(sixth, "syscalls[1], write: a call has no argument 6\nhint: index is 0 to 5");
    let errno = with(json!({"names": ["write"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096}));
    assert_eq!(errno, "syscalls[1], write: 4096 is no errno\nhint: 0 to 4095");
    let allowed = with(json!({"names": ["write"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1}));
    assert_eq!(allowed, "syscalls[1], write: takes no errno");
    let kernel = with(
        json!({"names": ["write"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "new"}}),
    );
    assert_eq!(
        kernel,
        "syscalls[1], write: minKernel \"new\" is no version\nhint: such as \"5.10\""
    );
    let notify = error(&json!({"defaultAction": "SCMP_ACT_NOTIFY"}));
    assert_eq!(notify, "defaultAction: nobody could answer SCMP_ACT_NOTIFY");
    let map = json!([{"architecture": "SCMP_ARCH_X86_64"}]);
    let two = error(
        &json!({"defaultAction": "SCMP_ACT_ALLOW", "archMap": map, "architectures": ["SCMP_ARCH_X86"]}),
    );
    assert_eq!(two, "both architectures and archMap are given\nhint: keep one of them");
}

#[test]
fn more_than_the_kernel_takes_is_refused() {
    let rule = |value: u64| {
        json!({"names": ["read"], "action": "SCMP_ACT_ALLOW",
               "args": [{"index": 0, "value": value << 33 | value, "op": "SCMP_CMP_EQ"}]})
    };
    let rules = |count| Value::from((0..count).map(rule).collect::<Vec<_>>());
    let fits = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules(1000)});
    assert!(try_compile(&fits.to_string()).unwrap().program.len() > 4000);
    assert_alike(
        &json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules(300)}).to_string(),
        &machine(X86_64, &[]),
    );
    let error = self::error(&json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules(1100)}));
    assert!(
        error.ends_with("and the kernel takes 4096\nhint: fewer comparisons of arguments"),
        "{error}"
    );
}

#[test]
fn flags_and_the_supervisors_socket_are_read() {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent.sock", "listenerMetadata": "x",
        "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                  "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "syscalls": [{"name": "mount", "action": "SCMP_ACT_NOTIFY"}]});
    let parsed = Profile::parse(&profile.to_string()).unwrap();
    assert_eq!(parsed.listener_path.unwrap().to_str(), Some("/run/agent.sock"));
    // 16: the kernel wants it where both TSYNC and a listener are asked for.
    assert_eq!(of(&profile, &machine(X86_64, &[])).flags, 1 | 2 | 4 | 16 | 32 | sys::NEW_LISTENER);
    assert_eq!(says(&profile, judge::X86_64, 165, [0; 6]), Action::Notify.word());
}

/// Podman writes an errno by its name.
#[test]
fn an_errno_by_name_counts_more_than_its_number() {
    let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "defaultErrno": "ENOSYS",
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "errno": "EBADF"}]});
    assert_eq!(says(&profile, judge::X86_64, 0, [0; 6]), 0x0005_0009);
    assert_eq!(says(&profile, judge::X86_64, 1, [0; 6]), 0x0005_0026);
}

/// A 32-bit half alone must never decide: the kernel takes a call's `int` from the lower half.
#[test]
fn the_upper_half_of_an_argument_counts() {
    let profile = |op: &str| {
        json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["socket"],
               "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2, "op": op}]}]})
    };
    let family =
        |op, value| says(&profile(op), judge::X86_64, 41, [value, 0, 0, 0, 0, 0]) == 0x7fff_0000;
    assert!(family("SCMP_CMP_EQ", 2) && !family("SCMP_CMP_EQ", 1 << 32 | 2));
    assert!(family("SCMP_CMP_LE", 2) && !family("SCMP_CMP_LE", 1 << 32));
    assert!(!family("SCMP_CMP_GT", 2) && family("SCMP_CMP_GT", 1 << 32));
    // … which is why "anything but 2" is no lock: with a bit above it is 2 for the kernel.
    assert!(!family("SCMP_CMP_NE", 2) && family("SCMP_CMP_NE", 1 << 32 | 2));
}

/// The numbers of x32 are made from those of x86_64, and a table.
#[test]
fn x32_has_numbers_of_its_own() {
    for (name, number) in [
        ("read", Some(0)),
        ("rt_sigaction", Some(512)),
        ("execve", Some(520)),
        ("pwritev2", Some(547)),
        ("openat", Some(257)),
        ("uselib", None),
        ("nonsense", None),
    ] {
        assert_eq!(x32::number(name), number.map(|number| 1 << 30 | number), "{name}");
    }
}
