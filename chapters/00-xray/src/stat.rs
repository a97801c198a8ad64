//! Reads `/proc/PID/stat`: the state of a process, and the tick at which it started.
//!
//! A PID alone does not identify a process: numbers are used again. PID and start time together
//! do. Whoever keeps a PID for later (a state file, a lock) keeps the start time beside it and
//! compares both before it sends a signal.

use crate::procfs;
use anyhow::{Context, Result};

/// What one line of `/proc/PID/stat` says, see `proc_pid_stat(5)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The name of the thread, at most 15 bytes; any byte but NUL is possible.
    pub name: String,
    /// `R` runs, `S` sleeps, `D` waits for a device, `Z` zombie, `X` dead, `T` stopped …
    pub state: char,
    /// The PID of the parent, 0 if the parent is not in this `/proc`.
    pub parent: u32,
    /// Kernel flags of the task, `PF_*` in `include/linux/sched.h`.
    pub flags: u64,
    /// How many threads it has.
    pub threads: u32,
    /// When it started, in clock ticks (1/100 s) after boot, as the reader's time namespace
    /// counts.
    pub start_ticks: u64,
}

impl Stat {
    /// Whether it is a thread of the kernel itself, which has no program and no memory of its own.
    pub fn is_kernel_thread(&self) -> bool {
        const PF_KTHREAD: u64 = 0x0020_0000;
        self.flags & PF_KTHREAD != 0
    }

    /// Whether it has ended and only waits to be waited for.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// Reads and parses `/proc/PID/stat`; errors as in [`procfs::read`].
pub fn read(pid: u32) -> Result<Stat> {
    let text = procfs::read(pid, "stat")?;
    parse(&text).with_context(|| format!("cannot understand /proc/{pid}/stat: {text:?}"))
}

/// When a process started, in clock ticks (1/100 s) after boot; errors as in [`procfs::read`].
///
/// A zombie still has a start time: the PID is not free before it has been waited for.
pub fn start_ticks(pid: u32) -> Result<u64> {
    Ok(read(pid)?.start_ticks)
}

/// Parses the one line of `/proc/PID/stat`. `None` if it is not one.
pub fn parse(line: &str) -> Option<Stat> {
    // The name stands in parentheses and may itself contain `) R 1 2 3`: only the *last*
    // parenthesis ends it.
    let (head, tail) = line.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;

    // The fields of the manual page are counted from 1; the state after the name is number 3.
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        name: name.to_owned(),
        state: field(3)?.chars().next()?,
        parent: field(4)?.parse().ok()?,
        flags: field(9)?.parse().ok()?,
        threads: field(20)?.parse().ok()?,
        start_ticks: field(22)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(name: &str) -> String {
        format!("42 ({name}) S 7 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 3 0 119699 5689344\n")
    }

    #[test]
    fn reads_the_fields_by_their_number_in_the_manual() {
        let stat = parse(&line("sleep")).unwrap();
        assert_eq!((stat.state, stat.parent, stat.threads), ('S', 7, 3));
        assert_eq!((stat.flags, stat.start_ticks), (4_194_560, 119_699));
    }

    #[test]
    fn a_name_cannot_forge_fields() {
        let name = ") Z 1 1 1 1";
        let stat = parse(&line(name)).unwrap();
        assert_eq!((stat.name.as_str(), stat.state, stat.parent), (name, 'S', 7));
    }

    #[test]
    fn our_own_start_does_not_move() {
        let me = procfs::own_pid().unwrap();
        assert_eq!(start_ticks(me).unwrap(), start_ticks(me).unwrap());
        assert!(start_ticks(me).unwrap() >= start_ticks(1).unwrap());
    }

    proptest! {
        #[test]
        fn any_name_comes_back_whole(name in "[^\0]{0,15}") {
            prop_assert_eq!(parse(&line(&name)).unwrap().name, name);
        }

        #[test]
        fn never_panics(text in ".{0,200}") {
            let _ = parse(&text);
        }
    }
}
