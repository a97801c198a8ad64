//! The duties of PID 1, which our init takes over from a command that does not know them.

use harness::{bin, child_running, run, wait_for};
use std::fs;
use std::process::{Child, Command};

harness::kernel_tests!(
    an_init_collects_orphans,
    without_an_init_orphans_stay_as_zombies,
    an_init_ends_with_the_command_and_orphans_end_with_it,
    an_orphan_ended_by_a_real_time_signal_is_one_of_many,
    nobody_inside_can_kill_the_init,
);

/// Leaves 20 orphans that end soon, and has become by then a program that collects nobody.
const CARELESS: &str = "for i in $(seq 20); do (setsid sleep 0.3 &); done; exec tail -f /dev/null";

struct Container(Child);

impl Container {
    fn start(arguments: &[&str]) -> Container {
        let mut command = Command::new(bin("pid-namespace"));
        Container(command.args(arguments).spawn().expect("it is built"))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Name and state of each child of `parent`, zombies included: proc_pid_stat(5).
fn children(parent: u32) -> Vec<(u32, String, String)> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let pids = children.unwrap_or_default();
    let describe = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        Some((pid.parse().ok()?, name.to_owned(), rest.split(' ').next()?.to_owned()))
    };
    pids.split_whitespace().filter_map(describe).collect()
}

fn zombies(parent: u32) -> usize {
    children(parent).iter().filter(|(_, _, state)| state == "Z").count()
}

fn an_init_collects_orphans() {
    let container = Container::start(&["--init", "sh", "-c", CARELESS]);
    let init = child_running("pid-namespace", container.0.id());
    let command = child_running("tail", init);
    wait_for("the orphans to be gone", || children(init).len() <= 1);
    let left = children(init);
    assert_eq!(left.iter().map(|(pid, ..)| *pid).collect::<Vec<_>>(), [command], "{left:?}");
    assert_eq!(zombies(command), 0, "they are the init's children, not the command's");
}

/// The other half of the lesson, and the proof that the test above can fail.
fn without_an_init_orphans_stay_as_zombies() {
    let container = Container::start(&["sh", "-c", CARELESS]);
    let command = child_running("tail", container.0.id());
    wait_for("20 zombies", || zombies(command) >= 20);
    assert_eq!(zombies(command), 20);
}

/// That they do end is what the harness looks for after each test.
fn an_init_ends_with_the_command_and_orphans_end_with_it() {
    let script = "(setsid sleep 1000 &); (setsid sleep 1000 &); sleep 1000 & exit 5";
    // It is not waited for as long as they would sleep.
    let output = run(Command::new(bin("pid-namespace")).args(["--init", "sh", "-c", script]));
    assert_eq!(output.status.code(), Some(5));
}

fn an_orphan_ended_by_a_real_time_signal_is_one_of_many() {
    let script = "(setsid bash -c 'kill -40 $$' &); sleep 0.5; exit 4";
    let output = run(Command::new(bin("pid-namespace")).args(["--init", "sh", "-c", script]));
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}

fn nobody_inside_can_kill_the_init() {
    let script = "kill -KILL 1; kill -STOP 1; kill -ABRT 1; kill -SEGV 1; kill -40 1; exit 6";
    let output = run(Command::new(bin("pid-namespace")).args(["--init", "bash", "-c", script]));
    assert_eq!(output.status.code(), Some(6), "{output:?}");
}
