//! Addresses, and the ranges that they come from.

use anyhow::{Context, Error, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address of a link, and how many of its first bits all of its neighbours share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// `10.63.0.2`
    pub ip: IpAddr,
    /// The `16` of `/16`.
    pub prefix: u8,
}

impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

/// The bytes of an address as they travel: 4 or 16.
pub fn bytes(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// A range of IPv4 addresses: `10.63.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subnet {
    first: u32,
    /// The `16` of `/16`.
    pub prefix: u8,
}

impl Subnet {
    /// The range around an address.
    pub fn around(ip: Ipv4Addr, prefix: u8) -> Subnet {
        let prefix = prefix.min(32);
        Subnet { first: u32::from(ip) & mask(prefix), prefix }
    }

    /// How many addresses containers can have: not the first, which is the range's own name, not
    /// the last, which means all of them, and not the bridge's.
    pub fn places(&self) -> u32 {
        (!mask(self.prefix)).saturating_sub(2)
    }

    /// The first address, by which the range is called.
    pub fn base(&self) -> Ipv4Addr {
        self.first.into()
    }

    /// The bridge's address, the first that can be used.
    pub fn gateway(&self) -> Ipv4Addr {
        (self.first + 1).into()
    }

    /// The address of place `number`, counted from 0.
    pub fn place(&self, number: u32) -> Ipv4Addr {
        (self.first + 2 + number).into()
    }

    /// The inverse of [`Subnet::place`].
    pub fn number_of(&self, ip: Ipv4Addr) -> Option<u32> {
        let number = u32::from(ip).checked_sub(self.first + 2)?;
        (number < self.places()).then_some(number)
    }

    /// The last address, which means all of them.
    pub fn broadcast(&self) -> Ipv4Addr {
        (self.first | !mask(self.prefix)).into()
    }

    /// The bits that all of its addresses share, as an address.
    pub fn mask(&self) -> Ipv4Addr {
        mask(self.prefix).into()
    }

    /// Is any address in both?
    pub fn overlaps(&self, other: &Subnet) -> bool {
        let shorter = mask(self.prefix.min(other.prefix));
        self.first & shorter == other.first & shorter
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

/// The IPv6 address beside an IPv4 one: the last four bytes are the same.
pub fn beside(prefix: Ipv6Addr, ip: Ipv4Addr) -> Ipv6Addr {
    (u128::from(prefix) | u128::from(u32::from(ip))).into()
}

impl Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base(), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Subnet> {
        let hint = "hint: a range of IPv4 addresses looks like 10.63.0.0/16";
        let (ip, prefix) =
            text.split_once('/').with_context(|| format!("{text:?} has no /LENGTH\n{hint}"))?;
        let ip: Ipv4Addr = ip.parse().with_context(|| format!("{ip:?} is no address\n{hint}"))?;
        let Ok(prefix @ 8..=30) = prefix.parse() else {
            bail!("/{prefix} is not from /8 to /30\n{hint}");
        };
        let subnet = Subnet::around(ip, prefix);
        ensure!(subnet.base() == ip, "{ip} is inside of {subnet}\nhint: say {subnet}");
        ensure!(
            !ip.is_loopback() && !ip.is_multicast() && !ip.is_broadcast() && ip.octets()[0] != 0,
            "{subnet} is not for links\nhint: ranges for private use begin with 10, 172.16 or 192.168"
        );
        Ok(subnet)
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> String {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = Error;

    fn try_from(text: String) -> Result<Subnet> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn the_smallest_range_has_one_place() {
        let small = subnet("10.9.8.4/30");
        assert_eq!(small.places(), 1);
        assert_eq!(small.gateway().to_string(), "10.9.8.5");
        assert_eq!(small.place(0).to_string(), "10.9.8.6");
        assert_eq!(small.broadcast().to_string(), "10.9.8.7");
        assert_eq!(small.number_of(small.place(0)), Some(0));
        assert_eq!(small.number_of(small.broadcast()), None);
        assert_eq!(small.number_of(small.gateway()), None);
    }

    #[test]
    fn ranges_overlap_when_one_is_in_the_other() {
        let wide = subnet("10.0.0.0/8");
        assert!(wide.overlaps(&subnet("10.63.0.0/16")) && subnet("10.63.0.0/16").overlaps(&wide));
        assert!(!subnet("10.63.0.0/16").overlaps(&subnet("10.64.0.0/16")));
        assert!(Subnet::around(Ipv4Addr::UNSPECIFIED, 0).overlaps(&wide));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.1/24",
            "10.0.0.0/31",
            "10.0.0.0/7",
            "x/24",
            "127.0.0.0/8",
            "224.0.0.0/24",
            "10.0.0.0/x",
        ] {
            let error = text.parse::<Subnet>().unwrap_err();
            assert!(format!("{error:#}").contains("hint: "), "{text}");
        }
    }

    #[test]
    fn the_two_addresses_of_a_container_look_alike() {
        let ip = beside("fd12:3456:789a::".parse().unwrap(), "10.63.0.2".parse().unwrap());
        assert_eq!(ip.to_string(), "fd12:3456:789a::a3f:2");
    }
}
