//! Descriptors that the caller left open stay outside (CVE-2024-21626).
//!
//! A descriptor of a folder of the host is a way out: `/proc/self/fd/7` as working folder, or in
//! the path of a program, leads there whatever the root is.

mod container;

use anyhow::{bail, ensure};
use container::{folder, in_namespaces, rootfs};
use harness::{Output, run};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

harness::kernel_tests!(
    inherited_descriptors_do_not_reach_the_command,
    a_command_cannot_be_taken_through_an_inherited_descriptor,
    an_init_holds_no_descriptor_of_the_host,
    a_terminal_leaves_no_descriptor_behind,
    a_working_folder_outside_is_refused,
    a_working_folder_that_is_missing_is_an_error,
);

/// A container whose caller has left descriptors 3 to 30 open on a folder of the host.
fn with_leaks(rootfs: &Path, host: &Path, arguments: &[&str]) -> Output {
    let container = container::command(rootfs, arguments);
    let numbers: Vec<String> =
        (3..=30).map(|number| format!("{number}<{}", host.display())).collect();
    // dash has no number above 9
    let script = format!("exec {}; exec \"$@\"", numbers.join(" "));
    let mut command = Command::new("bash");
    command.args(["-c", &script, "bash"]).arg(container.get_program()).args(container.get_args());
    command.env("PATH", "/bin:/usr/bin");
    run(&mut command)
}

fn secret() -> PathBuf {
    let secret = folder("secret");
    fs::write(secret.join("file"), "of the host\n").expect("ours");
    fs::copy("/bin/busybox", secret.join("sh")).expect("the harness found it as well");
    secret
}

fn inherited_descriptors_do_not_reach_the_command() {
    let (root, secret) = (rootfs(), secret());
    let output =
        with_leaks(&root, &secret, &["sh", "-c", "cat /proc/self/fd/7/file; ls -l /proc/$$/fd"]);
    assert!(!output.stdout.contains("of the host"), "read through descriptor 7: {output:?}");
    assert!(!output.stdout.contains("secret"), "{output:?}");
    let open: Vec<&str> = output.stdout.lines().filter(|line| line.contains(" -> ")).collect();
    assert_eq!(open.len(), 3, "0, 1 and 2: {output:?}");
}

fn a_command_cannot_be_taken_through_an_inherited_descriptor() {
    let (root, secret) = (rootfs(), secret());
    let output = with_leaks(&root, &secret, &["/proc/self/fd/7/sh", "-c", "echo escaped"]);
    assert_eq!(output.status.code(), Some(127), "{output:?}");
}

fn an_init_holds_no_descriptor_of_the_host() {
    let (root, secret) = (rootfs(), secret());
    // The init closes what it needed for the start once it knows that the command runs: a moment
    // later. None of that may be a file at any time.
    let script = "cat /proc/1/fd/*/file
        for i in $(seq 100); do [ $(ls /proc/1/fd | wc -l) -le 5 ] && break; sleep 0.05; done
        ls -l /proc/1/fd";
    let arguments = ["--init", "sh", "-c", script];
    let output = with_leaks(&root, &secret, &arguments);
    assert!(!output.stdout.contains("of the host"), "{output:?}");
    let open: Vec<&str> = output.stdout.lines().filter(|line| line.contains(" -> ")).collect();
    let own = open.iter().filter(|line| line.contains("anon_inode:")).count();
    assert_eq!(open.len() - own, 3, "0, 1, 2, and kernel objects without a path: {output:?}");
}

fn a_terminal_leaves_no_descriptor_behind() {
    let root = rootfs();
    let program = container::command(&root, &["-t", "sh", "-c", "ls -l /proc/$$/fd"]);
    let words: Vec<_> = [program.get_program()].into_iter().chain(program.get_args()).collect();
    let line = words.iter().map(|word| format!("'{}'", word.to_string_lossy())).collect::<Vec<_>>();
    let mut script = Command::new("script"); // gives it a terminal
    let output =
        run(script.args(["-qec", &line.join(" "), "/dev/null"]).env("PATH", "/bin:/usr/bin"));
    let open: Vec<&str> = output.stdout.lines().filter(|line| line.contains(" -> ")).collect();
    let own = open.iter().filter(|line| line.trim_end().ends_with("/dev/pts/0")).count();
    assert!(own >= 3 && open.len() == own, "{output:?}"); // the shell keeps one of its own for jobs
}

fn a_working_folder_outside_is_refused() {
    let (root, secret) = (rootfs(), secret());
    let error = in_namespaces(|| {
        let leaked = open(&secret, OFlag::O_DIRECTORY, Mode::empty())?;
        rootfs::private()?;
        rootfs::bind_root(&root)?;
        rootfs::standard_mounts(&root)?;
        rootfs::pivot(&root)?;
        rootfs::working_folder(Path::new("/root"))?;
        ensure!(std::env::current_dir()? == Path::new("/root"));
        rootfs::working_folder(&PathBuf::from(format!("/proc/self/fd/{}", leaked.as_raw_fd())))?;
        bail!("escaped: {}", fs::read_to_string("file").unwrap_or_default())
    });
    let error = format!("{:#}", error.expect_err("it must be refused"));
    assert!(error.contains("lies outside the container"), "{error}");
}

fn a_working_folder_that_is_missing_is_an_error() {
    let error = in_namespaces(|| rootfs::working_folder(Path::new("/no/such/folder")));
    let error = format!("{:#}", error.expect_err("it must be refused"));
    assert!(error.contains("cannot enter the working folder /no/such/folder"), "{error}");
}
