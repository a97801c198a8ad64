//! Reads which ports shall be published, and takes them on this machine.
//!
//! A port belongs to whoever has bound a socket to it, and nobody else gets it (bind(2)). So all
//! ports are bound before anything of the container exists: one that is taken is an error then,
//! not a container that runs and can't be reached. The sockets stay open as long as the container
//! lives, and the loopback proxy (`proxy.rs`) answers on them.

mod listed;
mod text;

pub use listed::listed;

use crate::sysctls;
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, getsockname, listen,
    setsockopt, socket, sockopt,
};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, OwnedFd};

/// How many free ports are tried that turn out to be free in IPv4 alone.
const TRIES: usize = 32;

/// What a port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections: tcp(7).
    Tcp,
    /// Single messages: udp(7).
    Udp,
}

/// One `-p [ADDRESS:][PORT:]PORT[/PROTOCOL]`, as docker-run(1) describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The address of this machine; `None` is all it has.
    pub on: Option<IpAddr>,
    /// The ports out here; `None` is any that are free, also written 0.
    pub outside: Option<RangeInclusive<u16>>,
    /// The ports of the container. If there is one alone and many outside, any of those will do.
    pub inside: RangeInclusive<u16>,
    /// What they carry.
    pub protocol: Protocol,
}

/// A port of this machine that leads to a port of a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Published {
    /// The address of this machine; `None` is all it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<IpAddr>,
    /// The port out here.
    pub port: u16,
    /// The container's port.
    pub to: u16,
    /// What it carries.
    pub protocol: Protocol,
}

impl Published {
    /// The addresses and the port at which it is reached.
    pub fn outside(&self) -> Vec<SocketAddr> {
        let everywhere = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let on = self.on.map_or(everywhere.to_vec(), |ip| vec![ip]);
        on.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect()
    }
}

/// A port that is ours as long as this value lives.
#[derive(Debug)]
pub struct Reserved {
    /// Which one, and where it shall lead.
    pub port: Published,
    /// Bound to it, for IPv4 and for IPv6; those for connections listen already.
    pub sockets: Vec<OwnedFd>,
}

/// Takes all ports that are asked for. If one can't be had, none is taken.
pub fn reserve(wanted: &[Publish]) -> Result<Vec<Reserved>> {
    let mut reserved = Vec::new();
    for publish in wanted {
        match &publish.outside {
            None => {
                for to in publish.inside.clone() {
                    reserved.push(any_free(publish, to)?);
                }
            }
            Some(outside) if outside.len() == publish.inside.len() => {
                for (port, to) in outside.clone().zip(publish.inside.clone()) {
                    reserved.push(take(publish.published(port, to)).map_err(explain)?);
                }
            }
            Some(outside) => reserved.push(first_free(publish, outside.clone())?),
        }
    }
    Ok(reserved)
}

impl Publish {
    fn published(&self, port: u16, to: u16) -> Published {
        Published { on: self.on, port, to, protocol: self.protocol }
    }
}

/// What went wrong with which port.
type Refused = (Published, Errno);

/// Any port that is free, for all addresses at once.
fn any_free(publish: &Publish, to: u16) -> Result<Reserved> {
    for _ in 0..TRIES {
        // Port 0 asks the kernel for one; it looks at one kind of address alone.
        match take(publish.published(0, to)) {
            Ok(reserved) => return Ok(reserved),
            Err((_, Errno::EADDRINUSE)) => continue,
            Err(refused) => return Err(explain(refused)),
        }
    }
    bail!("no port of this machine is free for {to}/{}", publish.protocol)
}

fn first_free(publish: &Publish, mut outside: RangeInclusive<u16>) -> Result<Reserved> {
    let (first, last, to) = (*outside.start(), *outside.end(), *publish.inside.start());
    outside
        .find_map(|port| match take(publish.published(port, to)) {
            Err((_, Errno::EADDRINUSE)) => None,
            taken => Some(taken.map_err(explain)),
        })
        .with_context(|| format!("all ports from {first} to {last} of this machine are taken"))?
}

fn explain((port, errno): Refused) -> anyhow::Error {
    let number = port.port;
    let (kind, ip) = (if port.protocol == Protocol::Tcp { 't' } else { 'u' }, port.on);
    let hint = match (errno, ip) {
        (Errno::EADDRINUSE, _) => {
            format!("take another port; `ss -ln{kind}p sport = :{number}` tells who has it")
        }
        (Errno::EADDRNOTAVAIL, Some(ip)) => {
            format!("this machine has no address {ip}: `ip address` lists those that it has")
        }
        (Errno::EACCES, _) => {
            let first = sysctls::first_port_of_everybody();
            format!(
                "ports below {first} are root's: take one from {first} on, or leave more to everybody: \
                 sudo sysctl net.ipv4.ip_unprivileged_port_start={number}"
            )
        }
        (Errno::EMFILE, _) => {
            "each port takes two descriptors: `ulimit -n` says how many".to_owned()
        }
        (Errno::EAFNOSUPPORT, _) => "this kernel has no IPv6".to_owned(),
        _ => return anyhow::Error::new(errno).context(format!("cannot take the port {port}")),
    };
    let place = ip.map_or(String::new(), |ip| format!(" on {ip}"));
    let port = format!("{number}/{}{place}", port.protocol);
    anyhow::Error::new(errno).context(format!("cannot take port {port}\nhint: {hint}"))
}

/// Binds a port on its address, or on all of both kinds.
fn take(mut port: Published) -> Result<Reserved, Refused> {
    let mut sockets = Vec::new();
    let everywhere = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    for ip in port.on.map_or(everywhere.to_vec(), |ip| vec![ip]) {
        match bound(SocketAddr::new(ip, port.port), port.protocol) {
            Ok((socket, number)) => {
                port.port = number; // if it was 0 it is now what the kernel chose
                sockets.push(socket);
            }
            Err(errno) if port.on.is_none() && is_without_ipv6(ip, errno) => continue,
            Err(errno) => return Err((port, errno)),
        }
    }
    Ok(Reserved { port, sockets })
}

/// A machine without IPv6 is none without ports.
fn is_without_ipv6(ip: IpAddr, errno: Errno) -> bool {
    ip.is_ipv6() && matches!(errno, Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
}

/// Asks the kernel to say to which address of ours a message was sent: the proxy answers from there.
fn say_where(socket: &OwnedFd, address: SocketAddr) -> nix::Result<()> {
    match address {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true),
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true),
    }
}

fn bound(address: SocketAddr, protocol: Protocol) -> nix::Result<(OwnedFd, u16)> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = if protocol == Protocol::Tcp { SockType::Stream } else { SockType::Datagram };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?; // IPv4 has a socket of its own
    }
    if protocol == Protocol::Tcp {
        // Connections of the last container may linger for a minute (TIME_WAIT); they don't count.
        setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    }
    if protocol == Protocol::Udp {
        say_where(&socket, address)?; // before the first message comes
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    if protocol == Protocol::Tcp {
        listen(&socket, Backlog::MAXCONN)?; // without it another could still listen here
    }
    let here: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    let v4 = here.as_sockaddr_in().map(|here| here.port());
    let port = v4.or_else(|| here.as_sockaddr_in6().map(|here| here.port()));
    Ok((socket, port.unwrap_or(address.port())))
}
