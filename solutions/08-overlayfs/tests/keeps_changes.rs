//! Where changes go, and what is left of a container: its upper layer and nothing else.

mod pile;

use harness::{Leaks, kill_at_each_syscall, kill_evenly, random_name, run, wait_for};
use pile::{Pile, write};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

harness::kernel_tests!(
    without_an_upper_layer_changes_vanish,
    an_upper_layer_keeps_changes_and_the_next_container_sees_them,
    the_work_folder_goes_also_after_a_failure,
    the_first_error_is_the_one_that_is_told,
    the_exit_status_is_the_commands,
    a_reader_that_leaves_is_no_panic,
    two_containers_on_the_same_layers_do_not_see_each_other,
    an_upper_layer_serves_one_container_at_a_time,
    after_a_kill_the_next_run_works_at_once,
    nothing_survives_a_kill_at_any_moment => 180,
    nothing_survives_a_kill_at_any_system_call => 300,
);

fn without_an_upper_layer_changes_vanish() {
    let pile = Pile::new();
    let content = random_name("content");
    let script = format!("echo {content} > /new && rm /etc/passwd && cat /new");
    assert_eq!(pile.says(&[], &script), format!("{content}\n"));
    assert_eq!(pile.sh(&[], "test -e /etc/passwd && ! test -e /new").status.code(), Some(0));
    assert_alone(&pile.layers[0]);
    assert!(!pile.layers[0].join("new").exists());
}

fn an_upper_layer_keeps_changes_and_the_next_container_sees_them() {
    let pile = Pile::new();
    let upper = pile.new_folder("upper");
    let content = random_name("content");
    pile.says(&["--upper", "upper"], &format!("echo {content} > /srv-file; rm /etc/group"));
    assert_eq!(fs::read_to_string(upper.join("srv-file")).unwrap(), format!("{content}\n"));
    assert_alone(&upper);
    let next = pile.says(&["--upper", "upper"], "cat /srv-file; test -e /etc/group || echo gone");
    assert_eq!(next, format!("{content}\ngone\n"));
    // And it can be a layer of others.
    let mut onward = Pile::new();
    onward.layers = vec![pile.layers[0].clone(), upper];
    assert_eq!(onward.says(&[], "cat /srv-file"), format!("{content}\n"));
}

fn the_work_folder_goes_also_after_a_failure() {
    let mut pile = Pile::new();
    let upper = pile.new_folder("upper");
    let not_found = run(pile.command().args(["--upper", "upper", "no-such-command"]));
    assert_eq!(not_found.status.code(), Some(127), "{not_found:?}");
    assert_alone(&upper);
    let ended = pile.sh(&["--upper", "upper", "--init"], "kill -9 $$");
    assert_eq!(ended.status.code(), Some(128 + 9), "{ended:?}");
    assert_alone(&upper);
    pile.layers.push(pile.layers[0].clone()); // the mount fails
    assert_eq!(pile.sh(&["--upper", "upper"], "true").status.code(), Some(125));
    assert_alone(&upper);
}

fn the_first_error_is_the_one_that_is_told() {
    let pile = Pile::new();
    let upper = pile.new_folder("upper");
    let output = pile.sh(&["--upper", "upper", "-v", "/no-such-source:/x"], "true");
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(output.stderr.contains("/no-such-source"), "{output:?}");
    assert_alone(&upper);
}

fn the_exit_status_is_the_commands() {
    let pile = Pile::new();
    pile.new_folder("upper");
    for options in [&[][..], &["--upper", "upper"], &["--upper", "upper", "--changes"]] {
        assert_eq!(pile.sh(options, "exit 3").status.code(), Some(3));
    }
}

fn a_reader_that_leaves_is_no_panic() {
    let pile = Pile::new();
    let upper = pile.new_folder("upper");
    let mut command = pile.command();
    command.args(["--upper", "upper", "--changes", "sh", "-c", "touch /new; sleep 0.1"]);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(running.stdout.take());
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "overlayfs: cannot print the changes: Broken pipe (os error 32)\n");
    assert_alone(&upper);
}

/// Starts a container that says that it is ready and then waits for its standard input to end.
fn start(pile: &Pile, options: &[&str], script: &str) -> Child {
    let script = format!("{script}; echo ready > /ready; cat > /dev/null; {script}");
    pile.command().args(options).args(["sh", "-c", &script]).stdin(Stdio::piped()).spawn().unwrap()
}

