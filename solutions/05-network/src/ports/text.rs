//! Ports as people write and read them.

use super::{Protocol, Publish, Published};
use anyhow::{Context, Error, Result, bail, ensure};
use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

const HINT: &str = "hint: ports look like 8080:80, 127.0.0.1:8080:80/udp, 80 or 8000-8010:80-90";

impl FromStr for Publish {
    type Err = Error;

    fn from_str(text: &str) -> Result<Publish> {
        let (rest, protocol) = match text.split_once('/') {
            Some((rest, protocol)) => (rest, protocol.parse()?),
            None => (text, Protocol::Tcp),
        };
        let (on, ports) = address_and_ports(rest)?;
        let (outside, inside) = match ports.split_once(':') {
            Some(("" | "0", inside)) => (None, inside), // as in 127.0.0.1::80
            Some((outside, inside)) => (Some(range(outside)?), inside),
            None => (None, ports),
        };
        let inside = range(inside)?;
        let lengths = outside.as_ref().map_or(inside.len(), ExactSizeIterator::len);
        ensure!(
            lengths == inside.len() || inside.len() == 1,
            "{lengths} ports can't lead to {}\n\
             hint: both ranges have the same length, or one port of the container takes any that is free",
            inside.len()
        );
        Ok(Publish { on, outside, inside, protocol })
    }
}

/// The address is what stands before the last two ports. IPv6 has colons itself, hence brackets.
fn address_and_ports(text: &str) -> Result<(Option<IpAddr>, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, ports) = rest
            .split_once("]:")
            .with_context(|| format!("no ]: behind the address in {text:?}\n{HINT}"))?;
        let ip: Ipv6Addr = ip.parse().ok().with_context(|| no_address(ip))?;
        return Ok((Some(ip.into()), ports));
    }
    match text.matches(':').count() {
        0 | 1 => Ok((None, text)),
        2 => {
            let (ip, ports) = text.split_once(':').unwrap_or_default();
            let ip: Ipv4Addr = ip.parse().ok().with_context(|| no_address(ip))?;
            Ok((Some(ip.into()), ports)) // 0.0.0.0 is a wish for IPv4 alone
        }
        _ => bail!(
            "{text:?} has too many colons\nhint: an IPv6 address stands in brackets: [::1]:8080:80"
        ),
    }
}

fn no_address(text: &str) -> String {
    format!("{text:?} is no address\n{HINT}")
}

fn range(text: &str) -> Result<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let [first, last] = [number(first)?, number(last)?];
    ensure!(first <= last, "the range {text} runs backwards\nhint: {last}-{first}");
    Ok(first..=last)
}

fn number(text: &str) -> Result<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten().filter(|number| *number != 0);
    number.with_context(|| format!("{text:?} is no port from 1 to 65535\n{HINT}"))
}

impl FromStr for Protocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Protocol> {
        match text {
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            _ => bail!("{text:?} can't be published\nhint: known are /tcp and /udp"),
        }
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Protocol::Tcp { "tcp" } else { "udp" })
    }
}

/// As one may write it: `127.0.0.1:8080:80/tcp`.
impl Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |range: &RangeInclusive<u16>| match (range.start(), range.end()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        match self.on {
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:")?,
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            None => (),
        }
        match &self.outside {
            Some(outside) => write!(f, "{}:", range(outside))?,
            None if self.on.is_some() => f.write_str(":")?,
            None => (),
        }
        write!(f, "{}/{}", range(&self.inside), self.protocol)
    }
}

/// As `docker ps` shows it: `127.0.0.1:8080->80/tcp`.
impl Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.on {
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:")?,
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            None => (),
        }
        write!(f, "{}->{}/{}", self.port, self.to, self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn publish(text: &str) -> Publish {
        text.parse().unwrap()
    }

    #[test]
    fn a_lone_port_is_the_containers() {
        let expected =
            Publish { on: None, outside: None, inside: 80..=80, protocol: Protocol::Tcp };
        assert_eq!(publish("80"), expected);
        assert_eq!(publish("80/tcp"), expected);
        assert_eq!(publish("0:80"), expected); // any that is free, as for bind(2)
        assert_eq!(publish("127.0.0.1:0:80"), publish("127.0.0.1::80"));
    }

    #[test]
    fn address_and_protocol_are_read() {
        let there = publish("127.0.0.1:8080:80/udp");
        assert_eq!(there.on, Some("127.0.0.1".parse().unwrap()));
        assert_eq!((there.outside, there.inside), (Some(8080..=8080), 80..=80));
        assert_eq!(there.protocol, Protocol::Udp);
        assert_eq!(publish("[::1]:8080:80").on, Some("::1".parse().unwrap()));
        assert_eq!(publish("127.0.0.1::80").outside, None);
        assert_eq!(publish("[fd00::1]::80").outside, None);
    }

    #[test]
    fn ranges_are_read() {
        let pairs = publish("8000-8010:80-90");
        assert_eq!((pairs.outside, pairs.inside), (Some(8000..=8010), 80..=90));
        assert_eq!(publish("8000-8010:80").outside, Some(8000..=8010));
        assert_eq!(publish("80-90").inside, 80..=90);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_hint() {
        for text in [
            "",
            ":",
            "0",
            "65536",
            "80:",
            "80:0",
            "a:80",
            "8080:80:",
            "80/sctp",
            "80/",
            "-80",
            "80-",
            "90-80",
            "8000-8010:80-81",
            "80:8000-8010",
            "1.2.3:80:80",
            "::1:8080:80",
            "[::1:8080:80",
            "[::1]8080:80",
            "[1.2.3.4]:80:80",
            "+80",
            " 80",
            "80 ",
            "8080::80",
        ] {
            let error = text.parse::<Publish>().expect_err(text);
            assert!(format!("{error:#}").contains("hint: "), "{text}: {error:#}");
        }
    }

    #[test]
    fn a_published_port_reads_as_docker_shows_it() {
        let mut port = Published { on: None, port: 8080, to: 80, protocol: Protocol::Tcp };
        assert_eq!(port.to_string(), "8080->80/tcp");
        port.on = Some("::1".parse().unwrap());
        assert_eq!(port.to_string(), "[::1]:8080->80/tcp");
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_again(
            on in proptest::option::of(any::<IpAddr>()), first: u16, count in 1_u16..50, to: u16,
            udp: bool,
        ) {
            let (first, to) = (first.clamp(1, u16::MAX - count), to.clamp(1, u16::MAX - count));
            let on_text = match on {
                Some(IpAddr::V4(ip)) => format!("{ip}:"),
                Some(IpAddr::V6(ip)) => format!("[{ip}]:"),
                None => String::new(),
            };
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            let text = format!("{on_text}{first}-{}:{to}-{}/{protocol}", first + count, to + count);
            let expected = Publish {
                on, outside: Some(first..=first + count), inside: to..=to + count, protocol,
            };
            prop_assert_eq!(publish(&expected.to_string()), expected.clone());
            let any = Publish { outside: None, ..expected.clone() };
            prop_assert_eq!(publish(&any.to_string()), any);
            prop_assert_eq!(publish(&text), expected);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-f:.\\[\\]/-]{0,30}|\\PC{0,20}") {
            let _ = text.parse::<Publish>();
        }
    }
}
