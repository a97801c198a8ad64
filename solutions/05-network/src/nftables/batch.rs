//! Says to nf_tables what shall be: linux/netfilter/nfnetlink.h and nf_tables.h.
//!
//! All changes of a [`Batch`] happen at once or not at all, between two packets. Making what is
//! there already is no error.

use super::kinds::{Family, Hook, Type};
use super::{Expression, Refusal};
use crate::netlink::*;

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEWTABLE: u16 = 0;
pub const GETTABLE: u16 = 1;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
pub const GETCHAIN: u16 = 4;
const NEWRULE: u16 = 6;
pub const GETRULE: u16 = 7;
const DELRULE: u16 = 8;
const NEWSET: u16 = 9;
const NEWSETELEM: u16 = 12;
pub const GETSETELEM: u16 = 13;
const DELSETELEM: u16 = 14;
const LIST_ELEM: u16 = 1;
const SET_IS_MAP: u32 = 8;

/// An attribute's length has two bytes: more elements than these go into another message.
const AT_ONCE: usize = 500;

/// The message of nf_tables of this kind; `family` is a [`Family`], 0 for any.
pub fn message(kind: u16, flags: u16, family: u8) -> Message {
    Message::new((SUBSYSTEM << 8) | kind, flags, &[family, 0, 0, 0])
}

/// Changes to one table that happen together.
pub struct Batch {
    messages: Vec<Message>,
    /// What each is about, for whoever reads that it was refused.
    subjects: Vec<String>,
    family: Family,
    table: String,
}

impl Batch {
    /// No changes to this table yet.
    pub fn of(family: Family, table: &str) -> Batch {
        let mut batch =
            Batch { messages: Vec::new(), subjects: Vec::new(), family, table: table.to_owned() };
        batch.push(mark(BATCH_BEGIN), "nf_tables");
        batch
    }

    fn push(&mut self, message: Message, subject: impl Into<String>) {
        self.messages.push(message);
        self.subjects.push(subject.into());
    }

    fn add(&mut self, kind: u16, flags: u16, subject: &str, fill: impl FnOnce(&mut Attributes)) {
        let mut message = message(kind, flags, self.family as u8);
        message.attributes.text(1, &self.table); // in every kind of message the first attribute
        fill(&mut message.attributes);
        self.push(message, subject);
    }

    /// Makes the table, with a comment on it.
    pub fn table(&mut self, comment: &str) {
        self.add(NEWTABLE, NLM_F_CREATE, "a table of IPv4 and IPv6", |table| {
            table.add(6, &comment_bytes(comment));
        });
    }

    /// Removes the table with all that is in it.
    pub fn remove_table(&mut self) {
        self.add(DELTABLE, 0, "a table", |_| ());
    }

