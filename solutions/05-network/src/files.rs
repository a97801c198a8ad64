//! Writes what a program reads before it speaks to anybody: resolv.conf(5), hosts(5), hostname(5).
//!
//! Names are no matter of the kernel. The C library looks a name up in `/etc/hosts`, and if it is
//! not there it asks the servers in `/etc/resolv.conf`. A container inherits the host's servers,
//! with one catch: 127.0.0.53 out here is systemd's resolver, in there it is nobody, because each
//! network namespace has a loopback of its own.
//!
//! These are functions from text to text; the caller reads the host's files ([`of_the_host`]) and
//! binds what comes out over the container's (docker-run(1) does the same).

use anyhow::{Context, Error, Result, ensure};
use std::fs;
use std::net::IpAddr;
use std::str::FromStr;

/// Where systemd-resolved writes the servers that it asks itself.
const BEHIND_RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

/// What is wanted of `/etc/resolv.conf`, where the host's shall not do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    /// `--dns`: ask these servers and no others.
    pub servers: Vec<IpAddr>,
    /// `--dns-search`: complete short names with these domains, `.` with none.
    pub search: Vec<String>,
    /// Can an IPv6 server be reached from inside?
    pub has_ipv6: bool,
    /// Is the network inside the host's own, and with it the loopback?
    pub is_the_hosts: bool,
    /// Who inside passes questions on to the host's server, if that can't be reached itself.
    pub forwarder: Option<IpAddr>,
}

/// The texts of the host from which [`resolv_conf`] chooses: its own, and systemd's if there is one.
pub fn of_the_host() -> (String, Option<String>) {
    let own = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    (own, fs::read_to_string(BEHIND_RESOLVED).ok())
}

/// The container's `/etc/resolv.conf`, and a remark if no server in it can be reached.
pub fn resolv_conf(
    (own, behind_resolved): (&str, Option<&str>),
    wanted: &Resolver,
) -> (String, Option<String>) {
    let reachable = |server: &IpAddr| {
        let from_elsewhere = !server.is_loopback() && !server.is_unspecified();
        wanted.is_the_hosts || from_elsewhere && (server.is_ipv4() || wanted.has_ipv6)
    };
    let usable = |text: &str| servers(text).into_iter().filter(reachable).collect::<Vec<_>>();
    let (mut source, mut chosen) = (own, usable(own));
    if chosen.is_empty() && servers(own).iter().any(IpAddr::is_loopback) {
        if let Some(behind) = behind_resolved {
            (source, chosen) = (behind, usable(behind));
        }
    }
    if chosen.is_empty() && !servers(own).is_empty() {
        chosen.extend(wanted.forwarder);
    }
    if !wanted.servers.is_empty() {
        chosen.clone_from(&wanted.servers);
    }
    let mut text: String = chosen.iter().map(|server| format!("nameserver {server}\n")).collect();
    if wanted.search.is_empty() {
        kept(source, &["search", "domain"], &mut text);
    } else if wanted.search != ["."] {
        text += &format!("search {}\n", wanted.search.join(" "));
    }
    kept(source, &["options"], &mut text);
    let remark = chosen.is_empty().then(|| remark(&servers(own)));
    (text, remark)
}

fn remark(servers: &[IpAddr]) -> String {
    let why = match servers {
        [] => "/etc/resolv.conf of this machine names no server".to_owned(),
        [server, ..] if server.is_loopback() => format!(
            "the name server of this machine, {server}, listens on its loopback alone, which is not the container's"
        ),
        [server, ..] => format!("the name server {server} can't be reached from the container"),
    };
    format!("{why}: names can't be looked up in there\nhint: name a server: --dns 192.0.2.1")
}

/// The servers of a resolv.conf. One with a zone, fe80::1%eth0, is meant for one link of the host.
fn servers(text: &str) -> Vec<IpAddr> {
    let values = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next())?
    });
    values.filter_map(|value| value.parse().ok()).collect()
}

/// Copies the last line of these kinds, which is the one that counts.
fn kept(source: &str, kinds: &[&str], text: &mut String) {
    let is_kind =
        |line: &&str| line.split_whitespace().next().is_some_and(|word| kinds.contains(&word));
    if let Some(line) = source.lines().rfind(is_kind) {
        *text += line.trim();
        text.push('\n');
    }
}

/// One `--add-host NAME:ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddHost {
    /// The name that shall be known.
    pub name: String,
    /// Whose it is; `None` is this machine, as the container sees it (`host-gateway`).
    pub ip: Option<IpAddr>,
}

impl FromStr for AddHost {
    type Err = Error;

    fn from_str(text: &str) -> Result<AddHost> {
        let hint =
            "hint: --add-host NAME:ADDRESS, where host-gateway is the address of this machine";
        let (name, ip) = text
            .split_once([':', '='])
            .with_context(|| format!("{text:?} has no address behind the name\n{hint}"))?;
        let is_name = !name.is_empty()
            && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#');
        ensure!(is_name, "{name:?} is no host name\n{hint}");
        let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
        let ip = match bare {
            "host-gateway" => None,
            _ => Some(bare.parse().ok().with_context(|| format!("{ip:?} is no address\n{hint}"))?),
        };
        Ok(AddHost { name: name.to_owned(), ip })
    }
}

/// The container's `/etc/hosts`: the loopback's names, those that were added, and its own.
///
/// `gateways` is this machine as the container sees it; without one, `host-gateway` names nobody.
pub fn hosts(name: &str, own: &[IpAddr], added: &[AddHost], gateways: &[IpAddr]) -> String {
    let mut text = "127.0.0.1\tlocalhost\n\
        ::1\tlocalhost ip6-localhost ip6-loopback\n\
        fe00::\tip6-localnet\n\
        ff00::\tip6-mcastprefix\n\
        ff02::1\tip6-allnodes\n\
        ff02::2\tip6-allrouters\n"
        .to_owned();
    text += &self::added(added, gateways);
    own.iter().for_each(|ip| text += &format!("{ip}\t{name}\n"));
    text
}

