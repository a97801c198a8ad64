//! Proves the harness: what a bad test does stays inside, is seen, and is told.
//!
//! The bad tests are those of `examples/hostile.rs`, run in a sandbox within this one's sandbox.

use harness::{
    Leaks, Output, busybox_rootfs, kill_at_each_syscall, kill_evenly, run, run_within, wait_for,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::process::CommandExt;
use std::panic::{UnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

harness::kernel_tests!(
    gives_each_test_a_machine_of_its_own,
    counts_passed_failed_and_not_run,
    does_harm_in_the_lab_alone,
    does_not_run_without_root,
    filters_and_lists_by_name,
    names_what_a_test_leaves_behind,
    stops_a_hang,
    stops_a_fork_bomb,
    stops_a_glutton => 120,
    keeps_limits_out_of_reach,
    keeps_the_host_name_and_ipc_limits,
    keeps_the_mounts_of_the_host,
    keeps_the_processes_of_the_host,
    nothing_survives_a_killed_test_program,
    run_stops_what_does_not_end,
    run_does_not_wait_for_a_daemon,
    kill_evenly_sees_what_survives,
    kill_at_each_syscall_sees_what_survives,
    busybox_rootfs_runs_a_shell,
);

fn hostile_program() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    test.parent().and_then(Path::parent).expect("target/debug/deps").join("examples/hostile")
}

/// Runs one of the bad tests.
fn hostile(test: &str) -> Output {
    run_within(Command::new(hostile_program()).args(["--exact", test]), Duration::from_secs(100))
}

fn assert_fails_with(output: &Output, words: &str) {
    assert_eq!(output.status.code(), Some(101), "{output:?}");
    assert!(output.stdout.contains("0 passed; 1 failed; 0 ignored"), "{output:?}");
    assert!(output.stdout.contains(words), "not there: {words}: {output:?}");
}

/// What a command prints, without the line end.
fn says(program: &str, arguments: &[&str]) -> String {
    run(Command::new(program).args(arguments)).stdout.trim_end().to_owned()
}

fn gives_each_test_a_machine_of_its_own() {
    assert_eq!(std::process::id(), 1);
    assert!(says("uname", &["-n"]).starts_with("sandbox-"));
    assert_eq!(says("ls", &["/sys/class/net"]), "lo");
    assert_eq!(says("ls", &["/proc/self/fd"]), "0\n1\n2\n3", "3 is the folder that ls reads");
    let cgroups = fs::read_to_string("/proc/self/cgroup").expect("/proc");
    assert!(cgroups.lines().all(|line| line.ends_with(":/") || line == "0::/init"), "{cgroups}");
    for variable in ["CORACLE_ROOT", "CORACLE_RUN", "TMPDIR"] {
        let folder = std::env::var(variable).expect("set by the harness");
        assert_eq!(fs::read_dir(&folder).expect("made by the harness").count(), 0, "{folder}");
    }
}

fn counts_passed_failed_and_not_run() {
    let behaves = hostile("behaves");
    assert_eq!(behaves.status.code(), Some(0));
    assert!(behaves.stdout.contains("1 passed; 0 failed; 0 ignored"), "{behaves:?}");
    let not_run = hostile("says_it_cannot_run");
    assert_eq!(not_run.status.code(), Some(0));
    assert!(not_run.stdout.contains("0 passed; 0 failed; 1 ignored"), "{not_run:?}");
    assert!(not_run.stdout.contains("no such thing here: install it"), "{not_run:?}");
    assert_fails_with(&hostile("panics"), "words of the panic");
}

fn does_harm_in_the_lab_alone() {
    let command_line = fs::read_to_string("/proc/cmdline").expect("/proc is mounted");
    let output = hostile("would_do_harm");
    let outcome = match command_line.contains(" coracle.lab ") {
        true => "1 passed; 0 failed; 0 ignored",
        false => "0 passed; 0 failed; 1 ignored",
    };
    assert!(output.stdout.contains(outcome), "{output:?}");
}

fn does_not_run_without_root() {
    let folder = std::env::var("TMPDIR").expect("set by the harness");
    let copy = Path::new(&folder).join("hostile"); // somewhere nobody can reach it
    fs::copy(hostile_program(), &copy).expect("a copy");
    let output = run(Command::new(&copy).args(["--exact", "panics"]).uid(65534).gid(65534));
    assert!(output.stdout.contains("0 passed; 0 failed; 1 ignored"), "{output:?}");
    assert!(output.stdout.contains("needs root"), "{output:?}");
}

fn filters_and_lists_by_name() {
    let listed = says(&hostile_program().to_string_lossy(), &["--list", "limits"]);
    assert_eq!(listed, "lifts_its_limits: test");
}

fn names_what_a_test_leaves_behind() {
    assert_fails_with(&hostile("leaks_a_mount"), "left behind: mount /run/tmp/leaked (tmpfs)");
    assert_fails_with(&hostile("leaks_a_process"), "(sleep: sleep 4321)");
    assert_fails_with(&hostile("leaks_a_cgroup"), "left behind: cgroup /sys/fs/cgroup");
    assert_fails_with(&hostile("leaks_a_link"), "left behind: link leaked");
    assert_fails_with(&hostile("leaks_a_setting"), "left behind: sysctl net.ipv4.ip_forward = 1");
    assert_fails_with(&hostile("leaks_state"), "left behind: state /run/coracle/leaked");
    let output = hostile("leaks_a_loop_device");
    if !output.stdout.contains("0 failed; 1 ignored") {
        detach("leaked-disk");
        assert_fails_with(&output, " (/run/tmp/leaked-disk)");
    }
}

/// Ends the loop devices of a file by this name: they outlive every sandbox.
fn detach(name: &str) {
    let devices = fs::read_dir("/sys/block").expect("/sys is mounted").flatten();
    for device in devices.map(|device| device.path()) {
        let file = fs::read_to_string(device.join("loop/backing_file")).unwrap_or_default();
        if file.trim_end().trim_end_matches(" (deleted)").ends_with(name) {
            let device = Path::new("/dev").join(device.file_name().expect("loop0"));
            run(Command::new("losetup").arg("--detach").arg(device));
        }
    }
}

fn stops_a_hang() {
    let output = hostile("hangs"); // for an hour, if it is let
    assert_fails_with(&output, "time limit: killed after ");
    assert!(number_after("killed after ", &output) >= 2, "{output:?}");
}

fn stops_a_fork_bomb() {
    let output = hostile("forks_without_end");
    require_limits(&output);
    let forked = number_after("forked ", &output);
    assert!((100..512).contains(&forked), "{output:?}");
}

fn stops_a_glutton() {
    let output = hostile("eats_memory");
    require_limits(&output);
    // Either PID 1 was killed as well, or the test saw its child killed.
    if !output.stdout.contains("more than 1 GiB of memory") {
        assert!((500..1024).contains(&number_after("wrote ", &output)), "{output:?}");
    }
}

fn keeps_limits_out_of_reach() {
    let output = hostile("lifts_its_limits");
    require_limits(&output);
    assert!((100..512).contains(&number_after("forked ", &output)), "{output:?}");
}

fn require_limits(output: &Output) {
    if output.stderr.contains("harness: no limit of") {
        harness::not_run("no safety cgroup on this host: run where root can make cgroups");
    }
}

fn number_after(word: &str, output: &Output) -> u32 {
    let rest = output.stdout.split_once(word).map_or("", |(_, rest)| rest);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after {word:?}: {output:?}"))
}

fn keeps_the_host_name_and_ipc_limits() {
    let before = (says("uname", &["-n"]), fs::read("/proc/sys/kernel/shmmax").expect("/proc"));
    assert_eq!(hostile("renames_the_host").status.code(), Some(0), "it does rename its own");
    let after = (says("uname", &["-n"]), fs::read("/proc/sys/kernel/shmmax").expect("/proc"));
    assert_eq!(before, after);
}

fn keeps_the_mounts_of_the_host() {
    let before = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
    assert_fails_with(&hostile("unmounts_everything"), "left behind: blindness");
    assert_eq!(before, fs::read_to_string("/proc/self/mountinfo").expect("/proc"));
}

fn keeps_the_processes_of_the_host() {
    let mut bystander = Command::new("sleep").arg("100").spawn().expect("sleep starts");
    hostile("kills_everything");
    let alive = bystander.try_wait().expect("our own child").is_none();
    bystander.kill().and_then(|()| bystander.wait()).expect("our own child");
    assert!(alive);
}

fn nothing_survives_a_killed_test_program() {
    let before = Leaks::snapshot();
    let mut program = Command::new(hostile_program()).arg("hangs_long").spawn().expect("it starts");
    wait_for("a process of its own", || {
        before.compare(&Leaks::snapshot()).iter().any(|thing| thing.contains("sleep 5432"))
    });
    program.kill().and_then(|()| program.wait()).expect("our own child");
    assert_eq!(before.left_behind_of(&["process", "mount"]), [""; 0]);
    hostile("behaves"); // the next test program sweeps its cgroups
    assert_eq!(before.left_behind(), [""; 0]);
}

/// The words of the panic that `action` must end in; kills what it left.
fn panic_of(action: impl FnOnce() + UnwindSafe) -> String {
    let thrown = catch_unwind(action).expect_err("it must panic");
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL); // all in this sandbox but us
    *thrown.downcast::<String>().expect("a panic with words")
}

