//! Our rules in another program's chain.

use super::Place;
use crate::links;
use crate::netlink::Netlink;
use crate::nftables::{Expression, Field, accept, go_back, is, link_name, load};
use anyhow::Result;

/// Our rules in a place, in their order.
pub fn rules_for(place: &Place, bridge: &str) -> Result<Vec<Vec<Expression>>> {
    let side = |side, name: &[u8]| vec![load(side, 0), is(name)];
    let ours = |one| side(one, &name(bridge));
    let mut rules = Vec::new();
    if place.chain == "DOCKER-USER" {
        let links = links::links(&mut Netlink::route()?)?;
        for theirs in of_docker(&links.into_iter().map(|link| link.name).collect::<Vec<_>>()) {
            let both = [ours(Field::CameBy), side(Field::LeavesBy, &theirs), vec![go_back()]];
            rules.push(both.concat());
        }
    }
    for one in [Field::CameBy, Field::LeavesBy] {
        rules.push([ours(one), vec![accept()]].concat());
    }
    Ok(rules)
}

/// The bridges of docker, as a rule compares names: without a zero at its end it is the beginning of
/// one. Docker's own names are docker0, docker_gwbridge, and br- with twelve digits for each network.
/// Where this machine has another br-…, over which it may reach the world, only those are meant that
/// are there.
fn of_docker(links: &[String]) -> Vec<Vec<u8>> {
    let is_number =
        |text: &str| text.len() == 12 && text.bytes().all(|one| one.is_ascii_hexdigit());
    let begins = |link: &&String| link.starts_with("br-");
    let (theirs, others): (Vec<_>, Vec<_>) =
        links.iter().filter(begins).partition(|link| is_number(&link[3..]));
    let networks = if others.is_empty() {
        vec![b"br-".to_vec()]
    } else {
        theirs.into_iter().map(|link| name(link)).collect()
    };
    [vec![b"docker".to_vec()], networks].concat()
}

/// A link's name as iptables compares it: with the zero at its end and no more.
pub fn name(bridge: &str) -> Vec<u8> {
    let whole = link_name(bridge);
    whole[..=bridge.len().min(15)].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridges_of_docker_are_known_by_their_names() {
        let of = |links: &[&str]| {
            let links: Vec<String> = links.iter().map(ToString::to_string).collect();
            let names = of_docker(&links);
            names.into_iter().map(|name| String::from_utf8(name).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(of(&["lo", "eth0"]), ["docker", "br-"]);
        assert_eq!(of(&["docker0", "br-0123456789ab"]), ["docker", "br-"]);
        assert_eq!(of(&["br-lan", "br-0123456789ab"]), ["docker", "br-0123456789ab\0"]);
        assert_eq!(of(&["br-lan", "br0"]), ["docker"]);
    }
}
