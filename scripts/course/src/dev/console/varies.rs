//! Compares what a page says with what was printed, but for what its author declared to vary:
//! `<!-- varies: pid inode /[0-9]+ms/ -->` on the line before the block.
//!
//! A thing that varies still is one thing: the same PID twice on the page has to be the same PID
//! twice in the output of that block. 0 and 1 are never just any PID.

use regex_lite::Regex;
use std::collections::HashMap;

/// Something that differs between two runs.
#[derive(Clone, Debug)]
pub struct Varies {
    word: String,
    pattern: Regex,
}

impl PartialEq for Varies {
    fn eq(&self, other: &Varies) -> bool {
        self.word == other.word
    }
}

/// The name that the host has on every page.
const HOST: &str = "laptop";
/// The folder that a page's commands start in, where a page shows it.
const FOLDER: &str = "/tmp/work";

/// The known words in the order in which they are looked for, and what they stand for.
const WORDS: [(&str, &str); 7] = [
    ("hostname", r"\blaptop\b"),
    ("tmp", r"(?:/run)?/tmp/[A-Za-z0-9._-]+|\btmp\.[A-Za-z0-9]{6,}"),
    ("hash", r"\b[0-9a-f]{8,128}\b"),
    ("time", TIME),
    ("inode", r"\b[1-9][0-9]{9}\b"),
    ("pid", r"\b(?:[2-9]|[1-9][0-9]{1,6})\b"),
    ("spacing", r"[ \t]+"),
];

/// A day, a time of the day, a duration.
const TIME: &str = r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +[0-9]{1,2}\b|\b[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?\b|\b[0-9]+(?:\.[0-9]+)? ?(?:ns|µs|us|ms|min|s|m|h)\b";

const START: &str = "<!-- varies:";

/// Is this line a declaration?
pub fn is_declaration(line: &str) -> bool {
    line.trim().starts_with(START)
}

/// What a declaration declares; nothing if the line is none.
///
/// # Errors
/// A word is not known, or a pattern is none.
pub fn read(line: &str) -> Result<Vec<Varies>, String> {
    let Some(list) = line.trim().strip_prefix(START) else { return Ok(Vec::new()) };
    let list = list.strip_suffix("-->").ok_or("`<!-- varies: … -->` stands in one line")?;
    let (mut words, mut patterns) = (Vec::new(), Vec::new());
    let mut rest = list.trim();
    while !rest.is_empty() {
        let word = match rest.strip_prefix('/') {
            Some(inner) => {
                let end = inner.find("/ ").or_else(|| inner.strip_suffix('/').map(str::len));
                let end = end.ok_or_else(|| format!("{rest}: a pattern ends with a slash"))?;
                let pattern = varies(&rest[..end + 2], &inner[..end])?;
                if pattern.pattern.is_match("q") || pattern.pattern.is_match("") {
                    return Err(format!("{}: whatever is printed would match", pattern.word));
                }
                patterns.push(pattern);
                &rest[..end + 2]
            }
            None => {
                let word = rest.split(' ').next().unwrap_or_default();
                let known = WORDS.iter().find(|(known, _)| *known == word);
                let (word, pattern) = known.ok_or_else(|| {
                    let known = WORDS.map(|(word, _)| word).join(", ");
                    format!("nothing known varies as `{word}`: {known}, or /a pattern/")
                })?;
                words.push(varies(word, pattern)?);
                word
            }
        };
        rest = rest[word.len()..].trim_start();
    }
    words.sort_by_key(|word| WORDS.iter().position(|(known, _)| *known == word.word));
    Ok([patterns, words].concat())
}

fn varies(word: &str, pattern: &str) -> Result<Varies, String> {
    let pattern = Regex::new(pattern).map_err(|error| format!("/{pattern}/: {error}"))?;
    Ok(Varies { word: word.to_owned(), pattern })
}

/// The two sides of one block's comparison.
pub struct Sides<'a> {
    varies: &'a [Varies],
    host: &'a str,
    folder: &'a str,
    expected: Seen,
    actual: Seen,
}

/// For each thing that varies, its values in the order in which they came.
type Seen = HashMap<(usize, String), usize>;

impl Sides<'_> {
    /// `host` and `folder` are what the commands had in place of the page's.
    pub fn new<'a>(varies: &'a [Varies], host: &'a str, folder: &'a str) -> Sides<'a> {
        Sides { varies, host, folder, expected: Seen::new(), actual: Seen::new() }
    }

    /// What the page says, without what varies.
    pub fn expected(&mut self, text: &str) -> String {
        plain(text, self.varies, &mut self.expected)
    }

    /// What was printed, without what varies.
    pub fn actual(&mut self, text: &str) -> String {
        let text = self.for_page(text);
        plain(&text, self.varies, &mut self.actual)
    }

    /// What was printed, as a page shows it.
    pub fn for_page(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if self.has("hostname") {
            text = text.replace(self.host, HOST);
        }
        if self.has("tmp") {
            text = text.replace(self.folder, FOLDER);
        }
        text
    }

    fn has(&self, word: &str) -> bool {
        self.varies.iter().any(|one| one.word == word)
    }
}

