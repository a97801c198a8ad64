//! Chooses a network's addresses: such as lead nowhere else from here.

use super::{Name, Record, Wanted};
use crate::links::{self, Link};
use crate::netlink::Netlink;
use crate::{Bridge, Subnet};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What the bridge shall be: addresses that lead nowhere else from here, nor are another network's
/// whose bridge somebody has removed, and packets as large as those that the host sends. `before`
/// is what it was.
pub fn plan(
    route: &mut Netlink,
    wanted: &Wanted,
    others: &[(Name, Record)],
    before: Option<&Bridge>,
) -> Result<Bridge> {
    let in_use = links::ranges_in_use(route)?;
    let all = links::links(route)?;
    let reached = in_use.into_iter().map(|(range, link)| (range, name_of(&all, link)));
    let written = others.iter().map(|(_, one)| (one.bridge.subnet, one.bridge.name.clone()));
    let in_use: Vec<(Subnet, String)> = reached.chain(written).collect();
    let taken = |subnet: &Subnet| in_use.iter().find(|(range, _)| range.overlaps(subnet));
    let subnet = match wanted.subnet.or(before.map(|bridge| bridge.subnet)) {
        Some(wanted) => match taken(&wanted) {
            None => wanted,
            Some((range, link)) => bail!(
                "the addresses {wanted} overlap {range}, which this machine reaches by {link}\n\
                 hint: choose a range that leads nowhere from here: ip route lists them"
            ),
        },
        None => candidates().find(|range| taken(range).is_none()).context(
            "this machine has a route to every range of private addresses\n\
             hint: run with --network none or host",
        )?,
    };
    let mtu = links::mtu_to_the_outside(route)?;
    let prefix6 = match before {
        Some(bridge) => bridge.prefix6.filter(|_| links::has_ipv6(mtu)),
        None => links::has_ipv6(mtu).then(random_prefix).transpose()?,
    };
    Ok(Bridge { name: wanted.name.link(), subnet, prefix6, mtu, internal: wanted.internal })
}

fn name_of(all: &[Link], index: Option<u32>) -> String {
    let found = all.iter().find(|one| Some(one.index) == index);
    found.map_or("nowhere".to_owned(), |link| link.name.clone())
}

/// Ranges for private use (RFC 1918), those first that others seldom take.
fn candidates() -> impl Iterator<Item = Subnet> {
    let tens = (63..=95).chain(128..=254).map(|second| Ipv4Addr::new(10, second, 0, 0));
    let hundreds = (20..=31).map(|second| Ipv4Addr::new(172, second, 0, 0));
    let last = (128..=254).map(|third| Subnet::around(Ipv4Addr::new(192, 168, third, 0), 24));
    tens.chain(hundreds).map(|first| Subnet::around(first, 16)).chain(last)
}

/// The first half of IPv6 addresses for private use: `fd`, and 40 bits that nobody else will have
/// thrown (RFC 4193).
fn random_prefix() -> Result<Ipv6Addr> {
    let mut bytes = [0; 16];
    bytes[0] = 0xfd;
    let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes[1..6]));
    random.context("cannot read /dev/urandom")?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_ranges_are_private() {
        let all: Vec<Subnet> = candidates().collect();
        assert!(all.iter().all(|range| range.base().is_private()));
        assert_eq!(all[0].to_string(), "10.63.0.0/16");
    }
}
