//! Writes packet filters: nf_tables, by netlink, as the program nft(8) does.
//!
//! A *table* holds *chains*; a chain that names a *hook* is walked by every packet that passes that
//! point of the kernel. A chain holds *rules*, and a rule is a list of *expressions*, one behind
//! the other like the instructions of a small machine: load a field into a register, compare it,
//! do something. Where a comparison fails, the rule ends. A *map* is a table of keys and values
//! that a rule looks into, so that a published port is one element and not one more rule.
//!
//! All changes of a [`Batch`] happen at once or not at all.

use crate::netlink::*;
use crate::subnet;
use anyhow::{Context, Result};
use std::net::IpAddr;

// linux/netfilter/nfnetlink.h and nf_tables.h
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
pub(crate) const NEWTABLE: u16 = 0;
pub(crate) const GETTABLE: u16 = 1;
pub(crate) const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
pub(crate) const GETCHAIN: u16 = 4;
const NEWRULE: u16 = 6;
pub(crate) const GETRULE: u16 = 7;
pub(crate) const DELRULE: u16 = 8;
const NEWSET: u16 = 9;
const NEWSETELEM: u16 = 12;
const DELSETELEM: u16 = 14;
const LIST_ELEM: u16 = 1;
const REG_VERDICT: u32 = 0;
/// The first of the registers of four bytes each.
const REG: u32 = 8;

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet = 1,
    /// IPv4 alone.
    Ip = 2,
    /// IPv6 alone.
    Ip6 = 10,
}

/// A point of the kernel that packets pass, with the kind of chain and its place among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Just arrived: the destination may still be changed.
    Arrived,
    /// Made on this machine: the destination may still be changed.
    MadeHere,
    /// On its way through.
    PassingThrough,
    /// About to leave: the source may be changed.
    Leaving,
}

impl Hook {
    fn parts(self) -> (&'static str, u32, i32) {
        match self {
            Hook::Arrived => ("nat", 0, -100),
            Hook::PassingThrough => ("filter", 2, 0),
            Hook::MadeHere => ("nat", 3, -100),
            Hook::Leaving => ("nat", 4, 100),
        }
    }
}

/// The message of nf_tables of this kind; `family` is a [`Family`], 0 for any.
pub(crate) fn message(kind: u16, flags: u16, family: u8) -> Message {
    Message::new((SUBSYSTEM << 8) | kind, flags, &[family, 0, 0, 0])
}

/// Changes to one table that happen together.
pub struct Batch {
    messages: Vec<Message>,
    family: Family,
    table: String,
}

impl Batch {
    /// No changes to this table yet.
    pub fn of(family: Family, table: &str) -> Batch {
        Batch { messages: vec![mark(BATCH_BEGIN)], family, table: table.to_owned() }
    }

    fn add(&mut self, kind: u16, flags: u16, fill: impl FnOnce(&mut Attributes)) {
        let mut message = message(kind, flags, self.family as u8);
        message.attributes.text(1, &self.table); // in every kind of message the first attribute
        fill(&mut message.attributes);
        self.messages.push(message);
    }

    /// Makes the table, if it is not there.
    pub fn table(&mut self) {
        self.add(NEWTABLE, NLM_F_CREATE, |_| ());
    }

    /// Removes the table with all that is in it.
    pub fn remove_table(&mut self) {
        self.add(DELTABLE, 0, |_| ());
    }

    /// Makes a chain: at a hook, or one that only rules lead to.
    pub fn chain(&mut self, name: &str, hook: Option<Hook>) {
        self.add(NEWCHAIN, NLM_F_CREATE, |chain| {
            chain.text(3, name);
            let Some((kind, hook, priority)) = hook.map(Hook::parts) else { return };
            chain.nest(4, |place| {
                number(place, 1, hook);
                number(place, 2, priority as u32)
            });
            chain.text(7, kind);
        });
    }

    /// Adds a rule at the end of a chain.
    pub fn rule(&mut self, chain: &str, expressions: &[Expression]) {
        self.add_rule(chain, NLM_F_APPEND, expressions, None);
    }

    /// Adds a rule before all others, with a comment by which it can be found again.
    pub fn first_rule(&mut self, chain: &str, expressions: &[Expression], comment: &str) {
        self.add_rule(chain, 0, expressions, Some(comment));
    }

    fn add_rule(&mut self, chain: &str, flags: u16, list: &[Expression], comment: Option<&str>) {
        self.add(NEWRULE, NLM_F_CREATE | flags, |rule| {
            rule.text(2, chain);
            rule.nest(4, |expressions| {
                for Expression(one) in list {
                    expressions.add(LIST_ELEM | NLA_F_NESTED, &one.0);
                }
                expressions
            });
            if let Some(comment) = comment {
                rule.add(7, &comment_bytes(comment));
            }
        });
    }

