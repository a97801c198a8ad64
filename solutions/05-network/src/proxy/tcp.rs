//! Carries connections: what one side says, the other hears, until both have said all.
//!
//! Each side of a connection ends by itself (shutdown(2)): `nc` that has sent its last line still
//! waits for the answer. So an end is passed on as an end of that direction alone. Who reads
//! slowly slows down who writes: we hold at most one buffer for each direction and don't read on
//! until it is gone.

use super::{FOREVER, Room};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
};
use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// How much is read at once.
const BUFFER: usize = 64 * 1024;
/// How many buffers of one connection before it is another's turn.
const ROUNDS: usize = 8;
/// How many connections are accepted before those that there are get their turn.
const ACCEPTED_AT_ONCE: usize = 64;
/// If there is no room, how long until we look again by ourselves.
const RETRY: Duration = Duration::from_millis(200);
/// The numbers of connections begin behind those of the listening sockets.
const FIRST_CONNECTION: u64 = 1 << 20;

/// All connections of this process.
#[derive(Default)]
pub struct Carrier {
    listening: Vec<(TcpListener, SocketAddr)>,
    /// Are the listening sockets left alone, because there is no room?
    is_full: bool,
    connections: HashMap<u64, Connection>,
    made: u64,
    /// Those with more to do, although nothing new has happened to them.
    unfinished: HashSet<u64>,
    buffer: Vec<u8>,
}

struct Connection {
    client: TcpStream,
    container: TcpStream,
    is_connecting: bool,
    there: Direction,
    back: Direction,
}

/// One of the two directions.
#[derive(Default)]
struct Direction {
    /// Read and not yet written.
    pending: Vec<u8>,
    /// Nothing more will be read.
    has_ended: bool,
    /// The other side has been told so.
    is_over: bool,
}

impl Carrier {
    /// Accepts on this socket, and connects to the address.
    pub fn listen(
        &mut self,
        epoll: &Epoll,
        socket: TcpListener,
        to: SocketAddr,
    ) -> nix::Result<()> {
        self.listening.push((socket, to));
        self.buffer.resize(BUFFER, 0);
        self.watch(epoll, self.listening.len() - 1)
    }

    fn watch(&self, epoll: &Epoll, index: usize) -> nix::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, index as u64 + 1);
        match epoll.add(&self.listening[index].0, event) {
            Err(Errno::EEXIST) => Ok(()),
            outcome => outcome,
        }
    }

    /// How long we may sleep.
    pub fn patience(&self) -> Duration {
        match (self.unfinished.is_empty(), self.is_full) {
            (false, _) => Duration::ZERO,
            (true, true) => RETRY,
            (true, false) => FOREVER,
        }
    }

    /// Something happened to a socket of ours.
    pub fn woken(&mut self, epoll: &Epoll, token: u64, room: &mut Room) {
        match token.checked_sub(FIRST_CONNECTION) {
            Some(_) => self.serve(token, room),
            None => self.accept(epoll, token as usize - 1, room),
        }
    }

    /// Goes on with what is unfinished; accepts again if there is room again.
    pub fn go_on(&mut self, epoll: &Epoll, room: &mut Room) {
        for token in std::mem::take(&mut self.unfinished) {
            self.serve(token, room);
        }
        if self.is_full && room.has(2) {
            self.is_full = (0..self.listening.len()).any(|one| self.watch(epoll, one).is_err());
        }
    }

    fn accept(&mut self, epoll: &Epoll, index: usize, room: &mut Room) {
        for _ in 0..ACCEPTED_AT_ONCE {
            let accepted = if room.has(2) {
                self.listening[index].0.accept()
            } else {
                Err(Errno::EMFILE.into())
            };
            match accepted {
                Ok((client, _)) => self.begin(epoll, client, self.listening[index].1, room),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if is_want_of_room(&error) => {
                    // Whoever comes now waits in the kernel's queue (listen(2)).
                    for (socket, _) in &self.listening {
                        let _ = epoll.delete(socket);
                    }
                    self.is_full = true;
                    return;
                }
                Err(_) => (), // this client has gone already (accept(2), "Error handling")
            }
        }
    }

    fn begin(&mut self, epoll: &Epoll, client: TcpStream, to: SocketAddr, room: &mut Room) {
        let Ok(container) = connecting(to) else { return reset(&client) };
        let _ =
            (client.set_nonblocking(true), client.set_nodelay(true), container.set_nodelay(true));
        self.made += 1;
        let token = FIRST_CONNECTION + self.made;
        let connection = Connection {
            client,
            container,
            is_connecting: true,
            there: Direction::default(),
            back: Direction::default(),
        };
        // Edge-triggered: we are told once of each change, and always read and write until EAGAIN.
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        for stream in [&connection.client, &connection.container] {
            let _ = setsockopt(stream, sockopt::KeepAlive, &true); // it may vanish without a word
            if epoll.add(stream, EpollEvent::new(flags, token)).is_err() {
                return reset(&connection.client);
            }
        }
        room.used += 2;
        self.connections.insert(token, connection);
    }

    fn serve(&mut self, token: u64, room: &mut Room) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        match connection.carry(&mut self.buffer) {
            Ok(Progress::Waits) => return,
            Ok(Progress::HasMore) => {
                self.unfinished.insert(token);
                return;
            }
            Ok(Progress::Over) => (),
            // Who was cut off on one side is cut off on the other.
            Err(_) => [&connection.client, &connection.container].into_iter().for_each(reset),
        }
        self.connections.remove(&token);
        room.used -= 2;
    }
}

