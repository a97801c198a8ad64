//! Gives signals back their default meaning: `signal(2)`.

/// Makes every signal do what it does by default.
///
/// Rust's runtime ignores SIGPIPE, `nohup` ignores SIGHUP, a shell's background job ignores
/// SIGINT; "ignore" survives an exec. A container should start with a clean slate. To be called
/// in a new process, before it execs.
pub fn default_signal_handlers() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is no function of ours that could be called at a bad moment. The call
        // fails for SIGKILL, SIGSTOP and the two that libc keeps for itself, which is right.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}
