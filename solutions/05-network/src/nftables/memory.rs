//! Makes the kernel forget where it sent messages on to.
//!
//! What a rule did to the first packet of a connection the kernel remembers for all others, and no
//! rule is asked again: linux/netfilter/nfnetlink_conntrack.h. A TCP connection ends with the
//! container, but a UDP client that asks again and again keeps its entry alive, and would talk to a
//! dead container, or to another one that has its address now.

use super::elements::UDP;
use crate::links;
use crate::netlink::{Attributes, Message, NLM_F_DUMP, Netlink, attribute};
use crate::ports::{Protocol, Published};
use crate::subnet::bytes;
use crate::vocabulary::{AF_INET, AF_INET6};
use anyhow::{Context, Result};
use nix::Error;
use std::net::IpAddr;

/// NFNL_SUBSYS_CTNETLINK, as the high byte of a message's kind.
const CONNECTIONS: u16 = 1 << 8;
const GET: u16 = CONNECTIONS | 1;
const DELETE: u16 = CONNECTIONS | 2;
/// Attributes of an entry; within each: addresses (1), and protocol and ports (2).
const THERE: u16 = 1;
const BACK: u16 = 2;

/// Forgets all UDP clients of a container with these addresses.
pub fn forget(netfilter: &mut Netlink, container: &[IpAddr]) -> Result<()> {
    forget_those(netfilter, |entry| {
        let (from, _) = source(entry.back)?;
        container.iter().any(|ip| bytes(*ip) == from).then_some(())
    })
}

/// Forgets the UDP clients that asked for one of these ports before anybody was behind it, and whom
/// the kernel has sent nowhere else since: they would ask our proxy for ever, and the container would
/// not see who they are. Whoever asked for the same port of another machine is remembered.
pub fn forget_early(ports: &[Published]) -> Result<()> {
    let udp = ports.iter().filter(|port| port.protocol == Protocol::Udp);
    let asked: Vec<(Option<Vec<u8>>, [u8; 2])> =
        udp.map(|port| (port.on.map(bytes), port.port.to_be_bytes())).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let ours = links::addresses(&mut Netlink::route()?)?;
    let ours: Vec<Vec<u8>> = ours.into_iter().map(|(_, address)| bytes(address.ip)).collect();
    forget_those(&mut Netlink::netfilter()?, |entry| {
        let to = destination(entry.there)?;
        let is_asked = ours.iter().any(|ip| ip == to.0)
            && asked.iter().any(|(on, port)| {
                to.1 == port
                    && on.as_ref().is_none_or(|on| on == to.0 || on.iter().all(|byte| *byte == 0))
            });
        // The answer comes from where the question went, and goes to where it came from.
        let unchanged =
            source(entry.back)? == to && destination(entry.back)? == source(entry.there)?;
        (is_asked && unchanged).then_some(())
    })
}

/// An entry: how the first packet was addressed, and how an answer to it is.
struct Entry<'a> {
    there: &'a [u8],
    back: &'a [u8],
}

/// An address and a port.
type End<'a> = (&'a [u8], &'a [u8]);

fn source(tuple: &[u8]) -> Option<End<'_>> {
    let ip = attribute(tuple, 1)?;
    let ip = attribute(ip, 1).or_else(|| attribute(ip, 3))?;
    Some((ip, attribute(attribute(tuple, 2)?, 2)?))
}

fn destination(tuple: &[u8]) -> Option<End<'_>> {
    let ip = attribute(tuple, 1)?;
    let ip = attribute(ip, 2).or_else(|| attribute(ip, 4))?;
    Some((ip, attribute(attribute(tuple, 2)?, 3)?))
}

/// Forgets the UDP clients that are chosen. A kernel that can't list them has none to forget.
fn forget_those(netfilter: &mut Netlink, chosen: impl Fn(&Entry) -> Option<()>) -> Result<()> {
    for family in [AF_INET, AF_INET6] {
        let fixed = [family, 0, 0, 0];
        let told = match netfilter.list(Message::new(GET, NLM_F_DUMP, &fixed)) {
            Err(Error::EINVAL | Error::EOPNOTSUPP) => return Ok(()),
            told => told.context("cannot list the connections that the kernel remembers")?,
        };
        for (_, body) in told {
            let entry = body.get(4..).unwrap_or_default();
            let (Some(there), Some(back)) = (attribute(entry, THERE), attribute(entry, BACK))
            else {
                continue;
            };
            let protocol = attribute(there, 2).and_then(|part| attribute(part, 1));
            if protocol != Some(&[UDP]) || chosen(&Entry { there, back }).is_none() {
                continue;
            }
            let mut delete = Message::new(DELETE, 0, &fixed);
            delete.attributes.nest(THERE, |tuple| {
                *tuple = Attributes(there.to_vec());
                tuple
            });
            match netfilter.ask(delete) {
                Ok(()) | Err(Error::ENOENT) => (),
                Err(errno) => return Err(errno).context("cannot make the kernel forget a client"),
            }
        }
    }
    Ok(())
}