/// The lines of those that were added.
pub fn added(added: &[AddHost], gateways: &[IpAddr]) -> String {
    let line = |ip: &IpAddr, host: &AddHost| format!("{ip}\t{}\n", host.name);
    let lines = |host: &AddHost| match &host.ip {
        Some(ip) => line(ip, host),
        None => gateways.iter().map(|ip| line(ip, host)).collect(),
    };
    added.iter().map(lines).collect()
}

/// The container's `/etc/hostname`.
pub fn hostname(name: &str) -> String {
    format!("{name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn resolver() -> Resolver {
        Resolver { has_ipv6: true, ..Resolver::default() }
    }

    const RESOLVED: &str =
        "# generated\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n";

    #[test]
    fn the_hosts_servers_are_copied_without_comments() {
        let own = "# by hand\nsearch a.example b.example\nnameserver 192.0.2.1 # ours\n\
                   nameserver\tfd00::1\noptions ndots:2\nsortlist 10.0.0.0\n";
        let expected = "nameserver 192.0.2.1\nnameserver fd00::1\nsearch a.example b.example\noptions ndots:2\n";
        assert_eq!(resolv_conf((own, None), &resolver()), (expected.to_owned(), None));
    }

    #[test]
    fn a_resolver_on_the_loopback_is_replaced_by_those_behind_it() {
        let behind = "nameserver 192.0.2.7\nnameserver 127.0.0.1\nsearch lan\n";
        let expected = "nameserver 192.0.2.7\nsearch lan\n";
        assert_eq!(resolv_conf((RESOLVED, Some(behind)), &resolver()), (expected.to_owned(), None));
    }

    #[test]
    fn a_resolver_that_cannot_be_reached_is_remarked_on() {
        let (text, remark) = resolv_conf((RESOLVED, None), &resolver());
        assert_eq!(text, "search lan\noptions edns0 trust-ad\n");
        let remark = remark.unwrap();
        assert!(remark.contains("127.0.0.53") && remark.contains("\nhint: "), "{remark}");
        assert!(resolv_conf(("", None), &resolver()).1.unwrap().contains("names no server"));
        let v4_only = Resolver { has_ipv6: false, ..resolver() };
        assert!(
            resolv_conf(("nameserver fd00::1\n", None), &v4_only).1.unwrap().contains("fd00::1")
        );
    }

    #[test]
    fn who_passes_questions_on_stands_for_a_server_that_cannot_be_reached() {
        let wanted = Resolver { forwarder: Some(ip("10.0.2.3")), ..resolver() };
        let (text, remark) = resolv_conf((RESOLVED, None), &wanted);
        assert!(text.starts_with("nameserver 10.0.2.3\n") && remark.is_none(), "{text}");
        let text = resolv_conf(("nameserver 192.0.2.1\n", None), &wanted).0;
        assert_eq!(text, "nameserver 192.0.2.1\n");
        assert_eq!(resolv_conf(("", None), &wanted).0, "", "there is nobody to pass it on to");
    }

    #[test]
    fn on_the_hosts_network_its_loopback_is_reached() {
        let search = vec!["x.example".to_owned()];
        let wanted = Resolver { is_the_hosts: true, search, ..Resolver::default() };
        let text = resolv_conf((RESOLVED, Some("nameserver 192.0.2.7\n")), &wanted).0;
        assert!(text.starts_with("nameserver 127.0.0.53\nsearch x.example\n"), "{text}");
    }

    #[test]
    fn what_is_wanted_replaces_the_hosts() {
        let mut wanted = Resolver { servers: vec![ip("192.0.2.9")], ..resolver() };
        assert_eq!(
            resolv_conf((RESOLVED, None), &wanted),
            ("nameserver 192.0.2.9\nsearch lan\noptions edns0 trust-ad\n".to_owned(), None)
        );
        wanted.search = vec!["x.example".to_owned()];
        assert!(resolv_conf((RESOLVED, None), &wanted).0.contains("search x.example\n"));
        wanted.search = vec![".".to_owned()];
        assert!(!resolv_conf((RESOLVED, None), &wanted).0.contains("search"));
    }

    #[test]
    fn a_server_of_one_link_and_rubbish_are_left_out() {
        let own = "nameserver fe80::1%eth0\nnameserver x\nnameserver\n\nnameserver 192.0.2.1\n";
        assert_eq!(resolv_conf((own, None), &resolver()).0, "nameserver 192.0.2.1\n");
    }

    #[test]
    fn own_and_added_names_are_known() {
        let added = ["db:192.0.2.5", "v6=[fd00::5]", "host.example:host-gateway"]
            .map(|text| text.parse().unwrap());
        let text = hosts("boat", &[ip("10.63.0.2"), ip("fd00::2")], &added, &[ip("10.63.0.1")]);
        let (_, own) = text.split_once("ip6-allrouters\n").unwrap();
        assert_eq!(
            own,
            "192.0.2.5\tdb\nfd00::5\tv6\n10.63.0.1\thost.example\n10.63.0.2\tboat\nfd00::2\tboat\n"
        );
        assert!(text.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost "));
        assert_eq!(hostname("boat"), "boat\n");
    }

    #[test]
    fn what_is_no_host_to_add_is_refused() {
        for text in ["", "x", "x:", ":1.2.3.4", "x:y", "a b:1.2.3.4", "a\n:1.2.3.4"] {
            let error = text.parse::<AddHost>().expect_err(text);
            assert!(error.to_string().contains("\nhint: "), "{text}");
        }
    }
}
