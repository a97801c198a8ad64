//! Fixed parts of the messages about links, addresses and routes, and what the kernel tells of them.

use crate::netlink::{Message, NLM_F_DUMP, Netlink, attribute, text, u32_at};
use crate::subnet::{Address, Subnet};
use crate::vocabulary::*;
use anyhow::{Context, Result};
use nix::Error;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

/// `struct ifinfomsg`: which link, or 0 for a new one, and whether it shall be up.
pub fn link_part(index: u32, flags: u32) -> [u8; 16] {
    let mut part = [0; 16];
    part[4..8].copy_from_slice(&index.to_ne_bytes());
    part[8..12].copy_from_slice(&flags.to_ne_bytes());
    part[12..].copy_from_slice(&flags.to_ne_bytes()); // the flags that are meant to change
    part
}

/// `struct ifaddrmsg`: an address of the link `index`.
pub fn address_part(address: &Address, index: u32) -> [u8; 8] {
    let [a, b, c, d] = index.to_ne_bytes();
    let flags = if address.ip.is_ipv6() { IFA_F_NODAD } else { 0 };
    [family(address.ip), address.prefix, flags, RT_SCOPE_UNIVERSE, a, b, c, d]
}

/// `struct rtmsg`: the default route of a family, which leads everywhere (a prefix of no bits).
pub fn default_route_part(gateway: IpAddr) -> [u8; 12] {
    let (table, protocol) = (RT_TABLE_MAIN, RTPROT_STATIC);
    [family(gateway), 0, 0, 0, table, protocol, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0, 0, 0, 0]
}

fn family(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { AF_INET } else { AF_INET6 }
}

/// The number of a link in our network namespace; `None` if there is no such link.
pub fn index_of(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}

/// A link, as RTM_GETLINK tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number in its network namespace.
    pub index: u32,
    /// `eth0`
    pub name: String,
    /// `bridge`, `veth`, …; empty for hardware and for `lo`.
    pub kind: String,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// Is it switched on?
    pub up: bool,
    /// The bridge that it is plugged into.
    pub master: Option<u32>,
    /// The number of a veth's other end, in that end's namespace.
    pub peer: Option<u32>,
    /// Is the other end in another network namespace?
    pub peer_is_elsewhere: bool,
    /// What somebody noted on it.
    pub alias: Option<String>,
}

/// All links of a network namespace.
pub fn links(route: &mut Netlink) -> Result<Vec<Link>> {
    let told = route.list(Message::new(RTM_GETLINK, NLM_F_DUMP, &link_part(0, 0)));
    let told = told.context("cannot list the links")?;
    Ok(told.iter().filter_map(|(_, body)| read_link(body)).collect())
}

/// The link of this name.
pub fn link(route: &mut Netlink, name: &str) -> Result<Option<Link>> {
    let mut question = Message::new(RTM_GETLINK, 0, &link_part(0, 0));
    question.attributes.text(IFLA_IFNAME, name);
    match route.list(question) {
        Ok(told) => Ok(told.iter().find_map(|(_, body)| read_link(body))),
        Err(Error::ENODEV) => Ok(None),
        Err(errno) => Err(errno).with_context(|| format!("cannot look at the link {name}")),
    }
}

fn read_link(body: &[u8]) -> Option<Link> {
    let rest = body.get(16..)?;
    let number = |kind| attribute(rest, kind).and_then(|value| u32_at(value, 0));
    let info = attribute(rest, IFLA_LINKINFO).unwrap_or_default();
    let kind = attribute(info, IFLA_INFO_KIND).map(text).unwrap_or_default();
    Some(Link {
        index: u32_at(body, 4)?,
        name: text(attribute(rest, IFLA_IFNAME)?),
        mtu: number(IFLA_MTU)?,
        up: u32_at(body, 8)? & IFF_UP != 0,
        master: number(IFLA_MASTER),
        peer: number(IFLA_LINK).filter(|_| kind == "veth"),
        peer_is_elsewhere: attribute(rest, IFLA_LINK_NETNSID).is_some(),
        alias: attribute(rest, IFLA_IFALIAS).map(text),
        kind,
    })
}

/// Removes a link, and with it the other end if it is a veth. It may be gone already.
pub fn remove(route: &mut Netlink, name: &str) -> Result<()> {
    let Some(index) = index_of(name) else { return Ok(()) };
    match route.ask(Message::new(RTM_DELLINK, 0, &link_part(index, 0))) {
        Ok(()) | Err(Error::ENODEV) => Ok(()),
        Err(errno) => Err(errno).with_context(|| format!("cannot remove the link {name}")),
    }
}

/// May we change the network that we are in? Root of a user namespace may change its own, and not
/// the host's. The kernel says so before it looks at what shall be removed.
pub fn may_change() -> Result<bool> {
    let nothing = Message::new(RTM_DELLINK, 0, &link_part(i32::MAX as u32, 0));
    Ok(Netlink::route()?.ask(nothing) != Err(Error::EPERM))
}

