//! Answers on published ports for clients on this machine's own loopback.
//!
//! Everybody else is sent on by a rule of the packet filter (`nftables.rs`), which changes the
//! destination and leaves the rest to the kernel. A packet from 127.0.0.1 can't be sent on like
//! that: an address that begins with 127 must not appear on any link (RFC 1122, 3.2.1.3; the
//! kernel's `route_localnet` would lift that for all ports, and with it what hides behind them),
//! and for ::1 there is no such switch. So a small process of ours accepts the connection and makes
//! a second one to the container. It sees to it, too, that nobody else gets the port.
//!
//! One process, one thread, no waiting but for epoll(7): `tcp.rs` carries connections, `udp.rs`
//! single messages. It ends when we do, however that happens.

mod datagram;
mod tcp;
mod udp;

use crate::ports::{Protocol, Reserved};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::prctl::set_name;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{Pid, chdir, setsid};
use process::Child;
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use sys::Fork;

/// The process that answers, for as long as this value lives.
pub struct Proxy {
    _process: Child,
}

/// Answers on the reserved ports from now on, and passes on to a container with these addresses,
/// one for IPv4, one for IPv6 or both. To be called by a process with one thread, in the network
/// namespace in which the ports were reserved.
pub fn start(reserved: Vec<Reserved>, container: &[IpAddr]) -> Result<Proxy> {
    start_at(None, reserved, container)
}

/// [`start`], for addresses that exist in a network namespace alone: connects from in there.
pub fn start_inside(
    namespace: &File,
    reserved: Vec<Reserved>,
    container: &[IpAddr],
) -> Result<Proxy> {
    start_at(Some(namespace), reserved, container)
}

fn start_at(
    namespace: Option<&File>,
    reserved: Vec<Reserved>,
    container: &[IpAddr],
) -> Result<Proxy> {
    let us = pidfd_open(getpid(), PidfdFlags::empty()).context("cannot open a pidfd")?;
    match sys::clone3(0, None).context("cannot start the process that answers on the ports")? {
        Fork::Child => answer(&us, namespace, reserved, container),
        Fork::Parent { pid, pidfd } => {
            Ok(Proxy { _process: Child { pid: Pid::from_raw(pid), pidfd } })
        }
    }
}

/// The life of that process. Nothing that reaches us by a terminal, a process group or a signal
/// shall disturb it, and nothing of our caller's shall stay in use because of us.
fn answer(
    us: &OwnedFd,
    namespace: Option<&File>,
    reserved: Vec<Reserved>,
    container: &[IpAddr],
) -> ! {
    // A socket stays in the network namespace in which it was made; those to come belong in there.
    if namespace.is_some_and(|there| setns(there, CloneFlags::CLONE_NEWNET).is_err()) {
        sys::exit_now(1);
    }
    let _ = set_name(c"port-proxy"); // for whoever reads `ps`
    let _ = process::die_with_parent();
    let _ = setsid();
    let _ = chdir("/");
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    let sockets = reserved.iter().flat_map(|port| &port.sockets);
    let keep: Vec<BorrowedFd> = sockets.chain([us]).map(|fd| fd.as_fd()).collect();
    let _ = sys::close_all_but(&keep);
    let outcome = carry(us, reserved, container);
    sys::exit_now(outcome.is_err().into())
}

/// What woke us up.
const US: u64 = 0;

/// Passes on until the process behind `us` has ended.
fn carry(us: &OwnedFd, reserved: Vec<Reserved>, container: &[IpAddr]) -> nix::Result<()> {
    let mut room = Room::of_this_process();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(us, EpollEvent::new(EpollFlags::EPOLLIN, US))?;
    let (mut tcp, mut udp) = (tcp::Carrier::default(), udp::Carrier::default());
    for Reserved { port, sockets } in reserved {
        for socket in sockets {
            room.used += 1;
            let (is_v4, protocol) = (is_ipv4(&socket)?, port.protocol);
            let Some(to) = target(container, is_v4).map(|ip| SocketAddr::new(ip, port.to)) else {
                continue;
            };
            match protocol {
                Protocol::Tcp => tcp.listen(&epoll, socket.into(), to)?,
                Protocol::Udp => udp.listen(&epoll, socket.into(), to)?,
            }
        }
    }
    let mut events = [EpollEvent::empty(); 128];
    loop {
        let patience = tcp.patience().min(udp.patience());
        let timeout = EpollTimeout::try_from(patience).unwrap_or(EpollTimeout::from(1000_u16));
        let count = match epoll.wait(&mut events, timeout) {
            Err(Errno::EINTR) => 0,
            count => count?,
        };
        for event in &events[..count] {
            match event.data() {
                US => return Ok(()),
                token if token & udp::TOKEN != 0 => udp.woken(&epoll, token, &mut room),
                token => tcp.woken(&epoll, token, &mut room),
            }
        }
        tcp.go_on(&epoll, &mut room);
        udp.forget_the_silent(&mut room);
    }
}

/// The container's address of the same kind as the socket; else the other one, because a proxy can
/// lead from one to the other.
fn target(container: &[IpAddr], is_v4: bool) -> Option<IpAddr> {
    let same = container.iter().find(|ip| ip.is_ipv4() == is_v4);
    same.or(container.first()).copied()
}

fn is_ipv4(socket: &OwnedFd) -> nix::Result<bool> {
    use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname};
    use std::os::fd::AsRawFd;
    let here: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    Ok(here.family() == Some(AddressFamily::Inet))
}

/// How many more descriptors we may have.
///
/// When there is no room, new connections wait in the kernel's queue until an old one ends, and a
/// new sender of messages takes the place of the one who has been silent longest.
struct Room {
    used: u64,
    limit: u64,
}

impl Room {
    /// Nobody but us is in this process, so it may have all that the administrator allows.
    fn of_this_process() -> Room {
        const SPARE: u64 = 16; // standard streams, epoll, the pidfd, and what we forgot
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((256, 256));
        let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard);
        Room { used: SPARE, limit: raised }
    }

    fn has(&self, count: u64) -> bool {
        self.used + count <= self.limit
    }
}

/// Nothing has to be done before something happens.
const FOREVER: Duration = Duration::from_secs(3600);
