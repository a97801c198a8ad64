//! What a rule is made of: the instructions of the kernel's packet filter, linux/netfilter/nf_tables.h.
//!
//! Each has a name, under which the kernel finds the module that executes it, and attributes of its
//! own. They work on *registers*: a field is loaded into one, the next instruction looks at it.

use super::batch::number;
use super::kinds::Family;
use crate::netlink::Attributes;

const REG_VERDICT: u32 = 0;
/// The first of the registers of four bytes each.
const REG: u32 = 8;

/// One instruction of a rule.
#[derive(Clone, Debug)]
pub struct Expression {
    /// The kernel's name for it.
    pub(super) name: &'static str,
    pub(super) attributes: Attributes,
}

fn expression(name: &'static str, fill: impl FnOnce(&mut Attributes)) -> Expression {
    let mut attributes = Attributes::default();
    attributes.text(1, name).nest(2, |data| {
        fill(data);
        data
    });
    Expression { name, attributes }
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

fn compare(operator: u32, value: &[u8]) -> Expression {
    expression("cmp", |e| {
        number(e, 1, REG);
        number(e, 2, operator);
        e.nest(3, |data| data.add(1, value));
    })
}

/// Goes on with the rule only if a field has one of these bits.
pub fn any_of(field: Field, bits: u32) -> [Expression; 3] {
    [load(field, 0), masked(&bits.to_ne_bytes()), compare(1, &[0; 4])]
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

/// Goes on with the rule only if the set has what is in the registers from 0 on.
pub fn within(set: &str) -> Expression {
    expression("lookup", |e| {
        e.text(1, set);
        number(e, 2, REG);
    })
}

/// Goes on with the rule only if the set does not have it.
pub fn not_within(set: &str) -> Expression {
    expression("lookup", |e| {
        e.text(1, set);
        number(e, 2, REG);
        number(e, 5, 1);
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

/// Gives the packet the mark in register 0.
pub fn mark() -> Expression {
    expression("meta", |e| {
        number(e, 2, 3);
        number(e, 3, REG);
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

/// Goes back to the chain from which we came; at a hook, accepts.
pub fn go_back() -> Expression {
    verdict(-5, None)
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
