//! Which devices the processes of a group may use.
//!
//! A device is a pair of numbers, and whoever may call mknod(2) makes a file for any pair. So it is
//! not enough that a container's `/dev` has no disks: root in there makes one. The kernel can ask at
//! each mknod and each open whether the group may: version 1 has a controller for it, version 2 a
//! hook for a small program ([`crate::device_filter`]).

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, major, makedev, minor, mknodat, stat, umask};
use nix::unistd::{Gid, Uid, fchownat};
use rootfs::inside::inside_or_new;
use std::ffi::OsStr;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What a group may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Devices {
    /// Whatever there is.
    All,
    /// What one of the rules allows.
    Only(Vec<Rule>),
}

/// Allows something. `None` stands for every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Character or block device.
    pub kind: Kind,
    /// The driver.
    pub major: Option<u32>,
    /// Which one of the driver's.
    pub minor: Option<u32>,
    /// What may be done.
    pub access: Access,
}

/// The two kinds of devices, with the kernel's letters: `c` and `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Terminals, null, random …
    Character,
    /// Disks.
    Block,
}

/// Any of reading, writing and making the file: `rwm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Open for reading.
    pub read: bool,
    /// Open for writing.
    pub write: bool,
    /// mknod(2).
    pub make: bool,
}

const RWM: Access = Access { read: true, write: true, make: true };
const MAKE: Access = Access { read: false, write: false, make: true };

/// null, zero, full, random, urandom; tty, console, ptmx: the kernel's devices.txt.
const HARMLESS: [(u32, u32); 8] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)];

/// The drivers of `/dev/pts/N`.
const TERMINALS: u32 = 136;

impl Default for Devices {
    /// Docker's default: files for any device may be made, and only harmless ones be opened.
    fn default() -> Devices {
        let rule = |kind, major, minor, access| Rule { kind, major, minor, access };
        let mut rules = vec![
            rule(Kind::Character, None, None, MAKE),
            rule(Kind::Block, None, None, MAKE),
            rule(Kind::Character, Some(TERMINALS), None, RWM),
        ];
        let harmless = HARMLESS.iter();
        rules.extend(harmless.map(|(a, b)| rule(Kind::Character, Some(*a), Some(*b), RWM)));
        Devices::Only(rules)
    }
}

impl Devices {
    /// Docker's default and these.
    pub fn with(devices: &[Device]) -> Result<Devices> {
        let mut all = Devices::default();
        if let Devices::Only(rules) = &mut all {
            for device in devices {
                rules.push(device.rule()?);
            }
        }
        Ok(all)
    }
}

impl fmt::Display for Rule {
    /// As version 1 wants it: `c 136:* rwm`.
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let kind = if self.kind == Kind::Block { 'b' } else { 'c' };
        let number = |one: Option<u32>| one.map_or("*".to_owned(), |number| number.to_string());
        let letters = [(self.access.read, "r"), (self.access.write, "w"), (self.access.make, "m")];
        let access: String = letters.iter().filter(|(may, _)| *may).map(|(_, one)| *one).collect();
        write!(out, "{kind} {}:{} {access}", number(self.major), number(self.minor))
    }
}

/// One `--device SOURCE[:TARGET[:rwm]]`: a device of the host that the container may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The device's file here.
    pub source: PathBuf,
    /// Its file in the container.
    pub target: PathBuf,
    /// What may be done with it.
    pub access: Access,
}

impl FromStr for Device {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Device> {
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, access) = match parts[..] {
            [source] => (source, source, "rwm"),
            [source, second] if second.starts_with('/') => (source, second, "rwm"),
            [source, access] => (source, source, access),
            [source, target, access] => (source, target, access),
            _ => bail!("expected SOURCE[:TARGET[:rwm]], got {text}"),
        };
        for path in [source, target] {
            ensure!(path.starts_with('/') && path != "/", "{path:?} is not an absolute path");
        }
        let letters = ["r", "w", "m"].map(|letter| access.matches(letter).count());
        ensure!(
            letters.iter().sum::<usize>() == access.len()
                && letters.iter().all(|count| *count < 2)
                && !access.is_empty(),
            "{access:?} is no access\nhint: some of r (read), w (write) and m (mknod)"
        );
        let [read, write, make] = letters.map(|count| count == 1);
        let access = Access { read, write, make };
        Ok(Device { source: source.into(), target: target.into(), access })
    }
}

