//! Where there is little or nothing to see, the answer says so: no guess, no panic.

mod sleeper;

use harness::Output;
use serde_json::Value;
use sleeper::{Sleeper, look_at, xray};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

harness::kernel_tests!(
    an_ordinary_user_gets_unknown_and_a_hint,
    a_zombie_is_named_with_its_parent,
    a_kernel_thread_is_called_one,
    a_thread_is_told_from_its_process,
    a_missing_proc_is_said_to_be_missing,
    a_proc_of_strangers_is_recognized,
    an_outer_proc_is_noted,
    a_proc_that_hides_is_not_taken_for_an_empty_one,
    a_process_may_end_at_any_moment,
    a_reused_pid_is_another_process,
    a_hostile_name_cannot_drive_the_terminal,
);

fn look(arguments: &[&str]) -> Output {
    harness::run(xray().args(arguments))
}

fn is_refusal(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stdout, "");
    for word in words {
        assert!(output.stderr.contains(word), "{word:?} is not in {:?}", output.stderr);
    }
}

/// The program where everybody may run it: a checkout may lie in a home that nobody enters.
fn public_xray() -> PathBuf {
    let program = std::env::temp_dir().join("xray");
    fs::copy(xray().get_program(), &program).unwrap();
    program
}

fn as_nobody() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(public_xray());
    command
}

fn an_ordinary_user_gets_unknown_and_a_hint() {
    let sleeper = Sleeper::start("unshare --pid --fork", "true");
    let pid = sleeper.pid.to_string();
    let output = harness::run(as_nobody().args(["--json", &pid]));
    let report: Value = serde_json::from_str(&output.stdout).expect("what can be read is shown");
    for namespace in ["pid", "mnt", "uts", "ipc", "user", "net", "cgroup", "time"] {
        let row = &report["rows"][namespace];
        assert_eq!(row["verdict"], "unknown", "{namespace}");
        assert_eq!(row["value"], Value::Null);
        let reason = row["unknown"].as_str().unwrap();
        assert!(reason.contains("Permission denied"), "{reason}");
    }
    // The line NSpid is open to all, and two numbers there can mean only one thing.
    assert_eq!(report["rows"]["pids"]["verdict"], "own");
    assert!(report["hints"][0].as_str().unwrap().contains("sudo"));

    let table = harness::run(as_nobody().arg(&pid)).stdout;
    assert!(table.contains("? unknown"));
    assert_eq!(table.matches("hint:").count(), 1, "{table}");
}

fn a_zombie_is_named_with_its_parent() {
    let mut child = Command::new("true").spawn().unwrap();
    let stat = format!("/proc/{}/stat", child.id());
    while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
        thread::sleep(Duration::from_millis(1));
    }
    let output = look(&[&child.id().to_string()]);
    child.wait().unwrap();
    is_refusal(&output, &["(true) is a zombie", "hint: its parent 1 ("]);
    is_refusal(&look(&[&child.id().to_string()]), &["no process"]);
}

fn a_kernel_thread_is_called_one() {
    // The sandbox's own /proc, without kernel threads, lies on the host's, which has them.
    let look = |arguments: &str| {
        let script = format!("umount /proc; exec {} {arguments}", env!("CARGO_BIN_EXE_xray"));
        harness::run(Command::new("unshare").args(["-m", "sh", "-c", &script]))
    };
    let output = look("--json 2");
    let report: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    if report["process"]["name"] != "kthreadd" {
        harness::not_run("this host shows no kernel threads: run it outside of a container");
    }
    assert_eq!(report["process"]["kernel_thread"], true);
    assert!(report["notes"].to_string().contains("a thread of the kernel"));
    assert!(look("2").stdout.starts_with("process 2: [kthreadd]\n"));
}

fn a_thread_is_told_from_its_process() {
    let (tell, told) = std::sync::mpsc::channel();
    let (finish, finished) = std::sync::mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let name = fs::read_link("/proc/thread-self").unwrap();
        tell.send(name.file_name().unwrap().to_str().unwrap().parse::<u32>().unwrap()).unwrap();
        finished.recv().unwrap();
    });
    let report = look_at(told.recv().unwrap());
    finish.send(()).unwrap();
    thread.join().unwrap();
    assert_eq!(report["process"]["process"], std::process::id());
    assert!(report["notes"].to_string().contains("a thread of process"));
}

fn a_missing_proc_is_said_to_be_missing() {
    let script = format!("mount -t tmpfs none /proc; exec {} 1", env!("CARGO_BIN_EXE_xray"));
    let output = harness::run(Command::new("unshare").args(["-m", "sh", "-c", &script]));
    is_refusal(&output, &["it is not mounted", "hint: mount -t proc proc /proc"]);
}

