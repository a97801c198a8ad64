//! A container cannot overwrite the program that made it (CVE-2019-5736).

mod container;

use container::{Background, rootfs, scratch, success, wait_for};
use harness::{bin, children_of, run};
use nix::errno::Errno;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

harness::kernel_tests!(
    cannot_be_overwritten_after_its_end,
    cannot_be_overwritten_from_inside,
    a_sealed_copy_runs_where_mounts_cannot_be_changed,
    keeps_its_name_and_arguments,
    starts_from_a_read_only_file_system,
);

/// The program, where a test may let it be overwritten.
fn installed() -> PathBuf {
    let copy = scratch().join("mount-namespace");
    fs::copy(bin("mount-namespace"), &copy).expect("a copy");
    copy
}

/// Starts the program with an init, which is the same executable, and waits for its command.
fn start_with_init(mut program: Command, root: &Path) -> Background {
    program.arg("--rootfs").arg(root).args(["--init", "sleep", "1000"]);
    let child = program.env("PATH", "/bin").stdin(Stdio::null()).spawn().expect("it starts");
    let container = Background(child);
    wait_for("the command", || {
        let init = children_of(container.0.id()).first().copied();
        let command = init.and_then(|init| children_of(init).first().copied());
        command.is_some_and(|command| name(command) == "sleep")
    });
    container
}

fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// Keeps a descriptor of the executable until nobody runs it any more, then opens that for writing.
fn overwrite_after_the_end(container: Background) -> std::io::Result<File> {
    let executable =
        File::open(format!("/proc/{}/exe", container.first_process())).expect("root may");
    drop(container);
    let through = format!("/proc/self/fd/{}", executable.as_raw_fd());
    let mut opened = fs::OpenOptions::new().write(true).open(&through);
    wait_for("the end of the init", || {
        opened = fs::OpenOptions::new().write(true).open(&through);
        !matches!(&opened, Err(error) if error.raw_os_error() == Some(Errno::ETXTBSY as i32))
    });
    opened
}

fn cannot_be_overwritten_after_its_end() {
    let (root, program) = (rootfs(), installed());
    let before = fs::read(&program).expect("it is there");
    let opened = overwrite_after_the_end(start_with_init(Command::new(&program), &root));
    let error =
        opened.expect_err("the program on the host can be opened for writing from a container");
    assert_eq!(error.raw_os_error(), Some(Errno::EROFS as i32), "{error}");
    assert!(fs::read(&program).expect("still there") == before);
    // Nobody runs it: it is not ETXTBSY that protected it.
    fs::OpenOptions::new().write(true).open(&program).expect("the host may update it");
}

fn cannot_be_overwritten_from_inside() {
    let (root, program) = (rootfs(), installed());
    let before = fs::read(&program).expect("it is there");
    let attack = "(exec 9>>/proc/1/exe) || echo refused; mount -o remount,rw /proc/1/exe || echo refused; \
                  readlink /proc/1/exe";
    let mut command = Command::new(&program);
    command.arg("--rootfs").arg(&root).args(["--init", "sh", "-c", attack]).env("PATH", "/bin");
    let output = run(&mut command);
    assert!(output.stdout.starts_with("refused\nrefused\n"), "{output:?}");
    assert!(!output.stdout.contains(&*scratch().to_string_lossy()), "no path to it: {output:?}");
    assert!(fs::read(&program).expect("still there") == before);
}

/// Linux before 5.12 has no mount_setattr(2); here strace(1) says so in its place.
fn a_sealed_copy_runs_where_mounts_cannot_be_changed() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        harness::not_run("no strace: apt-get install strace, or dnf or pacman install strace");
    }
    let (root, program) = (rootfs(), installed());
    let before = fs::read(&program).expect("it is there");
    let mut old_kernel = Command::new("strace");
    old_kernel.args(["-D", "-o", "/dev/null", "-e", "inject=mount_setattr:error=ENOSYS", "--"]);
    old_kernel.arg(&program);
    let container = start_with_init(old_kernel, &root);
    let running =
        fs::read_link(format!("/proc/{}/exe", container.first_process())).expect("root may");
    assert_eq!(running, Path::new("/memfd:coracle (deleted)"));
    assert_eq!(name(container.first_process()), "mount-namespace");
    if let Ok(file) = overwrite_after_the_end(container) {
        let error = nix::unistd::write(&file, b"evil").expect_err("it is sealed");
        assert_eq!(error, Errno::EPERM);
    }
    assert!(fs::read(&program).expect("still there") == before);
}

fn keeps_its_name_and_arguments() {
    let root = rootfs();
    let container = start_with_init(Command::new(installed()), &root);
    assert_eq!(
        (name(container.0.id()).as_str(), name(container.first_process()).as_str()),
        ("mount-namespace", "mount-namespace")
    );
    let arguments =
        fs::read_to_string(format!("/proc/{}/cmdline", container.0.id())).expect("/proc");
    assert!(arguments.ends_with("--init\0sleep\x001000\0"), "{arguments}");
    let said = success(run(Command::new(bin("mount-namespace")).arg("--version")));
    assert!(said.starts_with("mount-namespace "), "{said}");
}

fn starts_from_a_read_only_file_system() {
    let (root, program) = (rootfs(), installed());
    let place = container::folder("read-only");
    let path = place.to_string_lossy().into_owned();
    container::host("mount", &["-t", "tmpfs", "programs", &path]);
    fs::copy(&program, place.join("program")).expect("a copy");
    container::host("mount", &["-o", "remount,ro", &path]);
    let mut command = Command::new(place.join("program"));
    let said = success(run(command.arg("--rootfs").arg(&root).args(["/bin/echo", "hello"])));
    container::host("umount", &[&path]);
    assert_eq!(said, "hello\n");
}
