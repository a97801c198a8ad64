//! Receives messages with the address to which they were sent, and answers from that address.
//!
//! A socket for all addresses of a machine would answer from whichever address the kernel finds
//! nearest to the client, and a client who asked another one does not listen to that: ip(7) and
//! ipv6(7), PKTINFO.

use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
};
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

/// An address of this machine, as the kernel says it.
#[derive(Clone, Copy)]
pub enum Here {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Here {
    /// The bytes of the address.
    pub fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        match self {
            Here::V4(info) => bytes[..4].copy_from_slice(&info.ipi_spec_dst.s_addr.to_ne_bytes()),
            Here::V6(info) => bytes = info.ipi6_addr.s6_addr,
        }
        bytes
    }

    /// From this address, over whichever link leads there; over the one that it is valid on alone.
    fn as_source(self) -> Here {
        match self {
            Here::V4(info) => Here::V4(in_pktinfo { ipi_ifindex: 0, ..info }),
            Here::V6(info) if Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local() => {
                self
            }
            Here::V6(info) => Here::V6(in6_pktinfo { ipi6_ifindex: 0, ..info }),
        }
    }
}

/// A message's length, who sent it, and to which address.
pub fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> nix::Result<(usize, SocketAddr, Option<Here>)> {
    let mut space = cmsg_space!(in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let here = message.cmsgs()?.find_map(|said| match said {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(Here::V4(info)),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Here::V6(info)),
        _ => None,
    });
    let from = message.address.as_ref().and_then(address).ok_or(nix::Error::EAFNOSUPPORT)?;
    Ok((message.bytes, from, here))
}

fn address(from: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = from.as_sockaddr_in().map(|from| SocketAddrV4::from(*from).into());
    v4.or_else(|| from.as_sockaddr_in6().map(|from| SocketAddrV6::from(*from).into()))
}

/// Sends a message from an address of ours.
pub fn send(
    socket: &UdpSocket,
    bytes: &[u8],
    to: SocketAddr,
    here: Option<Here>,
) -> nix::Result<usize> {
    let here = here.map(Here::as_source);
    let from = here.as_ref().map(|here| match here {
        Here::V4(info) => ControlMessage::Ipv4PacketInfo(info),
        Here::V6(info) => ControlMessage::Ipv6PacketInfo(info),
    });
    let to = SockaddrStorage::from(to);
    let parts = [IoSlice::new(bytes)];
    sendmsg(socket.as_raw_fd(), &parts, from.as_slice(), MsgFlags::MSG_DONTWAIT, Some(&to))
}
