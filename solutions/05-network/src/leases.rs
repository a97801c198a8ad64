//! Who has which address: a file per address, locked by whoever uses it.
//!
//! The kernel drops a lock when its holder dies, however it dies: an address whose lock can be
//! taken is free, and what its file tells of is removed by whoever comes next. The end of a cable
//! that lies in a container goes with the container, and the other end with it (veth(4)).

use crate::netlink::Netlink;
use crate::networks::{FOLDER, Network, TABLE};
use crate::ports::{Published, Reserved};
use crate::proxy::{self, Proxy};
use crate::{Address, Bridge, Cable, links, nftables};
use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The mode of the file of a place that another container shares. A word in the file could be read
/// half written; the bit for sticky folders means nothing for a file (inode(7)) and is set at once.
const SHARED: u32 = 0o1600;

/// A container's place on a network. Dropped, it is free again.
pub struct Lease {
    /// What is written in its file.
    pub terms: Terms,
    path: PathBuf,
    /// The sockets of the published ports, until the proxy has them.
    reserved: Cell<Vec<Reserved>>,
    proxy: Cell<Option<Proxy>>,
    lock: Flock<File>,
}

/// The content of a lease's file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// What is to be laid, or lies there.
    #[serde(flatten)]
    pub cable: Cable,
    /// The ports of this machine that lead to it.
    #[serde(default)]
    pub ports: Vec<Published>,
}

impl Network {
    /// Takes the next address that nobody has, and writes down what ports shall lead to it.
    pub fn lease(&self, reserved: Vec<Reserved>) -> Result<Lease> {
        let folder = leases_folder(&self.folder);
        let Bridge { subnet, internal, .. } = self.record.bridge;
        ensure!(
            reserved.is_empty() || !internal,
            "the network {} is internal: no port of this machine leads there\n\
             hint: publish none, or take a network that is not",
            self.name
        );
        let taken: BTreeSet<u32> = live(&self.folder)?
            .iter()
            .filter_map(|path| subnet.number_of(address_of(path)?))
            .collect();
        // Not the lowest that is free: whoever still talks to the last one that had it would talk
        // to somebody else.
        let last = fs::read_to_string(self.folder.join("last")).unwrap_or_default();
        let after = last.parse().ok().and_then(|ip| subnet.number_of(ip)).map_or(0, |n| n + 1);
        let all = (after..subnet.places()).chain(0..after.min(subnet.places()));
        let Some(number) = all.into_iter().find(|number| !taken.contains(number)) else {
            bail!(
                "all {} addresses of {subnet} are in use\nhint: end a container, or run with --network none or host",
                subnet.places()
            );
        };
        let ip = subnet.place(number);
        let path = folder.join(ip.to_string());
        let file = File::create_new(&path);
        let file = file.with_context(|| format!("cannot create {}", path.display()))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive) // who looks at it is soon done
            .map_err(|(_, errno)| errno)
            .with_context(|| format!("cannot lock {}", path.display()))?;
        let ports = reserved.iter().map(|one| one.port.clone()).collect();
        let terms = Terms { cable: self.cable(ip), ports };
        let lease =
            Lease { terms, path, reserved: Cell::new(reserved), proxy: Cell::new(None), lock };
        fs::write(&lease.path, serde_json::to_vec_pretty(&lease.terms)?)
            .and_then(|()| fs::write(self.folder.join("last"), ip.to_string()))
            .with_context(|| format!("cannot write {}", lease.path.display()))?;
        Ok(lease)
    }

    fn cable(&self, ip: Ipv4Addr) -> Cable {
        let bridge = &self.record.bridge;
        let gateways = bridge.addresses().into_iter().map(|Address { ip, .. }| ip);
        // IPv6 leaves the bridge only where the host passes it on anyway. Without a route a
        // program learns at once that there is no way, and takes IPv4.
        let has_way = |ip: &IpAddr| !bridge.internal && (ip.is_ipv4() || links::passes_ipv6_on());
        Cable {
            bridge: bridge.name.clone(),
            link: link_name(ip),
            mtu: bridge.mtu,
            mac: links::mac_for(ip),
            addresses: bridge.beside(ip),
            gateways: gateways.filter(has_way).collect(),
        }
    }
}

fn leases_folder(network: &Path) -> PathBuf {
    network.join("leases")
}

/// The files of those addresses that are in use, after tidying up after those that are not. To be
/// called with the network's folder locked.
pub(crate) fn live(network: &Path) -> Result<Vec<PathBuf>> {
    let mut live = Vec::new();
    for path in files(network)? {
        let Ok(file) = File::open(&path) else { continue }; // given back a moment ago
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Err(_) => live.push(path),
            Ok(_held) => give_back(&path)?,
        }
    }
    Ok(live)
}

fn files(network: &Path) -> Result<Vec<PathBuf>> {
    let folder = leases_folder(network);
    match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()), // half removed
        entries => entries
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .with_context(|| format!("cannot read {}", folder.display())),
    }
}

