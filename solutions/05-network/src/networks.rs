//! Networks as files, so that everybody finds them and `scripts/clean` can take them away.
//!
//! ```text
//! /run/coracle/networks/coracle0/network.json       the bridge; written before it is made
//! /run/coracle/networks/coracle0/leases/10.63.0.2   who has this address: see leases.rs
//! ```
//!
//! The folder is locked (flock(2)) while anything in it changes. A network stays when its last
//! container has gone, as docker's does: a bridge is made in a moment, but removing one means to
//! wait for everybody in the kernel who may still look at it.
//!
//! A link belongs to its network namespace and a file to all of them. So nobody believes a file
//! alone: what it tells of is looked up, and made again where it is missing.

use crate::forwarding::{self, Turned};
use crate::links::{self, Link};
use crate::lock::{lock, made_and_locked};
use crate::neighbours::{self, Place};
use crate::netlink::Netlink;
use crate::{Bridge, Subnet, bridge, leases, nftables};
use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::Flock;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, IsTerminal, Read, Write, stderr};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// Where all networks of this machine are. It is no matter of `CORACLE_RUN`: whoever keeps the state
/// of their containers elsewhere has the same links and addresses before them.
pub const FOLDER: &str = "/run/coracle/networks";

/// The bridge, and the table of nf_tables in which all that is ours stands.
const BRIDGE: &str = "coracle0";
pub(crate) const TABLE: &str = "coracle";

/// A network that is there, and that nobody else changes as long as this value lives.
pub struct Network {
    pub(crate) folder: PathBuf,
    /// What is known of it.
    pub record: Record,
    _lock: Flock<File>,
}

/// The content of `network.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The switch.
    pub bridge: Bridge,
    /// Is it complete?
    made: bool,
    /// Switches of the whole machine that were turned for it.
    #[serde(default)]
    turned: Vec<Turned>,
    /// Where other firewalls were asked to let it pass.
    #[serde(default)]
    places: Vec<Place>,
}

impl Network {
    /// The network `coracle0`; made, if it is not there. With `subnet` its addresses are these.
    pub fn open(subnet: Option<Subnet>) -> Result<Network> {
        let name = BRIDGE.to_owned();
        let folder = Path::new(FOLDER).join(&name);
        let lock = made_and_locked(&folder)?;
        let mut route = Netlink::route()?;
        let there = links::link(&mut route, &name)?;
        let known = Record::read(&folder)?;
        if let Some(record) = known.as_ref().filter(|record| fits(record, subnet)) {
            if record.made && there.is_some() {
                let mut network = Network { folder, record: record.clone(), _lock: lock };
                let bridge = &mut network.record.bridge;
                bridge.prefix6 = bridge.prefix6.filter(|_| links::has_ipv6(bridge.mtu));
                network.open_doors()?; // somebody may have thrown our rules away
                return Ok(network);
            }
        }
        let mut network = match known {
            None => {
                ensure_nobody_elses(there.as_ref(), &name)?;
                let bridge = plan(&mut route, name, subnet, None)?;
                Network { folder, record: Record::of(bridge), _lock: lock }
            }
            Some(record) => {
                let fits = fits(&record, subnet);
                let mut network = Network { folder, record, _lock: lock };
                let leases = network.live_leases()?;
                ensure!(
                    fits || leases.is_empty(),
                    "the addresses {} of {name} are in use\nhint: end its {} containers first",
                    network.record.bridge.subnet,
                    leases.len()
                );
                links::remove(&mut route, &name)?; // ours: it is written down
                let subnet = subnet.or(Some(network.record.bridge.subnet));
                network.record.bridge = plan(&mut route, name, subnet, Some(&network.record))?;
                network
            }
        };
        network.make()?;
        Ok(network)
    }

    /// Writes down what is about to exist, and makes it.
    fn make(&mut self) -> Result<()> {
        self.record.made = false;
        self.record.write(&self.folder)?;
        bridge(&self.record.bridge)?;
        for remark in self.open_doors()? {
            say(&remark);
        }
        self.record.made = true;
        self.record.write(&self.folder)
    }

    /// Lets packets out and in, as far as it is not so yet; returns what the owner of the machine
    /// should know. What is changed outside of our own table is written down before.
    fn open_doors(&mut self) -> Result<Vec<String>> {
        let Bridge { name, internal, .. } = self.record.bridge.clone();
        // IPv6 is left as it is: see `links::passes_ipv6_on`.
        let needed = if internal { Vec::new() } else { forwarding::needed(false)? };
        let way = neighbours::look(TABLE, &name)?;
        let new = |place: &&Place| !self.record.places.contains(place);
        let places: Vec<Place> = way.places.iter().filter(new).cloned().collect();
        if !needed.is_empty() || !places.is_empty() {
            self.record.turned.extend(needed.iter().cloned());
            self.record.places.extend(places);
            self.record.write(&self.folder)?;
        }
        let was_there = nftables::exists(TABLE)?;
        nftables::open(TABLE, &name, internal)?;
        if !self.record.turned.is_empty() && (!was_there || !needed.is_empty()) {
            // Before we came, nothing passed between the links that are here: so it stays.
            let others = links::links(&mut Netlink::route()?)?;
            let others = others.into_iter().map(|link| link.name);
            let is_other =
                |link: &String| *link != name && link != "lo" && !leases::is_link_name(link);
            nftables::keep_apart(TABLE, &others.filter(is_other).collect::<Vec<_>>())?;
        }
        if !was_there {
            self.publish_again()?;
        }
        neighbours::make_way(&way.places, &name)?;
        forwarding::turn(&needed)?;
        let turned =
            needed.iter().map(|turned| format!("{turned}, so that containers can reach others"));
        Ok(turned.chain(way.remarks).collect())
    }

