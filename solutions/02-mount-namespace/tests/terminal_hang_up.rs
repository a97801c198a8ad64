//! `-t`, when our own terminal goes, or the container's: nobody waits for ever, and nobody spins.

mod container;
mod window;

use container::{command, rootfs, scratch};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;
use window::{Window, field, line_of, wait_for_end};

harness::kernel_tests!(
    other_signals_pass,
    a_closed_window_ends_the_container,
    a_closed_window_ends_a_container_under_an_init,
    a_closed_window_ends_a_container_that_no_signal_reaches,
    a_closed_window_leaves_time_to_tidy_up,
    a_container_may_close_its_terminal_and_open_it_again,
    typing_to_nobody_costs_no_time,
);

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
