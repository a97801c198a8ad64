//! Reads what other programs tell the kernel to drop: linux/netfilter/nf_tables.h.

use super::Place;
use crate::netlink::{NLM_F_DUMP, Netlink, attribute, attributes, text};
use crate::nftables::{Family, GETCHAIN, GETRULE, GETTABLE, message};
use anyhow::{Context, Result};
use nix::Error;

/// NF_INET_FORWARD: linux/netfilter.h.
const FORWARD: u32 = 2;
/// NF_DROP.
const DROP: u32 = 0;
/// NFT_TABLE_F_OWNER: nobody but the program that made the table may change it.
const HAS_OWNER: u32 = 2;

/// A chain, as the kernel tells of it.
pub struct Chain {
    pub place: Place,
    /// Does it see what is sent on?
    pub is_forward: bool,
    /// Is what no rule of it accepts dropped?
    pub drops: bool,
}

/// All chains, and whether they drop what is sent on.
pub fn chains(netfilter: &mut Netlink) -> Result<Vec<Chain>> {
    let told = match netfilter.list(message(GETCHAIN, NLM_F_DUMP, 0)) {
        Err(Error::EINVAL | Error::EOPNOTSUPP) => return Ok(Vec::new()), // no nf_tables, no chains
        told => told.context("cannot list the chains of nf_tables")?,
    };
    let read = |body: &[u8]| {
        let (family, rest) = (Family::of(*body.first()?)?, body.get(4..)?);
        let place =
            Place { family, table: text(attribute(rest, 1)?), chain: text(attribute(rest, 3)?) };
        let hook = attribute(rest, 4).and_then(|hook| number(attribute(hook, 1)?));
        let drops = attribute(rest, 5).and_then(number) == Some(DROP);
        let is_filter = attribute(rest, 7).is_some_and(|kind| text(kind) == "filter");
        Some(Chain { place, is_forward: hook == Some(FORWARD) && is_filter, drops })
    };
    Ok(told.iter().filter_map(|(_, body)| read(body)).collect())
}

/// A number as nf_tables tells it: the highest byte first.
fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

/// Does the table belong to a program that lets nobody else change it?
pub fn has_owner(netfilter: &mut Netlink, place: &Place) -> Result<bool> {
    let mut question = message(GETTABLE, 0, place.family as u8);
    question.attributes.text(1, &place.table);
    let told = netfilter.list(question).with_context(|| format!("cannot look at {place}"))?;
    let flags = told.iter().find_map(|(_, body)| number(attribute(body.get(4..)?, 2)?));
    Ok(flags.is_some_and(|flags| flags & HAS_OWNER != 0))
}

/// The rules of a chain; none if there is no such chain.
pub fn rules(netfilter: &mut Netlink, place: &Place) -> Result<Vec<Vec<u8>>> {
    let mut question = message(GETRULE, NLM_F_DUMP, place.family as u8);
    question.attributes.text(1, &place.table).text(2, &place.chain);
    match netfilter.list(question) {
        Err(Error::ENOENT) => Ok(Vec::new()),
        told => {
            let told = told.with_context(|| format!("cannot list the rules of {place}"))?;
            Ok(told.into_iter().map(|(_, body)| body).collect())
        }
    }
}

/// Is there a rule that drops or refuses whatever comes so far, as firewalld's last one?
pub fn refuses_the_rest(netfilter: &mut Netlink, place: &Place) -> Result<bool> {
    Ok(rules(netfilter, place)?.iter().any(|body| refuses_all(body).unwrap_or(false)))
}

/// A rule that asks nothing, and lets nothing pass: it counts, it writes to the log, it refuses.
fn refuses_all(body: &[u8]) -> Option<bool> {
    let expressions = attribute(body.get(4..)?, 4)?;
    let mut refuses = false;
    for (_, expression) in attributes(expressions) {
        let data = attribute(expression, 2).unwrap_or_default();
        // iptables-nft takes some of its targets from iptables: attribute 1 is the name.
        match &*text(attribute(expression, 1)?) {
            "counter" | "log" => (),
            "reject" => refuses = true,
            "target" => match &*text(attribute(data, 1)?) {
                "LOG" | "NFLOG" => (),
                "REJECT" => refuses = true,
                _ => return Some(false),
            },
            "immediate" => refuses = verdict(data)? == DROP,
            _ => return Some(false),
        }
    }
    Some(refuses)
}

/// Which verdict an instruction `immediate` sets.
fn verdict(data: &[u8]) -> Option<u32> {
    number(attribute(attribute(attribute(data, 2)?, 2)?, 1)?)
}
