//! Gives a container a network of its own: a cable, an address, a way out and a way in.
//!
//! A new *network namespace* has no link to anywhere: it has its own list of network cards, routes
//! and packet filters, and of cards it has only the loopback `lo`, switched off
//! (network_namespaces(7)). So we lay a cable. A *veth* pair is two network cards joined by a wire:
//! what goes into one comes out of the other, and each may be in another namespace (veth(4)). One
//! end becomes the container's `eth0`. The other is plugged into a *bridge*, a switch that is made
//! of software (ip-link(8)), and with it the container hears all others that are plugged in there.
//! The bridge itself has an address, too: it is the host's own network card on that switch, and the
//! container's *gateway*, to which it sends what is for elsewhere.
//!
//! All this is said to the kernel by *netlink*, the socket by which also `ip` speaks to it
//! (rtnetlink(7)). Above each message stands what one would type. `netlink.rs` has the grammar,
//! `vocabulary.rs` the words.

pub mod etc;
pub mod files;
pub mod forwarding;
pub mod leases;
pub mod links;
mod lock;
pub mod neighbours;
pub mod netlink;
pub mod networks;
pub mod nftables;
mod plan;
pub mod ports;
pub mod proxy;
pub mod seen;
pub mod subnet;
mod sysctls;
pub mod user_mode;
mod vocabulary;

pub use leases::Lease;
pub use networks::{Network, Wanted};
pub use plan::{Bridge, Cable};
pub use seen::network_of;
pub use subnet::{Address, Subnet};
pub use user_mode::UserMode;

use anyhow::{Context, Result};
use links::{address_part, default_route_part, index_of, link_part};
use netlink::{Message, NLM_F_CREATE, NLM_F_EXCL, Netlink};
use nix::Error;
use nix::sched::CloneFlags;
use nix::unistd::Pid;
use std::net::IpAddr;
use vocabulary::*;

/// The namespace of this chapter, to be given to the clone.
pub const NAMESPACE: CloneFlags = CloneFlags::CLONE_NEWNET;

/// The kernel numbers the links of each namespace, and `lo` comes with it.
const LOOPBACK: u32 = 1;

/// Makes the switch, with its addresses.
// ANCHOR: bridge
pub fn bridge(bridge: &Bridge) -> Result<()> {
    let mut route = Netlink::route()?;
    let what = || format!("cannot make the bridge {}", bridge.name);
    // ip link add coracle0 type bridge
    let mut link = Message::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link_part(0, 0));
    link.attributes.text(IFLA_IFNAME, &bridge.name).number(IFLA_MTU, bridge.mtu);
    link.attributes.add(IFLA_ADDRESS, &links::mac_for(bridge.subnet.gateway()));
    link.attributes.nest(IFLA_LINKINFO, |info| info.text(IFLA_INFO_KIND, "bridge"));
    route.ask(link).with_context(what)?;
    let index = index_of(&bridge.name).with_context(what)?;
    sysctls::ignore_router_advertisements(&bridge.name)?;
    for address in bridge.addresses() {
        add_address(&mut route, &address, index)?; // ip address add 10.63.0.1/16 dev coracle0
    }
    switch_on(&mut route, index).with_context(what) // ip link set coracle0 up
}
// ANCHOR_END: bridge

