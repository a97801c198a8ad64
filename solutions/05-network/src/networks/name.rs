//! Names of networks, and of the bridges that are made for them.

use anyhow::{Error, Result, ensure};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::str::FromStr;

/// The network that there is if nobody names one. Its bridge has the same name.
const DEFAULT: &str = "coracle0";

/// The name of a link has at most 15 characters (IFNAMSIZ with its zero, netdevice(7)).
const LONGEST_LINK: usize = 15;

/// What the bridges of other networks begin with. No cable's name does: see `leases::link_name`.
const PREFIX: &str = "co-";

/// The name of a network: letters, digits, `_`, `.` and `-`, as docker has it. It becomes a folder's
/// name, too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name(String);

impl Name {
    /// The name of its bridge. One that is too long for a link is replaced by a number made of it.
    pub fn link(&self) -> String {
        match &*self.0 {
            DEFAULT => DEFAULT.to_owned(),
            name if name.len() <= LONGEST_LINK - PREFIX.len() => format!("{PREFIX}{name}"),
            name => format!("{PREFIX}{:012x}", scattered(name) >> 16),
        }
    }
}

/// FNV-1a: names that differ a little have numbers that differ a lot.
fn scattered(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |number, byte| {
        (number ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Default for Name {
    fn default() -> Name {
        Name(DEFAULT.to_owned())
    }
}

impl AsRef<std::path::Path> for Name {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Name> {
        let may_be_within = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        ensure!(
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(may_be_within),
            "{text:?} is no name of a network\n\
             hint: a letter or a digit, then letters, digits, _, . and -"
        );
        ensure!(
            text.len() <= 64,
            "the name {text:?} is too long\nhint: take at most 64 characters"
        );
        Ok(Name(text.to_owned()))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(text: String) -> Result<Name> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link(name: &str) -> String {
        name.parse::<Name>().unwrap().link()
    }

    #[test]
    fn a_link_is_named_after_its_network_where_that_fits() {
        assert_eq!(link("coracle0"), "coracle0");
        assert_eq!(link("web"), "co-web");
        assert_eq!(link("twelve.chars"), "co-twelve.chars");
        assert_eq!(link("twelve.chars").len(), 15);
        let long = ["thirteen.char", "thirteen.chat", "my-project_default"].map(link);
        assert!(long.iter().all(|link| link.len() == 15 && link.starts_with("co-")), "{long:?}");
        assert!(long[0] != long[1] && long[1] != long[2]);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(65);
        for text in ["", ".", "..", "-a", "a/b", "../a", "a b", "a\n", "ä", "a:b", "*", &long] {
            let error = text.parse::<Name>().expect_err(text);
            assert!(error.to_string().contains("\nhint: "), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_name_has_a_link_that_is_no_cables(name in "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}") {
            let link = link(&name);
            prop_assert!(!link.is_empty() && link.len() <= 15);
            prop_assert!(!crate::leases::is_link_name(&link), "{}", link);
        }
    }
}
