//! A machine with a busybox image on it, and `coracle` in every posture.

#![allow(dead_code, reason = "each test file uses a part of it")]

#[path = "layout.rs"]
pub mod layout;

use harness::{Output, bin, busybox_rootfs, run};
pub use harness::{children_of, success, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The image that [`busybox`] makes.
pub const IMAGE: &str = "oci:/run/tmp/busybox:latest";

/// Where this test may write: a tmpfs that ends with it.
pub fn scratch() -> PathBuf {
    std::env::temp_dir()
}

/// A new folder in [`scratch`].
pub fn folder(name: &str) -> PathBuf {
    let folder = scratch().join(name);
    fs::create_dir_all(&folder).expect("a folder of our own");
    folder
}

/// Makes [`IMAGE`]: busybox, with a shell as its command.
pub fn busybox() {
    busybox_with(json!({ "Cmd": ["sh"] }));
}

/// Makes [`IMAGE`] with this config.
pub fn busybox_with(config: Value) {
    busybox_changed(config, |_| {});
}

/// Makes [`IMAGE`] with this config, after `change` has worked on its root file system.
pub fn busybox_changed(config: Value, change: impl FnOnce(&Path)) {
    let rootfs = folder("busybox-rootfs");
    busybox_rootfs(&rootfs);
    change(&rootfs);
    layout::write(&scratch().join("busybox"), "latest", &layout::tar_of(&rootfs), &config);
    fs::remove_dir_all(&rootfs).expect("a folder of our own");
}

/// `coracle ARGUMENTS…`.
pub fn coracle(arguments: &[&str]) -> Command {
    let mut command = Command::new(bin("coracle"));
    command.args(arguments);
    command
}

/// `coracle run --rm OPTIONS… IMAGE COMMAND…`, to its end.
pub fn run_rm(options: &[&str], command: &[&str]) -> Output {
    run(&mut coracle(&[&["run", "--rm"], options, &[IMAGE], command].concat()))
}

/// What a shell script in a container of [`IMAGE`] prints; it must succeed.
pub fn says(options: &[&str], script: &str) -> String {
    success(run_rm(options, &["sh", "-c", script]))
}

/// Asserts that a command failed before any container was there: status 125, an error that holds
/// each of the `words`, one message and not three, and nothing left.
pub fn assert_refused(output: &Output, words: &[&str]) {
    harness::assert_refused(output, words);
    assert_nothing_left();
}

/// The folders of containers that exist, in CORACLE_ROOT and CORACLE_RUN.
pub fn containers() -> Vec<PathBuf> {
    let list = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let runs = list(run_folder()).filter(|entry| entry.file_name() != "networks"); // they stay
    list(root_folder().join("containers")).chain(runs).map(|e| e.path()).collect()
}

pub fn assert_nothing_left() {
    assert_eq!(containers(), Vec::<PathBuf>::new());
}

pub fn root_folder() -> PathBuf {
    std::env::var("CORACLE_ROOT").expect("set by the harness").into()
}

pub fn run_folder() -> PathBuf {
    std::env::var("CORACLE_RUN").expect("set by the harness").into()
}

/// All that `state.json` says of the only container.
pub fn state() -> Value {
    let runs = containers().into_iter().find(|folder| folder.starts_with(run_folder()));
    let folder = runs.expect("a container");
    serde_json::from_slice(&fs::read(folder.join("state.json")).expect("its state")).expect("JSON")
}

/// A container that runs in the background, and ends when dropped.
pub struct Background {
    pub program: Child,
    /// The folder that it sees as /shared.
    pub shared: PathBuf,
}

impl Background {
    /// Starts a shell script that must end by making the file /shared/ready, and then sleeps.
    pub fn start(options: &[&str], script: &str) -> Background {
        let shared = folder(&harness::random_name("shared"));
        let options: Vec<String> = [&["run".to_owned(), "--rm".to_owned()][..]]
            .concat()
            .into_iter()
            .chain(options.iter().map(ToString::to_string))
            .chain(["-v".to_owned(), format!("{}:/shared", shared.display()), IMAGE.to_owned()])
            .collect();
        let script = format!("{script}\ntouch /shared/ready\nexec sleep 1000");
        let mut command = Command::new(bin("coracle"));
        command.args(options).args(["sh", "-c", &script]);
        Background::start_command(command, shared)
    }

    /// Starts any command, and waits until the file `ready` is in the folder `shared`.
    pub fn start_command(mut command: Command, shared: PathBuf) -> Background {
        let program = command.stdin(Stdio::null()).spawn().expect("it starts");
        let mut container = Background { program, shared };
        let ready = container.shared.join("ready");
        wait_for("the container", || {
            assert_eq!(container.program.try_wait().expect("our child"), None, "it has ended");
            ready.exists()
        });
        container
    }

    /// Its PID 1, as the sandbox numbers it.
    pub fn first_process(&self) -> u32 {
        children_of(self.program.id())[0]
    }

    /// SIGKILL, for the program and not for the container.
    pub fn kill(&mut self) {
        self.program.kill().expect("our own child");
        self.program.wait().expect("our own child");
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.program.try_wait().expect("our own child").is_none() {
            // PID 1 first, so that the program sees it end and tidies up.
            for pid in children_of(self.program.id()) {
                let pid = nix::unistd::Pid::from_raw(pid as i32);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            let _ = self.program.wait();
        }
    }
}
