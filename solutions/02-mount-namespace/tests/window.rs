//! A window with a terminal in which a container runs: we hold the other end.

#![allow(dead_code, reason = "each test file uses a part of it")]

use crate::container::{command, scratch, wait_for};
use harness::children_of;
use nix::poll::{PollFd, PollFlags, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// The window in which a program runs: we hold the master end of its terminal.
pub struct Window {
    pub master: OwnedFd,
    pub slave: OwnedFd,
    pub program: Child,
    pub shown: String,
    /// The settings of the terminal before anything ran in it.
    pub before: String,
}

impl Window {
    /// Opens a window of 24 rows and 80 columns, and in it a container with a terminal.
    pub fn open(options: &[&str], script: &str) -> Window {
        let rootfs = scratch().join("rootfs");
        if !rootfs.exists() {
            harness::busybox_rootfs(&rootfs);
        }
        let arguments = [&["-t"], options, &["sh", "-c", script]].concat();
        Window::with(&command(&rootfs, &arguments))
    }

    pub fn with(command: &Command) -> Window {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("ours");
        let slave = ioctl_tiocgptpeer(&master, flags).expect("ours");
        let before = settings(&slave);
        let end = || slave.try_clone().expect("a descriptor");
        resize(&master, 24, 80);
        // setsid(1) makes it the terminal of a new session, as a terminal emulator does.
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        session.env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin");
        let program = session.stdin(end()).stdout(end()).stderr(end()).spawn();
        let program = program.expect("it starts");
        Window { master, slave, program, shown: String::new(), before }
    }

    /// Presses keys, once our terminal takes no meaning from them any more; reads meanwhile.
    pub fn press(&mut self, keys: &str) {
        wait_for("raw mode", || settings(&self.slave) != self.before);
        rustix::io::ioctl_fionbio(&self.master, true).expect("ours");
        let mut rest = keys.as_bytes();
        while !rest.is_empty() {
            match rustix::io::write(&self.master, rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) => assert_eq!(error, rustix::io::Errno::AGAIN),
            }
            self.read(0);
        }
        rustix::io::ioctl_fionbio(&self.master, false).expect("ours");
    }

    /// Reads what is shown until `text` is, ten seconds at most.
    pub fn wait_for(&mut self, text: &str) {
        let started = Instant::now();
        while !self.shown.contains(text) {
            let late = started.elapsed() > harness::patient(Duration::from_secs(10));
            assert!(!late, "waited in vain for {text:?}, shown: {:?}", self.shown);
            self.read(10);
        }
    }

    /// Adds to `shown` what comes within so many milliseconds. `false`: nothing did.
    pub fn read(&mut self, milliseconds: u16) -> bool {
        let mut ready = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, milliseconds).expect("our own terminal") == 0 {
            return false;
        }
        let mut buffer = [0; 65536];
        let length = rustix::io::read(&self.master, &mut buffer).expect("we hold a slave");
        self.shown.push_str(&String::from_utf8_lossy(&buffer[..length]));
        true
    }

    /// Reads on until the program has ended; returns its status and all that was shown.
    pub fn end(mut self) -> (Option<i32>, String) {
        let status = self.status();
        (status.code(), self.shown)
    }

    pub fn status(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            let ended = self.program.try_wait().expect("our own child");
            while self.read(1) {}
            if let Some(status) = ended {
                return status;
            }
            assert!(
                started.elapsed() < harness::patient(Duration::from_secs(60)),
                "no end, shown: {:?}",
                self.shown
            );
        }
    }

    /// The PID 1 of the container, as the sandbox numbers it.
    pub fn first_process(&self) -> u32 {
        let children = || children_of(self.program.id());
        wait_for("the container", || !children().is_empty());
        children()[0]
    }

    /// Waits until the shell in the window has put a sleep into the foreground.
    pub fn wait_for_sleep(&self) {
        let shell = self.first_process();
        wait_for("a job in the foreground", || {
            children_of(shell).iter().any(|job| {
                let name = fs::read_to_string(format!("/proc/{job}/comm")).unwrap_or_default();
                name == "sleep\n" && field(*job, 2) == field(shell, 5)
            })
        });
    }

    /// Closes the window: the last descriptor of the master end.
    pub fn close(self) -> Child {
        self.program
    }
}

/// All that tcsetattr(3) sets, as text, to be compared.
pub fn settings(terminal: &OwnedFd) -> String {
    format!("{:?}", tcgetattr(terminal).expect("ours"))
}

pub fn resize(master: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).expect("ours");
}

/// A command as one would type it.
pub fn line_of(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

pub fn wait_for_end(program: &mut Child) -> ExitStatus {
    let mut status = None;
    wait_for("its end", || {
        status = program.try_wait().expect("our own child");
        status.is_some()
    });
    status.expect("it has ended")
}

/// A number of /proc/PID/stat, counted from the state, which is 0: 2 is the process group, 5 the
/// foreground group of the terminal, 11 and 12 the CPU time.
pub fn field(pid: u32, number: usize) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' '));
    fields.and_then(|mut fields| fields.nth(number)?.parse().ok()).unwrap_or_default()
}
