//! What is left when `coracle` is killed: no process, no mount, and for the next one to sweep only
//! what it finds.

mod machine;

use harness::{Leaks, kill_at_each_syscall, kill_evenly};
use machine::*;
use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

harness::kernel_tests!(
    nothing_survives_at_any_moment => 240,
    nothing_survives_as_another_user => 240,
    nothing_survives_below_an_init => 240,
    nothing_survives_at_any_system_call => 500,
    a_container_that_was_to_stay_counts_as_killed,
    a_container_that_changed_its_user_is_ended_by_the_next_command,
    a_container_that_runs_a_setuid_program_is_ended_by_the_next_command,
    a_process_that_has_the_number_by_now_is_not_touched,
    the_lock_ends_with_its_holder,
    networks_that_are_half_removed_are_removed => 120,
);

/// A command with a family, one of it in a session of its own. It ends by itself only in the runs
/// that are measured: if it survived a kill, it would stay to be found.
const FAMILY: &str = "sleep 1000 & (setsid sleep 1000 &); echo x > /tmp/x
    sleep 0.01; [ -e /shared/end ] || exec sleep 1000";

fn kill_family_evenly(options: &'static [&str], kills: u32) {
    busybox();
    let end = folder("shared").join("end");
    let mut runs = 0;
    let make_command = || {
        runs += 1;
        match runs {
            1 => fs::write(&end, "").unwrap(),
            3 => fs::remove_file(&end).unwrap(), // two are measured, those after them are killed
            _ => {}
        }
        let volume = ["-v", "/run/tmp/shared:/shared"];
        coracle(&[&["run", "--rm"], &volume, options, &[IMAGE, "sh", "-c", FAMILY]].concat())
    };
    kill_evenly(make_command, kills, next_one_runs);
}

/// The next one runs, and what was left has been swept.
fn next_one_runs() {
    assert_eq!(says(&[], "echo $$"), "1\n");
    assert_nothing_left();
    assert_eq!(fs::read_dir(root_folder().join("unpacking")).unwrap().count(), 0);
}

fn nothing_survives_at_any_moment() {
    kill_family_evenly(&[], 150);
}

fn nothing_survives_as_another_user() {
    kill_family_evenly(&["-u", "app"], 75);
}

fn nothing_survives_below_an_init() {
    kill_family_evenly(&["--init", "-u", "app"], 75);
}

/// The image is unpacked anew each time, so that the kills fall there, too.
fn nothing_survives_at_any_system_call() {
    let rootfs = folder("rootfs"); // small: every file costs a system call, each call a kill
    fs::create_dir(rootfs.join("bin")).unwrap();
    harness::busybox_rootfs(&folder("full"));
    fs::copy(scratch().join("full/bin/busybox"), rootfs.join("bin/true")).unwrap();
    let layer = layout::tar_of(&rootfs);
    layout::write(&scratch().join("busybox"), "latest", &layer, &serde_json::json!({}));
    let forget_layers = || fs::remove_dir_all(root_folder().join("layers")).unwrap();
    let next_one_runs = || {
        success(run_rm(&[], &["true"]));
        assert_nothing_left();
        assert_eq!(fs::read_dir(root_folder().join("unpacking")).unwrap().count(), 0);
        forget_layers();
    };
    let run = || {
        let _ = fs::remove_dir_all(root_folder().join("layers"));
        coracle(&["run", "--rm", IMAGE, "true"])
    };
    let kills = kill_at_each_syscall(run, next_one_runs);
    assert!(kills > 100, "only {kills}: was it traced at all?");
}

fn a_container_that_was_to_stay_counts_as_killed() {
    busybox();
    let shared = folder("shared");
    let script = "echo precious > /etc/new; touch /shared/ready; exec sleep 1000";
    let options =
        ["run", "--name", "kept", "-v", "/run/tmp/shared:/shared", IMAGE, "sh", "-c", script];
    let before = Leaks::snapshot();
    let mut container = Background::start_command(coracle(&options), shared);
    container.kill();
    let left = before.left_behind_of(&["mount", "process"]);
    assert!(left.is_empty(), "{left:?}");
    let list = success(harness::run(&mut coracle(&["ps", "-a"])));
    assert!(list.contains("exited 137"), "{list}");
    let state = state();
    assert_eq!((&state["status"], &state["exitCode"]), (&"exited".into(), &137.into()));
    let upper = root_folder().join("containers").join(state["id"].as_str().unwrap()).join("upper");
    assert_eq!(fs::read_to_string(upper.join("etc/new")).unwrap(), "precious\n");
    success(harness::run(&mut coracle(&["rm", "kept"])));
    assert_nothing_left();
}

