//! Shows a container its own `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.
//!
//! They are files in memory, bound over those of the image, which stays as it is. The memory belongs
//! to the mounts and goes with them, so there is nothing to tidy up.

use crate::Cable;
use crate::files::{self, AddHost, Resolver};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::Mode;
use rootfs::inside::{inside_or_new, through_descriptor};
use std::fs::{self, File};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::Path;

/// Where a container is, as its files tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Its own addresses.
    pub own: Vec<IpAddr>,
    /// This machine's addresses, as they are reached from inside; none if nothing is.
    pub host: Vec<IpAddr>,
    /// Does a way lead to IPv6 addresses?
    pub has_ipv6: bool,
    /// Who in there passes questions on to this machine's name server, wherever that listens.
    pub forwarder: Option<IpAddr>,
}

impl From<&Cable> for Surroundings {
    fn from(cable: &Cable) -> Surroundings {
        let (own, host) = (cable.ips(), cable.gateways.clone());
        Surroundings { own, has_ipv6: host.iter().any(IpAddr::is_ipv6), host, forwarder: None }
    }
}

/// The files of a container with this host name, by their names in `/etc`; `cable` if it has one.
pub fn texts(
    hostname: &str,
    cable: Option<&Cable>,
    resolver: &Resolver,
    added: &[AddHost],
) -> (Texts, Option<String>) {
    texts_at(&cable.map(Surroundings::from).unwrap_or_default(), hostname, resolver, added)
}

/// Texts of files, by their names in `/etc`.
pub type Texts = Vec<(&'static str, String)>;

/// [`texts`], wherever the container is; and a remark if it can look up no names.
pub fn texts_at(
    place: &Surroundings,
    hostname: &str,
    resolver: &Resolver,
    added: &[AddHost],
) -> (Texts, Option<String>) {
    let Surroundings { own, host, has_ipv6, forwarder } = place;
    let (of_the_host, behind) = files::of_the_host();
    let wanted = Resolver { has_ipv6: *has_ipv6, forwarder: *forwarder, ..resolver.clone() };
    let (resolv_conf, remark) = files::resolv_conf((&of_the_host, behind.as_deref()), &wanted);
    let texts = vec![
        ("resolv.conf", resolv_conf),
        ("hosts", files::hosts(hostname, own, added, host)),
        ("hostname", files::hostname(hostname)),
    ];
    (texts, remark.filter(|_| !host.is_empty()))
}

/// The files of a container that has this machine's network: they are this machine's, but for what
/// was asked to be otherwise.
pub fn texts_of_the_host(hostname: &str, resolver: &Resolver, added: &[AddHost]) -> Texts {
    let (mut resolv_conf, _) = files::of_the_host();
    if *resolver != Resolver::default() {
        let wanted = Resolver { is_the_hosts: true, ..resolver.clone() };
        resolv_conf = files::resolv_conf((&resolv_conf, None), &wanted).0;
    }
    let mut hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    if !hosts.is_empty() && !hosts.ends_with('\n') {
        hosts.push('\n');
    }
    hosts += &files::added(added, &[Ipv4Addr::LOCALHOST.into()]);
    vec![("resolv.conf", resolv_conf), ("hosts", hosts), ("hostname", files::hostname(hostname))]
}

/// Binds files with these names and texts into the folder `/etc` of the new root.
///
/// To be called before `/proc` is mounted: its folder holds the files' memory for a moment.
pub fn mount(root: &Path, files: &[(&str, String)]) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let options = Some("mode=755,size=1m");
    rootfs::mount_at(&rootfs::mount_point(root, "proc")?, "tmpfs", flags, options)?;
    let memory = rootfs::mount_point(root, "proc")?; // again: what we had is the folder below it
    for (name, text) in files {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let file = openat(&memory, *name, flags, Mode::from_bits_truncate(0o644))
            .with_context(|| format!("cannot create {name}"))?;
        let mut file = File::from(file);
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write {name}"))?;
        let place = Path::new("/etc").join(name);
        match inside_or_new(root, &place, false) {
            Ok(target) => rootfs::bind(&through_descriptor(&file), target.as_fd())
                .with_context(|| place.display().to_string())?,
            // A link of the image that leads nowhere, as its maker wanted it.
            Err(error) if error.downcast_ref() == Some(&Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
    }
    umount2(&through_descriptor(&memory), MntFlags::MNT_DETACH).context("cannot unmount /proc")
}
