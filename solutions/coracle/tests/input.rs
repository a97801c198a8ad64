//! Standard input, output and error without a terminal.

mod machine;

use machine::*;
use std::io::Write;
use std::process::Stdio;

harness::kernel_tests!(
    without_i_the_command_reads_the_end_of_a_file,
    with_i_the_command_reads_what_we_are_given,
    output_and_error_stay_apart,
    a_large_amount_passes_through,
    a_reader_that_goes_away_ends_the_command,
);

fn without_i_the_command_reads_the_end_of_a_file() {
    busybox();
    let mut command = coracle(&["run", "--rm", IMAGE, "sh", "-c", "cat; readlink /proc/self/fd/0"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let _ = input.write_all(b"unheard\n"); // held open: a cat on our stdin would wait for ever
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "/dev/null\n");
    drop(input);
}

fn with_i_the_command_reads_what_we_are_given() {
    busybox();
    let mut command = coracle(&["run", "--rm", "-i", IMAGE, "sh"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"echo heard\nexit 3\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "heard\n");
    assert_eq!(output.status.code(), Some(3));
}

fn output_and_error_stay_apart() {
    busybox();
    // The first network of a machine has something to say itself.
    let output = run_rm(&["--network", "none"], &["sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
}

fn a_large_amount_passes_through() {
    busybox();
    let text = says(&[], "head -c 10000000 /dev/zero | tr '\\0' x");
    assert_eq!(text.len(), 10_000_000);
}

fn a_reader_that_goes_away_ends_the_command() {
    busybox();
    let script = format!("{} run --rm {IMAGE} yes | head -1", harness::bin("coracle").display());
    let text = success(harness::run(std::process::Command::new("sh").args(["-c", &script])));
    assert_eq!(text, "y\n");
    assert_nothing_left();
}
