//! `-t` and `-it` at a real terminal: the test holds the master end of a pty (pty(7)), types, and
//! reads what appears. setsid(1) makes the other end the controlling terminal.

mod machine;

use machine::*;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

harness::kernel_tests!(
    a_shell_has_a_terminal_of_its_own,
    ctrl_c_reaches_the_command_and_not_us,
    the_size_is_ours,
    a_user_owns_the_terminal,
    t_alone_shows_and_does_not_hear,
    it_without_a_terminal_is_an_error,
    a_terminal_that_goes_away_ends_the_container,
    it_works_below_an_init_and_on_a_read_only_root,
    without_t_the_hosts_terminal_is_out_of_reach,
    without_t_ctrl_c_still_reaches_the_command,
);

/// A terminal window with `coracle run` in it.
struct Terminal {
    master: File,
    program: Child,
    seen: String,
}

impl Terminal {
    fn open(arguments: &[&str]) -> Terminal {
        let size = Winsize { ws_row: 33, ws_col: 101, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("a pty");
        let slave = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
        let program = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(harness::bin("coracle"))
            .args(["run", "--rm", "--network=none"])
            .args(arguments)
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .expect("setsid is part of util-linux");
        Terminal { master: pty.master.into(), program, seen: String::new() }
    }

    fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("the terminal takes it");
    }

    /// Waits until `text` appears after all that was waited for before.
    fn wait_for(&mut self, text: &str) {
        let started = Instant::now();
        while !self.seen.contains(text) {
            assert!(
                started.elapsed() < harness::patient(Duration::from_secs(20)),
                "no {text:?} in {:?}",
                self.seen
            );
            assert!(self.read_on(), "the terminal closed; no {text:?} in {:?}", self.seen);
        }
        let end = self.seen.find(text).expect("it was there") + text.len();
        self.seen.drain(..end);
    }

