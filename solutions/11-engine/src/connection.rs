//! What a container is connected to: `--network`.
//!
//! Each kind has its part in three places: what the parent prepares before the clone, what it does
//! while the child waits, and what the child does first, before it mounts anything.

use crate::registry;
use crate::state::Status;
use anyhow::{Context, Result, bail, ensure};
use network::Network;
use network::leases::{Lease, Terms};
use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Write, stderr};
use std::str::FromStr;

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// A cable to the bridge; for who may not lay one, a way out by another program.
    #[default]
    Bridge,
    /// The host's own network.
    Host,
    /// A loopback and no cable.
    None,
    /// The network of another container.
    Container(String),
}

impl FromStr for Wish {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Wish> {
        Ok(match (text, text.strip_prefix("container:")) {
            ("bridge" | "default", _) => Wish::Bridge,
            ("host", _) => Wish::Host,
            ("none", _) => Wish::None,
            (_, Some(name)) if !name.is_empty() => Wish::Container(name.to_owned()),
            _ => {
                bail!("no network {text:?}\nhint: there are bridge, host, none and container:NAME")
            }
        })
    }
}

/// A container's connection. Dropped, its address is free again.
pub enum Connection {
    /// It has an address and a cable.
    Bridge(Box<Lease>),
    /// It has what the host has.
    Host,
    /// It has a loopback.
    None,
    /// It has what another container has.
    Shared(File),
}

impl Connection {
    /// What can fail, before a container is there. An address that is taken here is written down.
    pub fn prepare(wish: &Wish) -> Result<Connection> {
        Ok(match wish {
            Wish::Bridge if !network::links::may_change()? => {
                let _ = writeln!(
                    stderr(),
                    "coracle: without root there is no bridge: the container has no network"
                );
                Connection::None
            }
            Wish::Bridge => {
                let network = Network::open(None)?;
                Connection::Bridge(Box::new(network.lease()?))
            }
            Wish::Host => Connection::Host,
            Wish::None => Connection::None,
            Wish::Container(name) => Connection::Shared(namespace_of(name)?),
        })
    }

    /// The namespace to ask of the clone.
    pub fn namespaces(&self) -> CloneFlags {
        match self {
            Connection::Bridge(_) | Connection::None => network::NAMESPACE,
            Connection::Host | Connection::Shared(_) => CloneFlags::empty(),
        }
    }

    /// The parent's part, while the child waits.
    pub fn plug_in(&self, pid: Pid) -> Result<()> {
        match self {
            Connection::Bridge(lease) => lease.plug_in(pid),
            _ => Ok(()),
        }
    }

    /// The child's part.
    pub fn up(&self) -> Result<()> {
        match self {
            Connection::Bridge(lease) => network::up(&lease.terms.cable),
            Connection::None => network::loopback(),
            Connection::Host => Ok(()),
            Connection::Shared(namespace) => setns(namespace, CloneFlags::CLONE_NEWNET)
                .context("cannot enter the network of the other container"),
        }
    }

    /// What is to be known of it by others.
    pub fn terms(&self) -> Option<Terms> {
        match self {
            Connection::Bridge(lease) => Some(lease.terms.clone()),
            _ => None,
        }
    }
}

/// The network namespace of a running container.
fn namespace_of(name: &str) -> Result<File> {
    let state = registry::look_up(name)?;
    let process = state.process.filter(|_| state.status == Status::Running);
    let process = process.with_context(|| format!("the container {name} does not run"))?;
    let path = format!("/proc/{}/ns/net", process.pid);
    let namespace = File::open(&path).with_context(|| format!("cannot open {path}"))?;
    ensure!(process.lives(), "the container {name} has ended"); // and not another has its number
    Ok(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_reads() {
        assert_eq!("bridge".parse::<Wish>().unwrap(), Wish::Bridge);
        assert_eq!("container:web".parse::<Wish>().unwrap(), Wish::Container("web".into()));
        for text in ["", "container:", "Host", "web"] {
            let error = text.parse::<Wish>().unwrap_err();
            assert!(error.to_string().contains("hint: "), "{text}");
        }
    }
}
