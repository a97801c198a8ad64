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
use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;

/// The files of a container with this host name, by their names in `/etc`; `cable` if it has one.
pub fn texts(
    hostname: &str,
    cable: Option<&Cable>,
    resolver: &Resolver,
    added: &[AddHost],
) -> (Vec<(&'static str, String)>, Option<String>) {
    let gateways = cable.map(|cable| cable.gateways.clone()).unwrap_or_default();
    let has_ipv6 = gateways.iter().any(IpAddr::is_ipv6);
    let (own, behind) = files::of_the_host();
    let wanted = Resolver { has_ipv6, ..resolver.clone() };
    let (resolv_conf, remark) = files::resolv_conf((&own, behind.as_deref()), &wanted);
    let ips = cable.map(Cable::ips).unwrap_or_default();
    let texts = vec![
        ("resolv.conf", resolv_conf),
        ("hosts", files::hosts(hostname, &ips, added, &gateways)),
        ("hostname", files::hostname(hostname)),
    ];
    (texts, remark.filter(|_| !gateways.is_empty()))
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
