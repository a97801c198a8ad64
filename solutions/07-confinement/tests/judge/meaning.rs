//! What a profile says of a call, from its JSON, one call at a time and with no thought of speed.

use super::{AARCH64, ARM, Call, X86, X86_64};
use confine::seccomp::architecture::Architecture;
use confine::seccomp::machine::Machine;
use serde_json::Value;
use std::collections::HashMap;

const ENOSYS: u32 = 0x0005_0026;

pub struct Meaning<'a> {
    profile: &'a Value,
    machine: &'a Machine,
    /// The architectures whose calls it judges.
    pub listed: Vec<&'static str>,
    /// The entries that name a call, in the order of the file.
    naming: HashMap<(&'static str, u32), Vec<&'a Value>>,
    newest: HashMap<&'static str, u32>,
}

impl<'a> Meaning<'a> {
    pub fn new(profile: &'a Value, machine: &'a Machine) -> Meaning<'a> {
        let native = match machine.architecture {
            Architecture::X86_64 => "SCMP_ARCH_X86_64",
            _ => "SCMP_ARCH_AARCH64",
        };
        let mut wanted = vec![native.to_owned()];
        let strings = |list: &Value| -> Vec<String> {
            list.as_array().into_iter().flatten().map(|one| one.as_str().unwrap().into()).collect()
        };
        wanted.extend(strings(&profile["architectures"]));
        for entry in profile["archMap"].as_array().into_iter().flatten() {
            if entry["architecture"] == native {
                wanted.extend(strings(&entry["subArchitectures"]));
            }
        }
        let possible: &[&'static str] = match machine.architecture {
            Architecture::X86_64 => &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            _ => &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        };
        let listed = possible.iter().copied().filter(|one| wanted.iter().any(|name| name == one));
        let listed: Vec<&str> = listed.collect();
        let (mut naming, mut newest) = (HashMap::new(), HashMap::new());
        for entry in profile["syscalls"].as_array().into_iter().flatten() {
            for (name, architecture) in
                names(entry).iter().flat_map(|n| listed.iter().map(move |a| (n, a)))
            {
                let Some(number) = number(architecture, name) else { continue };
                let entries: &mut Vec<&Value> = naming.entry((*architecture, number)).or_default();
                entries.push(entry);
                if number & !(1 << 30) < 0xf_0000 {
                    let newest = newest.entry(*architecture).or_default();
                    *newest = number.max(*newest);
                }
            }
        }
        Meaning { profile, machine, listed, naming, newest }
    }

    /// The entries that name the call with this number.
    pub fn naming(&self, architecture: &'static str, number: u32) -> &[&'a Value] {
        self.naming.get(&(architecture, number)).map_or(&[], Vec::as_slice)
    }

    pub fn entries(&self) -> impl Iterator<Item = &'a Value> {
        self.profile["syscalls"].as_array().into_iter().flatten()
    }

    /// The word that the kernel has to get.
    pub fn of(&self, call: &Call) -> u32 {
        let default = word(&self.profile["defaultAction"], &self.profile["defaultErrnoRet"]);
        let native = self.listed.contains(&"SCMP_ARCH_X86_64");
        if native && call.word == X86_64 && call.number == u32::MAX {
            return default;
        }
        let architecture = match call.word {
            X86_64 if call.number < 1 << 30 => "SCMP_ARCH_X86_64",
            X86_64 => "SCMP_ARCH_X32",
            X86 => "SCMP_ARCH_X86",
            AARCH64 => "SCMP_ARCH_AARCH64",
            ARM => "SCMP_ARCH_ARM",
            _ => return 0,
        };
        if !self.listed.contains(&architecture) {
            return 0;
        }
        let applies = |entry: &&&Value| self.suits(entry) && action(entry) != default;
        let called: Vec<&Value> =
            self.naming(architecture, call.number).iter().filter(applies).copied().collect();
        // Without a condition, wherever it stands …
        if let Some(entry) = called.iter().find(|entry| arguments(entry).is_empty()) {
            return action(entry);
        }
        // … else the first whose conditions are true.
        if architecture == "SCMP_ARCH_X86" && [102, 117].contains(&call.number) {
            for entry in self.entries().filter(|entry| applies(&entry)) {
                let itself = called.iter().any(|one| std::ptr::eq(*one, entry));
                if itself && true_of(entry, call, architecture) || meant_by_multiplexer(entry, call)
                {
                    return action(entry);
                }
            }
        }
        if let Some(entry) = called.iter().find(|entry| true_of(entry, call, architecture)) {
            return action(entry);
        }
        let refuses = !matches!(default & 0xffff_0000, 0x7fff_0000 | 0x7ffc_0000 | 0x7ff0_0000);
        let newer = |newest| call.number > newest && call.number < end_of(architecture);
        match self.newest.get(architecture) {
            Some(newest) if refuses && newer(*newest) => ENOSYS,
            _ => default,
        }
    }

    fn suits(&self, entry: &Value) -> bool {
        let native =
            if self.machine.architecture == Architecture::X86_64 { "amd64" } else { "arm64" };
        let granted = self.machine.capabilities.names();
        let list = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().map(|x| x.as_str().unwrap().into()).collect()
        };
        let since = |value: &Value| {
            let (major, minor) = value.as_str()?.split_once('.')?;
            Some(self.machine.kernel >= (major.parse().unwrap(), minor.parse().unwrap()))
        };
        let (includes, excludes) = (&entry["includes"], &entry["excludes"]);
        let arches = list(&includes["arches"]);
        (arches.is_empty() || arches.iter().any(|name| name == native))
            && list(&includes["caps"]).iter().all(|name| granted.contains(name))
            && since(&includes["minKernel"]) != Some(false)
            && !list(&excludes["arches"]).iter().any(|name| name == native)
            && !list(&excludes["caps"]).iter().any(|name| granted.contains(name))
            && since(&excludes["minKernel"]) != Some(true)
    }
}