/// Lays the cable: one end on the bridge, the other in the network namespace of process `pid`.
///
/// To be called by the parent while the child waits: only out here is there a bridge, and only
/// our number for the child says which namespace is meant. In there the same child is number 1.
// ANCHOR: veth
pub fn veth(pid: Pid, cable: &Cable) -> Result<()> {
    let mut route = Netlink::route()?;
    let bridge = index_of(&cable.bridge).with_context(|| format!("no bridge {}", cable.bridge))?;
    // ip link add LINK mtu MTU master BRIDGE up type veth peer name eth0 mtu MTU netns PID
    // ANCHOR: todo_net_veth: one message that makes both ends, ours up and on the bridge
    // | Ours has the name cable.link; attributes IFLA_MTU and IFLA_MASTER, and IFLA_LINKINFO, which
    // | holds the kind and IFLA_INFO_DATA; that holds VETH_INFO_PEER: the other end, link_part and
    // | attributes as for any link: a name, MTU, IFLA_ADDRESS, and IFLA_NET_NS_PID.
    let mut link = Message::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link_part(0, IFF_UP));
    link.attributes.text(IFLA_IFNAME, &cable.link).number(IFLA_MTU, cable.mtu);
    link.attributes.number(IFLA_MASTER, bridge);
    link.attributes.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
            data.nest(VETH_INFO_PEER, |peer| {
                peer.0.extend(link_part(0, 0));
                peer.text(IFLA_IFNAME, "eth0").number(IFLA_MTU, cable.mtu);
                peer.add(IFLA_ADDRESS, &cable.mac).number(IFLA_NET_NS_PID, pid.as_raw() as u32)
            })
        })
    });
    // ANCHOR_END: todo_net_veth
    route.ask(link).with_context(|| format!("cannot lay the cable {}", cable.link))
}
// ANCHOR_END: veth

/// Switches the loopback on: `ip link set lo up`. It brings its own addresses, 127.0.0.1 and ::1.
///
/// To be called in the child: a netlink socket speaks of the namespace in which it was opened.
pub fn loopback() -> Result<()> {
    sysctls::allow_what_harms_nobody();
    switch_on(&mut Netlink::route()?, LOOPBACK).context("cannot switch the loopback on")
}

/// Configures the container's end of the cable. To be called in the child.
// ANCHOR: up
pub fn up(cable: &Cable) -> Result<()> {
    loopback()?;
    let mut route = Netlink::route()?;
    let eth0 = index_of("eth0").context("the cable has not arrived: no eth0 in here")?;
    sysctls::ignore_router_advertisements("eth0")?;
    // ANCHOR: todo_net_up: addresses, then the link, then a default route over each gateway
    // | add_address and switch_on are below. A route is an RTM_NEWROUTE with default_route_part,
    // | RTA_GATEWAY (subnet::bytes of it) and RTA_OIF, the number of the link.
    for address in &cable.addresses {
        add_address(&mut route, address, eth0)?; // ip address add 10.63.0.2/16 dev eth0
    }
    switch_on(&mut route, eth0).context("cannot switch eth0 on")?; // ip link set eth0 up
    for gateway in &cable.gateways {
        // ip route add default via 10.63.0.1 dev eth0
        let mut way = Message::new(RTM_NEWROUTE, NLM_F_CREATE, &default_route_part(*gateway));
        way.attributes.add(RTA_GATEWAY, &subnet::bytes(*gateway)).number(RTA_OIF, eth0);
        route.ask(way).with_context(|| format!("cannot add a route over {gateway}"))?;
    }
    // ANCHOR_END: todo_net_up
    Ok(())
}
// ANCHOR_END: up

fn add_address(route: &mut Netlink, address: &Address, link: u32) -> Result<()> {
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    let mut message = Message::new(RTM_NEWADDR, flags, &address_part(address, link));
    let ip = subnet::bytes(address.ip);
    message.attributes.add(IFA_LOCAL, &ip).add(IFA_ADDRESS, &ip);
    if let IpAddr::V4(ip) = address.ip {
        let everybody = Subnet::around(ip, address.prefix).broadcast();
        message.attributes.add(IFA_BROADCAST, &everybody.octets());
    }
    match route.ask(message) {
        Ok(()) | Err(Error::EEXIST) => Ok(()),
        Err(errno) => Err(errno).with_context(|| format!("cannot add the address {address}")),
    }
}

fn switch_on(route: &mut Netlink, index: u32) -> nix::Result<()> {
    route.ask(Message::new(RTM_NEWLINK, 0, &link_part(index, IFF_UP)))
}
