//! Waits for things to happen, and has containers wait while a test looks at them from outside.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Waits for `condition`, 20 seconds at most, on a busy machine more ([`crate::patient`]).
///
/// # Panics
/// If it does not come true, with `what` was waited for.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        let late = started.elapsed() > crate::patient(Duration::from_secs(20));
        assert!(!late, "waited in vain for {what}");
        sleep(Duration::from_millis(2));
    }
}

/// The end of a shell script that [`Waiting`] can wait for.
pub const AND_WAIT: &str = "\necho ready; cat > /dev/null";

/// A container that waits until this is dropped: its input ends then.
pub struct Waiting {
    program: Child,
    input: Option<ChildStdin>,
    /// The PID of its first process, as we see it; 0 until it is ready.
    pub pid: u32,
}

impl Waiting {
    /// Starts the program of a container that prints `ready` and ends with its input
    /// ([`AND_WAIT`]).
    pub fn start(command: Command) -> Waiting {
        let mut waiting = Waiting::begin(command);
        waiting.until_ready();
        waiting
    }

    /// Starts it, and does not wait for its readiness.
    pub fn begin(mut command: Command) -> Waiting {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = command.spawn().expect("it starts");
        Waiting { input: program.stdin.take(), program, pid: 0 }
    }

    /// Waits for the line `ready`.
    pub fn until_ready(&mut self) {
        let mut said = String::new();
        let output = self.program.stdout.take().expect("it is read once");
        BufReader::new(output).read_line(&mut said).expect("it writes lines");
        assert_eq!(said, "ready\n");
        self.pid = crate::children_of(self.program.id())[0]; // then come its helpers
    }

    /// A file of its /proc/PID.
    pub fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid)).expect("it runs")
    }

    /// The PID of the program that runs it.
    pub fn program(&self) -> u32 {
        self.program.id()
    }

    /// Does the program still run?
    pub fn is_running(&mut self) -> bool {
        self.program.try_wait().expect("our own child").is_none()
    }

    /// SIGKILL, for the container's first process.
    pub fn kill(&self) {
        kill(Pid::from_raw(self.pid as i32), Signal::SIGKILL).expect("it runs");
    }

    /// SIGKILL, for the program and not for the container.
    pub fn kill_program(&mut self) {
        self.program.kill().expect("our own child");
        self.program.wait().expect("our own child");
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.input.take());
        let started = Instant::now();
        // One that does not listen is killed, its first process: the program is to tidy up.
        while self.is_running() {
            if started.elapsed() > crate::patient(Duration::from_secs(5)) && self.pid != 0 {
                let _ = kill(Pid::from_raw(self.pid as i32), Signal::SIGKILL);
            }
            sleep(Duration::from_millis(2));
        }
    }
}