fn plain(text: &str, varies: &[Varies], seen: &mut Seen) -> String {
    let mut text: String =
        text.trim_end().lines().map(|line| format!("{}\n", line.trim_end())).collect();
    for (number, one) in varies.iter().enumerate() {
        let replace = |found: &regex_lite::Captures| {
            if one.word == "spacing" {
                return " ".to_owned();
            }
            // What has no identity: a duration, or what only its author knows.
            let has_identity =
                WORDS.iter().any(|(word, _)| *word == one.word) && one.word != "time";
            let value = if has_identity { found[0].to_owned() } else { String::new() };
            let next = seen.keys().filter(|(of, _)| *of == number).count();
            let place = *seen.entry((number, value)).or_insert(next);
            format!("⟨{}{}⟩", letters(number), letters(place))
        };
        text = one.pattern.replace_all(&text, replace).into_owned();
        if one.word == "spacing" {
            // A number that fills its column has no blank before it.
            text = text.lines().map(|line| format!("{}\n", line.trim())).collect();
        }
    }
    text
}

/// A number in letters that no pattern above takes for its own.
fn letters(number: usize) -> String {
    "Z".repeat(number / 25) + &char::from(b'A' + (number % 25) as u8).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_same(varies: &str, expected: &str, actual: &str) -> bool {
        let varies = read(&format!("<!-- varies: {varies} -->")).unwrap();
        let mut sides = Sides::new(&varies, "sandbox-1f0c9a3e", "/run/tmp/page-77aa");
        sides.expected(expected) == sides.actual(actual)
    }

    #[test]
    fn without_a_declaration_only_blanks_at_the_end_are_free() {
        assert!(is_same("", "a  b", "a  b  \n\n"));
        for (expected, actual) in [("a b", "a  b"), ("12", "13"), ("a", ""), ("", "a"), ("a", "A")]
        {
            assert!(!is_same("", expected, actual), "{expected} {actual}");
        }
    }

    #[test]
    fn each_word_lets_its_own_kind_vary_and_no_other() {
        for (word, expected, actual, other) in [
            ("pid", "NSpid: 4711 1", "NSpid: 12 1", "NSpid: 12 2"),
            ("inode", "pid:[4026531836]", "pid:[4026532001]", "mnt:[4026532001]"),
            ("hostname", "on laptop", "on sandbox-1f0c9a3e", "on desktop"),
            ("spacing", "PID   USER", " PID USER", "PIDUSER"),
            ("time", "took 12 ms at 10:11:12", "took 3.5 ms at 09:00:01", "took 3 kg at 09:00:01"),
            ("hash", "sha256:0123456789ab", "sha256:ba9876543210", "sha512:ba9876543210"),
            ("tmp", "cd /tmp/work", "cd /run/tmp/page-77aa", "cd /run/boat"),
            ("/v[0-9.]+/", "v1.2", "v2.0.1", "w2.0.1"),
        ] {
            assert!(is_same(word, expected, actual), "{word}: {actual}");
            assert!(!is_same(word, expected, other), "{word}: {other}");
            assert!(!is_same("", expected, actual), "without {word}: {actual}");
        }
    }

    #[test]
    fn what_is_one_thing_on_the_page_is_one_thing_in_the_output() {
        assert!(is_same("inode", "4026531836 4026531836", "4026532001 4026532001"));
        assert!(!is_same("inode", "4026531836 4026531836", "4026532001 4026532002"));
        assert!(!is_same("inode", "4026531836 4026532002", "4026532001 4026532001"));
        assert!(is_same("pid", "PID 1 and 30", "PID 1 and 77"));
        assert!(!is_same("pid", "PID 1 and 30", "PID 8 and 77"));
    }

    #[test]
    fn words_and_patterns_go_together_and_nonsense_is_refused() {
        assert!(is_same("pid /a b+/ inode", "4711 a bbb 4026531836", "12 a b 4026531837"));
        assert!(read("<!-- varies: weather -->").unwrap_err().contains("weather"));
        assert!(read("<!-- varies: /open -->").unwrap_err().contains("slash"));
        assert!(read("<!-- varies: /(/ -->").is_err());
        assert!(read("<!-- varies: /.+/ -->").unwrap_err().contains("whatever"));
        assert_eq!(read("# Title").unwrap().len(), 0);
    }

    #[test]
    fn a_page_shows_one_name_for_the_host_and_one_for_the_folder() {
        let varies = read("<!-- varies: hostname tmp -->").unwrap();
        let sides = Sides::new(&varies, "sandbox-1", "/run/tmp/page-2");
        assert_eq!(sides.for_page("sandbox-1:/run/tmp/page-2/rootfs"), "laptop:/tmp/work/rootfs");
    }
}
