//! Networks as files, so that everybody finds them and `scripts/clean` can take them away.
//!
//! ```text
//! /run/coracle/networks/coracle0/network.json       a network: its bridge; written before it is made
//! /run/coracle/networks/coracle0/leases/10.63.0.2   who has this address: see leases.rs
//! /run/coracle/networks/.machine.json               what is turned for all of them: see machine.rs
//! ```
//!
//! A network's folder is locked (flock(2)) while anything in it changes, and the folder above them
//! while one is made or removed. A network stays when its last container has gone, as docker's does:
//! a bridge is made in a moment, but removing one means to wait for everybody in the kernel who may
//! still look at it.
//!
//! Between two networks nothing passes but what is published, and one that is *internal* leads
//! nowhere: its containers hear each other and this machine, and nobody else. `nftables.rs` sees to
//! both.
//!
//! A link belongs to its network namespace and a file to all of them. So nobody believes a file
//! alone: what it tells of is looked up, and made again where it is missing.

mod doors;
mod machine;
mod name;
mod range;
mod record;

pub use name::Name;
pub use record::Record;

use crate::links::{self, Link};
use crate::lock::{lock, made_and_locked};
use crate::netlink::Netlink;
use crate::{Subnet, bridge, leases, neighbours, nftables};
use anyhow::{Context, Result, bail, ensure};
use machine::Machine;
use nix::fcntl::Flock;
use record::others;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};

/// Where all networks of this machine are. It is no matter of `CORACLE_RUN`: whoever keeps the state
/// of their containers elsewhere has the same links and addresses before them.
pub const FOLDER: &str = "/run/coracle/networks";

/// The table of nf_tables in which all that is ours stands.
pub(crate) const TABLE: &str = "coracle";

/// Which network, and how it shall be.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Wanted {
    /// The network to be on: each has a bridge of its own, and is apart from all others
    #[arg(long = "bridge", value_name = "NAME", default_value_t)]
    pub name: Name,
    /// The range of the bridge's addresses [default: one that leads nowhere from here]
    #[arg(long, value_name = "RANGE")]
    pub subnet: Option<Subnet>,
    /// The network leads nowhere: its containers hear each other and this machine alone
    #[arg(long)]
    pub internal: bool,
}

/// A network that is there, and that nobody else changes as long as this value lives.
pub struct Network {
    pub(crate) name: Name,
    pub(crate) folder: PathBuf,
    /// What is known of it.
    pub record: Record,
    _lock: Flock<File>,
}

impl Network {
    /// The network of this name; made, if it is not there, and made anew if it is another than is
    /// wanted and nobody is on it.
    pub fn open(wanted: &Wanted) -> Result<Network> {
        let (name, folder) = (wanted.name.clone(), Path::new(FOLDER).join(&wanted.name));
        let lock = made_and_locked(&folder)?;
        let machine = Machine::locked()?; // nobody else makes one and takes its addresses
        let mut route = Netlink::route()?;
        let there = links::link(&mut route, &name.link())?;
        let known = Record::read(&folder)?;
        if let Some(record) = known.as_ref().filter(|record| record.made && wanted.fits(record)) {
            if there.is_some() {
                let mut network = Network { name, folder, record: record.clone(), _lock: lock };
                let bridge = &mut network.record.bridge;
                bridge.prefix6 = bridge.prefix6.filter(|_| links::has_ipv6(bridge.mtu));
                network.open_doors(&machine)?; // somebody may have thrown our rules away
                return Ok(network);
            }
        }
        let others = others(&name)?;
        let mut network = match known {
            None => {
                let free = ensure_nobody_elses(there.as_ref(), &name, &others);
                let planned = free.and_then(|()| range::plan(&mut route, wanted, &others, None));
                let bridge = planned.inspect_err(|_| drop(remove_folder(&folder)))?;
                Network { name, folder, record: Record::of(bridge), _lock: lock }
            }
            Some(record) => {
                let mut network = Network { name, folder, record, _lock: lock };
                network.ensure_may_become(wanted)?;
                let before = &network.record.bridge;
                nftables::close(TABLE, &before.name)?;
                links::remove(&mut route, &before.name)?; // ours: it is written down
                network.record.bridge = range::plan(&mut route, wanted, &others, Some(before))?;
                network
            }
        };
        network.make(&machine)?;
        Ok(network)
    }

