//! What stands behind a flag: sizes, numbers, disks, CPUs, and what is wrong with them.

use super::{Any, PERIOD};
use crate::limits::{Io, IoLimit};
use crate::{cpu_list, size};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::stat::{SFlag, major, minor, stat};
use std::path::{Component, Path, PathBuf};

/// Docker's lowest limit of memory, in MiB: below it hardly a program starts.
const LOWEST_MIB: u64 = 6;

pub fn at_least_lowest(flag: &str, memory: Option<u64>) -> Result<()> {
    if let Some(bytes) = memory {
        ensure!(
            bytes >= LOWEST_MIB << 20,
            "{flag} {} is too little to start anything\nhint: the least is {LOWEST_MIB}m",
            size::show(bytes)
        );
    }
    Ok(())
}

/// `/dev/vda:1m`: the path of a disk, and how much of it a second.
pub fn io_limit(text: &str, what: Io) -> Result<IoLimit> {
    let (path, rate) = text.rsplit_once(':').context("expected DISK:RATE, as /dev/vda:1m")?;
    ensure!(path.starts_with("/dev/"), "{path} is no disk\nhint: it begins with /dev/");
    let rate = match what {
        Io::ReadBytes | Io::WriteBytes => size::parse(rate).map_err(anyhow::Error::msg)?,
        Io::Reads | Io::Writes => {
            rate.parse().ok().with_context(|| format!("{rate:?} is no number of operations"))?
        }
    };
    ensure!(rate > 0, "a rate of 0 would stop it for ever\nhint: leave the flag out for no limit");
    let file = stat(path).with_context(|| format!("cannot look at {path}"))?;
    let kind = SFlag::from_bits_truncate(file.st_mode) & SFlag::S_IFMT;
    ensure!(kind == SFlag::S_IFBLK, "{path} is no disk\nhint: lsblk lists those of this machine");
    let (major, minor) = (major(file.st_rdev), minor(file.st_rdev));
    let part = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    if part.join("partition").exists() {
        let whole = part.canonicalize()?.parent().and_then(Path::file_name).map(PathBuf::from);
        bail!(
            "{path} is a part of a disk, and the kernel limits whole ones\nhint: /dev/{}",
            whole.unwrap_or_default().display()
        );
    }
    Ok(IoLimit { disk: (major, minor), what, rate })
}

/// The list that was asked for, if all that is in it is switched on.
pub fn on_this_machine(asked: &Option<String>, flag: &str, online: &str) -> Result<Option<String>> {
    let Some(asked) = asked.as_ref().filter(|asked| !asked.is_empty()) else { return Ok(None) };
    let wanted =
        cpu_list::parse(asked).map_err(anyhow::Error::msg).with_context(|| flag.to_owned())?;
    let there = cpu_list::parse(online).unwrap_or_default();
    ensure!(
        wanted.is_subset(&there),
        "{flag} {asked} names some that this machine does not have\nhint: it has {online}"
    );
    Ok(Some(asked.clone()))
}

pub fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no whole number\nhint: such as 512; 0 is none"))
}

pub fn or_minus_one(text: &str) -> Result<Any, String> {
    if text == "-1" { Ok(Any::Unlimited) } else { size::parse(text).map(Any::Bytes) }
}

/// A number of CPUs, as microseconds of each period. The kernel takes no less than a millisecond.
pub fn quota(text: &str) -> Result<u64, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = text.parse::<f64>().ok().filter(|number| plain && *number < 1e6);
    match number.map(|number| (number, (number * PERIOD as f64).round() as u64)) {
        Some((number, quota)) if number > 0.0 && quota < PERIOD / 100 => {
            Err("the least is 0.01".to_owned())
        }
        Some((_, quota)) => Ok(quota),
        None => Err(format!("{text:?} is no number of CPUs\nhint: such as 0.5 or 2")),
    }
}

pub fn cgroup_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let plain = path.components().skip(1).all(|one| matches!(one, Component::Normal(_)));
    match path.is_absolute() && plain && path.components().count() > 1 {
        true => Ok(path),
        false => Err("must be an absolute path below /, as seen from /sys/fs/cgroup".to_owned()),
    }
}
