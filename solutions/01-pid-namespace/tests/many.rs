//! Many containers: beside one another and within one another.

use harness::{bin, run};
use std::fs;
use std::process::{Command, Stdio};

harness::kernel_tests!(
    a_hundred_run_at_once,
    one_runs_within_another,
    too_many_within_one_another_are_a_clear_error,
);

fn a_hundred_run_at_once() {
    let gate = std::env::temp_dir().join("gate");
    let script = r#"until [ -e "$1" ]; do sleep 0.1; done; echo $$; exit $0"#;
    let mut containers: Vec<_> = (0..100)
        .map(|number| {
            let init: &[&str] = if number % 2 == 0 { &[] } else { &["--init"] };
            Command::new(bin("pid-namespace"))
                .args(init)
                .args(["sh", "-c", script, &number.to_string()])
                .arg(&gate)
                .stdout(Stdio::piped())
                .spawn()
                .expect("it is built")
        })
        .collect();
    assert!(containers.iter_mut().all(|one| one.try_wait().expect("ours").is_none()));
    fs::write(&gate, "").expect("ours");
    for (number, container) in containers.into_iter().enumerate() {
        let output = container.wait_with_output().expect("our own child");
        assert_eq!(output.status.code(), Some(number as i32));
        let expected: &[u8] = if number % 2 == 0 { b"1\n" } else { b"2\n" };
        assert_eq!(output.stdout, expected);
    }
}

/// `pid-namespace pid-namespace … sh -c SCRIPT`, of the given depth.
fn nested(depth: usize, script: &str) -> harness::Output {
    let program = bin("pid-namespace");
    let mut command = Command::new(&program);
    for _ in 1..depth {
        command.arg(&program);
    }
    run(command.args(["sh", "-c", script]))
}

fn one_runs_within_another() {
    let output = nested(10, "echo $$; exit 9");
    assert_eq!((output.stdout.as_str(), output.status.code()), ("1\n", Some(9)), "{output:?}");
}

/// The kernel allows 32 below the first (clone(2), ENOSPC), and the sandbox is one of them.
fn too_many_within_one_another_are_a_clear_error() {
    let output = nested(33, "echo must not run");
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert_eq!(output.stdout, "");
    let text = output.stderr;
    assert!(
        text.contains("No space left on device (os error 28)\nhint: PID namespaces nest 32 deep"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 2, "{text}");
}
