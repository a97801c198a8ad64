//! Reads the name of an image exactly as docker does.
//!
//! ```text
//! alpine                       docker.io/library/alpine:latest
//! grafana/grafana:11           docker.io/grafana/grafana:11
//! localhost/x                  a registry on this machine, as `localhost` alone names one
//! host:5000/a/b:tag            a host has a dot, a colon or a capital in it, or is `localhost`
//! name@sha256:…                these bytes and no others, whatever a tag says of them
//! ```
//!
//! The grammar and the defaults are those of github.com/distribution/reference, which docker,
//! containerd and podman share. What passes is harmless in a path, an address and a terminal.

mod grammar;

use crate::Digest;
use anyhow::{Context, Error, Result, ensure};
use grammar::{check_repository, check_tag, is_host};
use std::fmt;
use std::str::FromStr;

/// What a name without a host means, and under which name people know it.
const HUB: &str = "docker.io";

/// The name of an image in a registry, with all that docker adds to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The registry as it is written: `docker.io`, `localhost:5000`, …
    pub host: String,
    /// What the registry has images of: `library/alpine`.
    pub repository: String,
    /// `latest` where neither a tag nor a digest was given.
    pub tag: Option<String>,
    /// If it is given, it alone decides which image is meant.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Where the registry listens: Docker Hub has another name than the one that people use.
    pub fn registry(&self) -> &str {
        if self.host == HUB { "registry-1.docker.io" } else { &self.host }
    }

    /// What the registry is asked for: the digest if there is one, else the tag.
    pub fn wanted(&self) -> String {
        let tag = || self.tag.clone().unwrap_or_default();
        self.digest.as_ref().map_or_else(tag, Digest::to_string)
    }

    /// The repository as people write it: `alpine` for `docker.io/library/alpine`. As short as it
    /// may be and still mean the same.
    pub fn familiar_repository(&self) -> String {
        let Reference { host, repository, .. } = self;
        let full = format!("{host}/{repository}");
        let short = repository.strip_prefix("library/").unwrap_or(repository);
        let means_it = |name: &&str| split_host(name) == (host.clone(), repository.clone());
        [short, repository].into_iter().find(means_it).map_or(full, str::to_owned)
    }

    /// The whole as people write it.
    pub fn familiar(&self) -> String {
        self.familiar_repository() + &self.suffix()
    }

    fn suffix(&self) -> String {
        let tag = self.tag.iter().map(|tag| format!(":{tag}"));
        tag.chain(self.digest.iter().map(|digest| format!("@{digest}"))).collect()
    }
}

impl fmt::Display for Reference {
    /// Everything spelled out; reads as the same reference again.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}{}", self.host, self.repository, self.suffix())
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Reference> {
        parse(text).with_context(|| {
            let short: String = text.chars().take(300).flat_map(char::escape_debug).collect();
            format!("{short:?} is no name of an image")
        })
    }
}

fn parse(text: &str) -> Result<Reference> {
    ensure!(!text.is_empty(), "it is empty");
    ensure!(
        text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
        "64 hexadecimal digits are an ID and no name\nhint: write name@sha256:… for a digest"
    );
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
        None => (text, None),
    };
    let (host, rest) = split_host(rest);
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest.as_str(), None),
    };
    ensure!(is_host(&host), "{host:?} is no name of a host");
    check_repository(path)?;
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let latest = || digest.is_none().then_some("latest");
    Ok(Reference {
        host,
        repository: path.to_owned(),
        tag: tag.or_else(latest).map(str::to_owned),
        digest,
    })
}

