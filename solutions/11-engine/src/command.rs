//! What to run and with which environment: the request where it says so, else the image
//! (OCI image specification, config.md; docker-run(1), "ENTRYPOINT" and "CMD").

use crate::Request;
use anyhow::{Context, Result, bail, ensure};
use std::ffi::{CString, OsString};
use std::path::{Component, Path, PathBuf};

/// The PATH of an image that sets none; docker's.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command, ready to be executed inside.
#[derive(Debug)]
pub struct Command {
    /// Program and arguments.
    pub arguments: Vec<CString>,
    /// Absolute; made if it is missing.
    pub working_folder: PathBuf,
    /// `USER[:GROUP]` to run as; `None` is root.
    pub user: Option<String>,
    variables: Variables,
}

impl Command {
    /// Merges what was asked for with what the image says.
    pub fn new(request: &Request, image: &image::Process, hostname: &str) -> Result<Command> {
        let mut variables = Variables::default();
        variables.set("PATH", DEFAULT_PATH);
        variables.set("HOSTNAME", hostname);
        if request.tty {
            variables.set("TERM", "xterm");
        }
        for entry in image.env.iter().flatten() {
            // A name alone would be a question about *our* environment, and no image may ask.
            if let Some((name, value)) = entry.split_once('=') {
                variables.set(name, value);
            }
        }
        for file in &request.env_files {
            variables.file(file)?;
        }
        for entry in &request.env {
            if !variables.entry(entry)? {
                variables.0.retain(|(name, _)| name != entry); // docker unsets the image's, too
            }
        }
        let from_image = image.working_dir.clone().filter(|folder| !folder.is_empty());
        let folder = request.workdir.clone().or(from_image.map(PathBuf::from));
        let from_image = image.user.clone().filter(|user| !user.is_empty());
        Ok(Command {
            arguments: process::cstrings(&arguments(request, image)?)?,
            working_folder: cleaned(&folder.unwrap_or_default()),
            user: request.user.clone().filter(|user| !user.is_empty()).or(from_image),
            variables,
        })
    }

    /// The environment, with the home folder of whoever the command runs as, unless HOME is set.
    pub fn environment(&self, home: &str) -> Result<Vec<CString>> {
        let mut variables = self.variables.clone();
        if !variables.0.iter().any(|(name, _)| name == "HOME") {
            variables.set("HOME", home);
        }
        let entry = |(name, value): &(String, String)| OsString::from(format!("{name}={value}"));
        process::cstrings(&variables.0.iter().map(entry).collect::<Vec<_>>())
    }
}

/// Entry point and command. A new entry point drops the image's command, which was written for the
/// old one.
fn arguments(request: &Request, image: &image::Process) -> Result<Vec<OsString>> {
    let strings = |list: &Option<Vec<String>>| -> Vec<OsString> {
        list.iter().flatten().map(OsString::from).collect()
    };
    let (mut arguments, command) = match request.entrypoint.as_deref() {
        Some("") => (Vec::new(), Vec::new()),
        Some(program) => (vec![program.into()], Vec::new()),
        None => (strings(&image.entrypoint), strings(&image.cmd)),
    };
    arguments.extend(if request.command.is_empty() { command } else { request.command.clone() });
    ensure!(
        !arguments.is_empty(),
        "the image says nothing to run\nhint: give a command after the image"
    );
    Ok(arguments)
}

/// An absolute path without `.` and `..`. They are resolved in the text, as docker does, and not in
/// the image, where a folder before a `..` may be missing.
fn cleaned(folder: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in folder.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => drop(cleaned.pop()),
            _ => {}
        }
    }
    cleaned
}

/// An environment in the order in which it was set; the last value of a name counts.
#[derive(Clone, Debug, Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.to_owned(),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    /// `NAME=value`, or `NAME` alone: our own value. `false`: we have none.
    fn entry(&mut self, entry: &str) -> Result<bool> {
        let (name, value) = match entry.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (entry, std::env::var(entry).ok()),
        };
        ensure!(!name.is_empty(), "the variable {entry:?} has no name");
        value.iter().for_each(|value| self.set(name, value));
        Ok(value.is_some())
    }

    /// One variable a line; lines that are empty or begin with # are none.
    fn file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the variables in {}", path.display()))?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.split('=').next().is_some_and(|name| name.contains(char::is_whitespace)) {
                bail!(
                    "{}:{}: a variable's name has no blanks: {line:?}",
                    path.display(),
                    number + 1
                );
            }
            self.entry(line).with_context(|| format!("{}:{}", path.display(), number + 1))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    #[command(disable_help_flag = true)] // -h is the host name
    struct Cli {
        #[command(flatten)]
        request: Request,
    }

    fn run(line: &str) -> Vec<OsString> {
        let image = image::Process {
            entrypoint: Some(vec!["/entry".into()]),
            cmd: Some(vec!["default".into()]),
            ..image::Process::default()
        };
        let words = std::iter::once("run").chain(line.split(' '));
        arguments(&Cli::parse_from(words).request, &image).unwrap()
    }

    #[test]
    fn entry_point_and_command_combine_as_docker_combines_them() {
        assert_eq!(run("oci:x"), ["/entry", "default"]);
        assert_eq!(run("oci:x a -b"), ["/entry", "a", "-b"]);
        assert_eq!(run("--entrypoint /other oci:x"), ["/other"]);
        assert_eq!(run("--entrypoint /other oci:x a"), ["/other", "a"]);
        assert_eq!(run("--entrypoint= oci:x a"), ["a"]);
    }

    #[test]
    fn a_working_folder_is_absolute_and_clean() {
        for (text, clean) in [
            ("", "/"),
            ("srv", "/srv"),
            ("/a/./b/../c/", "/a/c"),
            ("/../..", "/"),
            ("a/../../b", "/b"),
        ] {
            assert_eq!(cleaned(Path::new(text)), Path::new(clean));
        }
    }

    #[test]
    fn the_last_value_of_a_variable_counts() {
        let mut variables = Variables::default();
        for entry in ["A=1", "B=x=y", "A=2", "NOT_SET_ANYWHERE_HERE"] {
            assert_eq!(variables.entry(entry).unwrap(), entry.contains('='));
        }
        assert_eq!(variables.0, [("A".into(), "2".into()), ("B".into(), "x=y".into())]);
        assert!(variables.entry("=x").is_err());
    }
}
