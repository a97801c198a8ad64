//! A container's ports in one line, as `docker ps` has them.

use super::Published;
use std::net::SocketAddr;

/// `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 443/tcp`: those that are published, ports that follow
/// each other joined, then those that are `exposed` alone.
pub fn listed(published: &[Published], exposed: &[String]) -> String {
    let every = |one: &Published| {
        let pair = |outside: SocketAddr| (one.protocol, outside.ip(), one.to, outside.port());
        one.outside().into_iter().map(pair).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = published.iter().flat_map(every).collect();
    all.sort();
    // What both ends have in common with the last one, but for the step of one.
    let runs = all.chunk_by(|a, b| {
        (a.0, a.1) == (b.0, b.1)
            && (a.2.checked_add(1), a.3.checked_add(1)) == (Some(b.2), Some(b.3))
    });
    let mut texts: Vec<(u16, String)> = runs
        .map(|run| {
            let ((protocol, ip, to, port), last) = (run[0], run[run.len() - 1]);
            let host = match ip {
                std::net::IpAddr::V4(ip) => ip.to_string(),
                std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            };
            let (outside, inside) = (range(port, last.3), range(to, last.2));
            (to, format!("{host}:{outside}->{inside}/{protocol}"))
        })
        .collect();
    texts.sort_by_key(|(to, _)| *to);
    let is_published =
        |port: &str| published.iter().any(|one| format!("{}/{}", one.to, one.protocol) == port);
    let with_protocol =
        |port: &String| if port.contains('/') { port.clone() } else { format!("{port}/tcp") };
    let mut alone: Vec<String> = exposed.iter().map(with_protocol).collect();
    alone.retain(|port| !is_published(port));
    alone.sort_by_key(|port| port.split(['/', '-']).next().and_then(|n| n.parse::<u16>().ok()));
    texts.into_iter().map(|(_, text)| text).chain(alone).collect::<Vec<_>>().join(", ")
}

fn range(first: u16, last: u16) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Protocol;

    fn published(on: Option<&str>, port: u16, to: u16, protocol: Protocol) -> Published {
        Published { on: on.map(|ip| ip.parse().unwrap()), port, to, protocol }
    }

    #[test]
    fn a_port_stands_once_for_each_kind_of_address() {
        let port = published(None, 8080, 80, Protocol::Tcp);
        assert_eq!(listed(&[port], &[]), "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp");
        let port = published(Some("::1"), 53, 53, Protocol::Udp);
        assert_eq!(listed(&[port], &[]), "[::1]:53->53/udp");
    }

    #[test]
    fn ports_that_follow_each_other_are_joined() {
        let on = Some("127.0.0.1");
        let mut ports: Vec<_> =
            (0..3).map(|n| published(on, 8000 + n, 80 + n, Protocol::Tcp)).collect();
        ports.push(published(on, 9000, 83, Protocol::Tcp));
        ports.push(published(on, 8003, 83, Protocol::Udp));
        let expected =
            "127.0.0.1:8000-8002->80-82/tcp, 127.0.0.1:9000->83/tcp, 127.0.0.1:8003->83/udp";
        assert_eq!(listed(&ports, &[]), expected);
    }

    #[test]
    fn what_is_exposed_and_not_published_stands_at_the_end() {
        let port = published(Some("127.0.0.1"), 8080, 80, Protocol::Tcp);
        let exposed = ["443/tcp", "80/tcp", "53/udp", "99"].map(str::to_owned);
        assert_eq!(listed(&[port], &exposed), "127.0.0.1:8080->80/tcp, 53/udp, 99/tcp, 443/tcp");
        assert_eq!(listed(&[], &[]), "");
    }
}
