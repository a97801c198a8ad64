//! The links, addresses and routes that another process sees.
//!
//! A netlink socket speaks of the network namespace in which it was opened, so a child goes over
//! there and asks ([`identity::visit`]).

use crate::links::{self, Link, Route};
use crate::netlink::Netlink;
use crate::subnet::Address;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};

/// What is in a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its network cards.
    pub links: Vec<Link>,
    /// Their addresses, each with the number of its link.
    pub addresses: Vec<(u32, Address)>,
    /// The ways that do not begin at an address of a link.
    pub routes: Vec<Route>,
}

/// Reads what process `pid` sees. Needs CAP_SYS_ADMIN there, or a user namespace of the caller's.
pub fn network_of(pid: i32) -> Result<Network> {
    let seen = identity::visit(pid, "net", || Ok(serde_json::to_vec(&network_here()?)?))?;
    serde_json::from_slice(&seen).context("cannot understand what was seen there")
}

/// Reads what we see ourselves.
pub fn network_here() -> Result<Network> {
    let mut route = Netlink::route()?;
    let mut routes = links::routes(&mut route)?;
    routes.retain(|route| route.gateway.is_some()); // all else follows from the addresses
    let (links, addresses) = (links::links(&mut route)?, links::addresses(&mut route)?);
    Ok(Network { links, addresses, routes })
}

impl Network {
    /// The links for people: each with its addresses and the other end of its cable, which lies in
    /// the namespace `outside` if not in this.
    pub fn links_beside(&self, outside: &Network) -> Links {
        let describe = |link: &Link| {
            let addresses = self.addresses.iter().filter(|(index, _)| *index == link.index);
            let is_private = |address: &&Address| !is_link_local(address);
            let addresses = addresses.map(|(_, address)| address).filter(is_private);
            LinkSeen {
                name: link.name.clone(),
                kind: link.kind.clone(),
                up: link.up,
                mtu: link.mtu,
                addresses: addresses.map(ToString::to_string).collect(),
                other_end: self.other_end(link, outside),
                bridge: link.master.and_then(|master| self.name_of(master)),
            }
        };
        Links(self.links.iter().map(describe).collect())
    }

    /// `co0a3f0002 on coracle0`. The number alone says nothing of the namespace: the other end is
    /// the link of this number that has ours as its own other end.
    fn other_end(&self, link: &Link, outside: &Network) -> Option<String> {
        let peer = link.peer?;
        let there = if link.peer_is_elsewhere { outside } else { self };
        let is_peer = |one: &&Link| one.index == peer && one.peer == Some(link.index);
        let Some(found) = there.links.iter().find(is_peer) else {
            return Some(format!("link {peer} of another namespace"));
        };
        let bridge = found.master.and_then(|master| there.name_of(master));
        Some(bridge.map_or(found.name.clone(), |bridge| format!("{} on {bridge}", found.name)))
    }

    fn name_of(&self, index: u32) -> Option<String> {
        self.links.iter().find(|link| link.index == index).map(|link| link.name.clone())
    }

    /// The ways that lead over a gateway, for people.
    pub fn ways(&self) -> Ways {
        let describe = |route: &Route| {
            let to = route.to.map_or("default".to_owned(), |to| to.to_string());
            let via = route.gateway.map(|ip| format!(" via {ip}")).unwrap_or_default();
            let dev = route.link.and_then(|link| self.name_of(link));
            format!("{to}{via}{}", dev.map(|dev| format!(" dev {dev}")).unwrap_or_default())
        };
        Ways(self.routes.iter().map(describe).collect())
    }

    /// The addresses by which others can reach it.
    pub fn own_addresses(&self) -> impl Iterator<Item = std::net::IpAddr> {
        let all = self.addresses.iter().filter(|(_, address)| !is_link_local(address));
        all.map(|(_, address)| address.ip).filter(|ip| !ip.is_loopback())
    }
}

fn is_link_local(address: &Address) -> bool {
    matches!(address.ip, std::net::IpAddr::V6(ip) if ip.segments()[0] == 0xfe80)
}

/// Links, one a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Links(pub Vec<LinkSeen>);

/// What there is to say of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkSeen {
    /// `eth0`
    pub name: String,
    /// `veth`, `bridge`, …
    pub kind: String,
    /// Is it switched on?
    pub up: bool,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// `10.63.0.2/16`
    pub addresses: Vec<String>,
    /// Of a veth: the other end, and the bridge that it is plugged into.
    pub other_end: Option<String>,
    /// The bridge that this end is plugged into.
    pub bridge: Option<String>,
}

/// Routes, one a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ways(pub Vec<String>);

impl Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl Display for LinkSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.up {
            f.write_str(" (off)")?;
        }
        if let Some(end) = &self.other_end {
            write!(f, " ↔ {end}")?;
        }
        if let Some(bridge) = &self.bridge {
            write!(f, ", on {bridge}")?;
        }
        self.addresses.iter().try_for_each(|address| write!(f, " {address}"))
    }
}

impl Display for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "" })?;
        f.write_str(&self.0.join("\n"))
    }
}
