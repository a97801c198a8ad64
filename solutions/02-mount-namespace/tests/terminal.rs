//! `-t`: what the command sees of its terminal, and what we see of it on ours.

mod container;
mod window;

use container::{command, rootfs, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use window::{Window, resize, settings, wait_for_end};

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
    an_init_reaps_and_passes_the_status,
    a_command_that_is_missing_leaves_the_terminal_alone,
);

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

fn an_init_reaps_and_passes_the_status() {
    // It would wait for ever for an orphan that nobody reaps.
    let script = "tty; (sleep 0.01 &); while ps -o stat,comm | grep -q -e Z -e sleep; do :; done
                  ps -o stat | grep -c Z; exit 9";
    let (status, shown) = Window::open(&["--init"], script).end();
    assert_eq!((status, shown.as_str()), (Some(9), "/dev/pts/0\r\n0\r\n"));
}

fn a_command_that_is_missing_leaves_the_terminal_alone() {
    let root = rootfs();
    let mut window = Window::with(&command(&root, &["-t", "no-such-command"]));
    window.wait_for("command not found in PATH: no-such-command");
    assert_eq!(wait_for_end(&mut window.program).code(), Some(127));
    assert_eq!(settings(&window.slave), window.before);
}
