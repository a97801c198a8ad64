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
use std::fs::File;
use std::io::{Read, Write};

/// What uname(2) says in some UTS namespace.
#[derive(Debug, PartialEq, Eq)]
pub struct Names {
    /// Host name.
    pub host: String,
    /// NIS domain name; `(none)` where it was never set.
    pub domain: String,
}

/// Reads the names in the UTS namespace of process `pid`. Needs CAP_SYS_ADMIN, also for our own.
pub fn names_of(pid: i32) -> Result<Names> {
    let path = format!("/proc/{pid}/ns/uts");
    let namespace = File::open(&path)
        .with_context(|| format!("cannot open {path}\nhint: has process {pid} ended?"))?;
    let (answer, say) = pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
    let (mut answer, mut say) = (File::from(answer), File::from(say));
    let ask = || -> Result<Infallible> {
        setns(&namespace, CloneFlags::CLONE_NEWUTS).context("cannot enter the UTS namespace")?;
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
