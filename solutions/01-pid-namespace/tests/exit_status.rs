//! With which status we exit: the command's, or one that says why there was none.

use harness::{Output, bin, children_of, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

harness::kernel_tests!(
    the_status_is_the_commands,
    an_end_by_a_signal_is_128_and_its_number,
    the_first_process_is_ended_by_sigkill_from_outside,
    a_missing_command_is_127,
    a_command_that_cannot_be_executed_is_126,
    no_privilege_is_125_and_a_hint,
    no_arguments_are_a_usage_error,
    the_command_is_looked_up_in_path,
    without_a_path_the_usual_folders_are_searched,
    the_status_counts_even_where_nothing_can_be_printed,
);

/// Once as PID 1, once below an init.
const BOTH_WAYS: [&[&str]; 2] = [&[], &["--init"]];

fn pid_namespace(options: &[&str], command: &[&str]) -> Output {
    run(Command::new(bin("pid-namespace")).args(options).args(command))
}

fn file(name: &str, content: &str, mode: u32) -> PathBuf {
    let path = std::env::temp_dir().join(name);
    fs::create_dir_all(path.parent().expect("in the temporary folder")).expect("ours");
    fs::write(&path, content).expect("ours");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("ours");
    path
}

fn the_status_is_the_commands() {
    for options in BOTH_WAYS {
        for status in [0, 1, 42, 125, 128, 255] {
            let output = pid_namespace(options, &["sh", "-c", &format!("exit {status}")]);
            assert_eq!(output.status.code(), Some(status));
            assert_eq!(output.stderr, "");
        }
    }
}

/// Below an init, for PID 1 is immune to its own signals.
fn an_end_by_a_signal_is_128_and_its_number() {
    // 35 and 64 are real-time signals, which have no names.
    for signal in [1, 2, 6, 9, 11, 13, 15, 35, 64] {
        let output = pid_namespace(&["--init"], &["bash", "-c", &format!("kill -{signal} $$")]);
        assert_eq!(output.status.code(), Some(128 + signal));
    }
    let immune =
        pid_namespace(&[], &["bash", "-c", "kill -9 $$; kill -35 $$; kill -15 $$; exit 3"]);
    assert_eq!(immune.status.code(), Some(3));
}

fn the_first_process_is_ended_by_sigkill_from_outside() {
    for options in BOTH_WAYS {
        let mut container = Command::new(bin("pid-namespace"))
            .args(options)
            .args(["sleep", "1000"])
            .spawn()
            .expect("it is built");
        let first = first_child(container.id());
        kill(first, Signal::SIGKILL).expect("it lives");
        assert_eq!(container.wait().expect("our own child").code(), Some(137));
    }
}

fn first_child(parent: u32) -> Pid {
    let started = Instant::now();
    while started.elapsed() < harness::patient(Duration::from_secs(10)) {
        if let Some(child) = children_of(parent).first() {
            return Pid::from_raw(*child as i32);
        }
        sleep(Duration::from_millis(2));
    }
    panic!("process {parent} has no child");
}

fn a_missing_command_is_127() {
    let orphan = file("orphan-script", "#!/no/such/interpreter\n", 0o755);
    for options in BOTH_WAYS {
        let bare = pid_namespace(options, &["no-such-command"]);
        assert_eq!(bare.status.code(), Some(127));
        assert_eq!(bare.stderr, "pid-namespace: command not found in PATH: no-such-command\n");
        for path in ["/no/such/file", "/etc/passwd/x", orphan.to_str().expect("plain"), ""] {
            let output = pid_namespace(options, &[path]);
            assert_eq!(output.status.code(), Some(127), "{output:?}");
            assert!(output.stderr.contains(path), "{output:?}");
        }
    }
}

fn a_command_that_cannot_be_executed_is_126() {
    let no_x_bit = file("no-x-bit", "#!/bin/sh\n", 0o644);
    let no_format = file("no-format", "echo a script without a first line\n", 0o755);
    let folder = PathBuf::from("/tmp");
    for options in BOTH_WAYS {
        for (program, reason) in [
            (&no_x_bit, "Permission denied (os error 13)\nhint: is it a file with the x bit?"),
            (&folder, "Permission denied (os error 13)\nhint: is it a file with the x bit?"),
            (&no_format, "Exec format error (os error 8)\nhint: built for another machine"),
        ] {
            let program = program.to_str().expect("plain");
            let output = pid_namespace(options, &[program]);
            assert_eq!(output.status.code(), Some(126), "{output:?}");
            let sentence = format!("pid-namespace: cannot execute {program}: {reason}");
            assert!(output.stderr.starts_with(&sentence), "{output:?}");
        }
    }
}

fn no_privilege_is_125_and_a_hint() {
    // A copy, because the folder of the original may be closed to others.
    let copy = std::env::temp_dir().join("pid-namespace");
    fs::copy(bin("pid-namespace"), &copy).expect("ours");
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let crippled = ["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"];
    for (privilege, hint) in [
        (&nobody[..], "hint: only root may do this: run it again with sudo"),
        (&crippled, "hint: root without CAP_SYS_ADMIN, as in another container, may not do this"),
    ] {
        let output = run(Command::new("setpriv").args(privilege).arg(&copy).arg("true"));
        assert_eq!(output.status.code(), Some(125), "{output:?}");
        let lines: Vec<&str> = output.stderr.lines().collect();
        assert!(lines[0].contains("cannot clone into new namespaces (pid)"), "{output:?}");
        assert!(lines[0].ends_with("Operation not permitted (os error 1)"), "{output:?}");
        assert_eq!(lines[1..], [hint]);
    }
}

fn no_arguments_are_a_usage_error() {
    let output = pid_namespace(&[], &[]);
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stderr.contains("Usage: pid-namespace"), "{output:?}");
}

fn the_command_is_looked_up_in_path() {
    let forbidden = file("first/greet", "#!/bin/sh\necho wrong\n", 0o644);
    let allowed = file("second/greet", "#!/bin/sh\necho right\n", 0o755);
    let (first, second) = (forbidden.parent().expect("first"), allowed.parent().expect("second"));
    let with_path = |path: String, folder: &str| {
        let mut command = Command::new(bin("pid-namespace"));
        run(command.arg("greet").env("PATH", path).current_dir(folder))
    };
    // A file that may not be executed is passed over, as a shell does; alone it is 126.
    let both = format!("/no/such:/etc/passwd:{}:{}", first.display(), second.display());
    assert_eq!(with_path(both, "/").stdout, "right\n");
    assert_eq!(with_path(first.display().to_string(), "/").status.code(), Some(126));
    assert_eq!(with_path("/usr/bin".into(), "/").status.code(), Some(127));
    // An empty entry means the current folder.
    let here = second.to_str().expect("plain");
    assert_eq!(with_path("/usr/bin:".into(), here).stdout, "right\n");
    assert_eq!(with_path("/usr/bin".into(), here).status.code(), Some(127));
}

fn without_a_path_the_usual_folders_are_searched() {
    let mut command = Command::new(bin("pid-namespace"));
    let output = run(command.args(["sh", "-c", "echo $$"]).env_remove("PATH"));
    assert_eq!(output.stdout, "1\n", "{output:?}");
}

fn the_status_counts_even_where_nothing_can_be_printed() {
    let script = r#""$0" no-such-command 2>/dev/full"#;
    let output = run(Command::new("sh").args(["-c", script]).arg(bin("pid-namespace")));
    assert_eq!(output.status.code(), Some(127), "{output:?}");
}
