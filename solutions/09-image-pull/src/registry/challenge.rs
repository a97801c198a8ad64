//! Reads a registry's answer to "who are you?": the header WWW-Authenticate.
//!
//! ```text
//! WWW-Authenticate: Bearer realm="https://auth.docker.io/token",service="registry.docker.io",
//!                   scope="repository:library/alpine:pull"
//! WWW-Authenticate: Basic realm="Registry"
//! ```
//!
//! One header may hold several challenges, parted by the same commas as the parameters of each; a
//! value may be a word or stand in quotes, with commas in it (RFC 9110, section 11.6.1). What a
//! server sends is hostile: whatever cannot be read is left out.

use std::collections::BTreeMap;

/// A way in that the registry offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// `bearer`, `basic`, …: always in lower case.
    pub scheme: String,
    /// `realm`, `service`, `scope`, …: the names in lower case. The first of a name counts.
    pub parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// Reads all challenges of a header, in their order.
    pub fn all(header: &str) -> Vec<Challenge> {
        let mut challenges: Vec<Challenge> = Vec::new();
        let mut rest = Rest(header);
        while !rest.0.is_empty() {
            rest.skip(|c| c == ',' || c.is_ascii_whitespace());
            let Some(word) = rest.token() else {
                rest.skip_to_comma();
                continue;
            };
            match (rest.value_after_equals(), challenges.last_mut()) {
                (Some(value), Some(last)) => {
                    last.parameters.entry(word.to_ascii_lowercase()).or_insert(value);
                }
                (Some(_), None) => {} // a parameter of nothing
                (None, _) => {
                    let scheme = word.to_ascii_lowercase();
                    challenges.push(Challenge { scheme, parameters: BTreeMap::new() });
                }
            }
        }
        challenges
    }

    /// A parameter by its name in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn skip(&mut self, what: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(what);
    }

    fn skip_to_comma(&mut self) {
        self.0 = self.0.find(',').map_or("", |at| &self.0[at..]);
    }

    /// A word of the characters that RFC 9110 calls a token.
    fn token(&mut self) -> Option<String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// A value, if an equal sign comes next. Blanks around it are tolerated.
    fn value_after_equals(&mut self) -> Option<String> {
        let mut ahead = Rest(self.0);
        ahead.skip(|c| c.is_ascii_whitespace());
        self.0 = ahead.0.strip_prefix('=')?;
        self.skip(|c| c.is_ascii_whitespace());
        match self.0.strip_prefix('"') {
            Some(quoted) => Some(self.quoted(quoted)),
            None => {
                // Registries write addresses and `token68` without quotes: up to a comma or blank.
                let end = self.0.find(|c: char| c == ',' || c.is_ascii_whitespace());
                let (value, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
                self.0 = rest;
                Some(value.to_owned())
            }
        }
    }

    /// Up to the closing quote, or to the end where it is missing; `\x` stands for `x`.
    fn quoted(&mut self, text: &str) -> String
    where
        Self: Sized,
    {
        let mut value = String::new();
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.advance_to(text, at + 1);
                    return value;
                }
                '\\' => value.extend(chars.next().map(|(_, c)| c)),
                c => value.push(c),
            }
        }
        self.advance_to(text, text.len());
        value
    }

    /// Goes on after the first `count` bytes of `text`, which is the end of what is left.
    fn advance_to(&mut self, text: &str, count: usize) {
        let start = self.0.len() - text.len() + count;
        self.0 = &self.0[start..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(header: &str) -> String {
        let one = |c: &Challenge| {
            let parameters = c.parameters.iter().map(|(name, value)| format!(" {name}=<{value}>"));
            c.scheme.clone() + &parameters.collect::<String>()
        };
        Challenge::all(header).iter().map(one).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn what_registries_send_is_read() {
        for (header, meant) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#,
                "bearer realm=<https://auth.docker.io/token> scope=<repository:library/alpine:pull> service=<registry.docker.io>",
            ),
            (
                r#"Basic realm="a, b = \"c\" \\", charset=UTF-8"#,
                r#"basic charset=<UTF-8> realm=<a, b = "c" \>"#,
            ),
            (
                r#"basic realm=x, BEARER Realm = "https://y/t" , scope="a:b:pull,push c""#,
                "basic realm=<x>; bearer realm=<https://y/t> scope=<a:b:pull,push c>",
            ),
            (
                "Bearer realm=https://y/t?a=b,service=s",
                "bearer realm=<https://y/t?a=b> service=<s>",
            ),
            ("Negotiate, Basic realm=\"\"", "negotiate; basic realm=<>"),
            ("Basic", "basic"),
            (r#"Bearer realm="never ends, x=y"#, "bearer realm=<never ends, x=y>"),
            (r#"realm="of nothing""#, ""),
            ("Bearer realm=a,realm=b", "bearer realm=<a>"),
            ("", ""),
            (",,;; =", ""),
        ] {
            assert_eq!(read(header), meant, "{header}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_to_its_end(header in "\\PC{0,60}|[a-z=,\"\\\\ ]{0,40}") {
            Challenge::all(&header);
        }

        #[test]
        fn what_stands_in_quotes_arrives_whole(value in "\\PC{0,40}") {
            let quoted: String = value.chars().flat_map(|c| ['\\', c]).collect();
            let header = format!("Basic realm=\"{quoted}\", x=y");
            let read = Challenge::all(&header);
            prop_assert_eq!(read[0].parameter("realm"), Some(value.as_str()));
            prop_assert_eq!(read[0].parameter("x"), Some("y"));
        }
    }
}