    /// Removes the rule with this handle, by which the kernel knows it.
    pub fn remove_rule(&mut self, chain: &str, handle: &[u8]) {
        self.add(DELRULE, 0, |rule| {
            rule.text(2, chain).add(3, handle);
        });
    }

    /// Makes a map from keys to values of these types.
    pub fn map(&mut self, name: &str, key: &[Type], value: &[Type]) {
        let id = self.messages.len() as u32;
        self.add(NEWSET, NLM_F_CREATE, |map| {
            map.text(2, name);
            for (first, what) in [(4, key), (6, value)] {
                number(map, first, what.iter().fold(0, |all, one| (all << 6) | one.number()));
                number(map, first + 1, what.iter().map(|one| one.length()).sum());
            }
            number(map, 3, 8); // it is a map, not a set
            number(map, 10, id);
        });
    }

    /// Adds an element to a map.
    pub fn element(&mut self, map: &str, key: &[u8], value: &[u8]) {
        self.change_element(NEWSETELEM, NLM_F_CREATE, map, key, Some(value));
    }

    /// Removes an element from a map.
    pub fn remove_element(&mut self, map: &str, key: &[u8]) {
        self.change_element(DELSETELEM, 0, map, key, None);
    }

    fn change_element(
        &mut self,
        kind: u16,
        flags: u16,
        map: &str,
        key: &[u8],
        value: Option<&[u8]>,
    ) {
        self.add(kind, flags, |list| {
            list.text(2, map);
            list.nest(3, |elements| {
                elements.nest(LIST_ELEM, |element| {
                    element.nest(1, |data| data.add(1, key));
                    if let Some(value) = value {
                        element.nest(2, |data| data.add(1, value));
                    }
                    element
                })
            });
        });
    }

    /// Makes all changes, or none.
    pub fn commit(mut self) -> Result<nix::Result<()>> {
        if let Some(last) = self.messages.last_mut() {
            last.acknowledge();
        }
        self.messages.push(mark(BATCH_END));
        Ok(Netlink::netfilter()?.ask_all(&self.messages))
    }
}

/// Is there such a table?
pub fn exists(table: &str) -> Result<bool> {
    let mut question = message(GETTABLE, 0, Family::Inet as u8);
    question.attributes.text(1, table);
    match Netlink::netfilter()?.list(question) {
        Ok(_) => Ok(true),
        Err(nix::Error::ENOENT) => Ok(false),
        Err(errno) => Err(errno).context("cannot ask for a table of nf_tables"),
    }
}

fn mark(kind: u16) -> Message {
    Message::new(kind, 0, &[0, 0, 0, SUBSYSTEM as u8])
}

/// A number as nf_tables wants it: the highest byte first.
fn number(attributes: &mut Attributes, kind: u16, value: u32) -> &mut Attributes {
    attributes.add(kind, &value.to_be_bytes())
}

/// A comment as nft(8) and iptables(8) write it: kind 0, length, text.
pub(crate) fn comment_bytes(comment: &str) -> Vec<u8> {
    [&[0, comment.len() as u8 + 1], comment.as_bytes(), &[0]].concat()
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
}

impl Type {
    fn number(self) -> u32 {
        match self {
            Type::Ipv4 => 7,
            Type::Ipv6 => 8,
            Type::Protocol => 12,
            Type::Port => 13,
        }
    }

    /// Each part of a key begins at a multiple of four bytes.
    fn length(self) -> u32 {
        if self == Type::Ipv6 { 16 } else { 4 }
    }
}

/// One instruction of a rule.
#[derive(Clone, Debug)]
pub struct Expression(Attributes);

fn expression(name: &str, fill: impl FnOnce(&mut Attributes)) -> Expression {
    let mut all = Attributes::default();
    all.text(1, name).nest(2, |data| {
        fill(data);
        data
    });
    Expression(all)
}

/// What can be asked of a packet: [`load`] puts it into the register number `to`, counted from 0.
#[derive(Clone, Copy, Debug)]
pub enum Field {
    /// Bytes of the IP header: offset, length.
    Header(u32, u32),
    /// The destination port of TCP or UDP.
    DestinationPort,
    /// The name of the link that it came by, filled up with zeros to 16 bytes.
    CameBy,
    /// The name of the link that it leaves by.
    LeavesBy,
    /// 2 for IPv4, 10 for IPv6.
    IpFamily,
    /// 6 for TCP, 17 for UDP.
    Protocol,
    /// 2 if the destination is an address of this machine.
    DestinationType,
    /// What the kernel knows of the connection: bits of its state.
    ConnectionState,
    /// What has been done to the connection: bits of its status.
    ConnectionStatus,
}

