//! What a filter can answer, and how the kernel wants it said: one word, the action in the upper
//! half, a number that belongs to it in the lower (seccomp(2), "Return values").

use anyhow::{Result, bail, ensure};
use nix::errno::Errno;
use serde::Deserialize;

/// What happens to a call. The kernel takes the sternest where several filters disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// The whole process dies of SIGSYS.
    KillProcess,
    /// Only the thread does.
    KillThread,
    /// The process gets a SIGSYS that it can handle.
    Trap,
    /// The call fails with this errno, and nothing else happens.
    Errno(u16),
    /// A supervisor on the filter's descriptor decides (seccomp_unotify(2)).
    Notify,
    /// A tracer decides, who reads this number (ptrace(2)); without one the call fails, ENOSYS.
    Trace(u16),
    /// The call is made and written to the audit log.
    Log,
    /// The call is made.
    Allow,
}

impl Action {
    /// The word that a filter returns: `SECCOMP_RET_*` of `linux/seccomp.h`.
    pub fn word(self) -> u32 {
        match self {
            Action::KillProcess => 0x8000_0000,
            Action::KillThread => 0,
            Action::Trap => 0x0003_0000,
            Action::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Action::Notify => 0x7fc0_0000,
            Action::Trace(number) => 0x7ff0_0000 | u32::from(number),
            Action::Log => 0x7ffc_0000,
            Action::Allow => 0x7fff_0000,
        }
    }

    /// Does the call take place, or might it?
    pub fn lets_through(self) -> bool {
        matches!(self, Action::Allow | Action::Log | Action::Trace(_))
    }
}

/// The names of the actions in a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "each is an action above, by the name of libseccomp")]
pub enum Name {
    #[serde(rename = "SCMP_ACT_KILL")]
    Kill,
    #[serde(rename = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

/// An errno as a profile has it: a number, or, as podman writes it, a name beside it.
#[derive(Clone, Debug, Default)]
pub struct ErrnoRet<'a> {
    /// `errnoRet`, `defaultErrnoRet`.
    pub number: Option<u32>,
    /// `errno`, `defaultErrno`; it counts more than the number.
    pub name: Option<&'a str>,
}

impl Name {
    /// The action of this name with its number, which is EPERM if there is none.
    pub fn action(self, errno: ErrnoRet) -> Result<Action> {
        let takes_one = matches!(self, Name::Errno | Name::Trace);
        let number = match errno.name.filter(|name| !name.is_empty()) {
            Some(name) => Some(errno_by_name(name)?),
            None => errno.number,
        };
        ensure!(takes_one || number.is_none_or(|number| number == 0), "takes no errno");
        let number = number.unwrap_or(Errno::EPERM as u32);
        // A greater one the kernel would cut to 4095, MAX_ERRNO.
        let largest = if self == Name::Trace { u32::from(u16::MAX) } else { 4095 };
        ensure!(number <= largest, "{number} is no errno\nhint: 0 to {largest}");
        let number = number as u16;
        Ok(match self {
            Name::Kill | Name::KillThread => Action::KillThread,
            Name::KillProcess => Action::KillProcess,
            Name::Trap => Action::Trap,
            Name::Errno => Action::Errno(number),
            Name::Trace => Action::Trace(number),
            Name::Allow => Action::Allow,
            Name::Log => Action::Log,
            Name::Notify => Action::Notify,
        })
    }
}

fn errno_by_name(name: &str) -> Result<u32> {
    let known = (1..=133).find(|number| format!("{:?}", Errno::from_raw(*number)) == name);
    match known {
        Some(number) => Ok(number as u32),
        None => bail!("{name:?} is no errno\nhint: a name of errno(3), such as EPERM"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_kernels_header() {
        let words = [
            (Action::KillProcess, libc_word(nix::libc::SECCOMP_RET_KILL_PROCESS)),
            (Action::KillThread, libc_word(nix::libc::SECCOMP_RET_KILL_THREAD)),
            (Action::Trap, libc_word(nix::libc::SECCOMP_RET_TRAP)),
            (Action::Errno(38), libc_word(nix::libc::SECCOMP_RET_ERRNO) | 38),
            (Action::Trace(7), libc_word(nix::libc::SECCOMP_RET_TRACE) | 7),
            (Action::Log, libc_word(nix::libc::SECCOMP_RET_LOG)),
            (Action::Allow, libc_word(nix::libc::SECCOMP_RET_ALLOW)),
        ];
        for (action, word) in words {
            assert_eq!(action.word(), word, "{action:?}");
        }
    }

    fn libc_word(word: u32) -> u32 {
        word
    }

    #[test]
    fn an_errno_is_a_number_or_a_name() {
        let named = |name| Name::Errno.action(ErrnoRet { number: Some(1), name: Some(name) });
        assert_eq!(named("ENOSYS").unwrap(), Action::Errno(38));
        assert_eq!(named("").unwrap(), Action::Errno(1));
        assert!(named("ENOTHING").unwrap_err().to_string().contains("ENOTHING"));
        assert_eq!(Name::Errno.action(ErrnoRet::default()).unwrap(), Action::Errno(1));
        let number =
            |name: Name, number| name.action(ErrnoRet { number: Some(number), name: None });
        assert_eq!(number(Name::Trace, 65535).unwrap(), Action::Trace(65535));
        assert!(number(Name::Errno, 4096).is_err());
        assert!(number(Name::Allow, 1).is_err());
        assert_eq!(number(Name::Allow, 0).unwrap(), Action::Allow);
    }
}