enum Progress {
    Waits,
    HasMore,
    Over,
}

impl Connection {
    fn carry(&mut self, buffer: &mut [u8]) -> io::Result<Progress> {
        if self.is_connecting {
            if let Some(error) = self.container.take_error()? {
                return Err(error);
            }
            if self.container.peer_addr().is_err() {
                return Ok(Progress::Waits); // not there yet (connect(2), EINPROGRESS)
            }
            self.is_connecting = false;
        }
        let there = self.there.carry(&mut self.client, &mut self.container, buffer)?;
        let back = self.back.carry(&mut self.container, &mut self.client, buffer)?;
        Ok(match self.there.is_over && self.back.is_over {
            true => Progress::Over,
            false if there || back => Progress::HasMore,
            false => Progress::Waits,
        })
    }
}

impl Direction {
    /// Carries until there is nothing to read or no place to write to. Is there more to do at once?
    fn carry(
        &mut self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        buffer: &mut [u8],
    ) -> io::Result<bool> {
        for _ in 0..ROUNDS {
            if !self.pending.is_empty() {
                let written = write(to, &self.pending)?;
                self.pending.drain(..written);
                if !self.pending.is_empty() {
                    return Ok(false);
                }
                self.pending = Vec::new(); // thousands of idle connections take no buffers
            }
            if self.has_ended {
                if !self.is_over {
                    self.is_over = true;
                    let _ = to.shutdown(Shutdown::Write); // it may be gone, which is as good
                }
                return Ok(false);
            }
            match from.read(buffer) {
                Ok(0) => self.has_ended = true,
                Ok(count) => {
                    let written = write(to, &buffer[..count])?;
                    self.pending.extend_from_slice(&buffer[written..count]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Writes as much as can be written now.
fn write(to: &mut TcpStream, mut bytes: &[u8]) -> io::Result<usize> {
    let length = bytes.len();
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(length - bytes.len())
}

/// A connection that is being made; std knows only how to wait for it.
fn connecting(to: SocketAddr) -> nix::Result<TcpStream> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket: OwnedFd = socket(family, SockType::Stream, flags, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket.into()),
        Err(errno) => Err(errno),
    }
}

/// Makes the end of this stream, when it is dropped, a break and not an end (tcp(7), SO_LINGER).
fn reset(stream: &TcpStream) {
    let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    let _ = setsockopt(stream, sockopt::Linger, &at_once);
}

fn is_want_of_room(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}
