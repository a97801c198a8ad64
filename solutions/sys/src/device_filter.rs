//! Attaches a filter of devices to a cgroup of version 2: `bpf(2)`, program type
//! `BPF_PROG_TYPE_CGROUP_DEVICE`, since Linux 4.15.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

// From `linux/bpf.h`.
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The first fields of `union bpf_attr` for `BPF_PROG_LOAD`; the kernel takes the rest for zero.
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
}

/// `union bpf_attr` for `BPF_PROG_ATTACH`.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

/// Loads a program, eight bytes per instruction, and attaches it to the folder `cgroup`, beside
/// those that are there: a device may be used if all of them agree. It stays as long as the group.
///
/// Errors: `EPERM` without CAP_SYS_ADMIN (or CAP_BPF and CAP_NET_ADMIN), `EINVAL` or `EACCES` for a
/// program that the kernel's verifier refuses, `EBADF` for a folder that is no cgroup.
pub fn attach_device_filter(program: &[u64], cgroup: BorrowedFd) -> io::Result<()> {
    let load = Load {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len())
            .map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        instructions: program.as_ptr() as u64,
        license: c"Apache".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"coracle_devices\0",
        interface: 0,
        expected_attach_type: BPF_CGROUP_DEVICE,
    };
    // SAFETY: the kernel reads `load` and, through the pointers in it, as many instructions as
    // `program` has and a constant C string; all three live until the call returns. It writes
    // nothing, as there is no log buffer. What the program does is the kernel's verifier to judge:
    // it runs in the kernel and has no way to our memory.
    let program = crate::result(unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<Load>())
    })?;
    // SAFETY: the kernel has just made this descriptor for us, close-on-exec, and nobody else has it.
    let program = unsafe { OwnedFd::from_raw_fd(program as i32) };
    let attach = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the kernel reads `attach`, which outlives the call, and the size is its own; both
    // descriptors in it are open for as long.
    crate::result(unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attach, size_of::<Attach>())
    })
    .map(drop)
}
