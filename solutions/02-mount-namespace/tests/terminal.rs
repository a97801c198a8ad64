//! `-t`: what the command sees of its terminal, and what we see of it on ours.

mod container;

use container::{command, rootfs, scratch, wait_for};
use harness::children_of;
use nix::poll::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

harness::kernel_tests!(
    the_terminal_exists_inside_under_its_name,
    the_session_is_its_own_and_has_job_control,
    ctrl_c_reaches_the_foreground_job,
    ctrl_c_reaches_the_command_under_an_init,
    ctrl_d_is_the_end_of_the_input,
    the_size_is_right_from_the_start,
    a_new_size_travels,
    our_terminal_is_as_before_after_the_end,
    our_terminal_is_as_before_after_a_kill,
    large_output_arrives_whole => 120,
    large_input_arrives_whole => 120,
    the_last_words_are_not_lost => 120,
    other_signals_pass,
    a_closed_window_ends_the_container,
    a_closed_window_ends_a_container_under_an_init,
    a_closed_window_ends_a_container_that_no_signal_reaches,
    a_closed_window_leaves_time_to_tidy_up,
    a_container_may_close_its_terminal_and_open_it_again,
    typing_to_nobody_costs_no_time,
    an_init_reaps_and_passes_the_status,
    does_not_need_a_terminal_to_show_its_output,
    a_command_that_is_missing_leaves_the_terminal_alone,
);

/// The window in which a program runs: we hold the master end of its terminal.
struct Window {
    master: OwnedFd,
    slave: OwnedFd,
    program: Child,
    shown: String,
    /// The settings of the terminal before anything ran in it.
    before: String,
}

impl Window {
    /// Opens a window of 24 rows and 80 columns, and in it a container with a terminal.
    fn open(options: &[&str], script: &str) -> Window {
        let rootfs = scratch().join("rootfs");
        if !rootfs.exists() {
            harness::busybox_rootfs(&rootfs);
        }
        let arguments = [&["-t"], options, &["sh", "-c", script]].concat();
        Window::with(&command(&rootfs, &arguments))
    }

