//! The network of another container, and its names. That container may be hostile.
//!
//! The network has one owner, and ends with it: its address, its cable, its ports and the program
//! that speaks for it. Whoever has shared it keeps a loopback, as with docker.

use crate::registry;
use crate::state::Status;
use anyhow::{Context, Error, Result, ensure};
use network::etc::Texts;
use network::leases;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{SFlag, fstat};
use rootfs::inside;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What another container has.
pub struct Shared {
    namespace: File,
    root: PathBuf,
    /// What it believes its machine to be called.
    pub hostname: String,
}

impl Shared {
    /// Of a running container.
    pub fn with(name: &str) -> Result<Shared> {
        let state = registry::look_up(name)?;
        let process = state.process.filter(|_| state.status == Status::Running);
        let process = process.with_context(|| format!("the container {name} does not run"))?;
        let path = format!("/proc/{}/ns/net", process.pid);
        let namespace = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        let hostname = identity::names_of(process.pid)?.host;
        state.network.iter().try_for_each(leases::share)?; // before the look whether it still lives
        ensure!(process.lives(), "the container {name} has ended"); // and not another has its number
        Ok(Shared { namespace, root: format!("/proc/{}/root", process.pid).into(), hostname })
    }

    /// Goes there. To be called in the child.
    pub fn enter(&self) -> Result<()> {
        let [there, here] = [self.namespace.metadata(), fs::metadata("/proc/self/ns/net")]
            .map(|found| found.map(|net| (net.dev(), net.ino())));
        // It may have the host's, which root of a user namespace may not enter, but is in already.
        if there.context("cannot look at a network")? == here.context("cannot look at a network")? {
            return Ok(());
        }
        setns(&self.namespace, CloneFlags::CLONE_NEWNET).map_err(|errno| {
            let hint = match errno {
                Errno::EPERM => "\nhint: who runs that container is another root than ours here",
                _ => "",
            };
            Error::new(errno)
                .context(format!("cannot enter the network of the other container{hint}"))
        })
    }

    /// Its files in `/etc`.
    pub fn files(&self) -> Result<Texts> {
        let names = ["resolv.conf", "hosts", "hostname"];
        names.into_iter().map(|name| file_of(&self.root, name)).collect()
    }
}

/// A file of another container, which may have put anything in its place.
fn file_of(root: &Path, name: &'static str) -> Result<(&'static str, String)> {
    let place = inside::inside(root, &Path::new("/etc").join(name))?;
    let kind = fstat(&place).with_context(|| format!("cannot look at {name}"))?.st_mode;
    // To open a FIFO means to wait for somebody at its other end.
    ensure!(
        SFlag::from_bits_truncate(kind) & SFlag::S_IFMT == SFlag::S_IFREG,
        "{name} of the other container is no file\n\
         hint: it has put something else in its place; --network bridge needs nothing of it"
    );
    let file = File::open(inside::through_descriptor(&place));
    let file = file.with_context(|| format!("cannot open {name} of the other container"))?;
    let mut text = String::new();
    file.take(1 << 20).read_to_string(&mut text).with_context(|| format!("cannot read {name}"))?;
    Ok((name, text))
}
