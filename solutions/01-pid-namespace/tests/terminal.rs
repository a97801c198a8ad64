//! A person at a terminal: job control inside, keys, and the terminal given back at the end.
//!
//! Each test holds the master of a pty (pty(7)), types, and reads what appears. setsid(1) makes
//! the slave the controlling terminal, as a terminal window does for its shell.

use harness::bin;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::unistd::{Pid, tcgetpgrp};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

harness::kernel_tests!(
    bash_in_a_container_controls_its_jobs,
    bash_below_an_init_controls_its_jobs,
    busybox_in_a_container_controls_its_jobs,
    ctrl_c_ends_the_job_and_not_the_shell,
    ctrl_c_reaches_a_handler_once,
    the_terminal_is_given_back_as_it_was,
    ctrl_z_stops_us_and_fg_goes_on,
    ctrl_z_stops_a_command_below_an_init_too,
    a_container_in_the_background_leaves_the_terminal_to_the_shell,
    a_hang_up_reaches_a_container_that_leads_the_session,
);

const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";

/// Nobody waits longer at a terminal.
const LIMIT: Duration = Duration::from_secs(20);

/// A terminal window with a program in it.
struct Terminal {
    master: File,
    program: Child,
    seen: String,
    read_to: usize,
}

impl Terminal {
    fn open(program: &[&str]) -> Terminal {
        let pty = openpty(None, None).expect("a pty");
        let slave = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
        let program = Command::new("setsid")
            .arg("--ctty")
            .args(program)
            .env("PID_NAMESPACE", bin("pid-namespace"))
            .env("PS1", "host> ")
            .env("TERM", "dumb")
            .env("HISTFILE", "")
            .env_remove("ENV")
            .current_dir(std::env::temp_dir())
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .expect("setsid is part of util-linux");
        let master = File::from(pty.master);
        Terminal { master, program, seen: String::new(), read_to: 0 }
    }

    /// The user's shell.
    fn with_bash() -> Terminal {
        let mut terminal = Terminal::open(&["bash", "--norc", "--noprofile", "--noediting", "-i"]);
        terminal.expect("host> ");
        terminal
    }

