//! The kinds that nf_tables knows by number or by name: of packets, of places on their way, of values.

use serde::{Deserialize, Serialize};

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4 and IPv6.
    Inet = 1,
    /// IPv4 alone.
    Ip = 2,
    /// IPv6 alone.
    Ip6 = 10,
}

impl Family {
    /// The family of this number.
    pub fn of(number: u8) -> Option<Family> {
        [Family::Inet, Family::Ip, Family::Ip6].into_iter().find(|one| *one as u8 == number)
    }

    /// As nft calls it.
    pub fn name(self) -> &'static str {
        match self {
            Family::Inet => "inet",
            Family::Ip => "ip",
            Family::Ip6 => "ip6",
        }
    }
}

/// A point of the kernel that packets pass, with the kind of chain and its place among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Just arrived: the destination may still be changed.
    Arrived,
    /// Made on this machine: the destination may still be changed.
    MadeHere,
    /// For this machine itself, and about to be received.
    ForUs,
    /// On its way through.
    PassingThrough,
    /// About to leave: the source may be changed.
    Leaving,
}

impl Hook {
    pub(super) fn parts(self) -> (&'static str, u32, i32) {
        match self {
            Hook::Arrived => ("nat", 0, -100),
            Hook::ForUs => ("filter", 1, 0),
            Hook::PassingThrough => ("filter", 2, 0),
            Hook::MadeHere => ("nat", 3, -100),
            Hook::Leaving => ("nat", 4, 100),
        }
    }
}

/// What is in a key or a value: the number is nft's own, by which `nft list` shows it well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// TCP or UDP.
    Protocol,
    /// A port.
    Port,
    /// The name of a link.
    Link,
    /// IPv4 or IPv6.
    IpFamily,
    /// A mark, any number.
    Mark,
}

impl Type {
    pub(super) fn number(self) -> u32 {
        match self {
            Type::Ipv4 => 7,
            Type::Ipv6 => 8,
            Type::Protocol => 12,
            Type::Port => 13,
            Type::Link => 41,
            Type::IpFamily => 2,
            Type::Mark => 19,
        }
    }

    /// In bytes; where there are several, each begins at a multiple of four.
    pub(super) fn length(self, alone: bool) -> u32 {
        match self {
            Type::Ipv6 | Type::Link => 16,
            Type::Port if alone => 2,
            Type::Protocol if alone => 1,
            _ => 4,
        }
    }
}
