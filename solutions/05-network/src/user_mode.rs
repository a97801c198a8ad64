//! Gives a container a way out and a way in where nobody may lay a cable: to an ordinary user.
//!
//! The other end of a cable would be a network card of the host, and only the host's root may add
//! one. But the user is root in the container's own namespace, and out here may open sockets as any
//! program does. So in there goes a *TAP*, a network card whose wire ends in a file descriptor
//! (tun(4) in the kernel's documentation, networking/tuntap.rst), and out here a program reads from
//! it the packets that the container sends, does with sockets of its own what they ask for, and
//! writes the answers as packets. That is a router made of an ordinary process; there are two of
//! this kind, pasta(1) and slirp4netns(1), and neither comes with us (`program.rs`). The machine's
//! neighbours see connections of the machine: what NAT would do is done by the sockets.
//!
//! The way in needs no such program. A socket stays in the network namespace in which it was made,
//! wherever its process goes. So the proxy (`proxy.rs`) keeps the sockets on which it listens out
//! here, enters the container's namespace (setns(2)), and connects from in there. The client's
//! address is exchanged for the container's own on that way.

mod program;

use crate::etc::Surroundings;
use crate::files::{self, Resolver};
use crate::links::{self, Route};
use crate::netlink::Netlink;
use crate::ports::{Published, Reserved};
use crate::proxy::{self, Proxy};
use crate::vocabulary::RT_TABLE_MAIN;
use crate::{Address, Subnet, subnet};
use anyhow::{Context, Result};
use nix::unistd::Pid;
use program::{Kind, Program, Running};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The container's IPv6 addresses begin like this. They are translated, so nobody else sees them.
const PREFIX6: Ipv6Addr = Ipv6Addr::new(0xfd63, 0x6f72, 0x6163, 0x6c65, 0, 0, 0, 0);

/// Everybody's router on a link of their own, by whose IPv6 address nobody else is meant.
const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// A container's connection. Dropped, the program and the proxy end.
pub struct UserMode {
    /// What there is to be known of it.
    pub terms: Terms,
    range: Subnet,
    program: Option<Program>,
    surroundings: Surroundings,
    reserved: Cell<Vec<Reserved>>,
    running: Cell<Option<Running>>,
    proxy: Cell<Option<Proxy>>,
}

/// What others can know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The program that speaks for it; without one it has a loopback alone.
    pub program: Option<String>,
    /// The container's addresses, which others may have, too: they mean something in there alone.
    pub addresses: Vec<Address>,
    /// The ports of this machine that lead to it.
    pub ports: Vec<Published>,
}

impl UserMode {
    /// Finds who could speak for a container; the remark is for its user, if nobody can.
    pub fn prepare(reserved: Vec<Reserved>) -> Result<(UserMode, Option<String>)> {
        let mut route = Netlink::route()?;
        let ways = Ways::of(&links::routes(&mut route)?);
        let (program, remark) = match (Program::find(Kind::Pasta), Program::find(Kind::Slirp)) {
            (Some(pasta), _) if ways.any() => (Some(pasta), None),
            (_, Some(slirp)) => (Some(slirp), None),
            (Some(_), None) => (None, Some(NO_WAY)),
            (None, None) => (None, Some(NO_PROGRAM)),
        };
        let is_pasta = program.as_ref().is_some_and(|one| one.kind == Kind::Pasta);
        let in_use = links::ranges_in_use(&mut route)?;
        let range = free_range(&in_use.iter().map(|(range, _)| *range).collect::<Vec<_>>());
        let own = Address { ip: container(range).into(), prefix: range.prefix };
        let own6 = Address { ip: subnet::beside(PREFIX6, container(range)).into(), prefix: 64 };
        let v4 = program.is_some().then_some(own).filter(|_| !is_pasta || ways.v4.is_some());
        let v6 = Some(own6).filter(|_| is_pasta && ways.v6.is_some());
        let terms = Terms {
            program: program.as_ref().map(|one| one.kind.to_string()),
            addresses: v4.into_iter().chain(v6).collect(),
            ports: reserved.iter().map(|one| one.port.clone()).collect(),
        };
        let on_the_way = |(link, one): (u32, Address)| ways.lead_over(link).then_some(one.ip);
        let of_the_host = links::addresses(&mut route)?.into_iter().filter_map(on_the_way);
        let surroundings = Surroundings {
            own: terms.addresses.iter().map(|address| address.ip).collect(),
            host: of_the_host.filter(|ip| can_be_reached(ip, v6.is_some())).collect(),
            has_ipv6: v6.is_some(),
            forwarder: v4
                .filter(|_| needs_forwarder(v6.is_some()))
                .map(|_| forwarder(range).into()),
        };
        let has =
            if terms.ports.is_empty() { "no network" } else { "published ports and no way out" };
        let (running, proxy) = (Cell::new(None), Cell::new(None));
        let reserved = Cell::new(reserved);
        let user_mode = UserMode { terms, range, program, surroundings, reserved, running, proxy };
        Ok((user_mode, remark.map(|(why, hint)| format!("{why}: it has {has}\n{hint}"))))
    }

