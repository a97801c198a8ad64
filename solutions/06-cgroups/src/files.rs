//! Reads and writes the files of a group, with what an errno means there.

use crate::delegated::IN_A_SCOPE;
use anyhow::{Context, Result};
use nix::errno::Errno;
use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The file `name` of a group.
pub fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(name)
}

/// Does this kernel, and this group, have such a file?
pub fn has(folder: &Path, name: &str) -> bool {
    file(folder, name).exists()
}

/// What the file says, without the end of its line.
pub fn read(folder: &Path, name: &str) -> Result<String> {
    let path = file(folder, name);
    let text = fs::read_to_string(&path).map_err(|error| {
        let hint = hint(folder, name, &error);
        anyhow::Error::new(error).context(format!("cannot read {}{hint}", path.display()))
    })?;
    Ok(text.trim_end().to_owned())
}

/// Writes `value` in one go: each write(2) to such a file is a command of its own.
pub fn write(folder: &Path, name: &str, value: impl Display) -> Result<()> {
    write_each(folder, name, &[value])
}

/// Writes several values, one after the other.
pub fn write_each(folder: &Path, name: &str, values: &[impl Display]) -> Result<()> {
    let path = file(folder, name);
    let context = |error: Error, value: &str| {
        let hint = hint(folder, name, &error);
        let path = path.display();
        anyhow::Error::new(error).context(format!("cannot write {value}to {path}{hint}"))
    };
    let mut opened =
        OpenOptions::new().write(true).open(&path).map_err(|error| context(error, ""))?;
    for value in values {
        let value = value.to_string();
        opened.write_all(value.as_bytes()).map_err(|error| context(error, &format!("{value} ")))?;
    }
    Ok(())
}

/// The number in a file that holds one. `max` is none.
pub fn number(folder: &Path, name: &str) -> Option<u64> {
    fs::read_to_string(file(folder, name)).ok()?.trim().parse().ok()
}

/// The number behind `key` in a file of lines `key number`.
pub fn keyed(folder: &Path, name: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file(folder, name)).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(name, _)| *name == key)?.1.trim().parse().ok()
}

/// Makes the group's folder; one that is there already is as good.
pub fn make(folder: &Path) -> Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            let hint = hint(folder, "", &error);
            Err(error).with_context(|| format!("cannot make the cgroup {}{hint}", folder.display()))
        }
        _ => Ok(()),
    }
}

const EACCES: i32 = Errno::EACCES as i32;
const EAGAIN: i32 = Errno::EAGAIN as i32;
const ERANGE: i32 = Errno::ERANGE as i32;
const EOPNOTSUPP: i32 = Errno::EOPNOTSUPP as i32;

fn hint(folder: &Path, name: &str, error: &Error) -> String {
    let controller = name.split_once('.').map_or("cgroup", |(controller, _)| controller);
    let shown = folder.display();
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NotFound, _) if !folder.exists() && !name.is_empty() => {
            "\nhint: somebody has removed this cgroup".to_owned()
        }
        (ErrorKind::NotFound, _) if name == "cgroup.subtree_control" => {
            format!("\nhint: {shown}/cgroup.controllers lists what can be handed down from there")
        }
        (ErrorKind::NotFound, _) if controller != "cgroup" => format!(
            "\nhint: this kernel has no such limit, or the controller {controller} is not handed \
             down to this cgroup: {shown}/cgroup.controllers lists those that are"
        ),
        (ErrorKind::ReadOnlyFilesystem, _) => {
            "\nhint: the cgroups are mounted read-only here, as in another container".to_owned()
        }
        (_, Some(EACCES)) if controller == "cpuset" => format!(
            "\nhint: a group of version 1 has no CPUs and memory nodes but those of the group above \
             it: cat {}/{name}",
            folder.parent().unwrap_or(folder).display()
        ),
        (ErrorKind::PermissionDenied, _) => format!(
            "\nhint: this cgroup belongs to somebody else: run it with sudo, or for one of your own \
             put this before the command: {IN_A_SCOPE}"
        ),
        (ErrorKind::ResourceBusy, _) if name == "cgroup.subtree_control" => format!(
            "\nhint: there are processes in {shown} itself, and a cgroup with processes hands no \
             controllers down: move them into one below it"
        ),
        (_, Some(EOPNOTSUPP)) => format!(
            "\nhint: this cgroup is one of threads, and no process can be born in it: \
             cat {shown}/cgroup.type"
        ),
        (_, Some(EAGAIN)) if name.is_empty() => {
            "\nhint: a group above it allows no more of them, or not so deep: its \
             cgroup.max.descendants, cgroup.max.depth"
                .to_owned()
        }
        (ErrorKind::InvalidInput, _) | (_, Some(ERANGE)) => {
            "\nhint: the kernel does not take this value".to_owned()
        }
        _ => String::new(),
    }
}
