//! Gets along with other firewalls of this machine: Docker, ufw, firewalld.
//!
//! A packet passes only if *no* table drops it: that ours accepts it does not outweigh another one's
//! drop, at whatever priority (nft(8), "verdict statements"). Docker and ufw drop all that is sent
//! on and is not theirs, by the policy of their forward chain; firewalld refuses it by its last
//! rule. Each has a place where others may say what shall pass, and there we put the smallest rule:
//!
//! ```text
//! iptables -I DOCKER-USER -i coracle0 -j ACCEPT    # Docker: "Docker and iptables"
//! ufw route allow in on coracle0                   # ufw(8): the chain ufw-user-forward
//! firewalld: the first rules of filter_FORWARD, as a zone with the target ACCEPT has them
//! ```
//!
//! and the same with `-o`, which opens nothing: who may begin to talk to a container is up to our own
//! table, and so is which of Docker's containers ours may talk to: Docker before version 28 keeps
//! others off them by that policy alone, and our rule comes before it. The rules carry a comment by which we know them again. A program that reloads throws them
//! away, so they are looked for whenever a container starts. Where we don't know the place, or may
//! not, we say what to type.

use crate::netlink::{NLM_F_DUMP, Netlink, attribute, text};
use crate::nftables::{
    Batch, Family, Field, GETCHAIN, GETRULE, GETTABLE, accept, comment, is, link_name, load,
    message,
};
use anyhow::{Context, Result};
use nix::Error;
use serde::{Deserialize, Serialize};
use std::fs;

/// NF_INET_FORWARD: linux/netfilter.h.
const FORWARD: u32 = 2;
/// NF_DROP.
const DROP: u32 = 0;
/// NFT_TABLE_F_OWNER: nobody but the program that made the table may change it.
const HAS_OWNER: u32 = 2;

/// The chain of another program in which our rules stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// `ip`, `ip6` or `inet`.
    pub family: Family,
    /// `filter`
    pub table: String,
    /// `DOCKER-USER`
    pub chain: String,
}

/// What other programs want of us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Where our rules have to be; they may be there already.
    pub places: Vec<Place>,
    /// What the owner of the machine has to do, with a hint in each.
    pub remarks: Vec<String>,
}

/// A chain, as the kernel tells of it.
struct Chain {
    place: Place,
    may_drop: bool,
}

/// Looks at who else drops what is sent on, and changes nothing. `table` is ours.
pub fn look(table: &str, bridge: &str) -> Result<Way> {
    let mut netfilter = Netlink::netfilter()?;
    let chains = chains(&mut netfilter)?;
    let mut way = Way::default();
    for Chain { place, .. } in
        chains.iter().filter(|chain| chain.may_drop && chain.place.table != table)
    {
        let known = their_place(place, &chains);
        match known {
            Some(known) if !has_owner(&mut netfilter, &known)? => way.places.push(known),
            _ if mentions(&mut netfilter, place, bridge)? => (), // somebody has seen to it
            known => way.remarks.push(remark(place, known.is_some(), bridge)),
        }
    }
    let legacy = fs::read_to_string("/proc/net/ip_tables_names").unwrap_or_default();
    if legacy.lines().any(|table| table == "filter") {
        way.remarks.push(format!(
            "there are rules of iptables-legacy, which can't be looked at from here\n\
             hint: if containers have no way out: `iptables-legacy -I FORWARD -i {bridge} -j ACCEPT; \
             iptables-legacy -I FORWARD -o {bridge} -j ACCEPT`"
        ));
    }
    Ok(way)
}

/// Puts our rules where they are missing. To be called when the places are written down.
pub fn make_way(places: &[Place], bridge: &str) -> Result<()> {
    let mut netfilter = Netlink::netfilter()?;
    for place in places {
        let there = our_rules(&mut netfilter, place, bridge)?;
        if there.len() == 2 {
            continue;
        }
        let mut batch = Batch::of(place.family, &place.table);
        there.iter().for_each(|handle| batch.remove_rule(&place.chain, handle));
        for side in [Field::LeavesBy, Field::CameBy] {
            let rule = [load(side, 0), is(&name(bridge)), accept()];
            batch.first_rule(&place.chain, &rule, &tag(bridge));
        }
        batch.commit().with_context(|| format!("cannot add a rule to {place}"))?;
    }
    Ok(())
}

/// Takes our rules away, wherever they still are.
pub fn take_back(places: &[Place], bridge: &str) -> Result<()> {
    let mut netfilter = Netlink::netfilter()?;
    for place in places {
        for handle in our_rules(&mut netfilter, place, bridge)? {
            let mut batch = Batch::of(place.family, &place.table);
            batch.remove_rule(&place.chain, &handle);
            match batch.commit() {
                Err(refusal) if refusal.errno != Error::ENOENT => {
                    return Err(refusal)
                        .with_context(|| format!("cannot remove our rule from {place}"));
                }
                _ => (),
            }
        }
    }
    Ok(())
}

