//! The numbers of x32: those of x86_64 with bit 30 set, but for calls that pass structures of
//! pointers or longs, which have numbers of their own: `arch/x86/entry/syscalls/syscall_64.tbl`.

use std::str::FromStr;

/// `__X32_SYSCALL_BIT` of `asm/unistd.h`.
pub const BIT: u32 = 1 << 30;

/// The number of a call, with the bit.
pub fn number(name: &str) -> Option<u32> {
    let own = OWN.iter().position(|own| *own == name).map(|at| FIRST_OWN + at as u32);
    let number = match own {
        Some(number) => number,
        None if MISSING.contains(&name) => return None,
        None => syscalls::x86_64::Sysno::from_str(name).ok()?.id() as u32,
    };
    Some(BIT | number)
}

const FIRST_OWN: u32 = 512;

/// From 512 on.
const OWN: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// Calls of x86_64 that x32 has not.
const MISSING: [&str; 14] = [
    "uselib",
    "_sysctl",
    "create_module",
    "get_kernel_syms",
    "query_module",
    "nfsservctl",
    "set_thread_area",
    "get_thread_area",
    "epoll_ctl_old",
    "epoll_wait_old",
    "vserver",
    "uretprobe",
    "uprobe",
    "map_shadow_stack",
];
