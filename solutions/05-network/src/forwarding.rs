//! Lets this machine send packets on from one link to another, if it does not yet.
//!
//! A kernel drops what arrives for somebody else unless it is told to be a router: a switch in
//! /proc/sys (the kernel's Documentation/networking/ip-sysctl.rst).
//! It is the whole machine's, so it is turned only when needed, and the caller writes down what it
//! was ([`needed`]) before it changes ([`turn`]), so that it can be put back ([`put_back`]).
//!
//! The kernel turns more with it: `forwarding` of every link, and `accept_redirects` of all of them,
//! which is always the contrary (`inet_forward_change` in its net/ipv4/devinet.c). What these were
//! would be lost on the way there and back, so it is written down, too.
//!
//! IPv6 stays as it is: a router does not listen to other routers, so a machine that begins to send
//! on forgets its own way to the internet, if it heard of it in a router advertisement.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const SYSCTLS: &str = "/proc/sys";
const IPV4: &str = "net/ipv4/ip_forward";

/// A switch of the kernel that is turned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turned {
    /// `net/ipv4/ip_forward`: the path below /proc/sys.
    pub switch: String,
    /// What it was.
    pub before: String,
    /// What we make of it.
    pub after: String,
    /// What the kernel turns with it on the way back, though the way there left it as it is.
    #[serde(default)]
    pub kept: Vec<Kept>,
}

/// A switch that shall have this value again when another one is turned back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The path below /proc/sys.
    pub switch: String,
    /// What it was, and still is.
    pub value: String,
}

/// What has to be turned so that packets are sent on; nothing, if they are.
pub fn needed() -> Result<Vec<Turned>> {
    if read(IPV4)?.is_none_or(|value| value != "0") {
        return Ok(Vec::new());
    }
    let [switch, before, after] = [IPV4, "0", "1"].map(str::to_owned);
    Ok(vec![Turned { switch, before, after, kept: kept_by_ipv4()? }])
}

/// A machine that sends nothing on may have links that do, and may believe no redirects.
fn kept_by_ipv4() -> Result<Vec<Kept>> {
    let links = names_in("net/ipv4/conf").filter(|link| link != "all");
    let links = links.map(|link| (format!("net/ipv4/conf/{link}/forwarding"), "1"));
    let mut kept = Vec::new();
    for (switch, value) in links.chain([("net/ipv4/conf/all/accept_redirects".to_owned(), "0")]) {
        if read(&switch)?.as_deref() == Some(value) {
            kept.push(Kept { switch, value: value.to_owned() });
        }
    }
    Ok(kept)
}

/// Turns them. To be called when they are written down.
pub fn turn(switches: &[Turned]) -> Result<()> {
    for Turned { switch, after, .. } in switches {
        match fs::write(path(switch), after) {
            Err(error) if error.kind() == ErrorKind::NotFound => (), // the link has gone
            outcome => outcome.with_context(|| {
                format!(
                    "cannot write {after} to {}, and without it containers have no way out\n\
                     hint: `sysctl -w {}={after}` where that is allowed, or --network host or none",
                    path(switch).display(),
                    switch.replace('/', ".")
                )
            })?,
        }
    }
    Ok(())
}

/// Turns them back, the last one first, unless somebody else has turned them since.
pub fn put_back(switches: &[Turned]) -> Result<()> {
    for Turned { switch, before, after, kept } in switches.iter().rev() {
        let mut kept: Vec<&Kept> = kept.iter().collect();
        if read(switch)?.as_ref() == Some(after) {
            let mut still = Vec::new();
            for one in kept {
                if read(&one.switch)?.as_ref() == Some(&one.value) {
                    still.push(one);
                }
            }
            kept = still;
            write_back(switch, before)?;
        }
        // Also if it was turned back by somebody else, or by us, who were killed here: had we not
        // turned it, that would have changed nothing.
        if read(switch)?.as_ref() == Some(before) {
            kept.iter().try_for_each(|Kept { switch, value }| write_back(switch, value))?;
        }
    }
    Ok(())
}

fn write_back(switch: &str, value: &str) -> Result<()> {
    match fs::write(path(switch), value) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()), // the link has gone
        outcome => {
            outcome.with_context(|| format!("cannot write {value} to {}", path(switch).display()))
        }
    }
}

/// What to say to whoever owns the machine: `net.ipv4.ip_forward = 1 (was 0)`.
impl Display for Turned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Turned { switch, before, after, .. } = self;
        write!(f, "{} = {after} (was {before})", switch.replace('/', "."))
    }
}

fn path(switch: &str) -> PathBuf {
    Path::new(SYSCTLS).join(switch)
}

/// The value of a switch; `None` if this kernel has no such switch.
fn read(switch: &str) -> Result<Option<String>> {
    match fs::read_to_string(path(switch)) {
        Ok(value) => Ok(Some(value.trim_end().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path(switch).display())),
    }
}

fn names_in(folder: &str) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(path(folder)).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}
