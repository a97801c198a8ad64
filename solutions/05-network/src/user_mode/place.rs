//! Decides what a container without a cable is called in its network, and who is around it.

use super::program::Kind;
use crate::etc::Surroundings;
use crate::files::{self, Resolver};
use crate::links::{self, Route};
use crate::netlink::Netlink;
use crate::vocabulary::RT_TABLE_MAIN;
use crate::{Address, Subnet, subnet};
use anyhow::Result;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The container's IPv6 addresses begin like this. They are translated, so nobody else sees them.
const PREFIX6: Ipv6Addr = Ipv6Addr::new(0xfd63, 0x6f72, 0x6163, 0x6c65, 0, 0, 0, 0);

/// Everybody's router on a link of their own, by whose IPv6 address nobody else is meant.
pub const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// Where a container is.
pub struct Place {
    /// The IPv4 addresses on its link: its own, and those of whoever it speaks to.
    pub range: Subnet,
    /// Its own addresses.
    pub addresses: Vec<Address>,
    /// What its files tell.
    pub surroundings: Surroundings,
}

impl Place {
    /// The place of a container for which a program of this kind speaks.
    ///
    /// slirp4netns always speaks IPv4. It could give it IPv6, too, but not say which address. pasta
    /// has those families for which this machine has a way.
    pub fn beside(kind: Kind, ways: &Ways, route: &mut Netlink) -> Result<Place> {
        let in_use = links::ranges_in_use(route)?.into_iter().map(|(range, _)| range);
        let range = free_range(&in_use.collect::<Vec<_>>());
        let own = Address { ip: container(range).into(), prefix: range.prefix };
        let own6 = Address { ip: subnet::beside(PREFIX6, container(range)).into(), prefix: 64 };
        let v4 = Some(own).filter(|_| kind == Kind::Slirp || ways.v4.is_some());
        let v6 = Some(own6).filter(|_| kind == Kind::Pasta && ways.v6.is_some());
        let addresses: Vec<Address> = v4.into_iter().chain(v6).collect();
        let has_ipv6 = v6.is_some();
        let on_the_way = |(link, one): (u32, Address)| ways.lead_over(link).then_some(one.ip);
        let of_the_host = links::addresses(route)?.into_iter().filter_map(on_the_way);
        let surroundings = Surroundings {
            own: addresses.iter().map(|address| address.ip).collect(),
            host: of_the_host.filter(|ip| can_be_reached(ip, has_ipv6)).collect(),
            has_ipv6,
            forwarder: v4.filter(|_| needs_forwarder(has_ipv6)).map(|_| forwarder(range).into()),
        };
        Ok(Place { range, addresses, surroundings })
    }
}

/// The links over which this machine sends what is for elsewhere.
pub struct Ways {
    v4: Option<u32>,
    v6: Option<u32>,
}

impl Ways {
    /// Those of the main table; what rules choose among several nobody else can tell.
    pub fn of(routes: &[Route]) -> Ways {
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

    /// Is there one?
    pub fn any(&self) -> bool {
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
pub fn gateway(range: Subnet) -> Ipv4Addr {
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
