//! Runs a program up to the point where it stands still, so that it can be looked at.
//!
//! A program without holes comes to its command, which sleeps. One that still has holes panics at
//! the next of them, and all that it had made would be gone at once. So its standard error is a
//! pipe that is full from the start: whoever has something to say waits in write(2) until somebody
//! reads, and stands where it stood when it had to say it.

use crate::checks;
use harness::children_of;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc::{SYS_write, SYS_writev};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A program takes milliseconds to come to its command; on a busy machine, a second.
const LIMIT: Duration = Duration::from_secs(5);

/// How long to go along with a program step by step.
const STEPPING: Duration = Duration::from_secs(4);

/// A program that has been started. Dropping it kills it, and it alone, as an impatient person
/// does: what it has made must end with it.
pub struct Run {
    program: Child,
    messages: File,
    /// The last argument: how long the command sleeps, a number like no other.
    nap: String,
}

/// Where a program stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// The command runs.
    Command,
    /// Somebody wants to say something: a panic, or an error.
    Message,
    /// It has ended.
    Ended,
    /// It neither ends nor comes to the command.
    Nowhere,
}

impl Run {
    /// Starts `PROGRAM OPTIONS sleep NAP`, and waits until it stands still.
    pub fn start(program: &mut Command) -> (Run, Stand) {
        let mut run = Run::spawn(program);
        let stand = run.stand(None);
        (run, stand)
    }

    /// Starts it and goes along with its container from system call to system call, as strace does
    /// (ptrace(2)), until there is something to `see` or the container has ended.
    pub fn step<T>(program: &mut Command, mut see: impl FnMut(&Run) -> Option<T>) -> Option<T> {
        let run = Run::spawn(program);
        let first = Pid::from_raw(run.program.id() as i32);
        ptrace::seize(first, traced()).ok()?;
        let started = Instant::now();
        let mut seen = None;
        while seen.is_none() && started.elapsed() < STEPPING && !run.is_saying(run.program.id()) {
            match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
                Ok(WaitStatus::StillAlive) => sleep(Duration::from_micros(50)),
                Ok(WaitStatus::PtraceSyscall(pid)) => {
                    seen = see(&run);
                    let _ = ptrace::syscall(pid, None);
                }
                Ok(WaitStatus::PtraceEvent(pid, ..)) => run.resume(pid, None),
                Ok(WaitStatus::Stopped(pid, signal)) => run.resume(pid, Some(signal)),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        for pid in run.family() {
            let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL); // none may be left standing
        }
        seen
    }

    /// Lets a traced process go on: the container to its next system call, others for good.
    fn resume(&self, pid: Pid, signal: Option<Signal>) {
        let is_container = self.container() == Some(pid.as_raw() as u32);
        let _ = match is_container {
            true => ptrace::syscall(pid, signal),
            false => ptrace::cont(pid, signal),
        };
    }

    fn spawn(program: &mut Command) -> Run {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).expect("a pipe");
        let mut writer = File::from(writer);
        while writer.write(&[0; 4096]).is_ok() {}
        while writer.write(&[0]).is_ok() {}
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).expect("a flag of our pipe");
        let nap = (1_000_000 + u32::from(random())).to_string();
        program.args(["sleep", &nap]).env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin");
        program.env_remove("RUST_BACKTRACE").stdin(Stdio::null()).stderr(writer);
        let started = program.spawn();
        let program = started.unwrap_or_else(|error| checks::cannot_start(program, &error));
        Run { program, messages: File::from(reader), nap }
    }

    fn stand(&mut self, mut heard: Option<&mut Vec<u8>>) -> Stand {
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            let ended = self.program.try_wait().expect("our own child").is_some();
            match &mut heard {
                Some(heard) => drop(self.messages.read_to_end(heard)),
                None if self.has_something_to_say() => return Stand::Message,
                None => {}
            }
            if ended {
                return Stand::Ended;
            }
            if self.family().into_iter().any(|pid| self.is_command(pid)) {
                return Stand::Command;
            }
            sleep(Duration::from_millis(1));
        }
        Stand::Nowhere
    }

    /// Hears what it has to say, and with that lets it go on: until it ends or comes to the command.
    pub fn listen(&mut self) -> (String, Stand) {
        let mut heard = Vec::new();
        let stand = self.stand(Some(&mut heard));
        heard.retain(|byte| *byte != 0); // with which the pipe was filled
        (String::from_utf8_lossy(&heard).trim().to_owned(), stand)
    }

    /// The first process of the container: number 1 in a PID namespace that is not ours.
    pub fn container(&self) -> Option<u32> {
        let is_first = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let chain = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            let numbers: Vec<&str> = chain.unwrap_or_default().split_whitespace().collect();
            numbers.len() > 1 && numbers.last() == Some(&"1")
        };
        let family = self.family();
        let command = family.iter().copied().find(|pid| self.is_command(*pid));
        family.into_iter().find(is_first).or(command)
    }

    /// The program and all that descend from it.
    fn family(&self) -> Vec<u32> {
        let mut family = vec![self.program.id()];
        let mut next = 0;
        while let Some(pid) = family.get(next) {
            family.extend(children_of(*pid));
            next += 1;
        }
        family
    }

    fn is_command(&self, pid: u32) -> bool {
        let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments == format!("sleep\0{}\0", self.nap)
    }

    fn has_something_to_say(&self) -> bool {
        self.family().into_iter().any(|pid| self.is_saying(pid))
    }
}

impl Run {
    /// Is it in a write to the pipe that is full? proc_pid_syscall(5): the number of the call, then
    /// its arguments.
    fn is_saying(&self, pid: u32) -> bool {
        let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        let mut words = call.split(' ');
        let number = words.next().and_then(|word| word.parse().ok());
        let descriptor = words.next().and_then(|word| word.strip_prefix("0x"));
        let descriptor = descriptor.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let Some(descriptor) = descriptor else { return false };
        let link = |path: String| fs::read_link(path).ok(); // pipe:[4711], the same at both ends
        (number == Some(SYS_write) || number == Some(SYS_writev))
            && link(format!("/proc/{pid}/fd/{descriptor}"))
                == link(format!("/proc/self/fd/{}", self.messages.as_raw_fd()))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// What we want to hear of: new processes, which are traced from their first moment.
fn traced() -> ptrace::Options {
    ptrace::Options::PTRACE_O_TRACEFORK
        | ptrace::Options::PTRACE_O_TRACEVFORK
        | ptrace::Options::PTRACE_O_TRACECLONE
        | ptrace::Options::PTRACE_O_TRACESYSGOOD
        | ptrace::Options::PTRACE_O_EXITKILL
}

/// Sixteen bits that nobody could have guessed.
pub fn random() -> u16 {
    let name = harness::random_name("");
    u16::from_str_radix(&name[1..5], 16).expect("hexadecimal digits")
}
