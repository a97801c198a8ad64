//! Who has which number: inside, outside, and after the naive first try.

use harness::{bin, child_running, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

harness::kernel_tests!(
    the_command_is_number_1,
    the_command_is_number_2_below_an_init,
    the_host_sees_another_number_in_another_namespace,
    the_init_is_number_1_and_not_the_command,
    the_command_cannot_name_a_process_of_the_host,
    unshare_alone_numbers_the_next_child_and_not_the_command,
);

fn says(arguments: &[&str]) -> String {
    let output = run(Command::new(bin("pid-namespace")).args(arguments));
    assert!(output.status.success(), "{output:?}");
    output.stdout.trim_end().to_owned()
}

/// A container that sleeps until it is dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start(options: &[&str]) -> Sleeper {
        let mut command = Command::new(bin("pid-namespace"));
        Sleeper(command.args(options).args(["sleep", "1000"]).spawn().expect("it is built"))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The numbers of a process from our namespace inwards: proc_pid_status(5), NSpid.
fn numbers(pid: u32) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).expect("since 4.1");
    line.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

fn namespace(pid: u32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/pid")).expect("the process lives")
}

fn the_command_is_number_1() {
    assert_eq!(says(&["sh", "-c", "echo $$"]), "1");
}

fn the_command_is_number_2_below_an_init() {
    assert_eq!(says(&["--init", "sh", "-c", "echo $$ $PPID"]), "2 1");
}

fn the_host_sees_another_number_in_another_namespace() {
    let container = Sleeper::start(&[]);
    let command = child_running("sleep", container.pid());
    assert_eq!(numbers(command), [command, 1]);
    assert_ne!(namespace(command), namespace(std::process::id()));
    assert_eq!(namespace(container.pid()), namespace(std::process::id()), "we stay outside");
}

fn the_init_is_number_1_and_not_the_command() {
    let container = Sleeper::start(&["--init"]);
    let init = child_running("pid-namespace", container.pid());
    let command = child_running("sleep", init);
    assert_eq!((numbers(init), numbers(command)), (vec![init, 1], vec![command, 2]));
    assert_eq!(namespace(init), namespace(command));
    assert_ne!(namespace(init), namespace(std::process::id()));
}

fn the_command_cannot_name_a_process_of_the_host() {
    let mut other = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("sleep");
    let pid = Pid::from_raw(other.id() as i32);
    assert!(
        kill(pid, None).is_ok(),
        "we can name it, so a container could if it were no container"
    );
    let script = format!("kill -0 {pid} 2>&1 || echo nobody");
    assert!(says(&["bash", "-c", &script]).contains("No such process\nnobody"));
    kill(pid, Signal::SIGKILL).expect("our own child");
    other.wait().expect("our own child");
}

fn unshare_alone_numbers_the_next_child_and_not_the_command() {
    let script = "echo $$; sh -c 'echo $$'; true";
    let output = says(&["--unshare", "sh", "-c", script]);
    let numbers: Vec<&str> = output.lines().collect();
    assert_ne!(numbers[0], "1");
    assert_eq!(numbers[1], "1");
}
