//! Makes the kernel forget where it sent messages on to.
//!
//! What a rule did to the first packet of a connection the kernel remembers for all others, and no
//! rule is asked again: linux/netfilter/nfnetlink_conntrack.h. A TCP connection ends with the
//! container, but a UDP client that asks again and again keeps its entry alive, and would talk to a
//! dead container, or to another one that has its address now.

use super::elements::UDP;
use crate::netlink::{Attributes, Message, NLM_F_DUMP, Netlink, attribute};
use crate::subnet::bytes;
use anyhow::{Context, Result};
use nix::Error;
use std::net::IpAddr;

/// NFNL_SUBSYS_CTNETLINK, as the high byte of a message's kind.
const CONNECTIONS: u16 = 1 << 8;
const GET: u16 = CONNECTIONS | 1;
const DELETE: u16 = CONNECTIONS | 2;
/// How the first packet was addressed, and how an answer to it is.
const THERE: u16 = 1;
const BACK: u16 = 2;

/// Forgets all UDP clients of a container with these addresses.
pub fn forget(container: &[IpAddr]) -> Result<()> {
    let mut netfilter = Netlink::netfilter()?;
    for ip in container {
        let (family, source) = if ip.is_ipv4() { (2, 1) } else { (10, 3) };
        let fixed = [family, 0, 0, 0];
        let told = match netfilter.list(Message::new(GET, NLM_F_DUMP, &fixed)) {
            Err(Error::EINVAL | Error::EOPNOTSUPP) => return Ok(()), // a kernel that can't list them
            told => told.context("cannot list the connections that the kernel remembers")?,
        };
        let leads_there = |entry: &[u8]| {
            let back = attribute(entry, BACK)?;
            let from = attribute(attribute(back, 1)?, source)?;
            let protocol = attribute(attribute(back, 2)?, 1)?;
            (from == bytes(*ip) && protocol == [UDP]).then_some(())
        };
        for (_, body) in told {
            let entry = body.get(4..).unwrap_or_default();
            let (Some(()), Some(there)) = (leads_there(entry), attribute(entry, THERE)) else {
                continue;
            };
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
