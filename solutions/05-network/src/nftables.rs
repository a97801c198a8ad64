//! Sends packets on: out of the network with the host's address, and in through published ports.
//!
//! Every packet passes the kernel's *hooks*: when it has arrived, when it is on its way through, when
//! it is about to leave. A *table* of nf_tables holds *chains* of rules, and a chain that is bound
//! to a hook sees every packet there (nft(8)). The first packet of a connection decides; the kernel
//! remembers what was done to it and does the same to all others, and the inverse to the answers.
//! That is *NAT*, network address translation.
//!
//! All of ours is in one table, and its rules never change: what comes and goes are the elements of
//! its sets and maps, bridges and ports. So a container's port is one element and nobody else's
//! business, and `nft list table inet coracle` shows it all. Nothing in any other table is touched
//! (but see `neighbours.rs`). `batch.rs` has the grammar, `expression.rs` the words.

mod batch;
mod elements;
mod expression;
mod kinds;
mod late_close;
mod memory;
mod refusal;

pub(crate) use batch::{Batch, GETCHAIN, GETRULE, GETTABLE, comment, message};
pub use elements::{close, forget, keep_apart, let_pass, name_uplinks, publish};
pub(crate) use expression::{Expression, Field, accept, is, link_name, load};
pub use kinds::Family;
pub use refusal::Refusal;

use crate::netlink::Netlink;
use anyhow::{Context, Result};
use expression::*;
use kinds::{Hook, Type};

/// To be raised when the rules change: a table of older rules gets the new ones.
const RULES: &str = "rules 3";

/// Who is at home behind which address and port: for all addresses of this machine, for one.
const PORTS: [&str; 2] = ["ports_ip", "ports_ip6"];
const PORTS_AT: [&str; 2] = ["ports_at_ip", "ports_at_ip6"];
/// From an address to the same address: whoever has published ports and asks for them itself.
const OWN: [&str; 2] = ["own_ip", "own_ip6"];

/// On what the proxy listens, and for which container: on all addresses of a family, on one. The
/// IPv4 ones that are one alone need not be here: what is for them is always sent on.
const PROXIED: &str = "proxied";
const PROXIED_AT: &str = "proxied_at_ip6";

/// The bits of a connection's state that the kernel gives an answer (ESTABLISHED) and what belongs
/// to one, such as "unreachable" (RELATED), and the bit of its status that says: sent on by a rule.
const KNOWN: u32 = 2 | 4;
const SENT_ON: u32 = 0x20;

/// Opens the table for a bridge: makes it, if it is not there, and takes the bridge into its sets.
/// The containers of an `internal` one talk to each other and to nobody else.
///
/// Does nothing if nothing is missing, so it may be called each time before a bridge is used: who
/// reloads a firewall often throws everybody's tables away. A table that is there with other rules,
/// made by an older or a newer one of us, goes at the moment in which this one comes.
///
/// Returns whether the table is new: then nothing else is in it, no bridge and no port.
pub fn open(table: &str, bridge: &str, internal: bool) -> Result<bool> {
    let mut batch = Batch::of(Family::Inet, table);
    let there = rules_of(table)?;
    let is_new = there.as_deref() != Some(RULES);
    if is_new {
        if there.is_some() {
            batch.remove_table();
        }
        batch.table(RULES);
        sets(&mut batch);
        chains(&mut batch);
    }
    let name = link_name(bridge);
    batch.element("bridges", &name, None);
    batch.element("pairs", &[name, name].concat(), None);
    if internal {
        batch.element("internal", &name, None);
    }
    batch.commit().with_context(|| format!("cannot open the table {table} of nf_tables"))?;
    Ok(is_new)
}

/// Is there such a table?
pub fn exists(table: &str) -> Result<bool> {
    Ok(rules_of(table)?.is_some())
}

/// Removes the table, with all that is in it. It may be gone already.
pub fn remove(table: &str) -> Result<()> {
    let mut batch = Batch::of(Family::Inet, table);
    batch.remove_table();
    match batch.commit() {
        Err(refusal) if refusal.errno != nix::Error::ENOENT => {
            Err(refusal).with_context(|| format!("cannot remove the table {table} of nf_tables"))
        }
        _ => Ok(()),
    }
}

/// Which rules the table has, if there is one.
fn rules_of(table: &str) -> Result<Option<String>> {
    let mut question = message(GETTABLE, 0, Family::Inet as u8);
    question.attributes.text(1, table);
    match Netlink::netfilter()?.list(question) {
        Ok(told) => {
            Ok(Some(told.iter().find_map(|(_, body)| batch::comment(body, 6)).unwrap_or_default()))
        }
        Err(nix::Error::ENOENT) => Ok(None),
        Err(errno) => Err(Refusal { of: "a table of nf_tables".to_owned(), errno }.into()),
    }
}

