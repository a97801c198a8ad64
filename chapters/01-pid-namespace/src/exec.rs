//! Becomes the command: finds it as a shell would and `execve(2)`s it.

use anyhow::{Result, anyhow};
use nix::Error;
use nix::unistd::execve;
use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Where a shell looks when PATH is not set: execvp(3).
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An error that knows the exit status it must become: 127 for a command that is not there, 126
/// for one that can't be executed, 125 for everything that went wrong before (docker-run(1)).
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Exit status.
    pub status: u8,
    /// What to print.
    pub message: String,
}

/// Replaces the calling process by the program `argv[0]`, looked up in the PATH of `env`.
///
/// Returns only in failure, with a [`Failure`] of status 126 or 127.
pub fn exec(argv: &[CString], env: &[CString]) -> Result<Infallible> {
    let Some(program) = argv.first() else {
        return Err(Failure { status: 125, message: "no command given".into() }.into());
    };
    let mut worst = Error::ENOENT;
    for candidate in candidates(program, env) {
        match execve(&candidate, argv, env) {
            Err(Error::ENOENT | Error::ENOTDIR) if !is_there(&candidate) => {} // look further
            Err(Error::EACCES) => worst = Error::EACCES, // remember it, but look further
            Err(errno) => return Err(cannot_execute(&candidate, errno).into()),
            Ok(never) => match never {},
        }
    }
    Err(cannot_execute(program, worst).into())
}

/// The kernel also says "no such file" of a file that is there, if the loader or the interpreter
/// that it names is not: execve(2), ENOENT.
fn is_there(path: &CStr) -> bool {
    std::fs::metadata(OsStr::from_bytes(path.to_bytes())).is_ok()
}

/// The paths to try: the name itself if it has a slash, else one in each folder of PATH.
fn candidates(program: &CStr, env: &[CString]) -> Vec<CString> {
    let name = program.to_bytes();
    if name.contains(&b'/') || name.is_empty() {
        return vec![program.to_owned()];
    }
    let path = env.iter().find_map(|entry| entry.to_bytes().strip_prefix(b"PATH="));
    let folders = path.unwrap_or(DEFAULT_PATH).split(|byte| *byte == b':');
    folders
        .map(|folder| if folder.is_empty() { b"." } else { folder }) // POSIX: empty means here
        .filter_map(|folder| CString::new([folder, b"/", name].concat()).ok())
        .collect()
}

fn cannot_execute(program: &CStr, errno: Error) -> Failure {
    let name = match program.to_string_lossy() {
        empty if empty.is_empty() => "\"\"".into(),
        name => name,
    };
    let io = std::io::Error::from(errno);
    match errno {
        Error::ENOENT if name.contains('/') => Failure {
            status: 127,
            message: format!(
                "cannot execute {name}: {io}\nhint: the file, or the interpreter it names, is not there"
            ),
        },
        Error::ENOENT => {
            Failure { status: 127, message: format!("command not found in PATH: {name}") }
        }
        Error::EACCES => Failure {
            status: 126,
            message: format!("cannot execute {name}: {io}\nhint: is it a file with the x bit?"),
        },
        Error::ENOEXEC => Failure {
            status: 126,
            message: format!(
                "cannot execute {name}: {io}\nhint: built for another machine, or a script without #!"
            ),
        },
        _ => Failure { status: 126, message: format!("cannot execute {name}: {io}") },
    }
}

/// Arguments as the kernel wants them: without a NUL inside.
pub fn cstrings(arguments: &[OsString]) -> Result<Vec<CString>> {
    let convert = |argument: &OsString| {
        CString::new(argument.as_bytes()).map_err(|_| anyhow!("{argument:?} contains a NUL"))
    };
    arguments.iter().map(convert).collect()
}

/// Our own environment, to hand on to a command: `NAME=value` each.
pub fn environment() -> Vec<CString> {
    let entry = |(name, value): (OsString, OsString)| {
        [name.as_os_str(), OsStr::new("="), value.as_os_str()].into_iter().collect::<OsString>()
    };
    std::env::vars_os().filter_map(|pair| CString::new(entry(pair).into_vec()).ok()).collect()
}

impl Failure {
    /// What `error` means to the person who started the command.
    pub(crate) fn from_error(error: &anyhow::Error) -> Failure {
        match error.downcast_ref::<Failure>() {
            Some(failure) => Failure { status: failure.status, message: failure.message.clone() },
            None => Failure { status: 125, message: crate::finish::sentence(error) },
        }
    }

    /// For the channel: the status, then the text, cut to what fits into one message.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let text = &self.message.as_bytes()[..self.message.len().min(4095)];
        [&[self.status], text].concat()
    }

    /// The inverse of [`Failure::to_bytes`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Failure {
        let (status, text) = bytes.split_first().unwrap_or((&125, b"the child failed"));
        Failure { status: *status, message: String::from_utf8_lossy(text).into_owned() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(text: &str) -> CString {
        CString::new(text).unwrap()
    }

    #[test]
    fn a_bare_name_is_looked_up_in_the_path_of_the_new_environment() {
        let found = candidates(&c("ls"), &[c("HOME=/"), c("PATH=/a:/b:")]);
        assert_eq!(found, [c("/a/ls"), c("/b/ls"), c("./ls")]);
    }

    #[test]
    fn a_name_with_a_slash_is_taken_as_it_is() {
        assert_eq!(candidates(&c("./ls"), &[c("PATH=/a")]), [c("./ls")]);
    }

    #[test]
    fn a_missing_command_is_127_and_a_forbidden_one_126() {
        let missing = exec(&[c("no-such-command-here")], &[c("PATH=/bin")]).unwrap_err();
        assert_eq!(missing.downcast_ref::<Failure>().unwrap().status, 127);
        let folder = exec(&[c("/tmp")], &[]).unwrap_err();
        assert_eq!(folder.downcast_ref::<Failure>().unwrap().status, 126);
    }

    #[test]
    fn a_failure_survives_the_channel() {
        let failure = Failure { status: 126, message: "cannot: é".into() };
        assert_eq!(Failure::from_bytes(&failure.to_bytes()), failure);
    }
}
