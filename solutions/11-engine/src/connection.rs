//! What a container is connected to: `--network`.
//!
//! Each kind has its part in three places: what the parent prepares before the clone, what it does
//! while the child waits, and what the child does first, before it mounts anything.

use crate::Request;
use crate::registry;
use crate::state::Status;
use anyhow::{Context, Result, bail, ensure};
use network::files::{self, Resolver};
use network::leases::{Lease, Terms};
use network::ports::{self, Publish};
use network::{Network, etc};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::Pid;
use rootfs::inside;
use std::fs::{self, File};
use std::io::{IsTerminal, Read, Write, stderr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Removes the network that no container is on, and turns back what was turned for it.
pub fn prune_networks() -> Result<()> {
    Network::remove()
}

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
    /// It has what another container has: its namespace, and its root.
    Shared(File, PathBuf),
}

impl Connection {
    /// What can fail, before a container is there: ports are taken, and an address, which is written
    /// down. `exposed` are the ports that the image names.
    pub fn prepare(request: &Request, exposed: &[String]) -> Result<Connection> {
        let ports = published(request, exposed)?;
        Ok(match &request.network {
            Wish::Bridge if !network::links::may_change()? => {
                ensure!(
                    ports.is_empty(),
                    "without root there is no bridge, and nothing to publish {} on\n\
                     hint: run it with sudo, or with --network host, where its ports are the host's",
                    listed(&ports)
                );
                let _ = writeln!(
                    stderr(),
                    "coracle: without root there is no bridge: the container has no network"
                );
                Connection::None
            }
            Wish::Bridge => {
                let network = Network::open(None)?;
                Connection::Bridge(Box::new(network.lease(ports::reserve(&ports)?)?))
            }
            Wish::Host => {
                if !ports.is_empty() {
                    let _ = writeln!(
                        stderr(),
                        "coracle: published ports are discarded when using host network mode: {}",
                        listed(&ports)
                    );
                }
                Connection::Host
            }
            _ if !ports.is_empty() => {
                bail!(
                    "ports can be published with --network bridge alone\nhint: leave out -p and -P"
                )
            }
            Wish::None => Connection::None,
            Wish::Container(name) => shared_with(name)?,
        })
    }

    /// The namespace to ask of the clone.
    pub fn namespaces(&self) -> CloneFlags {
        match self {
            Connection::Bridge(_) | Connection::None => network::NAMESPACE,
            Connection::Host | Connection::Shared(..) => CloneFlags::empty(),
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
            Connection::Shared(namespace, _) => setns(namespace, CloneFlags::CLONE_NEWNET)
                .context("cannot enter the network of the other container"),
        }
    }

    /// The files in `/etc` that go with it, and what to say if they will not do.
    pub fn files(&self, request: &Request, hostname: &str) -> Result<Files> {
        let cable = match self {
            Connection::Bridge(lease) => Some(&lease.terms.cable),
            Connection::None => None,
            Connection::Host => {
                return Ok(vec![
                    host_file("resolv.conf"),
                    host_file("hosts"),
                    ("hostname", files::hostname(hostname)),
                ]);
            }
            Connection::Shared(_, root) => {
                return ["resolv.conf", "hosts", "hostname"]
                    .map(|name| file_of(root, name))
                    .into_iter()
                    .collect();
            }
        };
        let resolver = Resolver {
            servers: request.dns.clone(),
            search: request.dns_search.clone(),
            has_ipv6: false,
        };
        let (texts, remark) = etc::texts(hostname, cable, &resolver, &request.add_host);
        if let Some(remark) = remark.filter(|_| stderr().is_terminal()) {
            let _ = writeln!(stderr(), "coracle: {remark}");
        }
        Ok(texts)
    }

    /// What is to be known of it by others.
    pub fn terms(&self) -> Option<Terms> {
        match self {
            Connection::Bridge(lease) => Some(lease.terms.clone()),
            _ => None,
        }
    }
}

/// Texts of files, by their names in `/etc`.
pub type Files = Vec<(&'static str, String)>;

fn host_file(name: &'static str) -> (&'static str, String) {
    (name, fs::read_to_string(format!("/etc/{name}")).unwrap_or_default())
}

/// A file of another container, which may have put anything in its place.
fn file_of(root: &Path, name: &'static str) -> Result<(&'static str, String)> {
    let place = inside::inside(root, &Path::new("/etc").join(name))?;
    let kind = fstat(&place).with_context(|| format!("cannot look at {name}"))?.st_mode;
    // To open a FIFO means to wait for somebody at its other end.
    ensure!(
        SFlag::from_bits_truncate(kind) & SFlag::S_IFMT == SFlag::S_IFREG,
        "{name} of the other container is no file\n\
         hint: it has put something else in its place; --network bridge needs nothing of it"
    );
    let file = File::open(inside::through_descriptor(&place));
    let file = file.with_context(|| format!("cannot open {name} of the other container"))?;
    let mut text = String::new();
    file.take(1 << 20).read_to_string(&mut text).with_context(|| format!("cannot read {name}"))?;
    Ok((name, text))
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

/// The network of a running container.
fn shared_with(name: &str) -> Result<Connection> {
    let state = registry::look_up(name)?;
    let process = state.process.filter(|_| state.status == Status::Running);
    let process = process.with_context(|| format!("the container {name} does not run"))?;
    let path = format!("/proc/{}/ns/net", process.pid);
    let namespace = File::open(&path).with_context(|| format!("cannot open {path}"))?;
    ensure!(process.lives(), "the container {name} has ended"); // and not another has its number
    Ok(Connection::Shared(namespace, PathBuf::from(format!("/proc/{}/root", process.pid))))
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
