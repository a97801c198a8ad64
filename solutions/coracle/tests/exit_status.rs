//! The status with which `coracle run` exits: the command's own, or one that says what went wrong.

mod machine;

use machine::*;
use serde_json::json;
use std::process::Command;

harness::kernel_tests!(
    is_the_commands_own,
    is_128_and_the_signal_that_ended_it,
    is_127_for_a_command_that_is_not_there,
    is_126_for_a_command_that_cannot_be_executed,
    is_125_for_an_unknown_image,
    is_125_for_an_unknown_tag,
    is_125_for_an_image_of_another_machine,
    is_125_for_a_user_whose_store_it_is_not,
    is_125_for_a_flag_that_makes_no_sense,
    is_0_for_help,
    is_the_same_below_an_init,
);

fn status(options: &[&str], command: &[&str]) -> i32 {
    let output = run_rm(options, command);
    assert_nothing_left();
    output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}"))
}

fn is_the_commands_own() {
    busybox();
    for code in [0, 1, 2, 125, 126, 127, 255] {
        assert_eq!(status(&[], &["sh", "-c", &format!("exit {code}")]), code);
    }
}

fn is_128_and_the_signal_that_ended_it() {
    busybox();
    // PID 1 is deaf to the signals it sends to itself, so it is a child that dies of one.
    assert_eq!(status(&["--init"], &["sh", "-c", "kill -KILL $$"]), 137);
    assert_eq!(status(&["--init"], &["sh", "-c", "kill -TERM $$"]), 143);
    let shared = folder("shared");
    for (signal, expected) in [("-TERM", 143), ("-KILL", 137)] {
        let mut command =
            coracle(&["run", "--rm", "--init", "-v", "/run/tmp/shared:/shared", IMAGE]);
        command.args(["sh", "-c", "touch /shared/ready; exec sleep 1000"]);
        let mut container = Background::start_command(command, shared.clone());
        let pid = match signal {
            "-KILL" => container.first_process(), // to us it would be the end of all
            _ => container.program.id(),
        };
        success(harness::run(Command::new("kill").args([signal, &pid.to_string()])));
        assert_eq!(container.program.wait().unwrap().code(), Some(expected));
        std::fs::remove_file(shared.join("ready")).unwrap();
        assert_nothing_left();
    }
}

fn is_127_for_a_command_that_is_not_there() {
    busybox();
    for command in ["no-such-command", "/no/such/command"] {
        let output = run_rm(&[], &[command]);
        assert_eq!(output.status.code(), Some(127));
        assert!(output.stderr.contains(command), "{}", output.stderr);
        assert_nothing_left();
    }
}

fn is_126_for_a_command_that_cannot_be_executed() {
    busybox_changed(json!({}), |rootfs| {
        std::fs::write(rootfs.join("bin/garbage"), "\x7fELF, it says").unwrap();
        success(harness::run(Command::new("chmod").arg("755").arg(rootfs.join("bin/garbage"))));
    });
    for command in ["/etc/passwd", "/etc", "/bin/garbage"] {
        let output = run_rm(&[], &[command]);
        assert_eq!(output.status.code(), Some(126), "{output:?}");
        assert!(output.stderr.contains(command), "{}", output.stderr);
        assert_nothing_left();
    }
}

fn is_125_for_an_unknown_image() {
    let run = |image: &str| harness::run(&mut coracle(&["run", "--rm", image, "true"]));
    assert_refused(&run("oci:/run/tmp/nothing-here"), &["/run/tmp/nothing-here"]);
    assert_refused(&run("busybox"), &["image 'busybox' locally", "cannot reach", "hint: "]);
    assert_refused(&run("oci:/etc/passwd"), &["/etc/passwd"]);
    assert_refused(&run("oci:"), &["no such folder"]);
}

fn is_125_for_an_unknown_tag() {
    busybox();
    let output = harness::run(&mut coracle(&["run", "--rm", "oci:/run/tmp/busybox:other", "true"]));
    assert_refused(&output, &["other", "latest"]); // and it says which there are
}

fn is_125_for_an_image_of_another_machine() {
    let layer = layout::tar_of(&folder("empty"));
    layout::write_for(&scratch().join("busybox"), "latest", &layer, &json!({}), "s390x");
    assert_refused(&run_rm(&[], &["true"]), &["linux/s390x"]);
}

fn is_125_for_a_user_whose_store_it_is_not() {
    busybox();
    let program = harness::bin("coracle");
    // As nobody, who can reach the program: a copy, because the build folder may be root's alone.
    std::fs::copy(program, "/run/tmp/coracle").unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/run/tmp/coracle"]);
    let output = harness::run(command.args(["run", "--rm", IMAGE, "true"]));
    assert_refused(&output, &["cannot open the store", "\nhint: "]);
}

fn is_125_for_a_flag_that_makes_no_sense() {
    busybox();
    let cases: &[&[&str]] = &[
        &["run", "--no-such-flag", IMAGE],
        &["run"],
        &["run", "-v", "nonsense", IMAGE, "true"],
        &["run", "-v", "/a:/b:shiny", IMAGE, "true"],
        &["run", "-w", "not/absolute", IMAGE, "true"],
        &["run", "--name", "a/b", IMAGE, "true"],
        &["run", "--name", "x", IMAGE, "true"],
        &["run", "--env-file", "/no/such/file", IMAGE, "true"],
        &["run", "-e", "=value", IMAGE, "true"],
        &["run", "--hostname", "two words", IMAGE, "true"],
        &["sail"],
        &[],
    ];
    for arguments in cases {
        let output = harness::run(&mut coracle(arguments));
        assert_refused(&output, &[]);
        assert!(!output.stderr.is_empty(), "nothing said to {arguments:?}");
    }
}

fn is_0_for_help() {
    for arguments in [&["--help"][..], &["run", "--help"], &["--version"], &["ps", "--help"]] {
        let output = success(harness::run(&mut coracle(arguments)));
        assert!(output.contains("coracle"), "{output}");
    }
}

fn is_the_same_below_an_init() {
    busybox();
    assert_eq!(status(&["--init"], &["sh", "-c", "exit 42"]), 42);
    assert_eq!(status(&["--init"], &["no-such-command"]), 127);
    assert_eq!(status(&["--init"], &["/etc/passwd"]), 126);
}