fn two_containers_on_the_same_layers_do_not_see_each_other() {
    let pile = Pile::new();
    let uppers = ["one", "two"].map(|name| pile.new_folder(name));
    let mut one = start(&pile, &["--upper", "one"], "echo one >> /shared");
    wait_for("the first", || uppers[0].join("ready").exists());
    let seen = pile.says(&["--upper", "two"], "ls /shared 2>/dev/null; echo two > /shared");
    assert_eq!(seen, "");
    assert_eq!(pile.says(&[], "ls /shared 2>/dev/null; true"), "");
    drop(one.stdin.take());
    assert!(one.wait().unwrap().success());
    assert_eq!(fs::read_to_string(uppers[0].join("shared")).unwrap(), "one\none\n");
    assert_eq!(fs::read_to_string(uppers[1].join("shared")).unwrap(), "two\n");
}

fn an_upper_layer_serves_one_container_at_a_time() {
    let pile = Pile::new();
    let upper = pile.new_folder("upper");
    for init in [&["--upper", "upper"][..], &["--upper", "upper", "--init"]] {
        let _ = fs::remove_file(upper.join("ready"));
        let mut one = start(&pile, init, "true");
        wait_for("the first", || upper.join("ready").exists());
        let second = pile.sh(&["--upper", "upper"], "true");
        assert_eq!(second.status.code(), Some(125), "{second:?}");
        assert!(second.stderr.contains("/upper is in use by another container\nhint: "));
        assert!(pile.folder.join(".work-of-upper").exists(), "the second took the first's away");
        drop(one.stdin.take());
        assert!(one.wait().unwrap().success());
        pile.says(&["--upper", "upper"], "true");
        assert_alone(&upper);
    }
}

fn after_a_kill_the_next_run_works_at_once() {
    let pile = Pile::new();
    let upper = pile.new_folder("upper");
    let before = Leaks::snapshot();
    for _ in 0..5 {
        let _ = fs::remove_file(upper.join("ready"));
        let mut one = start(&pile, &["--upper", "upper"], "echo kept > /kept; rm -f /etc/group");
        wait_for("the container", || upper.join("ready").exists());
        let input = one.stdin.take(); // which `wait` would end, and let the script go on
        one.kill().unwrap();
        one.wait().unwrap();
        assert_eq!(pile.says(&["--upper", "upper"], "cat /kept"), "kept\n");
        drop(input);
        assert_alone(&upper);
    }
    assert_eq!(before.left_behind_of(&["mount", "process"]), [""; 0]);
}

/// A command that changes something, and a check that the next one can.
fn changing(pile: &Pile, options: &[&str]) -> Command {
    let mut command = pile.command();
    command.args(options).args(["sh", "-c", "rm -f /srv/old; echo new > /srv/new; mkdir -p /a/b"]);
    command
}

fn killed_pile() -> Pile {
    let mut pile = Pile::new();
    write(pile.layer("layer").join("srv/old"), "");
    pile.new_folder("upper");
    pile
}

fn next_run_works(pile: &Pile) {
    let upper = pile.folder.join("upper");
    assert_eq!(pile.says(&["--upper", "upper"], "echo fine"), "fine\n");
    assert_alone(&upper);
    assert!(pile.layers[1].join("srv/old").exists());
}

fn nothing_survives_a_kill_at_any_moment() {
    let pile = killed_pile();
    kill_evenly(
        || changing(&pile, &["--upper", "upper", "--changes"]),
        60,
        || next_run_works(&pile),
    );
    kill_evenly(|| changing(&pile, &[]), 40, || next_run_works(&pile));
}

fn nothing_survives_a_kill_at_any_system_call() {
    let pile = killed_pile();
    let upper = &["--upper", "upper", "--changes"];
    let calls = kill_at_each_syscall(|| changing(&pile, upper), || next_run_works(&pile));
    assert!(calls > 50, "{calls}");
}

/// Nothing but the layers lies beside `folder`.
fn assert_alone(folder: &Path) {
    let entries = fs::read_dir(folder.parent().unwrap()).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    let known = |name: &OsString| {
        ["base", "layer", "upper", "one", "two"].iter().any(|known| name == known)
    };
    assert!(names.iter().all(known), "{names:?}");
}