/// Where the numbers of an architecture begin, and where they end.
pub fn base_of(architecture: &str) -> u32 {
    if architecture == "SCMP_ARCH_X32" { 1 << 30 } else { 0 }
}

fn end_of(architecture: &str) -> u32 {
    match architecture {
        "SCMP_ARCH_X86_64" => 1 << 30,
        "SCMP_ARCH_ARM" => 0xf_0000,
        _ => u32::MAX,
    }
}

fn word(name: &Value, errno: &Value) -> u32 {
    let errno = errno.as_u64().unwrap_or(1) as u32;
    match name.as_str().unwrap() {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_ERRNO" => 0x0005_0000 + errno,
        "SCMP_ACT_NOTIFY" => 0x7fc0_0000,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 + errno,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_ALLOW" => 0x7fff_0000,
        other => panic!("{other}"),
    }
}

fn action(entry: &Value) -> u32 {
    word(&entry["action"], &entry["errnoRet"])
}

fn names(entry: &Value) -> Vec<&str> {
    let several = entry["names"].as_array().into_iter().flatten();
    several.chain([&entry["name"]]).filter_map(Value::as_str).collect()
}

pub fn arguments(entry: &Value) -> Vec<&Value> {
    entry["args"].as_array().into_iter().flatten().collect()
}

fn number(architecture: &str, name: &str) -> Option<u32> {
    let architecture = match architecture {
        "SCMP_ARCH_X86_64" => Architecture::X86_64,
        "SCMP_ARCH_X86" => Architecture::X86,
        "SCMP_ARCH_X32" => Architecture::X32,
        "SCMP_ARCH_AARCH64" => Architecture::Aarch64,
        _ => Architecture::Arm,
    };
    architecture.number(name)
}

fn true_of(entry: &Value, call: &Call, architecture: &str) -> bool {
    let conditions = arguments(entry);
    let narrow = !matches!(architecture, "SCMP_ARCH_X86_64" | "SCMP_ARCH_AARCH64");
    let cut = |word: u64| if narrow { word & 0xffff_ffff } else { word };
    let holds = |condition: &&Value| {
        let value = cut(condition["value"].as_u64().unwrap());
        let argument = cut(call.arguments[condition["index"].as_u64().unwrap() as usize]);
        match condition["op"].as_str().unwrap() {
            "SCMP_CMP_NE" => argument != value,
            "SCMP_CMP_LT" => argument < value,
            "SCMP_CMP_LE" => argument <= value,
            "SCMP_CMP_EQ" => argument == value,
            "SCMP_CMP_GE" => argument >= value,
            "SCMP_CMP_GT" => argument > value,
            _ => argument & value == condition["valueTwo"].as_u64().unwrap_or(0) & value,
        }
    };
    let index = |condition: &&Value| condition["index"].as_u64().unwrap();
    let twice = (0..6).any(|argument| {
        conditions.iter().filter(|condition| index(condition) == argument).count() > 1
    });
    if twice { conditions.iter().any(holds) } else { conditions.iter().all(holds) }
}

/// `socketcall(102)` and `ipc(117)` of 32-bit PCs, by the numbers in `linux/net.h`, `linux/ipc.h`.
fn meant_by_multiplexer(entry: &Value, call: &Call) -> bool {
    let open = action(entry) >= 0x7ff0_0000 && action(entry) < 0x8000_0000;
    if open && !arguments(entry).is_empty() {
        return false;
    }
    let sockets = "socket bind connect listen accept getsockname getpeername socketpair send recv \
        sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg";
    let ipc = "semop=1 semget=2 semctl=3 semtimedop=4 msgsnd=11 msgrcv=12 msgget=13 msgctl=14 \
        shmat=21 shmdt=22 shmget=23 shmctl=24";
    let argument = call.arguments[0] & 0xffff_ffff;
    let meant = match call.number {
        102 => sockets.split_whitespace().nth((argument as usize).wrapping_sub(1)),
        117 => ipc.split_whitespace().find_map(|pair| {
            let (name, number) = pair.split_once('=').unwrap();
            (number.parse() == Ok(argument & 0xffff)).then_some(name)
        }),
        _ => None,
    };
    meant.is_some_and(|name| names(entry).contains(&name))
}