fn run_stops_what_does_not_end() {
    let words = panic_of(|| {
        run_within(Command::new("sleep").arg("100"), Duration::from_millis(200));
    });
    assert!(words.starts_with("still running"), "{words}");
}

fn run_does_not_wait_for_a_daemon() {
    let started = Instant::now();
    let output = run(Command::new("sh").args(["-c", "sleep 1000 & echo started"]));
    assert_eq!(output.stdout, "started\n");
    assert!(started.elapsed() < Duration::from_secs(500));
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
}

fn shell(script: &'static str) -> impl Fn() -> Command {
    move || {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }
}

fn kill_evenly_sees_what_survives() {
    let mut checks = 0;
    kill_evenly(shell("exec sleep 0.05"), 10, || checks += 1);
    assert_eq!(checks, harness::rounds(10) + 1);
    // Who is killed leaves something; the runs that are only measured do not.
    let measured =
        PathBuf::from(std::env::var("TMPDIR").expect("set by the harness")).join("measured");
    let script = "[ ! -e $TMPDIR/measured ] || sleep 100 & sleep 2";
    let words = panic_of(|| kill_evenly(shell(script), 1, || fs::write(&measured, "").unwrap()));
    assert!(words.contains("sleep 100"), "{words}");
}

fn kill_at_each_syscall_sees_what_survives() {
    let mut checks = 0;
    let kills = kill_at_each_syscall(shell("true"), || checks += 1);
    assert!(kills > 10, "{kills}");
    assert!(checks >= harness::rounds(kills));
    let words = panic_of(|| {
        kill_at_each_syscall(shell("sleep 100 & for i in 1 2 3 4 5 6 7 8; do cd /; done"), || {});
    });
    assert!(words.contains("sleep 100"), "{words}");
}

fn busybox_rootfs_runs_a_shell() {
    let rootfs = PathBuf::from(std::env::var("TMPDIR").expect("set by the harness")).join("rootfs");
    busybox_rootfs(&rootfs);
    let said = run(Command::new("chroot").arg(&rootfs).args(["/bin/sh", "-c", "id app"]));
    assert_eq!(said.stdout, "uid=1000(app) gid=1000(app) groups=1000(app),2000(crew)\n");
}
