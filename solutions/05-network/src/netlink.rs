//! Talks to the kernel about links, addresses, routes and filters: netlink(7).
//!
//! Netlink is a socket whose other end is the kernel. What is sent is a *message*: a header of 16
//! bytes (length, kind, flags, a number to recognise the answer by), a fixed part that depends on
//! the kind, and then *attributes*, of which anybody may add new ones without breaking old
//! programs. That is why `ip` and the kernel can be of different age. All numbers are in the byte
//! order of this machine; nf_tables alone wants those inside attributes as a network sends them.
//!
//! A socket belongs to the network namespace in which it was opened, for ever (network_namespaces(7)).

use anyhow::{Context, Result};
use nix::Error;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType};
use nix::sys::socket::{recv, send, setsockopt, socket, sockopt};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

// linux/netlink.h
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
/// "While I told you, something was changed."
const NLM_F_DUMP_INTR: u16 = 0x10;
/// "Answer, also when all went well."
pub const NLM_F_ACK: u16 = 0x4;
/// "Tell of all that there are."
pub const NLM_F_DUMP: u16 = 0x300;
/// "It must not be there yet."
pub const NLM_F_EXCL: u16 = 0x200;
/// "Make it, if it is not there."
pub const NLM_F_CREATE: u16 = 0x400;
/// "Behind the others, not before them."
pub const NLM_F_APPEND: u16 = 0x800;
/// More bytes than these at once may not fit into a socket (socket(7), SO_SNDBUF); a thousand published
/// ports are more.
const USUAL_ROOM: usize = 64 * 1024;
/// This attribute holds attributes.
pub const NLA_F_NESTED: u16 = 0x8000;

/// Attributes, one behind the other: a length and a kind, two bytes each, and the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub Vec<u8>);

impl Attributes {
    /// Adds one attribute.
    ///
    /// The length counts itself, the kind and the value. The next attribute must begin at a multiple
    /// of four bytes, but what fills the gap is not counted.
    // ANCHOR: attribute
    pub fn add(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        // ANCHOR: todo_nl_attr: append length, kind and value, and fill up to a multiple of four
        // | self.0 are the bytes so far; to_ne_bytes gives a number in the order of this machine.
        let length = 4 + value.len() as u16;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
        // ANCHOR_END: todo_nl_attr
    }
    // ANCHOR_END: attribute

    /// Adds a text, which ends with a zero.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.add(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds a number of four bytes.
    pub fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.add(kind, &value.to_ne_bytes())
    }

    /// Adds an attribute that holds attributes.
    pub fn nest(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Attributes) -> &mut Attributes,
    ) -> &mut Self {
        let mut inner = Attributes::default();
        fill(&mut inner);
        self.add(kind | NLA_F_NESTED, &inner.0)
    }
}

/// The attributes in what the kernel has sent: kind and value.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & !NLA_F_NESTED;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of this kind.
pub fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

/// A text as the kernel sends it, without the zero at its end.
pub fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}

/// The number of two bytes at this place, if there is one.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The number of four bytes at this place, if there is one.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// What is said to the kernel.
#[derive(Clone, Debug)]
pub struct Message {
    kind: u16,
    flags: u16,
    fixed: Vec<u8>,
    /// What comes behind the fixed part.
    pub attributes: Attributes,
}

impl Message {
    /// A message of this kind, with its fixed part and no attributes yet.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Message {
        Message { kind, flags, fixed: fixed.to_vec(), attributes: Attributes::default() }
    }

    /// Asks for an answer, also when all went well.
    pub fn acknowledge(&mut self) {
        self.flags |= NLM_F_ACK;
    }

    fn append_to(&self, bytes: &mut Vec<u8>, number: u32) {
        let length = 16 + self.fixed.len() + self.attributes.0.len();
        bytes.extend((length as u32).to_ne_bytes());
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend((self.flags | NLM_F_REQUEST).to_ne_bytes());
        bytes.extend(number.to_ne_bytes());
        bytes.extend([0; 4]); // from whom: the kernel knows
        bytes.extend(&self.fixed);
        bytes.extend(&self.attributes.0);
    }
}

/// One message of an answer: its kind, and all behind its header.
pub type Told = (u16, Vec<u8>);

/// A line to the kernel.
pub struct Netlink {
    socket: OwnedFd,
    number: u32,
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The first message that the kernel refused, counted from 0, and why.
pub type Refused = (usize, Error);

impl Netlink {
    /// About links, addresses and routes: rtnetlink(7).
    pub fn route() -> Result<Netlink> {
        Netlink::open(SockProtocol::NetlinkRoute)
    }

    /// About packet filters.
    pub fn netfilter() -> Result<Netlink> {
        Netlink::open(SockProtocol::NetlinkNetFilter)
    }

