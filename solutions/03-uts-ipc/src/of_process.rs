//! The host and domain name that another process sees.
//!
//! No file under `/proc/PID` tells them: `/proc/sys/kernel/hostname` answers for the reader. So a
//! child goes over there for a moment (setns(2)), asks, and reports back through a pipe; we never
//! leave our own namespace.

use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::unistd::pipe2;
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;

/// What uname(2) says in some UTS namespace.
#[derive(Debug, PartialEq, Eq)]
pub struct Names {
    /// Host name.
    pub host: String,
    /// NIS domain name; `(none)` where it was never set.
    pub domain: String,
}

/// Reads the names in the UTS namespace of process `pid`. Another's needs CAP_SYS_ADMIN there.
pub fn names_of(pid: i32) -> Result<Names> {
    let path = format!("/proc/{pid}/ns/uts");
    let namespace = File::open(&path)
        .with_context(|| format!("cannot open {path}\nhint: has process {pid} ended?"))?;
    let (answer, say) = pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
    let (mut answer, mut say) = (File::from(answer), File::from(say));
    let ask = || -> Result<Infallible> {
        enter(pid, &namespace)?;
        let names = rustix::system::uname();
        let [host, domain] = [names.nodename(), names.domainname()].map(|n| n.to_string_lossy());
        write!(say, "{host}\0{domain}")?; // a name may hold any byte but this one
        sys::exit_now(0)
    };
    let child = process::start(CloneFlags::empty(), |_pid| Ok(()), ask)?;
    drop(say);
    let mut text = String::new();
    answer.read_to_string(&mut text).context("cannot read the names")?;
    process::wait(&child)?;
    let (host, domain) = text.split_once('\0').context("the process that asked was killed")?;
    Ok(Names { host: host.into(), domain: domain.into() })
}

/// Enters a UTS namespace. Whoever made a user namespace has all powers in it (chapter 04), and so
/// over the names of a container in there, after having entered it too.
fn enter(pid: i32, namespace: &File) -> Result<()> {
    let is_ours = |kind: &str| {
        let inode =
            |pid: &str| fs::metadata(format!("/proc/{pid}/ns/{kind}")).map(|file| file.ino());
        matches!((inode("self"), inode(&pid.to_string())), (Ok(own), Ok(other)) if own == other)
    };
    if is_ours("uts") {
        return Ok(());
    }
    if !is_ours("user") {
        if let Ok(users) = File::open(format!("/proc/{pid}/ns/user")) {
            let _ = setns(users, CloneFlags::CLONE_NEWUSER); // root of the machine needs it not
        }
    }
    setns(namespace, CloneFlags::CLONE_NEWUTS).context("cannot enter the UTS namespace")
}