fn sets(batch: &mut Batch) {
    use Type::{IpFamily, Ipv4, Ipv6, Link, Mark, Port, Protocol};
    batch.set("bridges", &[Link], &[]);
    batch.set("internal", &[Link], &[]);
    batch.set("pairs", &[Link, Link], &[]); // of one bridge with itself
    batch.set("apart", &[Link], &[]);
    batch.set("uplinks", &[Link], &[]);
    for (family, ip) in [Ipv4, Ipv6].into_iter().enumerate() {
        batch.set(PORTS[family], &[Protocol, Port], &[ip, Port]);
        batch.set(PORTS_AT[family], &[ip, Protocol, Port], &[ip, Port]);
        batch.set(OWN[family], &[ip, ip], &[]);
    }
    batch.set(PROXIED, &[IpFamily, Protocol, Port], &[Mark]);
    batch.set(PROXIED_AT, &[Ipv6, Protocol, Port], &[Mark]);
}

/// The rules, each below what one would type for it.
fn chains(batch: &mut Batch) {
    batch.chain("published", None);
    batch.chain("docker", None);
    for (name, hook) in [
        ("prerouting", Hook::Arrived),
        ("output", Hook::MadeHere),
        ("input", Hook::ForUs),
        ("forward", Hook::PassingThrough),
        ("postrouting", Hook::Leaving),
    ] {
        batch.chain(name, Some(hook));
    }
    way_out(batch);
    way_to_oneself(batch);
    way_in(batch);
    way_to_the_proxy(batch);
    way_through(batch);
}

/// Packets that leave our bridges for elsewhere get the host's own address as their source, because
/// nobody out there knows the way to a container's. The answers come to the host, which remembers.
// ANCHOR: way_out
fn way_out(batch: &mut Batch) {
    let came = [load(Field::CameBy, 0), within("bridges")];
    // ANCHOR: todo_net_nat: masquerade what came by one of our bridges and leaves by none of them
    // | `came` is the first half of the rule; load(Field::LeavesBy, 0), not_within(set) and
    // | masquerade() are the second. batch.rule(chain, &[…]) adds a rule; the chain is "postrouting".
    // nft add rule inet coracle postrouting iifname @bridges oifname != @bridges masquerade
    let leaves = [load(Field::LeavesBy, 0), not_within("bridges")];
    batch.rule("postrouting", &[&came[..], &leaves, &[masquerade()]].concat());
    // ANCHOR_END: todo_net_nat
    // A container that asks for a published port of a neighbour: the neighbour would answer directly,
    // from an address that the first never asked. nft … iifname @bridges ct status dnat masquerade
    let sent_on = any_of(Field::ConnectionStatus, SENT_ON);
    batch.rule("postrouting", &[&came[..], &sent_on, &[masquerade()]].concat());
}
// ANCHOR_END: way_out

/// The same for a container that asks for a port of its own, where bridges are filtered, too
/// (`bridge-nf-call-iptables`): then the packet turns round within the bridge, and never came by it.
fn way_to_oneself(batch: &mut Batch) {
    let v4 = [load(Field::Header(12, 4), 0), load(Field::Header(16, 4), 1)];
    let v6 = [load(Field::Header(8, 16), 0), load(Field::Header(24, 16), 4)];
    for (family, both, own) in [(Family::Ip, v4, OWN[0]), (Family::Ip6, v6, OWN[1])] {
        // nft add rule inet coracle postrouting ip saddr . ip daddr @own_ip masquerade
        let is_family = [load(Field::IpFamily, 0), is(&[family as u8])];
        let rule = [&is_family[..], &both, &[within(own), masquerade()]].concat();
        batch.rule("postrouting", &rule);
    }
}