    fn open(protocol: SockProtocol) -> Result<Netlink> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)
            .context("cannot open a netlink socket")?;
        Ok(Netlink { socket, number: 0 })
    }

    /// Asks for one change. The error is the kernel's.
    pub fn ask(&mut self, mut message: Message) -> nix::Result<()> {
        message.acknowledge();
        self.send(&[message])?;
        self.hear(|_| ())
    }

    /// Asks for many changes; the last of `messages` that is no end mark has to ask for an answer.
    pub fn ask_all(&mut self, messages: &[Message]) -> Result<(), Refused> {
        let first = self.number + 1;
        self.send(messages).map_err(|errno| (0, errno))?;
        self.hear_all(|_| ())
            .map_err(|(number, errno)| (number.saturating_sub(first) as usize, errno))
    }

    /// Asks a question, whose answer is any number of messages.
    pub fn list(&mut self, mut message: Message) -> nix::Result<Vec<Told>> {
        message.flags |= if message.flags & NLM_F_DUMP == 0 { NLM_F_ACK } else { 0 };
        loop {
            self.send(std::slice::from_ref(&message))?;
            let mut answer = Vec::new();
            match self.hear(|told| answer.push(told)) {
                Err(Error::EINTR) => continue, // half of it is old and half is new
                outcome => return outcome.map(|()| answer),
            }
        }
    }

    fn send(&mut self, messages: &[Message]) -> nix::Result<()> {
        let mut bytes = Vec::with_capacity(1024);
        for message in messages {
            self.number += 1;
            message.append_to(&mut bytes, self.number);
        }
        if bytes.len() > USUAL_ROOM {
            self.make_room(bytes.len());
        }
        send(self.socket.as_raw_fd(), &bytes, MsgFlags::empty()).map(|_| ())
    }

    /// For a message of this size, and for an answer that repeats it because it is refused. Who may
    /// not have as much as they like gets as much as everybody: `net.core.wmem_max`.
    fn make_room(&self, size: usize) {
        let (socket, size) = (&self.socket, size * 2);
        let _ = setsockopt(socket, sockopt::SndBufForce, &size)
            .or_else(|_| setsockopt(socket, sockopt::SndBuf, &size));
        let _ = setsockopt(socket, sockopt::RcvBufForce, &size)
            .or_else(|_| setsockopt(socket, sockopt::RcvBuf, &size));
    }

    fn hear(&mut self, tell: impl FnMut(Told)) -> nix::Result<()> {
        self.hear_all(tell).map_err(|(_, errno)| errno)
    }

    /// Reads until the last question is answered. The kernel has put all its errors on the socket
    /// by the time that `send` is back; the first of them is the one that counts.
    fn hear_all(&mut self, mut tell: impl FnMut(Told)) -> Result<(), (u32, Error)> {
        let mut buffer = vec![0; 32 * 1024];
        let mut outcome = Ok(());
        loop {
            let length = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => length,
                Err(Error::EINTR) => continue,
                Err(Error::EAGAIN) => return outcome,
                Err(errno) => return Err((self.number, errno)),
            };
            let mut bytes = &buffer[..length];
            while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
                let Some(body) = bytes.get(16..length as usize) else { break };
                let (flags, number) = (u16_at(bytes, 6), u32_at(bytes, 8).unwrap_or(0));
                let is_torn = flags.is_some_and(|flags| flags & NLM_F_DUMP_INTR != 0);
                let errno = match kind {
                    NLMSG_ERROR | NLMSG_DONE => u32_at(body, 0).unwrap_or(0) as i32, // 0: all is well
                    _ => {
                        tell((kind, body.to_vec()));
                        0
                    }
                };
                let error = if is_torn {
                    Some(Error::EINTR)
                } else {
                    (errno != 0).then(|| Error::from_raw(-errno))
                };
                if let (Some(error), true) = (error, outcome.is_ok()) {
                    outcome = Err((number, error));
                }
                bytes = bytes.get(length.next_multiple_of(4) as usize..).unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_filled_up_to_four_bytes_that_do_not_count() {
        let mut attributes = Attributes::default();
        attributes.text(3, "eth0").number(4, 1400);
        let [length, kind] = [9_u16, 3].map(u16::to_ne_bytes);
        assert_eq!(attributes.0[..12], [&length[..], &kind, b"eth0\0\0\0\0"].concat());
        assert_eq!(attributes.0.len(), 20);
    }

    #[test]
    fn what_was_written_is_read_again() {
        let mut all = Attributes::default();
        all.nest(1, |inner| inner.text(7, "a").add(8, &[]));
        all.number(2, 9);
        let read: Vec<_> = attributes(&all.0).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(attribute(read[0].1, 7).map(text), Some("a".to_owned()));
        assert_eq!(attribute(read[0].1, 8), Some(&[][..]));
        assert_eq!(u32_at(read[1].1, 0), Some(9));
    }

    #[test]
    fn a_length_that_lies_ends_the_reading() {
        for bytes in [&[3, 0, 1, 0][..], &[0, 0, 0, 0], &[200, 0, 1, 0, 5], &[4]] {
            assert_eq!(attributes(bytes).count(), 0, "{bytes:?}");
        }
    }
}