/// Lets the port of a bridge send a packet back to where it came from: a container that asks for
/// its own published port, where a bridge's packets pass the filters, too (`br_netfilter`).
pub fn answer_itself(route: &mut Netlink, name: &str) -> Result<()> {
    let index = index_of(name).with_context(|| format!("no link {name}"))?;
    let mut change = Message::new(RTM_NEWLINK, 0, &link_part(index, 0));
    change.attributes.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_SLAVE_KIND, "bridge");
        info.nest(IFLA_INFO_SLAVE_DATA, |data| data.add(IFLA_BRPORT_MODE, &[1]))
    });
    route.ask(change).with_context(|| format!("cannot change the bridge's port {name}"))
}

/// All addresses, each with the number of its link.
pub fn addresses(route: &mut Netlink) -> Result<Vec<(u32, Address)>> {
    let told = route.list(Message::new(RTM_GETADDR, NLM_F_DUMP, &[0; 8]));
    let told = told.context("cannot list the addresses")?;
    let read = |body: &[u8]| {
        let rest = body.get(8..)?;
        let value = attribute(rest, IFA_LOCAL).or_else(|| attribute(rest, IFA_ADDRESS))?;
        Some((u32_at(body, 4)?, Address { ip: read_ip(value)?, prefix: body[1] }))
    };
    Ok(told.iter().filter_map(|(_, body)| read(body)).collect())
}

/// A way to somewhere: `default via 10.63.0.1 dev eth0`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where it leads; `None` is everywhere.
    pub to: Option<Address>,
    /// The next machine on the way; `None` if none is needed.
    pub gateway: Option<IpAddr>,
    /// The number of the link.
    pub link: Option<u32>,
    /// Which of the kernel's tables it stands in; who has several chooses among them by rules.
    pub table: u32,
}

/// The routes of all tables, but not those to this machine itself.
pub fn routes(route: &mut Netlink) -> Result<Vec<Route>> {
    let told = route.list(Message::new(RTM_GETROUTE, NLM_F_DUMP, &[0; 12]));
    let told = told.context("cannot list the routes")?;
    let read = |body: &[u8]| {
        let (rest, prefix) = (body.get(12..)?, body[1]);
        let table = attribute(rest, RTA_TABLE).and_then(|value| u32_at(value, 0));
        let table = table.unwrap_or(u32::from(body[4]));
        let to = attribute(rest, RTA_DST).and_then(read_ip).map(|ip| Address { ip, prefix });
        let link = attribute(rest, RTA_OIF).and_then(|value| u32_at(value, 0));
        let gateway = attribute(rest, RTA_GATEWAY).and_then(read_ip);
        (body[7] == RTN_UNICAST).then_some(Route { to, gateway, link, table })
    };
    Ok(told.iter().filter_map(|(_, body)| read(body)).collect())
}

fn read_ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
}

/// The IPv4 ranges that this machine knows a way to. What leads everywhere is none of them, nor
/// are the two halves of everywhere, by which a VPN takes the place of the default route.
pub fn ranges_in_use(route: &mut Netlink) -> Result<Vec<(Subnet, Option<u32>)>> {
    let v4 = |address: Address| match address.ip {
        IpAddr::V4(ip) if address.prefix > 1 => Some(Subnet::around(ip, address.prefix)),
        _ => None,
    };
    let of_routes = routes(route)?.into_iter().filter_map(|one| Some((v4(one.to?)?, one.link)));
    let mut ranges: Vec<_> = of_routes.collect();
    let of_links = addresses(route)?;
    ranges.extend(of_links.into_iter().filter_map(|(link, one)| Some((v4(one)?, Some(link)))));
    Ok(ranges)
}

/// The largest packet that leaves this machine in one piece on its default way; 1500 without one.
pub fn mtu_to_the_outside(route: &mut Netlink) -> Result<u32> {
    let ways = routes(route)?;
    let is_default = |one: &&Route| one.to.is_none() && one.table == u32::from(RT_TABLE_MAIN);
    let out = ways.iter().find(is_default).and_then(|one| one.link);
    let found = links(route)?.into_iter().find(|link| Some(link.index) == out);
    Ok(found.map_or(1500, |link| link.mtu))
}

/// Would a new link with this mtu speak IPv6? Not without it in the kernel, nor where it is switched
/// off, nor if the link can't carry what every link must that does (1280 bytes, RFC 8200).
pub fn has_ipv6(mtu: u32) -> bool {
    let off = std::fs::read_to_string("/proc/sys/net/ipv6/conf/default/disable_ipv6");
    off.is_ok_and(|value| value.trim() == "0") && mtu >= 1280
}

/// Does this machine pass IPv6 packets on from one link to another? We never make it: a machine
/// that does stops listening to its router.
pub fn passes_ipv6_on() -> bool {
    let path = "/proc/sys/net/ipv6/conf/all/forwarding";
    std::fs::read_to_string(path).is_ok_and(|value| value.trim() != "0")
}

/// The network card's number that belongs to an address, so that a neighbour who remembers the
/// last container of this address finds the next one, too. The second bit of `02` says that no
/// factory gave it.
pub fn mac_for(ip: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = ip.octets();
    [0x02, 0xc0, a, b, c, d]
}