/// The kernel forgets the wish to die with the parent when a process changes its user, which many
/// images' entry points do (prctl(2), PR_SET_PDEATHSIG). Then it is the next command that ends it.
fn a_container_that_changed_its_user_is_ended_by_the_next_command() {
    busybox();
    let shared = folder("shared");
    success(harness::run(Command::new("chmod").arg("777").arg(&shared)));
    let script = "touch /shared/ready; exec sleep 1000";
    let options =
        ["run", "--rm", "-v", "/run/tmp/shared:/shared", IMAGE, "su", "app", "-c", script];
    killed_and_swept(coracle(&options));
}

/// The same happens when it executes a program with the setuid bit as somebody else than its owner.
fn a_container_that_runs_a_setuid_program_is_ended_by_the_next_command() {
    busybox_changed(serde_json::json!({}), |rootfs| {
        let copy = rootfs.join("suid/sleep");
        fs::create_dir(rootfs.join("suid")).unwrap();
        fs::copy(rootfs.join("bin/busybox"), &copy).unwrap();
        success(harness::run(Command::new("chmod").arg("4755").arg(copy)));
    });
    let shared = folder("shared");
    success(harness::run(Command::new("chmod").arg("777").arg(&shared)));
    let options = ["run", "--rm", "-u", "app", "-v", "/run/tmp/shared:/shared", IMAGE];
    let mut command = coracle(&options);
    command.args(["sh", "-c", "touch /shared/ready; exec /suid/sleep 1000"]);
    killed_and_swept(command);
}

fn killed_and_swept(command: Command) {
    let before = Leaks::snapshot();
    let mut container = Background::start_command(command, scratch().join("shared"));
    let name = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let pid = container.first_process();
    wait_for("the last exec", || name(pid) == "sleep\n");
    container.kill();
    success(harness::run(&mut coracle(&["ps"])));
    let left = before.left_behind_of(&["mount", "process"]);
    assert!(left.is_empty(), "{left:?}");
    assert_nothing_left();
}

fn a_process_that_has_the_number_by_now_is_not_touched() {
    busybox();
    let mut container = Background::start(&[], "");
    container.program.kill().unwrap();
    container.program.wait().unwrap();
    sleep(Duration::from_millis(50)); // the kernel counts starts in hundredths of a second
    let mut innocent = Command::new("sleep").arg("1000").spawn().unwrap();
    let mut state = state();
    state["pid"] = innocent.id().into();
    let folder = run_folder().join(state["id"].as_str().unwrap());
    fs::write(folder.join("state.json"), state.to_string()).unwrap();
    next_one_runs();
    assert_eq!(innocent.try_wait().unwrap(), None, "killed for another's sake");
    innocent.kill().unwrap();
    innocent.wait().unwrap();
}

/// A descriptor that leaked into the container would hold the lock for as long as that lives.
fn the_lock_ends_with_its_holder() {
    busybox();
    for options in [&[][..], &["--init"]] {
        let container = Background::start(options, "");
        for pid in
            [container.first_process()].into_iter().chain(children_of(container.first_process()))
        {
            for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
                let target = fs::read_link(entry.unwrap().path()).unwrap();
                assert!(!target.starts_with(run_folder()), "{target:?} is open in the container");
            }
        }
    }
}

/// One that needs the machine's switch turned, and one that does not.
fn networks_that_are_half_removed_are_removed() {
    use network::{Network, Wanted};
    let forwards = "/proc/sys/net/ipv4/ip_forward";
    fs::write(forwards, "0").unwrap();
    let prune = || coracle(&["network", "prune"]);
    let make_command = || {
        for (name, internal) in [("one", false), ("two", true)] {
            let name = name.parse().unwrap();
            drop(Network::open(&Wanted { name, internal, ..Wanted::default() }).unwrap());
        }
        prune()
    };
    let nothing_is_left = || {
        success(harness::run(&mut prune()));
        assert!(!fs::exists("/run/coracle/networks").unwrap());
        assert_eq!(fs::read_to_string(forwards).unwrap(), "0\n");
        let links = fs::read_to_string("/proc/self/net/dev").unwrap();
        assert!(!links.contains("co-"), "{links}");
        if let Ok(rules) = Command::new("nft").args(["list", "ruleset"]).output() {
            assert_eq!(String::from_utf8_lossy(&rules.stdout), "");
        }
    };
    kill_evenly(make_command, 60, nothing_is_left);
}
