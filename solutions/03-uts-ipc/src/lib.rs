//! Gives a container a name of its own, and memory and mailboxes that nobody else sees.
//!
//! Two small namespaces. *UTS* ("UNIX time-sharing", after the structure that uname(2) fills) holds
//! the host name and the NIS domain name (uts_namespaces(7)). *IPC*, inter-process communication,
//! holds what processes share by a number or a name and not by a file: shared memory, semaphores
//! and message queues of System V (sysvipc(7)), and the message queues of POSIX
//! (ipc_namespaces(7)). When its last process ends, the kernel destroys them all. The *shared
//! memory* of POSIX is no part of it: it is files in `/dev/shm`, and chapter 02 has mounted our own.
//!
//! Once they are ours there is nothing left to hide in them. Shared with the host, root in the
//! container renames the machine and reads the memory that its databases share.

mod of_process;
mod visit;

pub use of_process::{Names, names_of};
pub use visit::visit;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use nix::sys::stat::{Mode, mkdirat};
use std::path::Path;

/// The namespaces of this chapter, to be given to the clone.
pub const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWUTS.union(CloneFlags::CLONE_NEWIPC);

/// The kernel's longest host or domain name, in bytes: `__NEW_UTS_LEN`, uname(2).
const LONGEST: usize = 64;

/// Sets the host name, and the NIS domain name if one is given, of the UTS namespace we are in.
///
/// To be called in the child: a process can only rename the namespace it lives in, and the
/// parent's is the host's. A new namespace starts with a copy of its parent's names, so a domain
/// name that is not given stays the host's. `domainname` shows it, and almost nobody uses it.
// ANCHOR: names
pub fn names(host: &str, domain: Option<&str>) -> Result<()> {
    check(host, "host name")?;
    // ANCHOR: todo_uts_name: name the machine that this process believes to be on
    nix::unistd::sethostname(host)
        .with_context(|| format!("cannot set the host name to {host}"))?;
    // ANCHOR_END: todo_uts_name
    let Some(domain) = domain else { return Ok(()) };
    check(domain, "domain name")?;
    rustix::system::setdomainname(domain.as_bytes())
        .with_context(|| format!("cannot set the domain name to {domain}"))
}
// ANCHOR_END: names

/// Mounts `/dev/mqueue`, the POSIX message queues of *this* IPC namespace: mq_overview(7).
///
/// Each queue is a file in there. As with `/proc`, the namespace is that of whoever mounts it:
/// mounted before the clone, or without an IPC namespace of our own, it would show and change the
/// host's queues.
// ANCHOR: mqueue
pub fn mqueue(root: &Path) -> Result<()> {
    // ANCHOR: todo_ipc_fresh: mount the message queues of our IPC namespace on /dev/mqueue
    let dev = rootfs::mount_point(root, "dev")?;
    match mkdirat(&dev, "mqueue", Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno).context("cannot create /dev/mqueue"),
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    rootfs::mount_at(&rootfs::mount_point(root, "dev/mqueue")?, "mqueue", flags, None)
        .context("cannot mount /dev/mqueue")
    // ANCHOR_END: todo_ipc_fresh
}
// ANCHOR_END: mqueue

/// The kernel takes any bytes for a name; the world's name servers and mail programs do not.
fn check(name: &str, what: &str) -> Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    ensure!(
        !name.is_empty() && name.len() <= LONGEST && name.chars().all(fine),
        "{name:?} is no {what}\nhint: 1 to {LONGEST} letters, digits, dots, hyphens and underscores"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_could_type_is_refused() {
        for name in ["", "a b", "höst", "a\nb", &"x".repeat(65)] {
            assert!(check(name, "host name").is_err(), "{name:?}");
        }
        for name in ["a", "web-1.example", "with_underscore", &"x".repeat(64)] {
            check(name, "host name").unwrap();
        }
    }
}