    /// Writes down what is about to exist, and makes it.
    fn make(&mut self, machine: &Machine) -> Result<()> {
        self.record.made = false;
        self.record.write(&self.folder)?;
        bridge(&self.record.bridge)?;
        self.open_doors(machine)?.iter().for_each(|remark| advise(remark));
        self.record.made = true;
        self.record.write(&self.folder)
    }

    /// Nobody's addresses are exchanged below them, nor their walls.
    fn ensure_may_become(&self, wanted: &Wanted) -> Result<()> {
        let (name, bridge, count) =
            (&self.name, &self.record.bridge, leases::live(&self.folder)?.len());
        let differs = match wanted.subnet {
            Some(subnet) if subnet != bridge.subnet => {
                format!("the addresses {} of {name} are", bridge.subnet)
            }
            _ if wanted.internal != bridge.internal && wanted.internal => {
                format!("{name} has a way out and is")
            }
            _ if wanted.internal != bridge.internal => format!("{name} is internal and"),
            _ => return Ok(()),
        };
        ensure!(
            count == 0,
            "{differs} in use\nhint: end its {count} containers first, or choose another network"
        );
        Ok(())
    }

    /// Removes the network, if no container is on it. It may be gone already.
    pub fn remove(name: &Name) -> Result<()> {
        let folder = Path::new(FOLDER).join(name);
        let Some(_held) = lock(&folder)? else { return Ok(()) }; // until the folder is gone
        let count = leases::live(&folder)?.len();
        ensure!(count == 0, "the network {name} is in use\nhint: end its {count} containers");
        let machine = Machine::locked()?;
        let others = others(name)?;
        if let Some(Record { bridge, places, .. }) = Record::read(&folder)? {
            neighbours::take_back(&places, &bridge.name)?;
            if !others.is_empty() {
                nftables::close(TABLE, &bridge.name)?;
            }
            links::remove(&mut Netlink::route()?, &bridge.name)?;
        }
        machine.turn_back(&others)?;
        remove_folder(&folder).with_context(|| format!("cannot remove {}", folder.display()))
    }
}

impl Wanted {
    fn fits(&self, Record { bridge, .. }: &Record) -> bool {
        bridge.internal == self.internal && self.subnet.is_none_or(|subnet| subnet == bridge.subnet)
    }
}

/// Removes all networks that nobody uses. An error tells of the first that has to stay.
pub fn prune() -> Result<()> {
    let mut outcome = Ok(());
    for name in record::names() {
        outcome = outcome.and(Network::remove(&name));
    }
    outcome
}

/// Puts back what somebody has thrown away, who reloaded a firewall or the machine's switches: the
/// containers that run have their ways again before another one starts.
pub fn reload() -> Result<()> {
    for name in record::names() {
        if let Some(Record { bridge, .. }) = Record::read(&Path::new(FOLDER).join(&name))? {
            let wanted = Wanted { name, subnet: None, internal: bridge.internal };
            Network::open(&wanted)?;
        }
    }
    Ok(())
}

/// Gives back the addresses of those who were killed, and removes what is left of them.
pub fn sweep() -> Result<()> {
    for name in record::names() {
        let folder = Path::new(FOLDER).join(&name);
        if let Some(_held) = lock(&folder)? {
            leases::live(&folder)?;
        }
    }
    Ok(())
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    fs::remove_dir_all(folder)?;
    let _ = fs::remove_dir(FOLDER); // if it is empty now
    Ok(())
}

fn ensure_nobody_elses(there: Option<&Link>, name: &Name, others: &[(Name, Record)]) -> Result<()> {
    let link = name.link();
    if let Some((other, _)) = others.iter().find(|(_, other)| other.bridge.name == link) {
        bail!("the network {other} has the bridge {link}\nhint: choose another name than {name}");
    }
    let Some(Link { kind, .. }) = there else { return Ok(()) };
    let kind = if kind.is_empty() { "link" } else { kind };
    bail!(
        "there is a {kind} {link} already, and it is not ours\n\
         hint: if nobody needs it: ip link delete {link}; or run with --network none or host"
    )
}

/// Tells a person what they should see to, and leaves a program's standard error alone.
fn advise(remark: &str) {
    if stderr().is_terminal() {
        let _ = writeln!(stderr(), "coracle: {remark}");
    }
}
