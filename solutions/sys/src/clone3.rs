//! Creates a process, in namespaces of its own if asked: `clone3(2)`, since Linux 5.3.
//!
//! `fork(2)` and `unshare(2)` come close, but only clone can make a PID namespace *and* its
//! first process in one step, hand out a pidfd (a descriptor that never means another process,
//! as a reused PID would) and place the child in a cgroup before it runs one instruction.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// On which side of the clone we woke up.
pub enum Fork {
    /// In the caller: the child's PID as the caller sees it, and its pidfd (close-on-exec).
    Parent {
        /// Process ID in the caller's PID namespace.
        pid: i32,
        /// Refers to the child for as long as it is open; readable when the child has ended.
        pidfd: OwnedFd,
    },
    /// In the new process.
    Child,
}

/// `struct clone_args` of `linux/sched.h`, as far as Linux 5.7 knows it.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The only flags that a caller may set. Any other (`CLONE_VM`, `CLONE_FILES`, …) would let the
/// child share memory or descriptors with us behind the compiler's back.
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP) as u64;

/// Not in every libc crate; from `linux/sched.h`.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Copies the calling process into new `namespaces` (a union of `CLONE_NEW*`), inside the cgroup
/// v2 folder `cgroup` if one is given.
///
/// Errors: `EINVAL` for a flag that is no namespace, `EBUSY` if the caller has a second thread
/// (only the calling thread would exist in the child, and a lock that another one holds would
/// stay locked for ever), else what clone3(2) says.
pub fn clone3(namespaces: u64, cgroup: Option<BorrowedFd>) -> io::Result<Fork> {
    if namespaces & !NAMESPACES != 0 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    if !single_threaded() {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    let mut pidfd: libc::c_int = -1;
    let mut args = CloneArgs {
        flags: namespaces | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` and `pidfd` live until the call returns, and the size is that of `args`.
    // Without CLONE_VM and CLONE_FILES (refused above) the child is a copy of us on a stack of
    // its own, as after fork(2); being the only thread (checked above) it holds every lock that
    // is held, so it may go on running ordinary Rust.
    let cloned = crate::result(unsafe {
        libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>())
    });
    let pid = match cloned {
        Err(error) if cgroup.is_none() && filtered(&error, namespaces) => {
            // SAFETY: as above; with a null stack the child gets a copy of ours, and without
            // CLONE_PARENT_SETTID the third argument is where the kernel stores the pidfd.
            crate::result(unsafe {
                libc::syscall(
                    libc::SYS_clone,
                    args.flags | args.exit_signal,
                    std::ptr::null::<libc::c_void>(),
                    &raw mut pidfd,
                    0,
                    0,
                )
            })?
        }
        other => other?,
    };
    if pid == 0 {
        return Ok(Fork::Child);
    }
    // SAFETY: CLONE_PIDFD made the kernel store a new descriptor here, which nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Fork::Parent { pid: pid as i32, pidfd })
}

/// Did a filter refuse clone3 and not what it was to do? Filters can't look into its arguments, which
/// are in memory, so they refuse it altogether, mostly with `ENOSYS`, for which every libc falls
/// back to the older clone(2). `EPERM` of one without namespaces is no answer of the kernel's own.
fn filtered(error: &io::Error, namespaces: u64) -> bool {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => true,
        Some(libc::EPERM) => namespaces == 0,
        _ => false,
    }
}

/// Is the caller the only thread? The kernel knows: unshare(2) of CLONE_THREAD has no effect in
/// a process of one thread and fails in any other. Unlike /proc/self/task it needs no /proc,
/// which a half-built container does not have.
///
/// A thread that was joined may still be on its way out of the kernel, on a busy machine for long,
/// as it has to wait for a processor. So a second one is given 100 ms to vanish, and ten seconds if it
/// is seen to be leaving.
fn single_threaded() -> bool {
    let started = Instant::now();
    loop {
        // SAFETY: the call touches no memory, and where it succeeds it does nothing at all.
        let answer = crate::result(unsafe { libc::unshare(libc::CLONE_THREAD) }.into());
        let alone = match answer.map_err(|error| error.raw_os_error()) {
            Ok(_) => true,
            Err(Some(libc::EINVAL)) => false,
            Err(_) => alone_in_proc(), // a filter has answered, and not the kernel
        };
        if alone {
            return true;
        }
        let limit = Duration::from_millis(if others_are_leaving() { 10_000 } else { 100 });
        if started.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Have all threads but this one begun to exit? proc_pid_stat(5), and `PF_EXITING` in the kernel's
/// include/linux/sched.h. Not if nobody knows.
fn others_are_leaving() -> bool {
    const PF_EXITING: u64 = 4;
    let is_leaving = |stat: String| {
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' '));
        let flags = fields.and_then(|mut fields| fields.nth(6)?.parse::<u64>().ok());
        flags.is_some_and(|flags| flags & PF_EXITING != 0)
    };
    let Ok(ours) = fs::read_link("/proc/thread-self") else { return false };
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return false };
    let mut others = threads.flatten().filter(|one| Some(&*one.file_name()) != ours.file_name());
    // Who has no file any more has left.
    others.all(|one| fs::read_to_string(one.path().join("stat")).map_or(true, is_leaving))
}

/// A thread is a folder in `/proc/self/task`, which has two links more than folders in it. Whatever
/// else somebody has mounted in its place has no say.
fn alone_in_proc() -> bool {
    let Ok(folder) = fs::File::open("/proc/self/task") else { return false };
    // SAFETY: a statfs of zeroes is a value of its type; the kernel fills it, and it outlives the call.
    let mut status: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and `status` is ours to be written to.
    let found = unsafe { libc::fstatfs(folder.as_raw_fd(), &raw mut status) } == 0;
    let is_proc = found && status.f_type as u64 == libc::PROC_SUPER_MAGIC as u64;
    is_proc && folder.metadata().is_ok_and(|metadata| metadata.nlink() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_counted_in_proc_too() {
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || wait.recv());
        assert!(!alone_in_proc());
        drop(stop);
        let _ = other.join();
    }

    #[test]
    fn threads_that_stay_are_told_from_those_that_leave() {
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || wait.recv());
        assert!(!others_are_leaving());
        drop(stop);
        let _ = other.join();
    }

    #[test]
    fn refuses_flags_that_share_memory() {
        let error = clone3(libc::CLONE_VM as u64, None).err().expect("must be refused");
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn refuses_a_caller_with_threads() {
        // The test runner itself has more than one thread; a second of our own makes it certain.
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || wait.recv());
        let error = clone3(0, None).err().expect("must be refused");
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
        drop(stop);
        let _ = other.join();
    }
}
