//! The end of every program of the house: one place that prints an error and picks the status.

use crate::Failure;
use anyhow::Error;
use std::io::{self, Write, stderr};
use std::path::Path;
use std::process::ExitCode;

/// Ends `main`: the command's status, or the error on standard error and its status.
pub fn finish(result: anyhow::Result<u8>) -> ExitCode {
    let error = match result {
        Ok(status) => return ExitCode::from(status),
        Err(error) => error,
    };
    let failure = Failure::from_error(&error);
    let program = std::env::args_os().next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or_default().to_string_lossy();
    // Not `eprintln!`, which panics where standard error is full or gone: the status counts.
    let _ = writeln!(stderr(), "{program}: {}", failure.message);
    ExitCode::from(failure.status)
}

/// Reads the command line. Bad usage ends with 125, docker's status for it, so that it can't be
/// taken for the command's own; `--help`, which is none, goes to standard output and ends with 0.
pub fn parse<Arguments: clap::Parser>() -> Arguments {
    Arguments::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { 125 } else { 0 })
    })
}

/// The error and its causes as one sentence, then each hint on a line of its own.
///
/// A hint travels inside the text of an error, after a line break: `cannot x\nhint: do y`.
pub(crate) fn sentence(error: &Error) -> String {
    let (mut sentence, mut hints) = (Vec::new(), String::new());
    for cause in error.chain() {
        // nix says `EPERM: Operation not permitted`, the rest of the world `… (os error 1)`.
        let errno = cause.downcast_ref().map(|errno: &nix::Error| io::Error::from(*errno));
        let cause = errno.map_or_else(|| cause.to_string(), |errno| errno.to_string());
        let (text, hint) = cause.split_once("\nhint: ").unwrap_or((&cause, ""));
        sentence.push(text.to_owned());
        if !hint.is_empty() {
            hints += &format!("\nhint: {hint}");
        }
    }
    sentence.join(": ") + &hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_make_one_sentence_and_hints_come_last() {
        let error = anyhow::anyhow!("no such file").context("cannot open /x\nhint: make it");
        assert_eq!(sentence(&error), "cannot open /x: no such file\nhint: make it");
    }

    #[test]
    fn an_errno_looks_the_same_from_every_library() {
        let alike = "cannot mount: Operation not permitted (os error 1)";
        let nix = Error::new(nix::Error::EPERM).context("cannot mount");
        let std = Error::new(io::Error::from_raw_os_error(1)).context("cannot mount");
        assert_eq!([sentence(&nix), sentence(&std)], [alike, alike]);
    }
}
