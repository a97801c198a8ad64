//! What was asked for with `--network`, and what can't be had beside it.

use crate::Request;
use anyhow::{Error, Result, bail, ensure};
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
    type Err = Error;

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

impl Request {
    /// The container whose network it shall have, too.
    pub fn shares_with(&self) -> Option<&str> {
        match &self.network {
            Wish::Container(name) => Some(name),
            _ => None,
        }
    }
}

/// Refuses what would have to be ignored silently, as docker does: who has the network of another
/// container has its names and its ports, too.
pub fn ensure_possible(request: &Request) -> Result<()> {
    let publishes = !request.publish.is_empty() || request.publish_all;
    match &request.network {
        Wish::Bridge | Wish::Host => Ok(()),
        Wish::None => {
            ensure!(
                !publishes,
                "--publish leads nowhere with --network none\nhint: leave out one of the two"
            );
            Ok(())
        }
        Wish::Container(other) => {
            let options = [
                ("--publish", publishes),
                ("--hostname", request.hostname.is_some()),
                ("--dns", !request.dns.is_empty()),
                ("--dns-search", !request.dns_search.is_empty()),
                ("--add-host", !request.add_host.is_empty()),
            ];
            let conflict = options.into_iter().find(|(_, is_there)| *is_there);
            let Some((option, _)) = conflict else { return Ok(()) };
            bail!(
                "{option} conflicts with --network container:{other}, whose names and ports it has\n\
                 hint: give {option} to the container {other}"
            )
        }
    }
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