    /// Removes the network, if no container is on it.
    pub fn remove() -> Result<()> {
        let name = BRIDGE;
        let folder = Path::new(FOLDER).join(name);
        if !folder.exists() {
            return Ok(());
        }
        let Some(lock) = lock(&folder)? else { return Ok(()) };
        let _held: Network; // until the folder is gone
        if let Some(record) = Record::read(&folder)? {
            let network = Network { folder: folder.clone(), record, _lock: lock };
            let leases = network.live_leases()?;
            ensure!(
                leases.is_empty(),
                "{name} is in use\nhint: end its {} containers",
                leases.len()
            );
            let others = fs::read_dir(FOLDER).into_iter().flatten().count() > 1;
            neighbours::take_back(&network.record.places, name)?;
            if others {
                nftables::close(TABLE, name)?;
            } else {
                nftables::remove(TABLE)?;
            }
            forwarding::put_back(&network.record.turned)?;
            links::remove(&mut Netlink::route()?, name)?;
            _held = network;
        }
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
        let _ = fs::remove_dir(folder.parent().unwrap_or(&folder)); // if it is empty now
        Ok(())
    }
}

/// Gives back the addresses of those who were killed, and removes what is left of them.
pub fn sweep() -> Result<()> {
    for entry in fs::read_dir(FOLDER).into_iter().flatten().flatten() {
        let folder = entry.path();
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let Some(lock) = lock(&folder)? else { continue };
        if let Some(record) = Record::read(&folder)? {
            Network { folder, record, _lock: lock }.live_leases()?;
        }
    }
    Ok(())
}

fn fits(record: &Record, subnet: Option<Subnet>) -> bool {
    subnet.is_none_or(|subnet| subnet == record.bridge.subnet)
}

fn ensure_nobody_elses(there: Option<&Link>, name: &str) -> Result<()> {
    let Some(link) = there else { return Ok(()) };
    let kind = if link.kind.is_empty() { "link" } else { &link.kind };
    bail!(
        "there is a {kind} {name} already, and it is not ours\n\
         hint: if nobody needs it: ip link delete {name}; or run with --network none or host"
    )
}

/// What the bridge shall be: addresses that lead nowhere else from here, and packets as large as
/// those that the host sends.
fn plan(
    route: &mut Netlink,
    name: String,
    subnet: Option<Subnet>,
    before: Option<&Record>,
) -> Result<Bridge> {
    let in_use = links::ranges_in_use(route)?;
    let all = links::links(route)?;
    let taken = |subnet: &Subnet| {
        in_use.iter().find(|(range, _)| range.overlaps(subnet)).map(|(range, link)| {
            let found = all.iter().find(|one| Some(one.index) == *link);
            (*range, found.map_or("nowhere".to_owned(), |link| link.name.clone()))
        })
    };
    let subnet = match subnet {
        Some(wanted) => match taken(&wanted) {
            None => wanted,
            Some((range, link)) => bail!(
                "the addresses {wanted} overlap {range}, which this machine reaches by {link}\n\
                 hint: choose a range that leads nowhere from here: ip route lists them"
            ),
        },
        None => candidates().find(|range| taken(range).is_none()).context(
            "this machine has a route to every range of private addresses\n\
             hint: run with --network none or host",
        )?,
    };
    let mtu = links::mtu_to_the_outside(route)?;
    let prefix6 = match before {
        Some(record) => record.bridge.prefix6.filter(|_| links::has_ipv6(mtu)),
        None => links::has_ipv6(mtu).then(random_prefix).transpose()?,
    };
    Ok(Bridge { name, subnet, prefix6, mtu, internal: false })
}

/// Ranges for private use (RFC 1918), those first that others seldom take.
fn candidates() -> impl Iterator<Item = Subnet> {
    let tens = (63..=95).chain(128..=254).map(|second| Ipv4Addr::new(10, second, 0, 0));
    let hundreds = (20..=31).map(|second| Ipv4Addr::new(172, second, 0, 0));
    let last = (128..=254).map(|third| Subnet::around(Ipv4Addr::new(192, 168, third, 0), 24));
    tens.chain(hundreds).map(|first| Subnet::around(first, 16)).chain(last)
}

/// The first half of IPv6 addresses for private use: `fd`, and 40 bits that nobody else will have
/// thrown (RFC 4193).
fn random_prefix() -> Result<Ipv6Addr> {
    let mut bytes = [0; 16];
    bytes[0] = 0xfd;
    let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes[1..6]));
    random.context("cannot read /dev/urandom")?;
    Ok(bytes.into())
}

/// Tells a person, and leaves a program's standard error alone.
fn say(remark: &str) {
    if stderr().is_terminal() {
        let _ = writeln!(stderr(), "coracle: {remark}");
    }
}

impl Record {
    fn of(bridge: Bridge) -> Record {
        Record { bridge, made: false, turned: Vec::new(), places: Vec::new() }
    }

    fn read(folder: &Path) -> Result<Option<Record>> {
        let path = folder.join("network.json");
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let record = serde_json::from_slice(&text);
        record.map(Some).with_context(|| format!("cannot understand {}", path.display()))
    }

    fn write(&self, folder: &Path) -> Result<()> {
        write(&folder.join("network.json"), &serde_json::to_vec_pretty(self)?)
    }
}

/// Writes beside the old file and renames, so that a reader sees the old or the new, whole.
pub(crate) fn write(path: &Path, text: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_ranges_are_private() {
        let all: Vec<Subnet> = candidates().collect();
        assert!(all.iter().all(|range| range.base().is_private()));
        assert_eq!(all[0].to_string(), "10.63.0.0/16");
    }
}
