//! What is turned on the machine for all networks together: `.machine.json`, which no network can be
//! called.
//!
//! A kernel that sends packets on does so between all links, also between those that have nothing to
//! do with us. Where it did not before we came, the machine must not become a router for whoever is
//! on its links. So those that are there at that moment are written down, and IPv4 is dropped from
//! one of them to another (the set `apart`). IPv6 is not: it is never us who turn that on.
//!
//! Where is the limit of it? Somebody who wants a router finds the switch turned already, and nobody
//! sees that they want it. So it must do no harm to programs that turn the switch when they start,
//! and find it turned: what comes later is never taken in, be it Docker's bridge or a VPN's link;
//! and a bridge that machines of software alone are plugged into belongs to such a program, and is
//! left out. For links of hardware it is said, once, what was done and how it is undone.
//!
//! One program relies on turning the switch itself: Docker before version 28 drops what is for its
//! containers and not published only if it was the one. So we drop that, from our networks and from
//! the links that are written down. Its bridges are known by their names, docker0 and `br-` with
//! twelve digits; another link that begins with `br-` is an uplink. Nobody tells us when such a link
//! comes: until the next container starts, the others don't reach what is behind it.

use super::doors::say;
use super::record::{names, read, write};
use super::{FOLDER, Name, Record, TABLE};
use crate::forwarding::{self, Turned};
use crate::links::{self, Link};
use crate::lock::lock;
use crate::netlink::Netlink;
use crate::{leases, nftables};
use anyhow::{Context, Result};
use nix::fcntl::Flock;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The machine, as long as one alone changes it. To be locked after a network's folder.
pub struct Machine {
    _lock: Flock<File>,
}

/// The content of `.machine.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ledger {
    /// Its switches that were turned.
    turned: Vec<Turned>,
    /// The links that were there when nothing was sent on.
    apart: Vec<String>,
}

impl Machine {
    /// Waits until nobody else changes it.
    pub fn locked() -> Result<Machine> {
        let lock = lock(Path::new(FOLDER))?;
        Ok(Machine { _lock: lock.with_context(|| format!("{FOLDER} is gone"))? })
    }

    /// Writes down what is about to be turned; returns the links that shall be kept apart.
    pub fn remember(&self, needed: &[Turned]) -> Result<Vec<String>> {
        let mut ledger = Ledger::read()?;
        ledger.turned.extend(needed.iter().cloned());
        let here = strangers(&links::links(&mut Netlink::route()?)?);
        ledger.apart.extend(here);
        ledger.apart.sort();
        ledger.apart.dedup();
        write(&path(), &ledger)?;
        Ok(ledger.apart)
    }

    /// Keeps apart what is written down, in a table that is new.
    pub fn keep_apart(&self) -> Result<()> {
        nftables::keep_apart(TABLE, &Ledger::read()?.apart)
    }

    /// Says which links are not Docker's, though they begin as those do.
    pub fn name_uplinks(&self) -> Result<()> {
        let links = links::links(&mut Netlink::route()?)?.into_iter().map(|link| link.name);
        nftables::name_uplinks(
            TABLE,
            &links.filter(|name| is_like_dockers(name)).collect::<Vec<_>>(),
        )
    }

    /// Turns back what none of the networks needs that stay.
    pub fn turn_back(&self, staying: &[(Name, Record)]) -> Result<()> {
        if staying.iter().any(|(_, one)| !one.bridge.internal) {
            return Ok(());
        }
        let Ledger { turned, apart } = Ledger::read()?;
        forwarding::put_back(&turned)?;
        about_others(&turned)?.iter().for_each(|remark| say(remark));
        match staying {
            [] => nftables::remove(TABLE)?,
            _ => nftables::let_pass(TABLE, &apart)?,
        }
        remove()
    }
}

impl Ledger {
    fn read() -> Result<Ledger> {
        Ok(read(&path())?.unwrap_or_default())
    }
}