    /// What its files tell of where it is.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Puts the network card into the network namespace of process `pid`, while that waits, and
    /// opens its ports. To be called by a process with one thread that may enter that namespace.
    pub fn plug_in(&self, pid: Pid) -> Result<()> {
        let path = format!("/proc/{pid}/ns/net");
        let namespace = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        if let Some(program) = &self.program {
            self.running.set(Some(program.start(&namespace, self.range, &self.surroundings)?));
        }
        let reserved = self.reserved.take();
        if !reserved.is_empty() {
            let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            let own = &self.surroundings.own;
            let to = if own.is_empty() { &loopback[..] } else { own };
            self.proxy.set(Some(proxy::start_inside(&namespace, reserved, to)?));
        }
        Ok(())
    }
}

/// Why nobody can speak for a container, and what to do about it.
type Remark = (&'static str, &'static str);

const NO_PROGRAM: Remark = (
    "without root a program must speak for the container, and neither pasta nor slirp4netns is installed",
    "hint: install the package passt, which has pasta; or run it with --network host",
);
const NO_WAY: Remark = (
    "this machine has no default route, and without one pasta can't speak for the container",
    "hint: slirp4netns needs none; or run it with --network host",
);

/// The links over which this machine sends what is for elsewhere.
struct Ways {
    v4: Option<u32>,
    v6: Option<u32>,
}

impl Ways {
    fn of(routes: &[Route]) -> Ways {
        let first = |is_kind: fn(&IpAddr) -> bool| {
            let is_default = |one: &&Route| {
                one.to.is_none()
                    && one.table == u32::from(RT_TABLE_MAIN)
                    && one.gateway.as_ref().is_none_or(is_kind)
            };
            routes.iter().find(is_default).and_then(|one| one.link)
        };
        Ways { v4: first(IpAddr::is_ipv4), v6: first(IpAddr::is_ipv6) }
    }

    fn any(&self) -> bool {
        self.v4.is_some() || self.v6.is_some()
    }

    fn lead_over(&self, link: u32) -> bool {
        self.v4 == Some(link) || self.v6 == Some(link)
    }
}

/// An address of this machine at which a container finds what listens on all of them. Those of a
/// single link mean another machine, or nobody, in there.
fn can_be_reached(ip: &IpAddr, has_ipv6: bool) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local(),
        IpAddr::V6(ip) => has_ipv6 && ip.segments()[0] & 0xffc0 != 0xfe80,
    }
}

/// Can no name server of this machine be reached from inside, for want of IPv6 or because it listens
/// on the loopback? One that can is better asked itself: pasta lets each answer that comes from a
/// server to which it also forwards seem to be the forwarder's.
fn needs_forwarder(has_ipv6: bool) -> bool {
    let (own, behind) = files::of_the_host();
    let reached = Resolver { has_ipv6, ..Resolver::default() };
    files::resolv_conf((&own, behind.as_deref()), &reached).1.is_some()
}

/// The range that such programs have had since the first of them, unless this machine knows a way
/// to it: then the container would look for those machines on its own link.
fn free_range(in_use: &[Subnet]) -> Subnet {
    let at = |a, b, c| Subnet::around(Ipv4Addr::new(a, b, c, 0), 24);
    let usual = at(10, 0, 2);
    let tens = (3..=254).map(|n| at(10, 0, n));
    let others = (0..=254).map(|n| at(172, 30, n)).chain((0..=254).map(|n| at(192, 168, n)));
    let mut all = std::iter::once(usual).chain(tens).chain(others);
    all.find(|range| !in_use.iter().any(|other| other.overlaps(range))).unwrap_or(usual)
}

/// The places of a range as slirp4netns(1) has them.
fn gateway(range: Subnet) -> Ipv4Addr {
    range.place(0)
}

/// Who passes a question for a name on to this machine's name server.
fn forwarder(range: Subnet) -> Ipv4Addr {
    range.place(1)
}

fn container(range: Subnet) -> Ipv4Addr {
    range.place(98)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_where_these_programs_have_them() {
        let range = free_range(&[]);
        let all = [range.base(), gateway(range), forwarder(range), container(range)];
        assert_eq!(
            all.map(|ip| ip.to_string()),
            ["10.0.2.0", "10.0.2.2", "10.0.2.3", "10.0.2.100"]
        );
    }

    #[test]
    fn a_range_that_this_machine_reaches_is_left_alone() {
        let in_use =
            |text: &[&str]| text.iter().map(|one| one.parse().unwrap()).collect::<Vec<_>>();
        assert_eq!(free_range(&in_use(&["10.0.2.0/24"])).to_string(), "10.0.3.0/24");
        assert_eq!(free_range(&in_use(&["10.0.0.0/8"])).to_string(), "172.30.0.0/24");
        let all = in_use(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]);
        assert_eq!(free_range(&all).to_string(), "10.0.2.0/24");
    }

    #[test]
    fn a_default_route_counts_for_its_kind() {
        let via = |gateway: &str, link| Route {
            to: None,
            gateway: Some(gateway.parse().unwrap()),
            link: Some(link),
            table: RT_TABLE_MAIN.into(),
        };
        let ways = Ways::of(&[via("192.0.2.1", 7)]);
        assert_eq!((ways.v4, ways.v6), (Some(7), None));
        let elsewhere = Route { table: 100, ..via("fe80::1", 8) };
        assert!(!Ways::of(&[elsewhere]).any());
        let ways = Ways::of(&[via("fe80::1", 8), via("192.0.2.1", 7)]);
        assert!(ways.lead_over(7) && ways.lead_over(8) && !ways.lead_over(9));
    }
}
