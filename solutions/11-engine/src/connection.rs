//! What a container is connected to: `--network`.
//!
//! Each kind has its part in three places: what the parent prepares before the clone, what it does
//! while the child waits, and what the child does first, before it mounts anything.

mod shared;
mod wish;

use crate::Request;
use crate::state::State;
use anyhow::{Context, Result};
use network::etc::{self, Texts};
use network::files::Resolver;
use network::leases::Lease;
use network::ports::{self, Publish};
use network::{Network, UserMode, Wanted};
use nix::sched::CloneFlags;
use nix::unistd::Pid;
use shared::Shared;
use std::io::{IsTerminal, Write, stderr};
pub use wish::{Wish, ensure_possible};

/// Removes the networks that no container is on, and turns back what was turned for them.
pub fn prune_networks() -> Result<()> {
    network::networks::prune()
}

/// Puts the rules back that a reloaded firewall has thrown away.
pub fn reload_networks() -> Result<()> {
    network::networks::reload()
}

/// A container's connection. Dropped, its address and its ports are free again.
pub enum Connection {
    /// It has an address and a cable.
    Bridge(Box<Lease>),
    /// A program without privileges speaks for it, if there is one.
    UserMode(Box<UserMode>),
    /// It has what the host has.
    Host,
    /// It has a loopback.
    None,
    /// It has what another container has.
    Shared(Shared),
}

impl Connection {
    /// What can fail, before a container is there: ports are taken, and an address, which is written
    /// down. `exposed` are the ports that the image names.
    pub fn prepare(request: &Request, exposed: &[String]) -> Result<Connection> {
        let ports = published(request, exposed)?;
        Ok(match &request.network {
            Wish::Bridge if !network::links::may_change()? => {
                let (user_mode, remark) = UserMode::prepare(ports::reserve(&ports)?)?;
                remark.iter().for_each(|remark| say(remark));
                Connection::UserMode(Box::new(user_mode))
            }
            Wish::Bridge => {
                let reserved = ports::reserve(&ports)?; // before anything of this machine is changed
                let network = Network::open(&Wanted::default())?;
                Connection::Bridge(Box::new(network.lease(reserved)?))
            }
            Wish::Host => {
                if !ports.is_empty() {
                    let ports = listed(&ports);
                    say(&format!(
                        "published ports are discarded when using host network mode: {ports}"
                    ));
                }
                Connection::Host
            }
            Wish::None => Connection::None,
            Wish::Container(name) => Connection::Shared(Shared::with(name)?),
        })
    }

    /// The namespace to ask of the clone.
    pub fn namespaces(&self) -> CloneFlags {
        match self {
            Connection::Host | Connection::Shared(_) => CloneFlags::empty(),
            _ => network::NAMESPACE,
        }
    }

    /// The parent's part, while the child waits.
    pub fn plug_in(&self, pid: Pid) -> Result<()> {
        match self {
            Connection::Bridge(lease) => lease.plug_in(pid),
            Connection::UserMode(user_mode) => user_mode.plug_in(pid),
            _ => Ok(()),
        }
    }

    /// The child's part.
    pub fn up(&self) -> Result<()> {
        match self {
            Connection::Bridge(lease) => network::up(&lease.terms.cable),
            Connection::UserMode(_) | Connection::None => network::loopback(),
            Connection::Host => Ok(()),
            Connection::Shared(other) => other.enter(),
        }
    }

    /// What the container's machine is called. Who shares a network is found under one name there.
    pub fn hostname<'a>(&'a self, request: &'a Request, short_id: &'a str) -> &'a str {
        match self {
            Connection::Shared(other) => &other.hostname,
            _ => request.hostname.as_deref().unwrap_or(short_id),
        }
    }

    /// The files in `/etc` that go with it; says so if they will not do.
    pub fn files(&self, request: &Request, hostname: &str) -> Result<Texts> {
        let (servers, search) = (request.dns.clone(), request.dns_search.clone());
        let (resolver, added) =
            (Resolver { servers, search, ..Resolver::default() }, &request.add_host);
        let (texts, remark) = match self {
            Connection::Bridge(lease) => {
                etc::texts(hostname, Some(&lease.terms.cable), &resolver, added)
            }
            Connection::UserMode(user_mode) => {
                etc::texts_at(&user_mode.surroundings(), hostname, &resolver, added)
            }
            Connection::None => etc::texts(hostname, None, &resolver, added),
            Connection::Host => (etc::texts_of_the_host(hostname, &resolver, added), None),
            Connection::Shared(other) => (other.files()?, None),
        };
        remark.iter().filter(|_| stderr().is_terminal()).for_each(|remark| say(remark));
        Ok(texts)
    }

    /// Notes what is to be known of it by others; `exposed` are the ports that the image names.
    pub fn note(&self, state: &mut State, exposed: Vec<String>) {
        match self {
            Connection::Bridge(lease) => state.network = Some(lease.terms.clone()),
            Connection::UserMode(user_mode) => state.user_mode = Some(user_mode.terms.clone()),
            _ => return, // a port of a container without a network of its own is nobody's
        }
        state.exposed = exposed;
    }
}

fn say(remark: &str) {
    let _ = writeln!(stderr(), "coracle: {remark}");
}

/// What is to be published: what was asked for, and with `-P` what the image exposes and nobody
/// asked for.
fn published(request: &Request, exposed: &[String]) -> Result<Vec<Publish>> {
    let mut all = request.publish.clone();
    for port in exposed.iter().filter(|_| request.publish_all) {
        let port: Publish = port.parse().with_context(|| format!("the image exposes {port}"))?;
        let is_same = |one: &Publish| one.protocol == port.protocol && one.inside == port.inside;
        if !all.iter().any(is_same) {
            all.push(port);
        }
    }
    Ok(all)
}

fn listed(ports: &[Publish]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
