//! Takes web addresses apart, as far as redirects and trust need it (RFC 3986).

use anyhow::{Result, anyhow, ensure};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// An absolute address: `https://host:port/path?query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    scheme: String,
    /// Host and port, in lower case.
    authority: String,
    /// Path and query; begins with a slash.
    path: String,
}

impl Address {
    pub fn parse(text: &str) -> Result<Address> {
        let bad = || anyhow!("{:?} is no web address", text.chars().take(300).collect::<String>());
        let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
        let scheme = scheme.to_ascii_lowercase();
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let slash = if path.starts_with('/') { "" } else { "/" };
        // A name and password in an address would be sent to where it leads: nobody gave us those.
        let has_user = authority.contains('@');
        ensure!(["http", "https"].contains(&scheme.as_str()) && !authority.is_empty(), bad());
        ensure!(!has_user, "{authority:?} has a user in it, which is not accepted");
        ensure!(rest.bytes().all(|b| b.is_ascii_graphic()), bad());
        let (authority, path) = (authority.to_ascii_lowercase(), format!("{slash}{path}"));
        Ok(Address { scheme, authority, path })
    }

    /// The top of a host, by the way that is the rule.
    pub fn host(host: &str) -> Address {
        Address { scheme: "https".into(), authority: host.to_ascii_lowercase(), path: "/".into() }
    }

    /// Where a Location header leads from here.
    pub fn follow(&self, location: &str) -> Result<Address> {
        let Address { scheme, authority, path } = self;
        let next = if location.contains("://") && !location.starts_with('/') {
            Address::parse(location)?
        } else if let Some(rest) = location.strip_prefix("//") {
            Address::parse(&format!("{scheme}://{rest}"))?
        } else if location.starts_with('/') {
            Address::parse(&format!("{scheme}://{authority}{location}"))?
        } else {
            let bare = path.split('?').next().unwrap_or_default();
            let folder = bare.rfind('/').map_or("/", |at| &bare[..=at]);
            ensure!(!location.is_empty(), "{self} redirects to nowhere");
            Address::parse(&format!("{scheme}://{authority}{folder}{location}"))?
        };
        ensure!(
            next.is_https() || !self.is_https(),
            "{self} redirects from TLS to plain HTTP, where anybody on the way could change it"
        );
        Ok(next)
    }

    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.path)
    }

    /// Host and port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// Same host, same port, same protocol: what may see the same secrets.
    pub fn is_same_host(&self, other: &Address) -> bool {
        let with_port = |address: &Address| match address.port() {
            Some(_) => address.authority.clone(),
            None => format!("{}:{}", address.authority, if address.is_https() { 443 } else { 80 }),
        };
        self.scheme == other.scheme && with_port(self) == with_port(other)
    }

    fn port(&self) -> Option<&str> {
        let after = self.authority.rfind(']').unwrap_or(0); // colons in brackets are no port's
        self.authority[after..].split_once(':').map(|(_, port)| port)
    }

    /// Is it reached without leaving this machine? Only names that cannot be made to mean anything
    /// else, so no DNS is asked.
    pub fn is_this_machine(&self) -> bool {
        let name = match self.port() {
            Some(port) => &self.authority[..self.authority.len() - port.len() - 1],
            None => &self.authority,
        };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        name == "localhost"
            || bare.parse::<IpAddr>().is_ok_and(|address| match address {
                IpAddr::V4(address) => address.is_loopback(),
                IpAddr::V6(address) => {
                    address.is_loopback()
                        || address.to_ipv4_mapped().as_ref().is_some_and(Ipv4Addr::is_loopback)
                }
            })
    }
}

impl fmt::Display for Address {
    /// Without the query: it may hold a signature, and errors are shown to anybody.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        let path: String = path.chars().take(200).collect();
        write!(f, "{}://{}{path}", self.scheme, self.authority)
    }
}

/// Adds parameters to the query of an address.
pub(crate) fn with_query(url: &str, parameters: &[(&str, &str)]) -> String {
    let mut url = url.to_owned();
    for (name, value) in parameters {
        url.push(if url.contains('?') { '&' } else { '?' });
        url += name;
        url.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    url.push(byte.into());
                }
                _ => url += &format!("%{byte:02X}"),
            }
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(from: &str, location: &str) -> String {
        let next = Address::parse(from).unwrap().follow(location);
        next.map_or_else(|error| format!("{error:#}"), |next| next.url())
    }

    #[test]
    fn redirects_lead_where_they_say() {
        let from = "https://Host:1/v2/a?x=y";
        assert_eq!(follow(from, "https://other/b#c"), "https://other/b");
        assert_eq!(follow(from, "//other/b?d=/e"), "https://other/b?d=/e");
        assert_eq!(follow(from, "/b?u=http://c"), "https://host:1/b?u=http://c");
        assert_eq!(follow(from, "b"), "https://host:1/v2/b");
        assert_eq!(follow("http://h", "http://i?j"), "http://i/?j");
        for bad in ["", "http://plain/", "ftp://x/", "https://", "https://u:p@x/", "https://x/ö"] {
            assert!(follow(from, bad).contains(' '), "{bad}");
        }
    }

    #[test]
    fn hosts_are_told_apart() {
        let same =
            |a: &str, b: &str| Address::parse(a).unwrap().is_same_host(&Address::parse(b).unwrap());
        assert!(same("https://a/x", "https://A:443/y") && same("http://a", "http://a:80/"));
        for other in ["https://b/", "http://a/", "https://a:444/", "https://a.b/", "https://[a]/"] {
            assert!(!same("https://a/", other), "{other}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_own_names_alone() {
        for host in
            ["localhost", "LOCALHOST:5000", "127.0.0.1", "127.9.9.9:1", "[::1]:5000", "[::1]"]
        {
            assert!(Address::host(host).is_this_machine(), "{host}");
        }
        for host in
            ["localhost.evil", "127.0.0.1.evil", "128.0.0.1:5000", "[::2]", "::1", "evil:127", ""]
        {
            assert!(!Address::host(host).is_this_machine(), "{host}");
        }
    }

    #[test]
    fn a_query_is_encoded() {
        let url =
            with_query("https://x/t?a=b", &[("scope", "repository:a/b:pull,push"), ("s", "ä&c d")]);
        assert_eq!(url, "https://x/t?a=b&scope=repository%3Aa/b%3Apull%2Cpush&s=%C3%A4%26c%20d");
    }
}