/// Takes the host off, or adds the one that is meant without a host.
fn split_host(name: &str) -> (String, String) {
    let is_host = |first: &str| {
        first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first
    };
    let (host, rest) = match name.split_once('/') {
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (HUB, name),
    };
    let host = if host == "index.docker.io" { HUB } else { host }; // its name until 2015
    if host == HUB && !rest.contains('/') {
        return (host.to_owned(), format!("library/{rest}"));
    }
    (host.to_owned(), rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd";

    fn full(text: &str) -> String {
        text.parse::<Reference>().map_or_else(|e| format!("{e:#}"), |r| r.to_string())
    }

    #[test]
    fn short_names_mean_what_they_mean_to_docker() {
        for (text, meant) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
            ("grafana/grafana", "docker.io/grafana/grafana:latest"),
            ("library/alpine", "docker.io/library/alpine:latest"),
            ("docker.io/alpine", "docker.io/library/alpine:latest"),
            ("index.docker.io/alpine", "docker.io/library/alpine:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("localhost", "docker.io/library/localhost:latest"),
            ("localhost:5000/x", "localhost:5000/x:latest"),
            ("host:5000/a/b:tag", "host:5000/a/b:tag"),
            ("host/a", "docker.io/host/a:latest"),
            ("Host/a", "Host/a:latest"), // a capital: no repository, so a host
            ("ghcr.io/a/b/c", "ghcr.io/a/b/c:latest"),
            ("127.0.0.1/a", "127.0.0.1/a:latest"),
            ("[::1]:5000/a", "[::1]:5000/a:latest"),
            ("[2001:db8::1]/a:b", "[2001:db8::1]/a:b"),
            ("a_b/c__d/e---f.g", "docker.io/a_b/c__d/e---f.g:latest"),
            ("alpine:5000", "docker.io/library/alpine:5000"),
            ("a:Tag_1.x-y", "docker.io/library/a:Tag_1.x-y"),
            ("xn--n3h.com/a", "xn--n3h.com/a:latest"),
        ] {
            assert_eq!(full(text), meant, "{text}");
        }
    }

    #[test]
    fn a_digest_takes_the_place_of_the_tag_or_stands_beside_it() {
        let one = format!("alpine@sha256:{HEX}");
        assert_eq!(full(&one), format!("docker.io/library/{one}"));
        let both: Reference = format!("host:1/a:tag@sha256:{HEX}").parse().unwrap();
        assert_eq!((both.tag.as_deref(), both.wanted()), (Some("tag"), format!("sha256:{HEX}")));
        assert_eq!(both.to_string(), format!("host:1/a:tag@sha256:{HEX}"));
    }

    #[test]
    fn names_are_shown_as_people_write_them() {
        for text in ["alpine:latest", "grafana/grafana:11", "localhost:5000/x:1", "ghcr.io/a/b:c"] {
            assert_eq!(text.parse::<Reference>().unwrap().familiar(), text);
        }
        for text in ["library/a/b:c", "docker.io/a.b/c:d", "docker.io/localhost/x:1"] {
            assert_eq!(text.parse::<Reference>().unwrap().familiar(), text);
        }
        let hub: Reference = "alpine".parse().unwrap();
        assert_eq!((hub.registry(), hub.wanted().as_str()), ("registry-1.docker.io", "latest"));
    }

    #[test]
    fn what_docker_refuses_is_refused_and_said() {
        for (text, reason) in [
            ("", "empty"),
            ("Alpine", "lower case: library/alpine"),
            ("docker.io/Alpine", "lower case"),
            ("host:5000/A", "lower case"),
            (HEX, "an ID and no name"),
            ("a:", "its tag \"\""),
            ("a:-x", "its tag"),
            ("a:b:c", "its tag"),
            ("a:b/c:d", "no name of a host"),
            ("a//b", "its part \"\""),
            ("/a", "its part \"\""),
            ("a/", "its part \"\""),
            ("a/../b", "its part \"..\""),
            ("a___b", "its part"),
            ("a..b", "its part"),
            ("-a", "its part"),
            ("a b", "its part"),
            ("host:x/a", "no name of a host"),
            ("-host.com/a", "no name of a host"),
            ("[::1/a", "no name of a host"),
            ("https://alpine", "no name of a host"),
            ("a@sha256:abc", "64 lower-case"),
            ("a@sha512:abc", "the only kind"),
            ("a@", "digest"),
            ("ä", "its part"),
        ] {
            let said = full(text);
            assert!(said.contains("is no name of an image") && said.contains(reason), "{said}");
        }
        assert!(full(&"a".repeat(256)).contains("longer than 255"));
        assert!(full(&format!("a:{}", "b".repeat(129))).contains("its tag"));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_as_the_same(text in "(docker\\.io/)?(library/)?([a-zA-Z.:\\[\\]-]{1,9}/)?[a-z0-9._/-]{1,12}(:[\\w.-]{1,5})?") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
                prop_assert_eq!(&reference.familiar().parse::<Reference>().unwrap(), &reference);
            }
        }

        #[test]
        fn nothing_in_it_can_lead_astray(text in "\\PC{0,40}|[a-zA-Z0-9./:@_-]{0,40}") {
            if let Ok(reference) = text.parse::<Reference>() {
                let harmless = |c: char| c.is_ascii_alphanumeric() || ".:_-[]".contains(c);
                prop_assert!(reference.host.chars().all(harmless));
                for part in reference.repository.split('/') {
                    prop_assert!(part.chars().all(harmless) && !part.is_empty() && !part.starts_with('.'));
                }
                prop_assert!(reference.tag.iter().all(|tag| tag.chars().all(harmless)));
            }
        }
    }
}