fn path() -> PathBuf {
    Path::new(FOLDER).join(".machine.json")
}

fn remove() -> Result<()> {
    for path in [path().with_extension("new"), path()] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => (),
            outcome => outcome.with_context(|| format!("cannot remove {}", path.display()))?,
        }
    }
    Ok(())
}

/// The links that are not ours, nor of a program that connects machines of software.
fn strangers(links: &[Link]) -> Vec<String> {
    let is_bridge = |index| links.iter().any(|link| link.index == index && link.kind == "bridge");
    let is_plugged_in = |link: &Link| link.master.is_some_and(is_bridge); // packets come by its bridge
    let is_stranger =
        |link: &Link| link.name != "lo" && !is_plugged_in(link) && !is_of_software(link, links);
    not_ours(links.iter().filter(|link| is_stranger(link)))
}

/// A bridge without hardware, and so without a way out but over this machine.
fn is_of_software(bridge: &Link, links: &[Link]) -> bool {
    let plugged_in = |link: &&Link| link.master == Some(bridge.index);
    let is_software = |link: &Link| ["veth", "tun"].contains(&&*link.kind);
    bridge.kind == "bridge" && links.iter().filter(plugged_in).all(is_software)
}

fn not_ours<'a>(links: impl Iterator<Item = &'a Link>) -> Vec<String> {
    let ours: Vec<String> = names().iter().map(Name::link).collect();
    let is_ours = |name: &String| ours.contains(name) || leases::is_link_name(name);
    links.map(|link| link.name.clone()).filter(|name| !is_ours(name)).collect()
}

/// What to say of a switch that is turned back: whoever came later found it turned, and never
/// turned it.
fn about_others(turned: &[Turned]) -> Result<Option<String>> {
    let links = links::links(&mut Netlink::route()?)?;
    let others = not_ours(links.iter().filter(|link| is_of_software(link, &links))).join(", ");
    let switches = turned.iter().map(|one| one.switch.replace('/', ".")).collect::<Vec<_>>();
    Ok((!others.is_empty() && !turned.is_empty()).then(|| {
        format!(
            "{} is turned back, which {others} may have found turned\n\
             hint: restart the program that made it, as Docker; it turns what it needs",
            switches.join(", ")
        )
    }))
}

fn is_like_dockers(name: &str) -> bool {
    let is_number =
        |text: &str| text.len() == 12 && text.bytes().all(|one| one.is_ascii_hexdigit());
    name.strip_prefix("br-").is_some_and(|rest| !is_number(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, kind: &str, master: Option<u32>) -> Link {
        let (name, kind) = (name.to_owned(), kind.to_owned());
        let peer_is_elsewhere = kind == "veth";
        let (mtu, up, peer, alias) = (1500, true, None, None);
        Link { index, name, kind, mtu, up, master, peer, peer_is_elsewhere, alias }
    }

    #[test]
    fn bridges_of_machines_of_software_are_nobodys_uplink() {
        let links = [
            link(1, "lo", "", None),
            link(2, "eth0", "", None),
            link(3, "wg0", "wireguard", None),
            link(4, "docker0", "bridge", None),
            link(5, "virbr0", "bridge", None),
            link(6, "vnet0", "tun", Some(5)),
            link(7, "br0", "bridge", None),
            link(8, "eth1", "", Some(7)),
            link(9, "vethabc", "veth", Some(7)),
            link(10, "co0a3f0002", "veth", None),
        ];
        assert_eq!(strangers(&links), ["eth0", "wg0", "br0"]);
    }

    #[test]
    fn the_bridges_of_docker_are_known_by_their_names() {
        assert!(is_like_dockers("br-lan") && is_like_dockers("br-0123456789ax"));
        assert!(
            ["br-0123456789ab", "br0", "docker0", "eth0"].iter().all(|one| !is_like_dockers(one))
        );
    }
}
