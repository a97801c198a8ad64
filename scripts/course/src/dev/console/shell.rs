//! The shell of a page, in the sandbox: types one command after the other and takes what each
//! prints, from a terminal's point of view: both streams together.
//!
//! The shell reads from a pipe, as one that a person types into. Each command is a file that it
//! reads with `.`, with input and output of its own, so that no command eats the next. What comes
//! out of the shell itself are the answers: a word that was made up for this run, so that nothing
//! that a page prints is taken for one.

use super::script::Command as Typed;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(20);

/// In place of sudo: here everybody is root.
const SUDO: &str = r#"#!/bin/sh
while :; do
  case ${1-} in
    -E | -H | -n | --) shift ;;
    *=*) export "$1"; shift ;;
    -*) echo "sudo: $1 is not played here" >&2; exit 2 ;;
    *) break ;;
  esac
done
command -v "${1-}" > /dev/null || { echo "sudo: ${1-}: command not found" >&2; exit 1; }
exec "$@"
"#;

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It ended, and printed this.
    Said(String),
    /// It did not end in time; what it had printed until then.
    Silent(String),
    /// The shell ended with it; what it had printed until then.
    Ended(String),
    /// A command before it had one of the two ends above.
    NotReached,
}

impl Answer {
    /// What it printed.
    pub fn text(&self) -> &str {
        match self {
            Answer::Said(text) | Answer::Silent(text) | Answer::Ended(text) => text,
            Answer::NotReached => "",
        }
    }

    /// Why nothing can be compared, if so.
    pub fn failure(&self) -> Option<&'static str> {
        match self {
            Answer::Said(_) => None,
            Answer::Silent(_) => Some("does not end within 20 seconds"),
            Answer::Ended(_) => Some("ends the page's shell"),
            Answer::NotReached => Some("is not reached"),
        }
    }
}

/// Where a page is played.
pub struct Room {
    /// The folder that the commands start in, with a `rootfs`.
    pub folder: PathBuf,
    /// Where commands, inputs and outputs are kept; the pages do not see it unless they search.
    pub papers: PathBuf,
    /// The PATH.
    pub path: std::ffi::OsString,
}

/// Makes a sandbox that reads its host only a machine for a learner: programs on the PATH, a fresh
/// folder with a root filesystem, and `sudo`.
pub fn furnish(programs: impl Iterator<Item = PathBuf>) -> Room {
    let papers = PathBuf::from("/run/course");
    let mut path = vec![papers.join("bin")];
    fs::create_dir_all(papers.join("bin")).expect("/run is ours");
    for (number, folder) in programs.enumerate() {
        let place = papers.join(format!("programs-{number}"));
        fs::create_dir(&place).expect("/run is ours");
        bind(&folder, &place);
        path.push(place);
    }
    write_program(&papers.join("bin/sudo"), SUDO);
    let folder = std::env::temp_dir().join(harness::random_name("page"));
    harness::busybox_rootfs(&folder.join("rootfs"));
    let usual = std::env::var_os("PATH").unwrap_or_default();
    path.extend(std::env::split_paths(&usual));
    path.extend(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from));
    path.push(applets(&folder.join("rootfs"), &papers)); // what this host does not have itself
    start_pids_high();
    let path = std::env::join_paths(path).expect("no folder has a colon");
    Room { folder, papers, path }
}