fn a_proc_of_strangers_is_recognized() {
    let sleeper = Sleeper::start("unshare --pid --fork --mount-proc", "true");
    // In the sleeper's mounts, /proc is of a PID namespace that this xray is not in.
    let output = harness::run(
        Command::new("nsenter")
            .args(["--target", &sleeper.pid.to_string(), "--mount"])
            .arg(xray().get_program())
            .arg("1"),
    );
    is_refusal(&output, &["PID namespace you are not in", "hint: mount -t proc"]);
}

fn an_outer_proc_is_noted() {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork"]).arg(xray().get_program()).args(["--json", "1"]);
    let report: Value = serde_json::from_str(&harness::run(&mut command).stdout).unwrap();
    let notes = report["notes"].to_string();
    assert!(notes.contains("calls itself 1"), "{notes}");
    assert_eq!(report["process"]["pid"], 1);
}

fn a_proc_that_hides_is_not_taken_for_an_empty_one() {
    let program = public_xray();
    let look = |hidepid: u32| {
        let script = format!(
            "mount -t proc -o hidepid={hidepid} proc /proc; \
             exec setpriv --reuid=65534 --regid=65534 --clear-groups {} 1",
            program.display()
        );
        harness::run(Command::new("unshare").args(["-m", "sh", "-c", &script]))
    };
    is_refusal(&look(1), &["cannot look at process 1", "Operation not permitted", "hidepid"]);
    is_refusal(&look(2), &["no process 1, or it is hidden", "hidepid"]);
}

fn a_process_may_end_at_any_moment() {
    let looks_like_an_answer = |output: &Output| match output.status.code() {
        Some(0) => serde_json::from_str::<Value>(&output.stdout).is_ok(),
        Some(1) => {
            let known = ["ended while it was being read", "is a zombie", "no process"];
            known.iter().any(|words| output.stderr.contains(words)) && output.stdout.is_empty()
        }
        _ => false,
    };
    // How long one look takes decides where in it the end may fall. Those that fall into the time of
    // a second one come too late, also if looks take longer than this one.
    let started = Instant::now();
    look(&["--json", "1"]);
    let once = started.elapsed();

    let rounds = harness::rounds(200);
    let (mut seen, mut missed) = (0, 0);
    for round in 0..rounds {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let mut eye = xray();
        eye.arg("--json").arg(child.id().to_string());
        let eye = eye.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        thread::sleep(2 * once * round / rounds);
        child.kill().unwrap();
        if round % 2 == 0 {
            child.wait().unwrap(); // gone entirely; else a zombie until the eye has closed
        }
        let output = eye.wait_with_output().unwrap();
        let output = Output {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        child.wait().unwrap();
        assert!(looks_like_an_answer(&output), "round {round}: {output:?}");
        *(if output.status.success() { &mut seen } else { &mut missed }) += 1;
    }
    assert!(seen > 0 && missed > 0, "{seen} seen, {missed} missed: the ends were not spread");
}

fn a_reused_pid_is_another_process() {
    let mut first = Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = first.id();
    let subject = xray::Subject::read(pid).unwrap();
    assert!(subject.is_alive());
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!subject.is_alive());

    thread::sleep(Duration::from_millis(20)); // start times have a grain of 10 ms
    let last = (pid - 1).to_string();
    if let Err(error) = fs::write("/proc/sys/kernel/ns_last_pid", last) {
        harness::not_run(format!("cannot choose the next PID ({error}): needs root"));
    }
    let mut second = Command::new("sleep").arg("1000").spawn().unwrap();
    let reused = second.id() == pid;
    let (alive, now) = (subject.is_alive(), xray::Subject::read(second.id()));
    second.kill().unwrap();
    second.wait().unwrap();

    assert!(reused, "the kernel gave another PID");
    assert!(!alive);
    assert_ne!(now.unwrap().start_ticks, subject.start_ticks);
}

fn a_hostile_name_cannot_drive_the_terminal() {
    let program = std::env::temp_dir().join("\x1b[31m) R 1");
    fs::copy("/bin/sleep", &program).unwrap();
    let mut child = Command::new(&program).arg("1000").spawn().unwrap();
    let table = look(&[&child.id().to_string()]);
    let report = look_at(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(table.status.success(), "{}", table.stderr);
    assert!(!table.stdout.contains('\x1b'), "{}", table.stdout);
    assert_eq!(report["process"]["name"], "\x1b[31m) R 1");
    assert_eq!(report["process"]["parent"], std::process::id());
}
