//! What the command is given: its arguments and environment, byte for byte.

use harness::{bin, run};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::Command;

harness::kernel_tests!(
    arguments_with_hyphens_belong_to_the_command,
    our_own_options_end_at_the_command_or_at_two_hyphens,
    a_mistyped_option_is_an_error_and_not_a_command,
    bytes_that_are_not_utf_8_pass_unchanged,
    a_program_name_that_is_not_utf_8_is_printed_as_it_can_be,
    an_argument_with_a_nul_is_refused,
);

fn says(arguments: &[&str]) -> String {
    let output = run(Command::new(bin("pid-namespace")).args(arguments));
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn arguments_with_hyphens_belong_to_the_command() {
    let printed = says(&["printf", "[%s]", "-x", "--init", "--", "--help", "", "a b"]);
    assert_eq!(printed, "[-x][--init][--][--help][][a b]");
}

fn our_own_options_end_at_the_command_or_at_two_hyphens() {
    assert_eq!(says(&["--init", "--", "sh", "-c", "echo $$"]), "2\n");
    let output = run(Command::new(bin("pid-namespace")).args(["--", "--init"]));
    assert_eq!(output.status.code(), Some(127));
    assert!(output.stderr.contains("command not found in PATH: --init"), "{output:?}");
}

fn a_mistyped_option_is_an_error_and_not_a_command() {
    let output = run(Command::new(bin("pid-namespace")).args(["--innit", "true"]));
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stderr.contains("unexpected argument '--innit'"), "{output:?}");
}

fn bytes_that_are_not_utf_8_pass_unchanged() {
    let odd = OsStr::from_bytes(b"\xff\x80\xfe odd \x01");
    for options in [&[][..], &["--init"]] {
        let print_arguments = Command::new(bin("pid-namespace"))
            .args(options)
            .args(["cat", "/proc/self/cmdline"])
            .arg(odd)
            .output()
            .expect("it is built");
        let expected = [b"cat\0/proc/self/cmdline\0", odd.as_bytes(), b"\0"].concat();
        assert_eq!(print_arguments.stdout, expected);
        let print_environment = Command::new(bin("pid-namespace"))
            .args(options)
            .args(["cat", "/proc/self/environ"])
            .env_clear()
            .env("ODD", odd)
            .output()
            .expect("it is built");
        assert_eq!(print_environment.stdout, [b"ODD=", odd.as_bytes(), b"\0"].concat());
    }
}

fn a_program_name_that_is_not_utf_8_is_printed_as_it_can_be() {
    let script = r#"exec -a $'\xff' "$0" no-such-command"#;
    let output = run(Command::new("bash").args(["-c", script]).arg(bin("pid-namespace")));
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(output.stderr, "\u{fffd}: command not found in PATH: no-such-command\n");
}

/// execve(2) cannot carry one, so it cannot come from a command line; but from a caller's list.
fn an_argument_with_a_nul_is_refused() {
    let arguments = ["echo".into(), OsString::from_vec(b"a\0b".to_vec())];
    let error = process::cstrings(&arguments).expect_err("must be refused");
    assert!(error.to_string().contains(r#""a\0b" contains a NUL"#), "{error}");
}