impl Device {
    /// The rule that allows it.
    pub fn rule(&self) -> Result<Rule> {
        let (file, kind) = self.look()?;
        let number = |number: u64| u32::try_from(number).ok();
        let (major, minor) = (number(major(file.st_rdev)), number(minor(file.st_rdev)));
        Ok(Rule { kind, major, minor, access: self.access })
    }

    /// Makes its file in the new root, with the owner and mode that it has here. Where mknod(2) is
    /// forbidden, as in a user namespace, the host's own file is shown.
    pub fn make(&self, root: &Path) -> Result<()> {
        let (file, kind) = self.look()?;
        let kind = if kind == Kind::Block { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
        let (parent, name) = (self.target.parent(), self.target.file_name());
        let (parent, name) = (parent.unwrap_or(&self.target), name.unwrap_or_default());
        let folder = inside_or_new(root, parent, true)?;
        let device = makedev(major(file.st_rdev), minor(file.st_rdev));
        let umask_before = umask(Mode::empty()); // mknod(2) takes the umask from the mode
        let made = mknodat(&folder, name, kind, Mode::from_bits_truncate(file.st_mode), device);
        umask(umask_before);
        match made {
            Err(Errno::EEXIST) if is_device(&folder, name, file.st_rdev) => Ok(()),
            Ok(()) => {
                let (user, group) = (Uid::from_raw(file.st_uid), Gid::from_raw(file.st_gid));
                fchownat(&folder, name, Some(user), Some(group), AtFlags::AT_SYMLINK_NOFOLLOW)
                    .with_context(|| format!("cannot give {} its owner", self.target.display()))
            }
            Err(Errno::EPERM) => {
                rootfs::bind(&self.source, inside_or_new(root, &self.target, false)?.as_fd())
            }
            Err(errno) => {
                Err(errno).with_context(|| format!("cannot make {}", self.target.display()))
            }
        }
    }

    fn look(&self) -> Result<(FileStat, Kind)> {
        let path = self.source.display();
        let file = stat(&self.source).with_context(|| format!("cannot use the device {path}"))?;
        let kind = match SFlag::from_bits_truncate(file.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFBLK => Kind::Block,
            SFlag::S_IFCHR => Kind::Character,
            SFlag::S_IFDIR => {
                bail!("{path} is no device\nhint: name those in this folder one by one")
            }
            _ => bail!("{path} is no device\nhint: to show a file, use -v"),
        };
        Ok((file, kind))
    }
}

/// Is this the device of that number already?
fn is_device(folder: &OwnedFd, name: &OsStr, number: u64) -> bool {
    fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|found| found.st_rdev == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_as_the_kernel_reads_them() {
        let Devices::Only(rules) = Devices::default() else { panic!("not everything") };
        let texts: Vec<String> = rules.iter().map(Rule::to_string).collect();
        assert_eq!(texts[..4], ["c *:* m", "b *:* m", "c 136:* rwm", "c 1:3 rwm"]);
        assert_eq!(texts.len(), 11);
    }

    #[test]
    fn a_device_is_read_as_docker_reads_it() {
        let parse = |text: &str| text.parse::<Device>().map(|d| (d.source, d.target, d.access));
        let (fuse, other) = (PathBuf::from("/dev/fuse"), PathBuf::from("/dev/other"));
        let read = Access { read: true, ..Access::default() };
        assert_eq!(parse("/dev/fuse").unwrap(), (fuse.clone(), fuse.clone(), RWM));
        assert_eq!(parse("/dev/fuse:/dev/other").unwrap(), (fuse.clone(), other.clone(), RWM));
        assert_eq!(parse("/dev/fuse:/dev/other:r").unwrap(), (fuse.clone(), other, read));
        assert_eq!(parse("/dev/fuse:r").unwrap(), (fuse.clone(), fuse, read));
        for text in ["", "fuse", "/dev/fuse:x", "/dev/fuse:rr", "/dev/fuse:", "/:/a", "/a:/b:r:w"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for (path, why) in
            [("/etc/passwd", "use -v"), ("/dev", "one by one"), ("/dev/no-such", "No such")]
        {
            let device: Device = path.parse().unwrap();
            let error = format!("{:#}", device.rule().unwrap_err());
            assert!(error.contains(why) || error.contains("ENOENT"), "{error}");
        }
        let null: Device = "/dev/null:rw".parse().unwrap();
        assert_eq!(null.rule().unwrap().to_string(), "c 1:3 rw");
    }
}