/// Loads a field into a register.
pub fn load(field: Field, to: u32) -> Expression {
    let by_key = |name, key| {
        expression(name, |e| {
            number(e, 1, REG + to);
            number(e, 2, key);
        })
    };
    let bytes = |base, offset, length| {
        expression("payload", |e| {
            for (kind, value) in [(1, REG + to), (2, base), (3, offset), (4, length)] {
                number(e, kind, value);
            }
        })
    };
    match field {
        Field::Header(offset, length) => bytes(1, offset, length),
        Field::DestinationPort => bytes(2, 2, 2),
        Field::CameBy => by_key("meta", 6),
        Field::LeavesBy => by_key("meta", 7),
        Field::IpFamily => by_key("meta", 15),
        Field::Protocol => by_key("meta", 16),
        Field::ConnectionState => by_key("ct", 0),
        Field::ConnectionStatus => by_key("ct", 2),
        Field::DestinationType => expression("fib", |e| {
            for (kind, value) in [(1, REG + to), (2, 3), (3, 2)] {
                number(e, kind, value);
            }
        }),
    }
}

/// Goes on with the rule only if register 0 is this.
pub fn is(value: &[u8]) -> Expression {
    compare(0, value)
}

/// Goes on with the rule only if register 0 is not this.
pub fn is_not(value: &[u8]) -> Expression {
    compare(1, value)
}

fn compare(operator: u32, value: &[u8]) -> Expression {
    expression("cmp", |e| {
        number(e, 1, REG);
        number(e, 2, operator);
        e.nest(3, |data| data.add(1, value));
    })
}

/// Keeps of register 0 only the bits that the mask has.
pub fn masked(mask: &[u8]) -> Expression {
    expression("bitwise", |e| {
        for (kind, value) in [(1, REG), (2, REG), (3, mask.len() as u32)] {
            number(e, kind, value);
        }
        e.nest(4, |data| data.add(1, mask));
        e.nest(5, |data| data.add(1, &vec![0; mask.len()]));
    })
}

/// Looks the registers from 0 on up in a map, and puts what it finds there in their place.
pub fn found_in(map: &str) -> Expression {
    expression("lookup", |e| {
        e.text(1, map);
        number(e, 2, REG);
        number(e, 3, REG);
    })
}

/// Sends the packet to the address in register 0 and the port behind it.
pub fn send_there(family: Family) -> Expression {
    let port = REG + if family == Family::Ip6 { 4 } else { 1 };
    expression("nat", |e| {
        for (kind, value) in [(1, 1), (2, family as u32), (3, REG), (5, port)] {
            number(e, kind, value);
        }
    })
}

/// Gives the packet this machine's own address as its source, and answers back to who asked.
pub fn masquerade() -> Expression {
    expression("masq", |_| ())
}

/// Lets the packet pass this hook.
pub fn accept() -> Expression {
    verdict(1, None)
}

/// Throws the packet away.
pub fn drop_it() -> Expression {
    verdict(0, None)
}

/// Goes on in another chain, and comes back from its end.
pub fn jump(chain: &str) -> Expression {
    verdict(-3, Some(chain))
}

fn verdict(code: i32, chain: Option<&str>) -> Expression {
    expression("immediate", |e| {
        number(e, 1, REG_VERDICT);
        e.nest(2, |data| {
            data.nest(2, |verdict| {
                number(verdict, 1, code as u32);
                if let Some(chain) = chain {
                    verdict.text(2, chain);
                }
                verdict
            })
        });
    })
}

/// A link's name as the kernel compares it.
pub fn link_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..name.len().min(15)].copy_from_slice(&name.as_bytes()[..name.len().min(15)]);
    bytes
}

/// "Its source is in this range."
pub fn from_range(ip: IpAddr, prefix: u8) -> Vec<Expression> {
    let (family, field, length) = match ip {
        IpAddr::V4(_) => (Family::Ip, Field::Header(12, 4), 4),
        IpAddr::V6(_) => (Family::Ip6, Field::Header(8, 16), 16),
    };
    let mask: Vec<u8> = (0..length).map(|byte| bits(prefix.saturating_sub(byte * 8))).collect();
    let first: Vec<u8> = subnet::bytes(ip).iter().zip(&mask).map(|(ip, mask)| ip & mask).collect();
    let is_family = [load(Field::IpFamily, 0), is(&[family as u8])];
    [&is_family[..], &[load(field, 0), masked(&mask), is(&first)]].concat()
}

/// A byte whose first `count` bits are set.
fn bits(count: u8) -> u8 {
    !(0xff_u8.checked_shr(u32::from(count)).unwrap_or(0))
}
