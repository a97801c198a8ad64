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
//! firewall-cmd --direct --add-rule ipv4 filter FORWARD 0 -i coracle0 -j ACCEPT
//!                                                  # firewalld.direct(5), where it uses iptables
//! firewalld with nf_tables: the first rules of filter_FORWARD, as a zone with target ACCEPT has them
//! ```
//!
//! and the same with `-o`, which opens nothing: who may begin to talk to a container is up to our own
//! table, and so is which of Docker's containers ours may talk to: Docker before version 28 keeps
//! others off them by that policy alone, and our rule comes before it. The rules carry a comment by
//! which we know them again. A program that reloads throws them away, so they are looked for whenever
//! a container starts, and by `coracle network reload`. Where we don't know the place, or may not, we
//! say what to type.

mod chains;

use crate::netlink::{Netlink, attribute};
use crate::nftables::{Batch, Family, Field, accept, comment, is, link_name, load};
use anyhow::{Context, Result};
use chains::{Chain, chains, has_owner, refuses_the_rest, rules};
use nix::Error;
use serde::{Deserialize, Serialize};
use std::fs;

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

/// Looks at who else drops what is sent on, and changes nothing. `table` is ours.
pub fn look(table: &str, bridge: &str) -> Result<Way> {
    let mut netfilter = Netlink::netfilter()?;
    let chains = chains(&mut netfilter)?;
    let mut way = Way::default();
    let others = chains.iter().filter(|chain| chain.is_forward && chain.place.table != table);
    for Chain { place, drops, .. } in others {
        if !drops && !refuses_the_rest(&mut netfilter, place)? {
            continue;
        }
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
    if is_firewalld(chain) {
        return Some(chain.clone());
    }
    let names = match chain.family {
        Family::Ip => ["DOCKER-USER", "ufw-user-forward", "FORWARD_direct"],
        Family::Ip6 => ["DOCKER-USER", "ufw6-user-forward", "FORWARD_direct"],
        Family::Inet => return None,
    };
    let place = names.map(|name| Place { chain: name.to_owned(), ..chain.clone() });
    place.into_iter().find(|place| all.iter().any(|one| one.place == *place))
}

fn is_firewalld(place: &Place) -> bool {
    (place.family, &*place.table) == (Family::Inet, "firewalld")
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

/// The handles of our rules in a chain.
fn our_rules(netfilter: &mut Netlink, place: &Place, bridge: &str) -> Result<Vec<Vec<u8>>> {
    let ours = rules(netfilter, place)?.into_iter().filter_map(|body| {
        (comment(&body, 7)? == tag(bridge)).then_some(())?;
        attribute(body.get(4..)?, 3).map(<[u8]>::to_vec)
    });
    Ok(ours.collect())
}

/// Does any rule of this chain name the bridge? firewalld's zones have chains of their own.
fn mentions(netfilter: &mut Netlink, place: &Place, bridge: &str) -> Result<bool> {
    let zones = Place { chain: "filter_FORWARD_ZONES".to_owned(), ..place.clone() };
    let mut rules = rules(netfilter, place)?;
    if is_firewalld(place) {
        rules.extend(self::rules(netfilter, &zones)?);
    }
    let name = name(bridge);
    Ok(rules.iter().any(|body| body.windows(name.len()).any(|part| part == name)))
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.family.name(), self.table, self.chain)
    }
}