/// Publishes the ports of all containers that live, in a table that is new. It may be another
/// network than the one that is locked, and so nothing of it is changed.
pub(crate) fn publish_again(network: &Path) -> Result<()> {
    for path in files(network)? {
        let mut published: Option<(u64, Terms)> = None;
        loop {
            // It may have ended while we published, and taken nothing back that was not there yet;
            // and another one may have its address by now.
            let now = of_who_stays(&path).filter(|(_, terms)| !terms.ports.is_empty());
            let number = |one: &Option<(u64, Terms)>| one.as_ref().map(|(number, _)| *number);
            if number(&now) == number(&published) {
                break;
            }
            if let Some((_, Terms { cable, .. })) = published {
                nftables::forget(TABLE, &cable.ips())?;
            }
            if let Some((_, Terms { cable, ports })) = &now {
                nftables::publish(TABLE, ports, &cable.ips())?;
            }
            published = now;
        }
    }
    Ok(())
}

/// The number of this file, and what it holds, if a container has it and is not about to end.
fn of_who_stays(path: &Path) -> Option<(u64, Terms)> {
    let file = File::open(path).ok()?;
    let number = file.metadata().ok()?.ino();
    let stays = Flock::lock(file, FlockArg::LockSharedNonblock).is_err();
    Some((number, read(path).filter(|_| stays)?))
}

/// Removes what is left of a container that is no more: its link, then the file that told of it.
fn give_back(path: &Path) -> Result<()> {
    if let Some(ip) = address_of(path) {
        if let Some(Terms { cable, .. }) = read(path).filter(|terms| !terms.ports.is_empty()) {
            nftables::forget(TABLE, &cable.ips())?;
        }
        links::remove(&mut Netlink::route()?, &link_name(ip))?;
    }
    fs::remove_file(path).or_else(|error| match error.kind() {
        ErrorKind::NotFound => Ok(()),
        _ => Err(error).with_context(|| format!("cannot remove {}", path.display())),
    })
}

fn read(path: &Path) -> Option<Terms> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// The terms of the lease of this address.
pub fn of(ip: IpAddr) -> Option<Terms> {
    files_of(ip).find_map(|path| read(&path))
}

/// The files of the lease of this address; one, if any.
fn files_of(ip: IpAddr) -> impl Iterator<Item = PathBuf> {
    let networks = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let file = move |network: fs::DirEntry| leases_folder(&network.path()).join(ip.to_string());
    networks.map(file).filter(|file| file.is_file())
}

/// Notes that another container is on this place, too, and so its namespace may outlive the one that
/// has the lease. To be called while that one lives.
pub fn share(terms: &Terms) -> Result<()> {
    let mut all = terms.cable.ips().into_iter().flat_map(files_of);
    all.try_for_each(|path| match fs::set_permissions(&path, Permissions::from_mode(SHARED)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot change {}", path.display()))
        }
        _ => Ok(()),
    })
}

fn address_of(path: &Path) -> Option<Ipv4Addr> {
    path.file_name()?.to_str()?.parse().ok()
}

/// The name of the link out here: no two containers have one address. `co0a3f0002` is 10.63.0.2.
fn link_name(ip: Ipv4Addr) -> String {
    format!("co{:08x}", u32::from(ip))
}

/// Is this the name of a container's link?
pub(crate) fn is_link_name(name: &str) -> bool {
    name.len() == 10 && name.starts_with("co") && u32::from_str_radix(&name[2..], 16).is_ok()
}

impl Lease {
    /// Lays the cable to the container whose first process is `pid`, while that waits, and opens
    /// its ports.
    pub fn plug_in(&self, pid: Pid) -> Result<()> {
        let Terms { cable, ports } = &self.terms;
        let mut route = Netlink::route()?;
        links::remove(&mut route, &cable.link)?; // a namespace may outlive its last process a little
        crate::veth(pid, cable)?;
        if !ports.is_empty() {
            links::answer_itself(&mut route, &cable.link)?;
            nftables::publish(TABLE, ports, &cable.ips())?;
            self.proxy.set(Some(proxy::start(self.reserved.take(), &cable.ips())?));
        }
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.terms.ports.is_empty() {
            // From now on nobody publishes them again: see publish_again. The lock is still held, so
            // the address is not given to another one.
            let _ = self.lock.relock(FlockArg::LockShared);
            let _ = nftables::forget(TABLE, &self.terms.cable.ips());
        }
        // The cable goes with the container, unless another one is still there. A place has one
        // owner; with it, it ends for all.
        if fs::metadata(&self.path).is_ok_and(|file| file.mode() & 0o7777 == SHARED) {
            let _ = Netlink::route()
                .and_then(|mut route| links::remove(&mut route, &self.terms.cable.link));
        }
        let _ = fs::remove_file(&self.path);
    }
}