/// The comment on our rules.
fn tag(bridge: &str) -> String {
    format!("coracle: {bridge}")
}

/// A link's name as iptables compares it: with the zero at its end and no more.
fn name(bridge: &str) -> Vec<u8> {
    let whole = link_name(bridge);
    whole[..=bridge.len().min(15)].to_vec()
}

/// Where the program that made this chain wants others' rules to be.
fn their_place(chain: &Place, all: &[Chain]) -> Option<Place> {
    if (chain.family, &*chain.table) == (Family::Inet, "firewalld") {
        return Some(chain.clone());
    }
    let names = match chain.family {
        Family::Ip => ["DOCKER-USER", "ufw-user-forward"],
        Family::Ip6 => ["DOCKER-USER", "ufw6-user-forward"],
        Family::Inet => return None,
    };
    let place = names.map(|name| Place { chain: name.to_owned(), ..chain.clone() });
    place.into_iter().find(|place| all.iter().any(|one| one.place == *place))
}

fn remark(place: &Place, is_known: bool, bridge: &str) -> String {
    if is_known {
        return format!(
            "firewalld drops the packets of containers and lets nobody else change its rules\n\
             hint: firewall-cmd --permanent --zone=trusted --add-interface={bridge}; firewall-cmd --reload"
        );
    }
    let Place { family, table, chain } = place;
    let rule = format!("nft insert rule {} {table} {chain}", family.name());
    format!(
        "the chain {place} drops what is sent on, so containers may have no way out\n\
         hint: `{rule} iifname {bridge} accept; {rule} oifname {bridge} accept`, and the same in the \
         file from which it is made"
    )
}

/// All filter chains, and whether they drop what is sent on.
fn chains(netfilter: &mut Netlink) -> Result<Vec<Chain>> {
    let told = match netfilter.list(message(GETCHAIN, NLM_F_DUMP, 0)) {
        Err(Error::EINVAL | Error::EOPNOTSUPP) => return Ok(Vec::new()), // no nf_tables, no chains
        told => told.context("cannot list the chains of nf_tables")?,
    };
    let read = |body: &[u8]| {
        let (family, rest) = (Family::of(*body.first()?)?, body.get(4..)?);
        let place =
            Place { family, table: text(attribute(rest, 1)?), chain: text(attribute(rest, 3)?) };
        let hook = attribute(rest, 4).and_then(|hook| number(attribute(hook, 1)?));
        let drops = attribute(rest, 5).and_then(number) == Some(DROP) || place.table == "firewalld";
        let is_filter = attribute(rest, 7).is_some_and(|kind| text(kind) == "filter");
        Some(Chain { place, may_drop: hook == Some(FORWARD) && is_filter && drops })
    };
    Ok(told.iter().filter_map(|(_, body)| read(body)).collect())
}

/// A number as nf_tables tells it: the highest byte first.
fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

fn has_owner(netfilter: &mut Netlink, place: &Place) -> Result<bool> {
    let mut question = message(GETTABLE, 0, place.family as u8);
    question.attributes.text(1, &place.table);
    let told = netfilter.list(question).with_context(|| format!("cannot look at {place}"))?;
    let flags = told.iter().find_map(|(_, body)| number(attribute(body.get(4..)?, 2)?));
    Ok(flags.is_some_and(|flags| flags & HAS_OWNER != 0))
}

/// The rules of a chain; none if there is no such chain.
fn rules(netfilter: &mut Netlink, place: &Place) -> Result<Vec<Vec<u8>>> {
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

/// The handles of our rules in a chain.
fn our_rules(netfilter: &mut Netlink, place: &Place, bridge: &str) -> Result<Vec<Vec<u8>>> {
    let ours = rules(netfilter, place)?.into_iter().filter_map(|body| {
        (comment(&body, 7)? == tag(bridge)).then_some(())?;
        attribute(body.get(4..)?, 3).map(<[u8]>::to_vec)
    });
    Ok(ours.collect())
}

/// Does any rule of this chain name the bridge?
fn mentions(netfilter: &mut Netlink, place: &Place, bridge: &str) -> Result<bool> {
    let name = name(bridge);
    let named = |body: &[u8]| body.windows(name.len()).any(|part| part == name);
    Ok(rules(netfilter, place)?.iter().any(|body| named(body)))
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.family.name(), self.table, self.chain)
    }
}
