//! Runs a program under test and keeps what it said, with a time limit.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The most of each stream that is kept, in bytes: a program may write without end.
const KEPT: usize = 16 << 20;

/// How long to read on after the program ended, for a descendant that holds its streams.
const GRACE: Duration = Duration::from_secs(1);

/// How a program ended and what it wrote; bytes that are not UTF-8 are replaced.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code or signal.
    pub status: ExitStatus,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

/// What [`capture`] saw. `status` is `None` when the time was up.
pub(crate) struct Captured {
    pub status: Option<ExitStatus>,
    pub stdout: String,
    pub stderr: String,
}

/// Finds a built program of the workspace: in `CORACLE_BIN_DIR` if set, else where cargo put it
/// beside this test. Cargo builds only the programs of the package under test, `scripts/test` all.
///
/// # Panics
/// If it is not built.
pub fn bin(name: &str) -> PathBuf {
    let folder = std::env::var_os("CORACLE_BIN_DIR").map(PathBuf::from).unwrap_or_else(|| {
        let test = std::env::current_exe().expect("/proc/self/exe names this test");
        // target/debug/deps/<test>-<hash>, or target/debug/examples/<example>
        test.parent()
            .and_then(|folder| folder.parent())
            .expect("a test lies in target/debug/deps")
            .to_path_buf()
    });
    let program = folder.join(name);
    assert!(program.is_file(), "no program {}\nhint: cargo build --bins", program.display());
    program
}

/// A name nobody else has: `prefix-1f0c9a3e`. For host names, cgroups, folders.
pub fn random_name(prefix: &str) -> String {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("/proc is mounted");
    format!("{prefix}-{}", &uuid[..8])
}

/// Runs a program to its end, at most 20 seconds, on a busy machine more ([`crate::patient`]). Its
/// standard input is what the caller set, else the test's, which is /dev/null.
///
/// # Panics
/// If it does not start or does not end in time.
pub fn run(command: &mut Command) -> Output {
    run_within(command, Duration::from_secs(20))
}

/// [`run`] with a time limit of your own.
///
/// # Panics
/// If it does not start or does not end in time.
pub fn run_within(command: &mut Command, limit: Duration) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()));
    let started = Instant::now();
    let Captured { status, stdout, stderr } = capture(&mut child, || crate::patient(limit));
    let Some(status) = status else {
        let _ = child.kill();
        let _ = child.wait();
        let seconds = started.elapsed().as_secs();
        panic!("still running after {seconds} s: {command:?}\n{stdout}{stderr}");
    };
    Output { status, stdout, stderr }
}

/// The standard output of a program that must have succeeded.
pub fn success(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// Asserts that a program failed before any container was there: status 125, nothing on standard
/// output, and an error that holds each of the `words`.
pub fn assert_refused(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert_eq!(output.stdout, "", "{output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in: {}", output.stderr);
    }
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
}

/// Reads both streams of `child` until it has ended or `limit` has passed, whatever that is by then.
/// One thread and poll(2), because the code under test refuses to clone a process that has more
/// threads.
pub(crate) fn capture(child: &mut Child, limit: impl Fn() -> Duration) -> Captured {
    let started = Instant::now();
    let mut streams = [
        Stream::new(child.stdout.take().map(OwnedFd::from)),
        Stream::new(child.stderr.take().map(OwnedFd::from)),
    ];
    let mut ended = None;
    let status = loop {
        let status = child.try_wait().expect("our own child can be waited for");
        let open = streams.iter().any(|stream| stream.file.is_some());
        if status.is_some() {
            let since = ended.get_or_insert_with(Instant::now);
            if !open || since.elapsed() > crate::patient(GRACE) {
                break status;
            }
        } else if started.elapsed() > limit() {
            break None;
        }
        if open { read_what_is_there(&mut streams) } else { sleep(Duration::from_millis(1)) }
    };
    let [stdout, stderr] = streams.map(|stream| String::from_utf8_lossy(&stream.text).into_owned());
    Captured { status, stdout, stderr }
}

/// One output of a program; without a file when it has been closed.
struct Stream {
    file: Option<File>,
    text: Vec<u8>,
}

impl Stream {
    fn new(pipe: Option<OwnedFd>) -> Stream {
        Stream { file: pipe.map(File::from), text: Vec::new() }
    }

    fn is_readable(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let mut wanted = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        poll(&mut wanted, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    fn read_once(&mut self) {
        let mut buffer = [0; 65536];
        match self.file.as_mut().map(|file| file.read(&mut buffer)) {
            Some(Ok(0) | Err(_)) => self.file = None,
            Some(Ok(length)) if self.text.len() < KEPT => self.text.extend(&buffer[..length]),
            _ => {}
        }
    }
}

/// Waits up to 10 ms for either stream and reads what has come.
fn read_what_is_there(streams: &mut [Stream; 2]) {
    let open = streams.iter().filter_map(|stream| stream.file.as_ref());
    let mut wanted: Vec<PollFd> =
        open.map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)).collect();
    let _ = poll(&mut wanted, 10u8);
    for stream in streams {
        if stream.is_readable() {
            stream.read_once();
        }
    }
}
