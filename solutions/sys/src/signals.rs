//! Gives signals back their default meaning: `rt_sigaction(2)`.
//!
//! Not through libc, which keeps signals 32 and 33 for its threads and refuses to touch them. They
//! can be ignored like all others, and a container may run a program of another libc.

/// Makes every signal do what it does by default.
///
/// Rust's runtime ignores SIGPIPE, `nohup` ignores SIGHUP, a shell's background job ignores
/// SIGINT; "ignore" survives an exec. A container should start with a clean slate. To be called
/// in a new process, before it execs.
pub fn default_signal_handlers() {
    for signal in 1..=64 {
        // SAFETY: the kernel reads its `struct sigaction`, at most 32 bytes, out of `DEFAULT`,
        // which says SIG_DFL: no function of ours that could be called at a bad moment. The call
        // fails for SIGKILL and SIGSTOP, which is right.
        unsafe {
            let nowhere = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), nowhere, MASK_SIZE)
        };
    }
}

/// The kernel's `struct sigaction` with SIG_DFL, no flags and an empty mask: all of it zero.
const DEFAULT: [u64; 4] = [0; 4];

/// Bytes in the kernel's mask of 64 signals.
const MASK_SIZE: usize = 8;