    /// Types, as a person does: after what was there has been read.
    fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("somebody reads");
    }

    /// Types, and again after each second, until `text` appears.
    fn type_until(&mut self, keys: &str, text: &str) {
        let started = Instant::now();
        let mut typed = 0;
        while !self.seen[self.read_to..].contains(text) {
            if started.elapsed() >= Duration::from_secs(typed) {
                self.type_in(keys);
                typed += 1;
            }
            assert!(started.elapsed() < harness::patient(LIMIT), "no {text:?} in:\n{}", self.seen);
            self.read();
        }
        self.expect(text);
    }

    /// Waits until `text` appears after what was expected last. The echo of what was typed appears
    /// as well, so expect what only the program can have written.
    fn expect(&mut self, text: &str) {
        let started = Instant::now();
        while !self.seen[self.read_to..].contains(text) {
            assert!(started.elapsed() < harness::patient(LIMIT), "no {text:?} in:\n{}", self.seen);
            self.read();
        }
        let found = self.seen[self.read_to..].find(text).expect("just seen");
        self.read_to += found + text.len();
    }

    fn read(&mut self) {
        let mut wanted = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut wanted, PollTimeout::from(50u8)) == Ok(1) {
            let mut buffer = [0; 4096];
            let length = self.master.read(&mut buffer).unwrap_or_default();
            self.seen += &String::from_utf8_lossy(&buffer[..length]);
        }
    }

    /// The process group that the keys go to.
    fn foreground(&self) -> Pid {
        tcgetpgrp(&self.master).expect("a terminal")
    }

    /// Waits until a program of that name leads the foreground group.
    fn wait_for_foreground(&self, program: &str) {
        let started = Instant::now();
        let name = || fs::read_to_string(format!("/proc/{}/comm", self.foreground()));
        while name().unwrap_or_default().trim_end() != program {
            let seen = &self.seen;
            assert!(started.elapsed() < harness::patient(LIMIT), "no {program} in front:\n{seen}");
            sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end of the program; its status.
    fn end(mut self) -> Option<i32> {
        let started = Instant::now();
        while started.elapsed() < harness::patient(LIMIT) {
            if let Some(status) = self.program.try_wait().expect("our own child") {
                return status.code();
            }
            self.read();
        }
        panic!("still running:\n{}", self.seen)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn script(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(name);
    fs::write(&path, text).expect("ours");
    path
}

fn bash_in_a_container_controls_its_jobs() {
    controls_its_jobs("$PID_NAMESPACE bash --norc --noprofile --noediting -i", "bash", 1);
}

fn bash_below_an_init_controls_its_jobs() {
    controls_its_jobs("$PID_NAMESPACE --init bash --norc --noprofile --noediting -i", "bash", 2);
}

fn busybox_in_a_container_controls_its_jobs() {
    if Command::new("busybox").stdout(Stdio::null()).status().is_err() {
        harness::not_run("no busybox: apt-get install busybox-static");
    }
    controls_its_jobs("$PID_NAMESPACE busybox sh -i", "busybox", 1);
}

/// Types what a person would try, in a shell that `start` runs in a container.
fn controls_its_jobs(start: &str, shell: &str, pid: u32) {
    let mut terminal = Terminal::with_bash();
    terminal.type_in(&format!("PS1='in> ' {start}\n"));
    terminal.expect("\nin> ");
    assert!(!terminal.seen.contains("job control"), "{}", terminal.seen);
    terminal.type_in("echo I am $$\n");
    terminal.expect(&format!("I am {pid}\r\n"));
    terminal.expect("in> ");
    terminal.type_in("sleep 1000 &\n");
    terminal.expect("in> ");
    terminal.type_in("jobs\n");
    terminal.expect("Running");
    terminal.expect("in> ");
    terminal.type_in("fg\n");
    terminal.wait_for_foreground("sleep");
    // The shell sends SIGCONT next, which would undo a stop.
    terminal.type_until(CTRL_Z, "Stopped");
    terminal.expect("in> ");
    terminal.wait_for_foreground(shell);
    if shell == "bash" {
        // busybox 1.35 was seen to print no prompt after this, on a machine with much to do.
        terminal.type_in("bg\n");
        terminal.expect("in> ");
    }
    terminal.type_in("fg\n");
    terminal.wait_for_foreground("sleep");
    terminal.type_in(CTRL_C);
    terminal.expect("in> ");
    terminal.type_in("echo ended: $?\n");
    terminal.expect("ended: 130\r\n");
    terminal.expect("in> ");
    terminal.type_in("exit 7\n");
    terminal.expect("host> ");
    terminal.type_in("echo status: $?\n");
    terminal.expect("status: 7\r\n");
    terminal.expect("host> ");
    terminal.type_in("exit 0\n");
    assert_eq!(terminal.end(), Some(0));
}

fn ctrl_c_ends_the_job_and_not_the_shell() {
    let mut terminal = Terminal::with_bash();
    terminal.type_in("PS1='in> ' $PID_NAMESPACE bash --norc --noprofile --noediting -i\n");
    terminal.expect("\nin> ");
    terminal.type_in("sleep 1000\n");
    terminal.wait_for_foreground("sleep");
    terminal.type_in(CTRL_C);
    terminal.expect("in> ");
    terminal.type_in("echo $$: $?\n");
    terminal.expect("1: 130\r\n");
    terminal.expect("in> ");
    terminal.type_in(CTRL_C); // at the prompt: a new line, no more
    terminal.expect("^C");
    terminal.expect("in> ");
    terminal.type_in("exit\n");
    terminal.expect("host> ");
    terminal.type_in("exit 0\n");
    assert_eq!(terminal.end(), Some(0));
}

/// The terminal sends it to all in the foreground group, us and an init included: passed on by
/// each of us it would arrive up to three times. strace(1) counts, for a shell that gets two
/// signals in quick succession may run its trap once.
fn ctrl_c_reaches_a_handler_once() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        harness::not_run("no strace: apt-get install strace, or dnf or pacman install strace");
    }
    let folder = std::env::temp_dir();
    let counter = script(
        "counter",
        "trap 'echo heard' INT
         echo ready
         until [ -e stop ]; do read -t 0.05 <> pipe; done
         exit 5",
    );
    nix::unistd::mkfifo(&folder.join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("ours");
    for options in ["", "--init"] {
        let _ = fs::remove_file(folder.join("stop"));
        let mut terminal = Terminal::with_bash();
        let command = format!("$PID_NAMESPACE {options} bash {}", counter.display());
        terminal.type_in(&format!("strace -f -o log -e trace=none {command}; echo status: $?\n"));
        terminal.expect("ready");
        for _ in 0..3 {
            terminal.type_in(CTRL_C);
            terminal.expect("heard");
            sleep(Duration::from_millis(300)); // time for a second copy
        }
        fs::write(folder.join("stop"), "").expect("ours");
        terminal.expect("status: 5\r\n");
        let log = fs::read_to_string(folder.join("log")).expect("written by strace");
        assert_eq!(log.matches("--- SIGINT").count(), 3, "{log}");
    }
}

/// In a script, for an interactive shell takes the terminal back by itself.
fn the_terminal_is_given_back_as_it_was() {
    let script = script(
        "script",
        "stty -g > before
         PS1='in> ' $PID_NAMESPACE $OPTIONS bash --norc --noprofile -i
         echo status: $?
         stty -g > after
         read line && echo \"read: <$line>\"
         exit 3",
    );
    for options in ["", "--init"] {
        let command = format!("OPTIONS={options} exec sh {}", script.display());
        let mut terminal = Terminal::open(&["sh", "-c", &command]);
        let leader = Pid::from_raw(terminal.program.id() as i32);
        terminal.expect("in> ");
        assert_ne!(terminal.foreground(), leader, "the shell has taken it");
        terminal.type_in("exit 7\n");
        terminal.expect("status: 7\r\n");
        assert_eq!(terminal.foreground(), leader);
        terminal.type_in("hello\n");
        terminal.expect("read: <hello>");
        assert_eq!(terminal.end(), Some(3));
        let state = |name| fs::read(std::env::temp_dir().join(name)).expect("written by stty");
        assert_eq!(state("after"), state("before"));
    }
}

fn ctrl_z_stops_us_and_fg_goes_on() {
    stops_and_goes_on("");
}

fn ctrl_z_stops_a_command_below_an_init_too() {
    stops_and_goes_on("--init");
}

fn stops_and_goes_on(options: &str) {
    let mut terminal = Terminal::with_bash();
    terminal.type_in(&format!("$PID_NAMESPACE {options} sh -c 'sleep 2; exit 4'\n"));
    terminal.wait_for_foreground("pid-namespace");
    sleep(Duration::from_millis(200));
    terminal.type_in(CTRL_Z);
    terminal.expect("Stopped");
    terminal.expect("host> ");
    terminal.type_in("echo still $((6 * 7))\n");
    terminal.expect("still 42");
    terminal.expect("host> ");
    terminal.type_in("fg\n");
    terminal.expect("host> ");
    terminal.type_in("echo status: $?\n");
    terminal.expect("status: 4\r\n");
    terminal.expect("host> ");
    terminal.type_in("exit 0\n");
    assert_eq!(terminal.end(), Some(0));
}

/// It was in the foreground when it started. At its end the terminal is the shell's, at a prompt.
fn a_container_in_the_background_leaves_the_terminal_to_the_shell() {
    let mut terminal = Terminal::with_bash();
    let shell = terminal.foreground();
    terminal.type_in("$PID_NAMESPACE sh -c 'until [ -e go ]; do sleep 0.05; done; touch ended'\n");
    terminal.wait_for_foreground("pid-namespace");
    let container = terminal.foreground();
    sleep(Duration::from_millis(200));
    terminal.type_in(CTRL_Z);
    terminal.expect("Stopped");
    terminal.expect("host> ");
    terminal.type_in("bg\n");
    terminal.expect("host> ");
    fs::write(std::env::temp_dir().join("go"), "").expect("ours");
    let started = Instant::now();
    while PathBuf::from(format!("/proc/{container}")).exists() {
        assert!(started.elapsed() < harness::patient(LIMIT), "{}", terminal.seen);
        assert_eq!(terminal.foreground(), shell);
        sleep(Duration::from_millis(1));
    }
    assert_eq!(terminal.foreground(), shell);
    assert!(std::env::temp_dir().join("ended").exists());
    terminal.type_in("echo still $((6 * 7))\n");
    terminal.expect("still 42");
}

/// The kernel tells the leader of the session alone that the terminal is gone.
fn a_hang_up_reaches_a_container_that_leads_the_session() {
    let diarist = script(
        "diarist",
        "trap 'echo hung up >> diary; exit' HUP
         echo ready >> diary
         while :; do sleep 0.05; done",
    );
    let diary = || fs::read_to_string(std::env::temp_dir().join("diary")).unwrap_or_default();
    let program = bin("pid-namespace");
    let arguments = [program.to_str().expect("plain"), "sh", diarist.to_str().expect("plain")];
    let mut terminal = Terminal::open(&arguments);
    let started = Instant::now();
    while diary() != "ready\n" {
        assert!(started.elapsed() < harness::patient(LIMIT));
        sleep(Duration::from_millis(5));
    }
    terminal.master = File::open("/dev/null").expect("there"); // closes the window
    while terminal.program.try_wait().expect("our own child").is_none() {
        assert!(started.elapsed() < harness::patient(LIMIT), "it has not heard: {}", diary());
        sleep(Duration::from_millis(5));
    }
    assert_eq!(diary(), "ready\nhung up\n");
}