fn bind(folder: &Path, place: &Path) {
    mount(Some(folder), place, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("a bind mount");
}

fn write_program(place: &Path, text: &str) {
    fs::write(place, text).expect("/run is ours");
    fs::set_permissions(place, fs::Permissions::from_mode(0o755)).expect("/run is ours");
}

/// A folder with a link for each busybox applet.
fn applets(rootfs: &Path, papers: &Path) -> PathBuf {
    let folder = papers.join("applets");
    fs::create_dir(&folder).expect("/run is ours");
    fs::copy(rootfs.join("bin/busybox"), folder.join("busybox")).expect("there is one");
    for place in ["bin", "sbin", "usr/bin", "usr/sbin"] {
        for applet in fs::read_dir(rootfs.join(place)).into_iter().flatten().flatten() {
            let _ = symlink("busybox", folder.join(applet.file_name()));
        }
    }
    folder
}

/// PIDs as on a machine that has run for a while: no page may rely on a small one.
fn start_pids_high() {
    let random = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    let random = u32::from_str_radix(random.get(..3).unwrap_or("0"), 16).unwrap_or_default();
    let _ = fs::write("/proc/sys/kernel/ns_last_pid", (4000 + random).to_string());
}

/// The one shell of a page.
pub struct Shell {
    pid: Pid,
    input: ChildStdin,
    answers: Receiver<String>,
    papers: PathBuf,
    word: String,
    count: usize,
    limit: Duration,
    is_over: bool,
}

impl Shell {
    /// Starts a shell, and sees that it does what it is told.
    ///
    /// # Errors
    /// It does not start, or does not answer.
    pub fn start(program: &Path, room: &Room) -> io::Result<Shell> {
        Shell::start_within(program, room, harness::patient(LIMIT))
    }

    fn start_within(program: &Path, room: &Room, limit: Duration) -> io::Result<Shell> {
        let temporary = std::env::var_os("TMPDIR").unwrap_or("/tmp".into());
        let ours =
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CORACLE_"));
        let mut child = Command::new(program)
            .env_clear()
            .envs(ours)
            .env("PATH", &room.path)
            .env("TMPDIR", temporary)
            .envs([("HOME", "/root"), ("USER", "root"), ("LC_ALL", "C.UTF-8"), ("TERM", "dumb")])
            .current_dir(&room.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut shell = Shell {
            pid: Pid::from_raw(child.id() as i32),
            answers: lines_of(&mut child),
            input: child.stdin.take().expect("it was asked for"),
            papers: room.papers.clone(),
            word: harness::random_name("answer"),
            count: 0,
            limit,
            is_over: false,
        };
        let secret = harness::random_name("secret");
        match shell.answer(&format!("echo {secret}"), "") {
            Answer::Said(text) if text.trim() == secret => Ok(shell),
            other => Err(io::Error::other(format!("the shell does not answer: {other:?}"))),
        }
    }

    /// Types the commands of a block.
    pub fn answer_all(&mut self, commands: &[Typed]) -> Vec<Answer> {
        commands.iter().map(|command| self.answer(&command.typed, &command.input)).collect()
    }

    fn answer(&mut self, typed: &str, input: &str) -> Answer {
        if self.is_over {
            return Answer::NotReached;
        }
        self.count += 1;
        let paper = |kind: &str| self.papers.join(format!("{}.{kind}", self.count));
        let (command, given, printed) = (paper("sh"), paper("in"), paper("out"));
        let wanted = format!("{} {}", self.word, self.count);
        fs::write(&command, format!("{typed}\n")).expect("the papers are ours");
        fs::write(&given, input).expect("the papers are ours");
        // `command`, so that a mistake in what is typed does not end the shell.
        let line = format!(
            "command . '{}' < '{}' > '{}' 2>&1\necho '{wanted}'\n",
            command.display(),
            given.display(),
            printed.display()
        );
        let has_typed = self.input.write_all(line.as_bytes()).and_then(|()| self.input.flush());
        let end = if has_typed.is_ok() { self.wait_for(&wanted) } else { End::Shell };
        let text = fs::read(&printed).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // The shell names the file where a person would have typed.
        let text = text.replace(&format!(": {}: ", command.display()), ": ");
        self.is_over = !matches!(end, End::Command);
        match end {
            End::Command => Answer::Said(text),
            End::Time => Answer::Silent(text),
            End::Shell => Answer::Ended(text),
        }
    }

    /// Waits for an answer, and buries meanwhile who has died: PID 1 is what adopts orphans.
    fn wait_for(&self, wanted: &str) -> End {
        let started = Instant::now();
        let mut is_dead = false;
        while started.elapsed() < self.limit {
            match self.answers.recv_timeout(Duration::from_millis(20)) {
                Ok(line) if line == wanted => return End::Command,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) if is_dead => return End::Shell,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return End::Shell,
            }
            is_dead = is_dead || self.bury();
        }
        End::Time
    }

    /// Waits for those who are dead; was the shell among them?
    fn bury(&self) -> bool {
        loop {
            match waitpid(self.whom(), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return false,
                Ok(status) if status.pid() == Some(self.pid) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// As PID 1 we wait for everybody, else for the shell alone: others have children here too.
    fn whom(&self) -> Option<Pid> {
        (std::process::id() != 1).then_some(self.pid)
    }

    /// Ends the shell by the end of its input, and buries it.
    pub fn end(self) {
        let Shell { pid, input, .. } = self;
        drop(input);
        for _ in 0..100 {
            match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => thread::sleep(Duration::from_millis(10)),
                _ => break,
            }
        }
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if std::process::id() != 1 || status == WaitStatus::StillAlive {
                break;
            }
        }
    }
}

/// What a wait has ended with.
enum End {
    Command,
    Time,
    Shell,
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    let output = BufReader::new(child.stdout.take().expect("it was asked for"));
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> Room {
        let folder = std::env::temp_dir().join(format!("course-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        Room { papers: folder.clone(), folder, path }
    }

    fn said(shell: &mut Shell, typed: &str, input: &str) -> String {
        match shell.answer(typed, input) {
            Answer::Said(text) => text,
            other => panic!("{typed}: {other:?}"),
        }
    }

    #[test]
    fn one_shell_keeps_its_state_and_a_command_reads_its_own_input_only() {
        let room = room("state");
        let mut shell = Shell::start("sh".as_ref(), &room).unwrap();
        assert_eq!(said(&mut shell, "cd /; name=boat", ""), "");
        assert_eq!(said(&mut shell, "pwd; echo $name", ""), "/\nboat\n");
        assert_eq!(said(&mut shell, "cat", "one\ntwo\n"), "one\ntwo\n");
        assert_eq!(said(&mut shell, "cat", ""), "");
        assert_eq!(said(&mut shell, "echo out; echo err >&2", ""), "out\nerr\n");
        let missing = said(&mut shell, "no-such-program", "");
        assert!(missing.ends_with("no-such-program: not found\n"), "{missing}");
        assert!(!missing.contains(".sh"), "{missing}");
        let broken = said(&mut shell, "if", "");
        assert!(broken.contains("yntax"), "{broken}");
        assert_eq!(said(&mut shell, "echo $name", ""), "boat\n");
        shell.end();
        fs::remove_dir_all(room.folder).unwrap();
    }

    #[test]
    fn a_command_that_never_ends_is_given_up_and_what_follows_is_not_reached() {
        let room = room("time");
        let limit = Duration::from_secs(2);
        let mut shell = Shell::start_within("sh".as_ref(), &room, limit).unwrap();
        let silent = shell.answer("echo so far; sleep 10", "");
        assert_eq!(silent, Answer::Silent("so far\n".to_owned()));
        assert_eq!(shell.answer("echo next", ""), Answer::NotReached);
        shell.end();
        fs::remove_dir_all(room.folder).unwrap();
    }

    #[test]
    fn a_command_that_ends_the_shell_is_told_from_one_that_ends() {
        let room = room("end");
        let mut shell = Shell::start("sh".as_ref(), &room).unwrap();
        assert_eq!(shell.answer("echo bye; exit 0", ""), Answer::Ended("bye\n".to_owned()));
        fs::remove_dir_all(room.folder).unwrap();
    }

    #[test]
    fn a_shell_that_does_nothing_or_answers_nothing_is_none() {
        let room = room("none");
        let limit = Duration::from_millis(300);
        for program in ["true", "cat", "yes"] {
            let shell = Shell::start_within(program.as_ref(), &room, limit);
            assert!(shell.is_err(), "{program} passes for a shell");
        }
        fs::remove_dir_all(room.folder).unwrap();
    }
}
