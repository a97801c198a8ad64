//! Gives a container a way out and a way in where nobody may lay a cable: to an ordinary user.
//!
//! The other end of a cable would be a network card of the host, and only the host's root may add
//! one. But the user is root in the container's own namespace, and out here may open sockets as any
//! program does. So in there goes a *TAP*, a network card whose wire ends in a file descriptor
//! (tun(4) in the kernel's documentation, networking/tuntap.rst), and out here a program reads from
//! it the packets that the container sends, does with sockets of its own what they ask for, and
//! writes the answers as packets. That is a router made of an ordinary process; there are two of
//! this kind, pasta(1) and slirp4netns(1), and neither comes with us (`program.rs`). The machine's
//! neighbours see connections of the machine: what NAT would do is done by the sockets.
//!
//! The way in needs no such program. A socket stays in the network namespace in which it was made,
//! wherever its process goes. So the proxy (`proxy.rs`) keeps the sockets on which it listens out
//! here, enters the container's namespace (setns(2)), and connects from in there. The client's
//! address is exchanged for the container's own on that way.

mod place;
mod program;

use crate::Address;
use crate::etc::Surroundings;
use crate::links;
use crate::netlink::Netlink;
use crate::ports::{Published, Reserved};
use crate::proxy::{self, Proxy};
use anyhow::{Context, Result};
use nix::unistd::Pid;
use place::{Place, Ways};
use program::{Kind, Program, Running};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A container's connection. Dropped, the program and the proxy end.
pub struct UserMode {
    /// What there is to be known of it.
    pub terms: Terms,
    /// Who speaks for it, and where it is then.
    speaker: Option<(Program, Place)>,
    reserved: Cell<Vec<Reserved>>,
    running: Cell<Option<Running>>,
    proxy: Cell<Option<Proxy>>,
}

/// What others can know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The program that speaks for it; without one it has a loopback alone.
    pub program: Option<String>,
    /// The container's addresses, which others may have, too: they mean something in there alone.
    pub addresses: Vec<Address>,
    /// The ports of this machine that lead to it.
    pub ports: Vec<Published>,
}

impl UserMode {
    /// Finds who could speak for a container; the remark is for its user, if nobody can.
    pub fn prepare(reserved: Vec<Reserved>) -> Result<(UserMode, Option<String>)> {
        let mut route = Netlink::route()?;
        let ways = Ways::of(&links::routes(&mut route)?);
        let (program, remark) = match (Program::find(Kind::Pasta), Program::find(Kind::Slirp)) {
            (Some(pasta), _) if ways.any() => (Some(pasta), None),
            (_, Some(slirp)) => (Some(slirp), None),
            (Some(_), None) => (None, Some(NO_WAY)),
            (None, None) => (None, Some(NO_PROGRAM)),
        };
        let place = |program: Program| {
            Place::beside(program.kind, &ways, &mut route).map(|place| (program, place))
        };
        let speaker = program.map(place).transpose()?;
        let terms = Terms {
            program: speaker.as_ref().map(|(program, _)| program.kind.to_string()),
            addresses: speaker.iter().flat_map(|(_, place)| place.addresses.clone()).collect(),
            ports: reserved.iter().map(|one| one.port.clone()).collect(),
        };
        let has =
            if terms.ports.is_empty() { "no network" } else { "published ports and no way out" };
        let (running, proxy) = (Cell::new(None), Cell::new(None));
        let reserved = Cell::new(reserved);
        let user_mode = UserMode { terms, speaker, reserved, running, proxy };
        Ok((user_mode, remark.map(|(why, hint)| format!("{why}: it has {has}\n{hint}"))))
    }

    /// What its files tell of where it is.
    pub fn surroundings(&self) -> Surroundings {
        self.speaker.as_ref().map(|(_, place)| place.surroundings.clone()).unwrap_or_default()
    }

    /// Puts the network card into the network namespace of process `pid`, while that waits, and
    /// opens its ports. To be called by a process with one thread that may enter that namespace.
    pub fn plug_in(&self, pid: Pid) -> Result<()> {
        let path = format!("/proc/{pid}/ns/net");
        let namespace = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        if let Some((program, place)) = &self.speaker {
            self.running.set(Some(program.start(&namespace, place)?));
        }
        let reserved = self.reserved.take();
        if !reserved.is_empty() {
            let mut to = self.surroundings().own;
            if to.is_empty() {
                to = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            }
            self.proxy.set(Some(proxy::start_inside(&namespace, reserved, &to)?));
        }
        Ok(())
    }
}

/// Why nobody can speak for a container, and what to do about it.
type Remark = (&'static str, &'static str);

const NO_PROGRAM: Remark = (
    "without root a program must speak for the container, and neither pasta nor slirp4netns is installed",
    "hint: install the package passt, which has pasta; or run it with --network host",
);
const NO_WAY: Remark = (
    "this machine has no default route, and without one pasta can't speak for the container",
    "hint: slirp4netns needs none; or run it with --network host",
);