/// What is for a published port of this machine is sent on to the container. What is for loopback
/// can't be (see `proxy.rs`); nor can addresses that are valid on one link alone.
fn way_in(batch: &mut Batch) {
    let (v4, v6) = (Field::Header(16, 4), Field::Header(24, 16));
    let is_v4 = [load(Field::IpFamily, 0), is(&[Family::Ip as u8])];
    let is_v6 = [load(Field::IpFamily, 0), is(&[Family::Ip6 as u8])];
    let link_local = [&[0xfe, 0x80][..], &[0; 14]].concat(); // fe80::/10
    let one_link = [load(v6, 0), masked(&[&[0xff, 0xc0][..], &[0; 14]].concat()), is(&link_local)];
    let loopback4 = [load(Field::Header(16, 1), 0), is(&[127])];
    let loopback6 = [load(v6, 0), is(&std::net::Ipv6Addr::LOCALHOST.octets())];
    for chain in ["prerouting", "output"] {
        // nft add rule inet coracle output ip daddr 127.0.0.0/8 return
        batch.rule(chain, &[&is_v4[..], &loopback4, &[go_back()]].concat());
        batch.rule(chain, &[&is_v6[..], &loopback6, &[go_back()]].concat());
        batch.rule(chain, &[&is_v6[..], &one_link, &[go_back()]].concat());
        // nft add rule inet coracle prerouting fib daddr type local jump published
        let is_ours = [load(Field::DestinationType, 0), is(&2_u32.to_ne_bytes())];
        batch.rule(chain, &[&is_ours[..], &[jump("published")]].concat());
    }
    let port = |from| [load(Field::Protocol, from), load(Field::DestinationPort, from + 1)];
    for (index, (is_family, family, ip, size)) in
        [(&is_v4, Family::Ip, v4, 1), (&is_v6, Family::Ip6, v6, 4)].into_iter().enumerate()
    {
        // nft … published dnat ip to ip daddr . meta l4proto . th dport map @ports_at_ip
        let to = |map| [found_in(map), send_there(family)];
        batch.rule(
            "published",
            &[is_family, &[load(ip, 0)][..], &port(size), &to(PORTS_AT[index])].concat(),
        );
        // nft … published meta nfproto ipv4 dnat ip to meta l4proto . th dport map @ports_ip
        batch.rule("published", &[is_family, &port(0)[..], &to(PORTS[index])].concat());
    }
}

/// The proxy listens on all addresses, so that nobody else gets the port. Whoever is on an internal
/// network would leave it by that: over IPv6 where the machine does not send that on, over addresses
/// that are valid on one link alone, and by a message to everybody.
fn way_to_the_proxy(batch: &mut Batch) {
    let shut = [load(Field::CameBy, 0), within("internal")];
    let (protocol, port) = (Field::Protocol, Field::DestinationPort);
    // Nobody sees the mark. It tells by which container the port is taken back, and where nothing is
    // found in a map the rule ends.
    let dropped = |map| [found_in(map), mark(), drop_it()];
    // nft … input iifname @internal meta mark set meta nfproto . meta l4proto . th dport map @proxied drop
    let asked = [load(Field::IpFamily, 0), load(protocol, 1), load(port, 2)];
    batch.rule("input", &[&shut[..], &asked, &dropped(PROXIED)].concat());
    // nft … input iifname @internal meta mark set ip6 daddr . meta l4proto . th dport map … drop
    let is_v6 = [load(Field::IpFamily, 0), is(&[Family::Ip6 as u8])];
    let asked = [load(Field::Header(24, 16), 0), load(protocol, 4), load(port, 5)];
    batch.rule("input", &[&shut[..], &is_v6, &asked, &dropped(PROXIED_AT)].concat());
}

/// Who may begin to talk to whom. What we accept may still be dropped by another table: every table
/// has its say (nft(8), "verdict statements").
fn way_through(batch: &mut Batch) {
    let forward =
        |batch: &mut Batch, parts: &[&[Expression]]| batch.rule("forward", &parts.concat());
    let (came, leaves) = (load(Field::CameBy, 0), load(Field::LeavesBy, 0));
    // nft … forward iifname . oifname @pairs accept: neighbours, where bridges are filtered, too
    forward(batch, &[&[came.clone(), load(Field::LeavesBy, 4), within("pairs"), accept()]]);
    forward(batch, &[&[came.clone(), within("internal"), drop_it()]]);
    forward(batch, &[&[leaves.clone(), within("internal"), drop_it()]]);
    // nft … forward ct state established,related accept
    forward(batch, &[&any_of(Field::ConnectionState, KNOWN), &[accept()]]);
    forward(batch, &[&any_of(Field::ConnectionStatus, SENT_ON), &[accept()]]);
    // Nobody begins with a port that is not published, be it from another bridge or another machine.
    forward(batch, &[&[leaves.clone(), within("bridges"), drop_it()]]);
    // nft … forward meta nfproto ipv4 iifname @apart oifname @apart drop
    let is_v4 = [load(Field::IpFamily, 0), is(&[Family::Ip as u8])];
    let among = [came.clone(), within("apart"), leaves.clone(), within("apart"), drop_it()];
    forward(batch, &[&is_v4, &among]);
    // Nor with a port of Docker's containers that it does not publish. It drops that by its policy
    // before version 28; but by one that it sets only where it turned forwarding on itself.
    // nft … forward oifname "br-*" oifname != @uplinks jump docker
    forward(batch, &[&[leaves.clone(), is(b"docker"), jump("docker")]]);
    forward(batch, &[&[leaves, is(b"br-"), not_within("uplinks"), jump("docker")]]);
    batch.rule("docker", &[came.clone(), within("bridges"), drop_it()]);
    batch.rule("docker", &[&is_v4[..], &[came, within("apart"), drop_it()]].concat());
}
