//! Puts a filter between the calling process and the kernel: `seccomp(2)`, since Linux 3.17.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// One instruction of a filter. `struct sock_filter` of `linux/filter.h`, from the time when the
/// machine of such programs, classic BPF, judged packets only.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do: `BPF_LD`, `BPF_JMP`, `BPF_RET` and so on, with its variants.
    pub code: u16,
    /// How many instructions to skip if a comparison is true.
    pub jump_true: u8,
    /// And if it is false.
    pub jump_false: u8,
    /// The constant to load from, compare with or return.
    pub k: u32,
}

/// The kernel copies the descriptor of a listener into the result: `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
pub const NEW_LISTENER: u32 = 1 << 3;

/// Installs a filter for the calling thread and all its children to come; nothing removes it.
///
/// `flags` are `SECCOMP_FILTER_FLAG_*`; with [`NEW_LISTENER`] a descriptor comes back, on which
/// the calls arrive that the filter wants to ask about. Errors: `EACCES` without no_new_privs and
/// without CAP_SYS_ADMIN, `EINVAL` for a program that the kernel does not accept or a flag that it
/// does not know, else what seccomp(2) says.
pub fn seccomp(program: &[Instruction], flags: u32) -> io::Result<Option<OwnedFd>> {
    let too_long = |_| io::Error::from_raw_os_error(libc::EINVAL); // the kernel's word for it too
    let program = libc::sock_fprog {
        len: program.len().try_into().map_err(too_long)?,
        filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: `program` names as many instructions as the slice has, which outlives the call, in
    // the kernel's layout (tested below); the kernel copies them, verifies that they end and read
    // nothing but the call, and writes to nothing of ours.
    let returned = crate::result(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            std::ptr::from_ref(&program),
        )
    })?;
    // With TSYNC alone a positive result is a thread that could not follow, not a descriptor.
    if flags & NEW_LISTENER == 0 {
        return if returned == 0 {
            Ok(None)
        } else {
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        };
    }
    // SAFETY: with this flag the result is a new, close-on-exec descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(returned as i32) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{align_of, offset_of};

    #[test]
    fn an_instruction_is_laid_out_as_the_kernel_reads_it() {
        assert_eq!(size_of::<Instruction>(), size_of::<libc::sock_filter>());
        assert_eq!(align_of::<Instruction>(), align_of::<libc::sock_filter>());
        let ours = [
            offset_of!(Instruction, code),
            offset_of!(Instruction, jump_true),
            offset_of!(Instruction, jump_false),
            offset_of!(Instruction, k),
        ];
        let kernels = [
            offset_of!(libc::sock_filter, code),
            offset_of!(libc::sock_filter, jt),
            offset_of!(libc::sock_filter, jf),
            offset_of!(libc::sock_filter, k),
        ];
        assert_eq!(ours, kernels);
    }

    #[test]
    fn a_program_that_does_not_end_is_refused() {
        let load = Instruction { code: 0x20, jump_true: 0, jump_false: 0, k: 0 };
        assert!(seccomp(&[load], 0).is_err());
        assert!(seccomp(&[], 0).is_err());
    }
}
