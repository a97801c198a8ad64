//! Parses `/proc/PID/mountinfo`: the mounts that a process sees, one per line.
//!
//! ```text
//! 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//! (1)(2)(3)  (4)   (5)   (6)        (7)     (8) (9)  (10)      (11)
//! ```
//!
//! Mount and parent ID, device, the folder of the file system that is mounted, where, options of
//! the mount, any number of propagation fields up to the hyphen, then the file system's type,
//! source and options (`proc_pid_mountinfo(5)`). Blanks inside a field are written as octal
//! escapes, `\040`. A file name need not be UTF-8, so this parser works on bytes.
//!
//! The file shows only what can be reached from the root folder of the process: inside a
//! container the host's mounts are absent. Everyone may read it.

use crate::{Fact, Group, Row, Verdict, procfs};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its number, unique on this machine while it is mounted.
    pub id: u64,
    /// The number of the mount it is mounted on.
    pub parent: u64,
    /// The device of the file system, as `major:minor`.
    pub device: String,
    /// The folder (or file) of the file system that is mounted; other than `/` for a bind mount.
    pub root: PathBuf,
    /// Where it is mounted, as seen from the root folder of the process.
    pub point: PathBuf,
    /// What holds for this mount: `ro`, `nosuid`, `nodev`, …
    pub options: Vec<String>,
    /// `shared:N`, `master:N`, `propagate_from:N`, `unbindable`; empty if it is private.
    pub propagation: Vec<String>,
    /// The type, such as `ext4`, `overlay`, `fuse.sshfs`.
    pub file_system: String,
    /// A device, or whatever the file system calls its source.
    pub source: OsString,
    /// What holds for the file system wherever it is mounted; one of the layers of an overlay is
    /// `lowerdir=/a`.
    pub super_options: Vec<String>,
}

/// The mounts of a process; errors as in [`procfs::read`], and a text that is no mountinfo.
pub fn of(pid: u32) -> Result<Vec<Mount>> {
    let text = procfs::read_bytes(pid, "mountinfo")?;
    parse(&text).with_context(|| format!("cannot understand /proc/{pid}/mountinfo"))
}

/// Parses a whole mountinfo.
///
/// # Errors
/// Names the first line that is not of the form above.
pub fn parse(mountinfo: &[u8]) -> Result<Vec<Mount>> {
    mountinfo
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            parse_line(line).with_context(|| {
                format!("not a line of mountinfo: {:?}", String::from_utf8_lossy(line))
            })
        })
        .collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut next = || fields.next();
    Some(Mount {
        id: text(next()?).parse().ok()?,
        parent: text(next()?).parse().ok()?,
        device: text(next()?),
        root: PathBuf::from(OsString::from_vec(unescape(next()?))),
        point: PathBuf::from(OsString::from_vec(unescape(next()?))),
        options: options(next()?),
        propagation: {
            let mut propagation = Vec::new();
            loop {
                match next()? {
                    b"-" => break propagation,
                    field => propagation.push(text(field)),
                }
            }
        },
        file_system: text(next()?),
        source: OsString::from_vec(unescape(next()?)),
        super_options: options(next()?),
    })
}

/// The parts between commas. A comma inside a value is escaped (`\054`), so split comes first.
fn options(field: &[u8]) -> Vec<String> {
    field.split(|byte| *byte == b',').map(text).collect()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

/// Undoes the kernel's octal escapes: `\040` is a blank, `\134` a backslash. A backslash that no
/// three octal digits follow stands for itself.
pub fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        match octal(rest) {
            Some(escaped) => {
                plain.push(escaped);
                rest = &rest[4..];
            }
            None => {
                plain.push(byte);
                rest = tail;
            }
        }
    }
    plain
}

fn octal(text: &[u8]) -> Option<u8> {
    let [b'\\', high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', ..] = text else {
        return None;
    };
    Some((high - b'0') * 64 + (middle - b'0') * 8 + (low - b'0'))
}

/// The row `mounts`: how many a process sees. A count says nothing of whose they are, so it is
/// not compared.
pub fn row(pid: u32, other: u32) -> Row {
    let count = |pid| of(pid).map(|mounts| mounts.len());
    Row {
        name: "mounts".to_owned(),
        group: Group::Files,
        verdict: Verdict::Uncompared,
        value: Fact::of(count(pid)),
        reference: Fact::of(count(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStrExt;

    const MANUAL: &str =
        "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue\n";

    #[test]
    fn reads_the_example_of_the_manual() {
        let mounts = parse(MANUAL.as_bytes()).unwrap();
        let [mount] = mounts.as_slice() else { panic!("{mounts:?}") };
        assert_eq!((mount.id, mount.parent, mount.device.as_str()), (36, 35, "98:0"));
        assert_eq!((mount.root.to_str(), mount.point.to_str()), (Some("/mnt1"), Some("/mnt2")));
        assert_eq!(mount.propagation, ["master:1", "shared:7"]);
        assert_eq!(
            (mount.file_system.as_str(), mount.source.to_str()),
            ("ext3", Some("/dev/root"))
        );
        assert_eq!(mount.super_options, ["rw", "errors=continue"]);
    }

    #[test]
    fn an_escaped_comma_does_not_split_an_option() {
        let line = br"1 1 0:1 / / rw - overlay none rw,lowerdir=/a\054b,upperdir=/c\040d";
        let mounts = parse(line).unwrap();
        assert_eq!(mounts[0].super_options, ["rw", "lowerdir=/a,b", "upperdir=/c d"]);
    }

    #[test]
    fn a_source_may_be_empty() {
        let mounts = parse(b"1 1 0:1 / / rw - tmpfs  rw").unwrap();
        assert_eq!(mounts[0].source, "");
    }

    #[test]
    fn names_the_line_it_does_not_understand() {
        let error = parse(b"1 1 0:1 / / rw shared:1 ext4 /dev/x rw").unwrap_err();
        assert!(error.to_string().contains("shared:1 ext4"), "{error}");
    }

    #[test]
    fn understands_the_mounts_of_this_machine() {
        let mounts = of(procfs::own_pid().unwrap()).unwrap();
        assert!(mounts.iter().any(|mount| mount.file_system == "proc"));
    }

    /// Escapes as the kernel's `seq_path` and `seq_escape` do.
    fn escape(bytes: &[u8]) -> Vec<u8> {
        let mut escaped = Vec::new();
        for byte in bytes {
            match byte {
                b' ' | b'\t' | b'\n' | b'\\' | b',' | b'#' => {
                    escaped.extend(format!("\\{byte:03o}").bytes());
                }
                _ => escaped.push(*byte),
            }
        }
        escaped
    }

    proptest! {
        #[test]
        fn any_path_comes_back_byte_by_byte(path: Vec<u8>, option in "[^\0]{0,20}") {
            let mut line = b"7 6 0:5 / ".to_vec();
            line.extend(escape(&path));
            line.extend(b" rw - overlay overlay rw,lowerdir=");
            line.extend(escape(option.as_bytes()));
            let mounts = parse(&line).unwrap();
            prop_assert_eq!(mounts[0].point.as_os_str().as_bytes(), path);
            prop_assert_eq!(&mounts[0].super_options[1], &format!("lowerdir={option}"));
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