    /// Reads what comes within a moment. `false`: nobody is left at the other end.
    fn read_on(&mut self) -> bool {
        let mut ready = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::from(50u8)).unwrap_or(0) == 0 {
            return true;
        }
        let mut buffer = [0; 4096];
        match self.master.read(&mut buffer) {
            Ok(length) if length > 0 => {
                self.seen += &String::from_utf8_lossy(&buffer[..length]);
                true
            }
            _ => false,
        }
    }

    /// The exit status, once the program has ended; what it wrote until then is in `seen`.
    fn end(&mut self) -> i32 {
        let started = Instant::now();
        loop {
            if let Some(status) = self.program.try_wait().expect("our own child") {
                while self.read_on() {}
                return status.code().expect("setsid exits");
            }
            assert!(
                started.elapsed() < harness::patient(Duration::from_secs(20)),
                "still there: {:?}",
                self.seen
            );
            self.read_on();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn a_shell_has_a_terminal_of_its_own() {
    busybox();
    let mut terminal = Terminal::open(&["-it", "-e", "PS1=in> ", IMAGE]);
    terminal.wait_for("in> ");
    terminal.type_in("tty; echo $TERM\r");
    terminal.wait_for("/dev/pts/0\r\n");
    terminal.wait_for("xterm\r\n");
    terminal.wait_for("in> ");
    terminal.type_in("exit 42\r");
    assert_eq!(terminal.end(), 42);
    assert_nothing_left();
}

fn ctrl_c_reaches_the_command_and_not_us() {
    busybox();
    let mut terminal = Terminal::open(&["-it", "-e", "PS1=in> ", IMAGE]);
    terminal.wait_for("in> ");
    terminal.type_in("sleep 1000\r");
    wait_for("the job", || some_process_is("sleep\x001000\0"));
    terminal.type_in("\x03");
    terminal.wait_for("in> ");
    terminal.type_in("echo $$\r");
    terminal.wait_for("\r\n1\r\n");
    terminal.type_in("exit\r");
    assert_eq!(terminal.end(), 0);
}

fn some_process_is(cmdline: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut cmdlines = processes.map(|one| std::fs::read_to_string(one.path().join("cmdline")));
    cmdlines.any(|text| text.is_ok_and(|text| text == cmdline))
}

fn the_size_is_ours() {
    busybox();
    let mut terminal = Terminal::open(&["-it", IMAGE, "stty", "size"]);
    assert_eq!(terminal.end(), 0);
    assert!(terminal.seen.contains("33 101"), "{:?}", terminal.seen);
}

fn a_user_owns_the_terminal() {
    busybox();
    let script = "id -un; stat -c %u $(tty); echo written > $(tty)";
    let mut terminal = Terminal::open(&["-it", "-u", "app", IMAGE, "sh", "-c", script]);
    assert_eq!(terminal.end(), 0);
    assert_eq!(terminal.seen, "app\r\n1000\r\nwritten\r\n");
}

fn t_alone_shows_and_does_not_hear() {
    busybox();
    let script = "tty; read -t 1 line; echo \"heard:$line\"";
    let mut terminal = Terminal::open(&["-t", IMAGE, "sh", "-c", script]);
    terminal.wait_for("/dev/pts/0");
    terminal.type_in("something\r");
    terminal.wait_for("heard:\r");
    terminal.end();
    // Nor does it need a terminal outside.
    let output = run_rm(&["-t"], &["tty"]);
    assert_eq!(success(output), "/dev/pts/0\r\n");
}

fn it_without_a_terminal_is_an_error() {
    busybox();
    let output = harness::run(coracle(&["run", "--rm", "-it", IMAGE]).stdin(Stdio::null()));
    assert_refused(&output, &["not a terminal", "\nhint: "]);
}

fn a_terminal_that_goes_away_ends_the_container() {
    busybox();
    let before = harness::Leaks::snapshot();
    let mut terminal = Terminal::open(&["-it", "-e", "PS1=in> ", IMAGE]);
    terminal.wait_for("in> ");
    let nothing = File::open("/dev/null").unwrap();
    drop(std::mem::replace(&mut terminal.master, nothing)); // the window is closed
    let ended = || terminal.program.try_wait().unwrap().is_some();
    wait_for("the end", ended);
    let left = before.left_behind_of(&["mount", "process"]);
    assert!(left.is_empty(), "{left:?}");
    wait_for("the removal", || containers().is_empty());
}

fn it_works_below_an_init_and_on_a_read_only_root() {
    busybox();
    let options = ["-it", "--init", "--read-only", "-u", "app", IMAGE, "sh", "-c", "tty; exit 7"];
    let mut terminal = Terminal::open(&options);
    assert_eq!(terminal.end(), 7);
    assert_eq!(terminal.seen, "/dev/pts/0\r\n");
}

/// Who has it as controlling terminal can type into it (TIOCSTI); who owns it can open it later.
fn without_t_the_hosts_terminal_is_out_of_reach() {
    busybox();
    for user in ["root", "app"] {
        let script = "cut -d' ' -f7 /proc/self/stat; stat -Lc %u /proc/self/fd/0; read line; echo heard:$line";
        let mut terminal = Terminal::open(&["-i", "-u", user, IMAGE, "sh", "-c", script]);
        terminal.wait_for("0\r\n"); // tty_nr: none
        terminal.wait_for("0\r\n"); // the owner: still root
        terminal.type_in("something\r");
        terminal.wait_for("heard:something");
        assert_eq!(terminal.end(), 0);
    }
}

fn without_t_ctrl_c_still_reaches_the_command() {
    busybox();
    // Long enough after the first one for a second one to come.
    let script = "trap 'echo interrupted; heard=1' INT; echo ready
        until [ \"$heard\" ]; do sleep 0.05; done
        for i in $(seq 10); do sleep 0.05; done; echo after; exit 7";
    for options in [&["-i"][..], &["-i", "--init"]] {
        let arguments = [options, &[IMAGE, "sh", "-c", script]].concat();
        let mut terminal = Terminal::open(&arguments);
        terminal.wait_for("ready");
        terminal.type_in("\x03");
        terminal.wait_for("interrupted");
        terminal.wait_for("after");
        assert_eq!(terminal.end(), 7);
        assert!(!terminal.seen.contains("interrupted"), "twice: {:?}", terminal.seen);
    }
}
