//! Says which letters may stand where in the name of an image.
//!
//! These are the regular expressions of github.com/distribution/reference, in words.

use anyhow::{Result, bail, ensure};

/// The longest repository, without its host; docker's bound.
const LONGEST: usize = 255;

/// A DNS name, an IPv4 address or an IPv6 address in brackets, and a port if need be.
pub(super) fn is_host(host: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let is_address = address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return !address.is_empty() && is_address && port_fits;
    }
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let is_label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    name.split('.').all(is_label) && port.is_none_or(is_port)
}

/// A path of parts with slashes between.
pub(super) fn check_repository(path: &str) -> Result<()> {
    ensure!(
        path.to_lowercase() == path,
        "a repository is written in lower case: {}",
        path.to_lowercase()
    );
    ensure!(path.len() <= LONGEST, "its repository is longer than {LONGEST} bytes");
    for part in path.split('/') {
        ensure!(
            is_path_part(part.as_bytes()),
            "its part {part:?} is not made of a-z, 0-9 and single separators . _ __ - between them"
        );
    }
    Ok(())
}

/// `[a-z0-9]+`, again and again, with one `.`, one or two `_` or any number of `-` between.
fn is_path_part(part: &[u8]) -> bool {
    let is_plain = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9');
    let ends_are_plain = part.first().is_some_and(is_plain) && part.last().is_some_and(is_plain);
    let separators = part.split(is_plain).filter(|separator| !separator.is_empty());
    let is_one = |s: &[u8]| matches!(s, b"." | b"_" | b"__") || s.iter().all(|b| *b == b'-');
    ends_are_plain && separators.into_iter().all(is_one)
}

/// One word.
pub(super) fn check_tag(tag: &str) -> Result<()> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let good = |b: u8| is_word(b) || b == b'.' || b == b'-';
    if tag.len() > 128 || !tag.bytes().all(good) || !tag.bytes().next().is_some_and(is_word) {
        bail!("its tag {tag:?} is not 1 to 128 letters, digits, _ . - that begin with none of . -");
    }
    Ok(())
}