    /// Makes a chain without rules: at a hook, or one that only rules lead to.
    pub fn chain(&mut self, name: &str, hook: Option<Hook>) {
        let hook = hook.map(Hook::parts);
        let kind = hook.map_or("", |(kind, ..)| kind);
        self.add(NEWCHAIN, NLM_F_CREATE, &format!("a chain {kind}"), |chain| {
            chain.text(3, name);
            let Some((kind, hook, priority)) = hook else { return };
            chain.nest(4, |place| {
                number(place, 1, hook);
                number(place, 2, priority as u32)
            });
            chain.text(7, kind);
        });
        self.add(DELRULE, 0, "a chain", |chain| {
            chain.text(2, name);
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
        let names: Vec<&str> = list.iter().map(|one| one.name).collect();
        let subject = format!("a rule of {}", names.join(", "));
        self.add(NEWRULE, NLM_F_CREATE | flags, &subject, |rule| {
            rule.text(2, chain);
            rule.nest(4, |expressions| {
                for one in list {
                    expressions.nest(LIST_ELEM, |element| {
                        *element = one.attributes.clone();
                        element
                    });
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
        self.add(DELRULE, 0, "a rule", |rule| {
            rule.text(2, chain).add(3, handle);
        });
    }

    /// Makes a set of keys; a map, if they have values.
    pub fn set(&mut self, name: &str, key: &[Type], value: &[Type]) {
        let id = self.messages.len() as u32;
        self.add(NEWSET, NLM_F_CREATE, "a set", |set| {
            set.text(2, name);
            number(set, 3, if value.is_empty() { 0 } else { SET_IS_MAP });
            for (first, what) in [(4, key), (6, value)] {
                if !what.is_empty() {
                    let alone = what.len() == 1;
                    number(set, first, what.iter().fold(0, |all, one| (all << 6) | one.number()));
                    number(set, first + 1, what.iter().map(|one| one.length(alone)).sum());
                }
            }
            number(set, 10, id);
            // So that nft shows names, and marks as the kernel has them: in this machine's order.
            for (part, what, own) in [(0, key, Type::Link), (1, value, Type::Mark)] {
                if what == [own] {
                    set.add(13, &[&[part, 4][..], &1_u32.to_ne_bytes()].concat());
                }
            }
        });
    }

    /// Adds an element to a set, with its value to a map.
    pub fn element(&mut self, set: &str, key: &[u8], value: Option<&[u8]>) {
        self.elements(set, &[(key.to_vec(), value.map(<[u8]>::to_vec))]);
    }

    /// Adds elements.
    pub fn elements(&mut self, set: &str, list: &[Element]) {
        self.change_elements(NEWSETELEM, NLM_F_CREATE, set, list);
    }

    /// Removes elements, which have to be there.
    pub fn remove_elements(&mut self, set: &str, list: &[Element]) {
        self.change_elements(DELSETELEM, 0, set, list);
    }

    fn change_elements(&mut self, kind: u16, flags: u16, set: &str, list: &[Element]) {
        for some in list.chunks(AT_ONCE) {
            self.add(kind, flags, "elements of a set", |message| {
                message.text(2, set);
                message.nest(3, |elements| {
                    for (key, value) in some {
                        elements.nest(LIST_ELEM, |element| {
                            element.nest(1, |data| data.add(1, key));
                            if let Some(value) = value {
                                element.nest(2, |data| data.add(1, value));
                            }
                            element
                        });
                    }
                    elements
                });
            });
        }
    }

    /// Makes all changes, or none.
    pub fn commit(self) -> Result<(), Refusal> {
        let mut netfilter = Netlink::netfilter().map_err(|error| {
            let errno = error.downcast().unwrap_or(nix::Error::EPROTONOSUPPORT);
            Refusal { of: "netlink for packet filters".to_owned(), errno }
        })?;
        self.commit_by(&mut netfilter)
    }

    /// [`Batch::commit`], on a line that is open: see `late_close.rs`.
    pub fn commit_by(mut self, netfilter: &mut Netlink) -> Result<(), Refusal> {
        if let Some(last) = self.messages.last_mut() {
            last.acknowledge();
        }
        self.push(mark(BATCH_END), "nf_tables");
        netfilter.ask_all(&self.messages).map_err(|(index, errno)| {
            let of = self.subjects.get(index).cloned().unwrap_or_default();
            Refusal { of, errno }
        })
    }
}

/// A key, and in a map its value.
pub type Element = (Vec<u8>, Option<Vec<u8>>);

fn mark(kind: u16) -> Message {
    Message::new(kind, 0, &[0, 0, 0, SUBSYSTEM as u8])
}

/// Adds a number as nf_tables wants it: the highest byte first.
pub fn number(attributes: &mut Attributes, kind: u16, value: u32) -> &mut Attributes {
    attributes.add(kind, &value.to_be_bytes())
}

/// A comment as nft(8) and iptables(8) write it: kind 0, length, text.
pub fn comment_bytes(comment: &str) -> Vec<u8> {
    [&[0, comment.len() as u8 + 1], comment.as_bytes(), &[0]].concat()
}

/// The comment in the attribute `kind` of what the kernel told.
pub fn comment(body: &[u8], kind: u16) -> Option<String> {
    let data = attribute(body.get(4..)?, kind)?;
    let (0, length) = (*data.first()?, usize::from(*data.get(1)?)) else { return None };
    Some(text(data.get(2..2 + length)?))
}
