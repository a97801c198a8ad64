//! Calls that 32-bit PCs have twice: once by their number and once through `socketcall(2)` or
//! `ipc(2)`, whose first argument says which of a dozen calls is meant.
//!
//! A rule for `connect` that forgot the second way would be none. But where the second way passes
//! the arguments in memory, a filter can't see them. So conditions are left out for a refusal,
//! which then refuses more, and where a call is let through on a condition, the second way is not
//! opened. (libseccomp opens it. docker's own profile, which forbade AF_ALG, was passed by that
//! way: moby/moby pull request 52494.)

use super::profile::{Argument, Operator};

/// `socketcall` or `ipc`, and the condition that means the call `name`.
pub fn other_way(name: &str) -> Option<(&'static str, Argument)> {
    let find = |list: &[(&str, u64)]| {
        list.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    };
    let (through, number, mask) = match (find(&SOCKETCALL), find(&IPC)) {
        (Some(number), _) => ("socketcall", number, u64::from(u32::MAX)),
        (_, Some(number)) => ("ipc", number, 0xffff), // above are versions of the call
        _ => return None,
    };
    let op = Operator::MaskedEq;
    Some((through, Argument { index: 0, value: mask, value_two: Some(number), op }))
}

/// `linux/net.h`
const SOCKETCALL: [(&str, u64); 20] = [
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// `linux/ipc.h`
const IPC: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];
