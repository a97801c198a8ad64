//! What comes and goes in the table: bridges and published ports.

use super::batch::{Batch, Element, GETSETELEM, message};
use super::kinds::Family;
use super::{OWN, PORTS, PORTS_AT, PROXIED, PROXIED_AT, link_name};
use super::{late_close, memory};
use crate::links::passes_ipv6_on;
use crate::netlink::{NLM_F_DUMP, Netlink, attribute, attributes};
use crate::ports::{Protocol, Published};
use crate::subnet::bytes;
use crate::vocabulary::{AF_INET, AF_INET6};
use anyhow::{Context, Result};
use nix::Error;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How often we look again when somebody else has changed the table meanwhile.
const TRIES: usize = 8;

/// As packets carry them: protocols(5).
const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// What shall be in which map.
type Elements = BTreeMap<&'static str, Vec<Element>>;

/// Sends what is for these ports of this machine on to a container with these addresses.
///
/// The ports are ours, because we hold their sockets: an element that is there already was left by
/// somebody who died, and is replaced. Where the machine does not send IPv6 packets on, those are
/// left to the proxy, which answers on all addresses.
pub fn publish(table: &str, ports: &[Published], container: &[IpAddr]) -> Result<()> {
    let passes_on = |ip: &&IpAddr| ip.is_ipv4() || passes_ipv6_on();
    let sent_on: Vec<IpAddr> = container.iter().filter(passes_on).copied().collect();
    let mut elements = elements_of(ports, &sent_on);
    proxied(ports, container, &mut elements);
    if elements.is_empty() {
        return Ok(()); // published on the loopback alone: that is the proxy's work
    }
    let what = || "cannot publish the ports by nf_tables";
    let mut left = Elements::new();
    for _ in 0..TRIES {
        let mut batch = Batch::of(Family::Inet, table);
        left.iter().for_each(|(map, list)| batch.remove_elements(map, list));
        elements.iter().for_each(|(map, list)| batch.elements(map, list));
        match batch.commit() {
            Err(refusal)
                if matches!(refusal.errno, Error::EBUSY | Error::EEXIST | Error::ENOENT) =>
            {
                let wanted = |map: &str, key: &[u8]| {
                    elements.get(map).is_some_and(|list| list.iter().any(|(ours, _)| ours == key))
                };
                let (is_ours, again) = (|map: &str, (key, _): &Element| wanted(map, key), refusal);
                left = list(&mut Netlink::netfilter()?, table, is_ours)?;
                if left.is_empty() && again.errno == Error::ENOENT {
                    return Err(again).with_context(what);
                }
            }
            outcome => {
                outcome.with_context(what)?;
                return memory::forget_early(ports);
            }
        }
    }
    Err(Error::EBUSY).with_context(what)
}

/// Forgets all ports that lead to these addresses: at the end of a container, and before an address
/// is given to another one. The table may be gone already.
pub fn forget(table: &str, container: &[IpAddr]) -> Result<()> {
    let addresses: Vec<Vec<u8>> = container.iter().map(|ip| bytes(*ip)).collect();
    let mark = mark_of(container);
    let leads_there = |map: &str, (key, value): &Element| {
        if [PROXIED, PROXIED_AT].contains(&map) {
            return mark.is_some() && *value == mark;
        }
        let ip = match value {
            Some(value) => value.len().checked_sub(4).map(|port| &value[..port]),
            None => Some(&key[key.len() / 2..]),
        };
        ip.is_some_and(|ip| addresses.iter().any(|address| address == ip))
    };
    let mut netfilter = Netlink::netfilter()?;
    for _ in 0..TRIES {
        let left = list(&mut netfilter, table, leads_there)?;
        if left.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::of(Family::Inet, table);
        left.iter().for_each(|(map, list)| batch.remove_elements(map, list));
        if batch.commit_by(&mut netfilter).is_ok() {
            let forgotten = leads_udp(&left).then(|| memory::forget(&mut netfilter, container));
            late_close::close(netfilter);
            return forgotten.unwrap_or(Ok(()));
        }
    }
    Err(Error::EBUSY).context("cannot take published ports back by nf_tables")
}

fn leads_udp(elements: &Elements) -> bool {
    let udp = [UDP, 0, 0, 0];
    let keys = elements.values().flatten().map(|(key, _)| key);
    keys.into_iter().any(|key| key.len().checked_sub(8).is_some_and(|at| key[at..at + 4] == udp))
}

/// Takes a bridge out of the table: as if it had never been in it.
pub fn close(table: &str, bridge: &str) -> Result<()> {
    let name = link_name(bridge).to_vec();
    for (set, key) in
        [("internal", name.clone()), ("pairs", [&name[..], &name].concat()), ("bridges", name)]
    {
        take_out(table, set, key)
            .with_context(|| format!("cannot close the table for {bridge}"))?;
    }
    Ok(())
}