    fn with(command: &Command) -> Window {
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
    fn press(&mut self, keys: &str) {
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
    fn wait_for(&mut self, text: &str) {
        let started = Instant::now();
        while !self.shown.contains(text) {
            let late = started.elapsed() > harness::patient(Duration::from_secs(10));
            assert!(!late, "waited in vain for {text:?}, shown: {:?}", self.shown);
            self.read(10);
        }
    }

    /// Adds to `shown` what comes within so many milliseconds. `false`: nothing did.
    fn read(&mut self, milliseconds: u16) -> bool {
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
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.status();
        (status.code(), self.shown)
    }

    fn status(&mut self) -> ExitStatus {
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
    fn first_process(&self) -> u32 {
        let children = || children_of(self.program.id());
        wait_for("the container", || !children().is_empty());
        children()[0]
    }

    /// Waits until the shell in the window has put a sleep into the foreground.
    fn wait_for_sleep(&self) {
        let shell = self.first_process();
        wait_for("a job in the foreground", || {
            children_of(shell).iter().any(|job| {
                let name = fs::read_to_string(format!("/proc/{job}/comm")).unwrap_or_default();
                name == "sleep\n" && field(*job, 2) == field(shell, 5)
            })
        });
    }

    /// Closes the window: the last descriptor of the master end.
    fn close(self) -> Child {
        self.program
    }
}

/// All that tcsetattr(3) sets, as text, to be compared.
fn settings(terminal: &OwnedFd) -> String {
    format!("{:?}", tcgetattr(terminal).expect("ours"))
}

fn resize(master: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).expect("ours");
}

/// A command as one would type it.
fn line_of(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn wait_for_end(program: &mut Child) -> ExitStatus {
    let mut status = None;
    wait_for("its end", || {
        status = program.try_wait().expect("our own child");
        status.is_some()
    });
    status.expect("it has ended")
}

fn the_terminal_exists_inside_under_its_name() {
    let script = "tty; stat -c %F:%t:%T $(tty) /dev/console; readlink /proc/$$/fd/0; \
                  readlink /proc/$$/fd/1; readlink /proc/$$/fd/2; echo $(ls /dev/pts); echo through > /dev/console; echo tty > /dev/tty";
    let (status, shown) = Window::open(&[], script).end();
    assert_eq!(status, Some(0), "{shown}");
    let device = "character special file:88:0";
    let name = "/dev/pts/0";
    let expected = [name, device, device, name, name, name, "0 ptmx", "through", "tty"];
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
}

fn the_session_is_its_own_and_has_job_control() {
    let mut window = Window::open(&[], "exec sh -i");
    // PID 1, its parent outside, its group, its session, its terminal (136:0).
    window.press("cut -d' ' -f1,4-7 /proc/$$/stat\n");
    window.wait_for("\n1 0 1 1 34816\r\n");
    assert!(!window.shown.contains("can't access tty"), "{:?}", window.shown);
    window.press("sleep 1000\n");
    window.wait_for_sleep();
    window.press("\x1a"); // Ctrl-Z
    window.wait_for("Stopped");
    window.press("kill %1; exit 7\nexit 7\n");
    assert_eq!(window.end().0, Some(7));
}

fn ctrl_c_reaches_the_foreground_job() {
    let mut window = Window::open(&[], "exec sh -i");
    window.press("sleep 1000\n");
    window.wait_for_sleep();
    window.press("\x03");
    window.press("echo status=$?\n"); // the shell lives on
    window.wait_for("\nstatus=130");
    window.press("exit\n");
    assert_eq!(window.end().0, Some(0));
}

fn ctrl_c_reaches_the_command_under_an_init() {
    let mut window = Window::open(
        &["--init"],
        "trap 'echo caught; exit 3' INT; echo set; while :; do sleep 0.01; done",
    );
    window.wait_for("set");
    window.press("\x03");
    let (status, shown) = window.end();
    assert_eq!(status, Some(3), "{shown}");
    assert_eq!(shown.matches("caught").count(), 1, "{shown}");
}

fn ctrl_d_is_the_end_of_the_input() {
    let mut window = Window::open(&[], "cat; echo over");
    window.press("hello\n\x04");
    let (status, shown) = window.end();
    assert_eq!((status, shown.as_str()), (Some(0), "hello\r\nhello\r\nover\r\n"));
}

fn the_size_is_right_from_the_start() {
    rootfs();
    for _ in 0..20 {
        let (_, shown) = Window::open(&[], "stty size").end();
        assert_eq!(shown, "24 80\r\n");
    }
}

fn a_new_size_travels() {
    for init in [&[][..], &["--init"]] {
        let script = "trap 'stty size' WINCH; echo set; while :; do sleep 0.01; done";
        let mut window = Window::open(init, script);
        window.wait_for("set");
        resize(&window.master, 51, 133); // the kernel sends SIGWINCH to the foreground group
        window.wait_for("51 133");
        resize(&window.master, 7, 9);
        window.wait_for("7 9");
        window.program.kill().expect("our own child");
        window.end();
    }
}

fn our_terminal_is_as_before_after_the_end() {
    let mut window = Window::open(&[], "echo ready; read line; stty -echo raw; exit 5");
    window.wait_for("ready");
    window.press("\r");
    wait_for_end(&mut window.program);
    assert_eq!(settings(&window.slave), window.before);
    assert_eq!(window.end().0, Some(5));
}

fn our_terminal_is_as_before_after_a_kill() {
    let mut window = Window::open(&[], "echo ready; while :; do sleep 1; done");
    window.wait_for("ready");
    wait_for("raw mode", || settings(&window.slave) != window.before);
    kill_process(Pid::from_raw(window.first_process() as i32).expect("a PID"), Signal::KILL)
        .expect("ours");
    assert_eq!(wait_for_end(&mut window.program).code(), Some(137));
    assert_eq!(settings(&window.slave), window.before);
}

fn large_output_arrives_whole() {
    let script = "stty -opost; yes 0123456789abcde | head -c 10485760";
    let (status, shown) = Window::open(&[], script).end();
    assert_eq!(status, Some(0));
    assert_eq!(shown.len(), 10 << 20);
    assert!(shown.as_bytes().chunks(16).all(|line| line == b"0123456789abcde\n"));
}

/// More than any buffer on the way, to a reader that is slow and answers: neither may wait for the
/// other for ever.
fn large_input_arrives_whole() {
    let script =
        "stty raw -echo; echo ready; sleep 0.3; head -c 300000 | tee /copy | cat; echo over";
    let mut window = Window::open(&[], script);
    window.wait_for("ready");
    let text = "the quick brown fox jumps over the lazy dog. ".repeat(7000);
    let text = &text[..300_000];
    window.press(text);
    window.wait_for("over\n");
    assert_eq!(window.end().0, Some(0));
    let copy = fs::read_to_string(scratch().join("rootfs/copy")).expect("made inside");
    assert!(copy == text, "{} of {} bytes, or others", copy.len(), text.len());
}

fn the_last_words_are_not_lost() {
    rootfs();
    for number in 0..100 {
        let words = format!("last words {number}");
        let (_, shown) = Window::open(&[], &format!("echo -n {words}")).end();
        assert_eq!(shown, words);
    }
}

fn other_signals_pass() {
    let script = "trap 'echo term; exit 4' TERM; trap 'echo usr1' USR1; trap 'echo hup' HUP; echo set; \
                  while :; do sleep 0.01; done";
    let mut window = Window::open(&[], script);
    window.wait_for("set");
    let program = Pid::from_child(&window.program);
    for (signal, words) in [(Signal::USR1, "usr1"), (Signal::HUP, "hup"), (Signal::TERM, "term")] {
        kill_process(program, signal).expect("ours");
        window.wait_for(words);
    }
    assert_eq!(window.end().0, Some(4));
}

fn a_closed_window_ends_the_container() {
    // A sleep as PID 1 is deaf to SIGHUP.
    let mut window = Window::open(&[], "echo ready; exec sleep 1000");
    window.wait_for("ready");
    let mut program = window.close();
    wait_for_end(&mut program);
}

fn a_closed_window_ends_a_container_under_an_init() {
    let mut window = Window::open(&["--init"], "sleep 1000 & echo ready; wait");
    window.wait_for("ready");
    let mut program = window.close();
    wait_for_end(&mut program);
}

/// The kernel signals the leader of the session alone, here a shell that ignores it.
fn a_closed_window_ends_a_container_that_no_signal_reaches() {
    let program = command(&rootfs(), &["-t", "sh", "-c", "'echo ready; exec sleep 1000'"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("trap '' HUP; {}; true", line_of(&program))]);
    let mut window = Window::with(&shell);
    window.wait_for("ready");
    wait_for_end(&mut window.close());
}

fn a_closed_window_leaves_time_to_tidy_up() {
    let script =
        "trap 'sleep 0.2; touch /tidied; exit 6' HUP; echo ready; while :; do sleep 0.01; done";
    let mut window = Window::open(&[], script);
    window.wait_for("ready");
    let status = wait_for_end(&mut window.close());
    assert_eq!(status.code(), Some(6));
    assert!(scratch().join("rootfs/tidied").exists());
}

fn a_container_may_close_its_terminal_and_open_it_again() {
    let script =
        "exec <&- >&- 2>&-; sleep 0.3; exec >/dev/console; yes | head -c 100000; echo over";
    let (status, shown) = Window::open(&[], script).end();
    assert_eq!(status, Some(0));
    assert!(shown.len() > 100_000 && shown.ends_with("over\r\n"), "{}", shown.len());
}

/// Nobody reads what is typed: our program must wait, not spin.
fn typing_to_nobody_costs_no_time() {
    let script = "stty raw -echo; echo ready; exec <&- >&- 2>&-; while :; do sleep 0.1; done";
    let mut window = Window::open(&[], script);
    window.wait_for("ready");
    sleep(Duration::from_millis(100));
    window.press(""); // raw mode is on
    rustix::io::ioctl_fionbio(&window.master, true).expect("ours");
    for _ in 0..100 {
        let _ = rustix::io::write(&window.master, &[b'x'; 1000]); // until every buffer is full
        sleep(Duration::from_millis(2));
    }
    rustix::io::ioctl_fionbio(&window.master, false).expect("ours");
    let before = ticks(window.program.id());
    sleep(Duration::from_secs(1));
    let spent = ticks(window.program.id()) - before;
    assert!(spent < 20, "{spent} hundredths of a second of CPU time in one second");
    wait_for_end(&mut window.close()); // what is typed is not listened to, a hang-up is
}

/// CPU time of a process in clock ticks, which are hundredths of a second: proc_pid_stat(5).
fn ticks(pid: u32) -> u64 {
    field(pid, 11) + field(pid, 12)
}

/// A number of /proc/PID/stat, counted from the state, which is 0: 2 is the process group, 5 the
/// foreground group of the terminal, 11 and 12 the CPU time.
fn field(pid: u32, number: usize) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' '));
    fields.and_then(|mut fields| fields.nth(number)?.parse().ok()).unwrap_or_default()
}

fn an_init_reaps_and_passes_the_status() {
    let script = "tty; (sleep 0.01 &); sleep 0.1; ps -o stat | grep -c Z; exit 9";
    let (status, shown) = Window::open(&["--init"], script).end();
    assert_eq!((status, shown.as_str()), (Some(9), "/dev/pts/0\r\n0\r\n"));
}

fn does_not_need_a_terminal_to_show_its_output() {
    rootfs();
    let program = command(&scratch().join("rootfs"), &["-t", "echo", "hello"]);
    let mut piped = Command::new("sh");
    piped.args(["-c", &format!("{} | od -c", line_of(&program))]);
    let (status, shown) = Window::with(&piped).end();
    assert_eq!(status, Some(0));
    assert!(shown.contains(r"h   e   l   l   o  \r  \n"), "{shown}");
}

fn a_command_that_is_missing_leaves_the_terminal_alone() {
    let root = rootfs();
    let mut window = Window::with(&command(&root, &["-t", "no-such-command"]));
    window.wait_for("command not found in PATH: no-such-command");
    assert_eq!(wait_for_end(&mut window.program).code(), Some(127));
    assert_eq!(settings(&window.slave), window.before);
}
