//! The host and domain name that another process sees.
//!
//! No file under `/proc/PID` tells them: `/proc/sys/kernel/hostname` answers for the reader.

use crate::visit;
use anyhow::{Context, Result};

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
    let said = visit(pid, "uts", || {
        let names = rustix::system::uname();
        let [host, domain] = [names.nodename(), names.domainname()].map(|n| n.to_string_lossy());
        Ok(format!("{host}\0{domain}").into_bytes()) // a name may hold any byte but this one
    })?;
    let said = String::from_utf8(said)?;
    let (host, domain) = said.split_once('\0').context("it said nothing")?;
    Ok(Names { host: host.into(), domain: domain.into() })
}