/// Removes an element that may be gone already.
fn take_out(table: &str, set: &str, key: Vec<u8>) -> Result<()> {
    let mut batch = Batch::of(Family::Inet, table);
    batch.remove_elements(set, &[(key, None)]);
    match batch.commit() {
        Err(refusal) if refusal.errno != Error::ENOENT => Err(refusal.into()),
        _ => Ok(()),
    }
}

/// Drops the IPv4 packets that would pass from one of these links to another: a machine that did not
/// send packets on before we made it do so shall not become a router for whoever is on its links.
pub fn keep_apart(table: &str, links: &[String]) -> Result<()> {
    take_in(table, "apart", links).context("cannot keep the links of this machine apart")
}

/// Tells which links are not Docker's, though they begin as those do: `br-`.
pub fn name_uplinks(table: &str, links: &[String]) -> Result<()> {
    take_in(table, "uplinks", links).context("cannot name the uplinks of this machine")
}

fn take_in(table: &str, set: &str, links: &[String]) -> Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    let list: Vec<Element> = links.iter().map(|name| (link_name(name).to_vec(), None)).collect();
    let mut batch = Batch::of(Family::Inet, table);
    batch.elements(set, &list);
    Ok(batch.commit()?)
}

/// The contrary of [`keep_apart`].
pub fn let_pass(table: &str, links: &[String]) -> Result<()> {
    links.iter().try_for_each(|name| take_out(table, "apart", link_name(name).to_vec()))
}

fn elements_of(ports: &[Published], container: &[IpAddr]) -> Elements {
    let mut elements = Elements::new();
    for port in ports {
        for ip in container {
            let family = usize::from(ip.is_ipv6());
            let (map, place) = match port.on {
                None => (PORTS[family], Vec::new()),
                Some(on) if on.is_ipv4() != ip.is_ipv4() || on.is_loopback() => continue,
                Some(on) if on.is_unspecified() => (PORTS[family], Vec::new()),
                Some(on) => (PORTS_AT[family], bytes(on)),
            };
            let value = [&bytes(*ip)[..], &in_register(port.to)].concat();
            elements.entry(map).or_default().push((key(&place, port), Some(value)));
            let own = elements.entry(OWN[family]).or_default();
            let to_itself = ([bytes(*ip), bytes(*ip)].concat(), None);
            if !own.contains(&to_itself) {
                own.push(to_itself);
            }
        }
    }
    elements
}

/// On what the proxy listens for others than the loopback.
fn proxied(ports: &[Published], container: &[IpAddr], elements: &mut Elements) {
    let Some(mark) = mark_of(container) else { return };
    let family = |number| vec![number, 0, 0, 0];
    for port in ports {
        let (map, places) = match port.on {
            None => (PROXIED, vec![family(AF_INET), family(AF_INET6)]),
            Some(on) if on.is_unspecified() => {
                (PROXIED, vec![family(if on.is_ipv4() { AF_INET } else { AF_INET6 })])
            }
            Some(on) if on.is_ipv4() || on.is_loopback() => continue,
            Some(on) => (PROXIED_AT, vec![bytes(on)]),
        };
        let list = elements.entry(map).or_default();
        list.extend(places.into_iter().map(|place| (key(&place, port), Some(mark.clone()))));
    }
}

/// A container's own mark: its IPv4 address as a number.
fn mark_of(container: &[IpAddr]) -> Option<Vec<u8>> {
    container.iter().find_map(|ip| match ip {
        IpAddr::V4(v4) => Some(u32::from(*v4).to_ne_bytes().to_vec()),
        IpAddr::V6(_) => None,
    })
}

/// The key of a published port behind an address, or behind nothing.
fn key(place: &[u8], port: &Published) -> Vec<u8> {
    let protocol = if port.protocol == Protocol::Tcp { TCP } else { UDP };
    [place, &[protocol, 0, 0, 0], &in_register(port.port)].concat()
}

/// A port as packets carry it, filled up to four bytes.
fn in_register(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

/// The elements of containers that are wanted.
fn list(
    netfilter: &mut Netlink,
    table: &str,
    wanted: impl Fn(&str, &Element) -> bool,
) -> Result<Elements> {
    let mut found = Elements::new();
    for set in PORTS.into_iter().chain(PORTS_AT).chain(OWN).chain([PROXIED, PROXIED_AT]) {
        let mut question = message(GETSETELEM, NLM_F_DUMP, Family::Inet as u8);
        question.attributes.text(1, table).text(2, set);
        let told = match netfilter.list(question) {
            Err(Error::ENOENT) => continue,
            told => told.with_context(|| format!("cannot list the elements of {set}"))?,
        };
        let all = told.iter().filter_map(|(_, body)| attribute(body.get(4..)?, 3));
        let all = all.flat_map(attributes).filter_map(|(_, element)| {
            let key = attribute(attribute(element, 1)?, 1)?.to_vec();
            let value = attribute(element, 2).and_then(|data| attribute(data, 1));
            Some((key, value.map(<[u8]>::to_vec)))
        });
        let all: Vec<Element> = all.filter(|element| wanted(set, element)).collect();
        if !all.is_empty() {
            found.insert(set, all);
        }
    }
    Ok(found)
}
