//! Carries single messages. UDP has no connections, so we remember who asked: each client gets a
//! socket of ours to the container, and what arrives on that is an answer to this client. Who has
//! been silent for a while is forgotten.

use super::datagram::{self, Here};
use super::{FOREVER, Room};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Marks the numbers of our sockets among those of `tcp.rs`.
pub const TOKEN: u64 = 1 << 63;
/// The numbers of clients' sockets begin behind those that were reserved.
const FIRST_CLIENT: u64 = TOKEN + (1 << 20);
/// Who has been silent for so long is forgotten; docker's proxy has the same patience.
const SILENCE: Duration = Duration::from_secs(90);
/// How often we look for the silent.
const ROUND: Duration = Duration::from_secs(10);
/// How many messages of one socket before it is another's turn.
const AT_ONCE: usize = 64;

/// All clients of this process.
#[derive(Default)]
pub struct Carrier {
    reserved: Vec<(UdpSocket, SocketAddr)>,
    clients: HashMap<u64, Client>,
    numbers: HashMap<Name, u64>,
    made: u64,
    looked: Option<Instant>,
    buffer: Vec<u8>,
}

/// Through which of the reserved sockets, from which address, to which of ours.
type Name = (usize, SocketAddr, [u8; 16]);

struct Client {
    name: Name,
    here: Option<Here>,
    to_container: UdpSocket,
    heard: Instant,
}

impl Carrier {
    /// Receives on this socket, and sends on to the address.
    pub fn listen(&mut self, epoll: &Epoll, socket: UdpSocket, to: SocketAddr) -> nix::Result<()> {
        let token = TOKEN + self.reserved.len() as u64;
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, token))?;
        self.reserved.push((socket, to));
        self.buffer.resize(64 * 1024, 0); // no message is longer
        Ok(())
    }

    /// How long we may sleep.
    pub fn patience(&self) -> Duration {
        if self.clients.is_empty() { FOREVER } else { ROUND }
    }

    /// Something arrived.
    pub fn woken(&mut self, epoll: &Epoll, token: u64, room: &mut Room) {
        if token >= FIRST_CLIENT {
            return self.carry_back(token);
        }
        let through = (token - TOKEN) as usize;
        for _ in 0..AT_ONCE {
            match datagram::receive(&self.reserved[through].0, &mut self.buffer) {
                Ok((length, from, here)) => {
                    let name = (through, from, here.map(|here| here.bytes()).unwrap_or_default());
                    // What can't be delivered is lost: that is UDP's contract (udp(7)).
                    if let Ok(number) = self.number_of(epoll, name, here, room) {
                        self.carry_there(number, length);
                    }
                }
                Err(Errno::EAGAIN) => return,
                Err(_) => (), // an earlier answer of ours came back as undeliverable
            }
        }
    }

    fn carry_there(&mut self, number: u64, length: usize) {
        if let Some(client) = self.clients.get_mut(&number) {
            client.heard = Instant::now();
            let send = || client.to_container.send(&self.buffer[..length]);
            // The first may only tell that an earlier message found nobody (udp(7), ECONNREFUSED).
            let _ = send().or_else(|_| send());
        }
    }

    fn carry_back(&mut self, number: u64) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        for _ in 0..AT_ONCE {
            match client.to_container.recv(&mut self.buffer) {
                Ok(length) => {
                    client.heard = Instant::now();
                    let (through, address, _) = client.name;
                    let (socket, _) = &self.reserved[through];
                    let _ = datagram::send(socket, &self.buffer[..length], address, client.here);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => (), // nobody listens in the container (ECONNREFUSED): perhaps later
            }
        }
    }

    /// The number of a client, who may be new.
    fn number_of(
        &mut self,
        epoll: &Epoll,
        name: Name,
        here: Option<Here>,
        room: &mut Room,
    ) -> io::Result<u64> {
        if let Some(number) = self.numbers.get(&name) {
            return Ok(*number);
        }
        if !room.has(1) {
            self.forget_the_most_silent(room);
        }
        let to = self.reserved[name.0].1;
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let to_container = UdpSocket::bind((any, 0))?;
        to_container.set_nonblocking(true)?;
        to_container.connect(to)?;
        self.made += 1;
        let number = FIRST_CLIENT + self.made;
        epoll.add(&to_container, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
        room.used += 1;
        let client = Client { name, here, to_container, heard: Instant::now() };
        self.clients.insert(number, client);
        self.numbers.insert(name, number);
        Ok(number)
    }

    /// Closes the sockets of clients who have been silent for long; now and then.
    pub fn forget_the_silent(&mut self, room: &mut Room) {
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now - looked < ROUND) {
            return;
        }
        self.looked = Some(now);
        let silent = self.clients.iter().filter(|(_, client)| now - client.heard > SILENCE);
        for number in silent.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.forget(number, room);
        }
    }

    fn forget_the_most_silent(&mut self, room: &mut Room) {
        let longest = self.clients.iter().min_by_key(|(_, client)| client.heard);
        if let Some(number) = longest.map(|(number, _)| *number) {
            self.forget(number, room);
        }
    }

    fn forget(&mut self, number: u64, room: &mut Room) {
        if let Some(client) = self.clients.remove(&number) {
            self.numbers.remove(&client.name);
            room.used -= 1;
        }
    }
}
