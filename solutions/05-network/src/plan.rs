//! What shall be laid: the plan of a bridge and of a cable, as it is also written down.

use crate::subnet::{self, Address, Subnet};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A switch, and the range of addresses behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// The link's name: `coracle0`.
    pub name: String,
    /// The IPv4 addresses; the first is the bridge's own.
    pub subnet: Subnet,
    /// The first 64 bits of the IPv6 addresses, if links speak IPv6 here.
    pub prefix6: Option<Ipv6Addr>,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// Without a way out.
    pub internal: bool,
}

impl Bridge {
    /// Its own addresses, which are the containers' gateways.
    pub fn addresses(&self) -> Vec<Address> {
        self.beside(self.subnet.gateway())
    }

    /// An IPv4 address of the range, and the IPv6 address that belongs to it.
    pub fn beside(&self, ip: Ipv4Addr) -> Vec<Address> {
        let v4 = Address { ip: ip.into(), prefix: self.subnet.prefix };
        let v6 = |prefix| Address { ip: subnet::beside(prefix, ip).into(), prefix: 64 };
        std::iter::once(v4).chain(self.prefix6.map(v6)).collect()
    }
}

/// A cable from a bridge to a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cable {
    /// The bridge that it is plugged into.
    pub bridge: String,
    /// The name of the end out here.
    pub link: String,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// The number of the container's network card.
    pub mac: [u8; 6],
    /// The container's addresses.
    pub addresses: Vec<Address>,
    /// To whom it sends what is for elsewhere: one for IPv4 and one for IPv6, or none.
    pub gateways: Vec<IpAddr>,
}

impl Cable {
    /// The container's addresses without their lengths.
    pub fn ips(&self) -> Vec<IpAddr> {
        self.addresses.iter().map(|address| address.ip).collect()
    }
}
