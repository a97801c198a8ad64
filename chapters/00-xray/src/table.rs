//! Draws a report as a table of 80 columns.
//!
//! A verdict is a word and a symbol, so that it can be read without colour. Texts come from
//! processes that may want to deceive: control characters never reach the terminal.

use crate::{Against, Fact, Group, Report, Row, Verdict};
use std::fmt::Write;

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    Plain,
    /// With the colour codes of terminals.
    Colour,
}

const WIDTH: usize = 80;
const NAME: usize = 15;
const BOLD: &str = "1";
const DIM: &str = "2";

/// The whole table, with notes and hints below. Ends with a newline.
pub fn draw(report: &Report, style: Style) -> String {
    let canvas = Canvas { style, columns: Columns::of(report.against) };
    let mut out = canvas.heading(report);
    let mut group = None;
    for row in report.sorted_rows() {
        if group != Some(row.group) {
            writeln!(out, "{}", canvas.paint(BOLD, title(row.group))).expect("a string grows");
        }
        group = Some(row.group);
        out += &canvas.row(report, row);
    }
    let below = report.notes.iter().map(|note| format!("note: {note}"));
    let below = below.chain(report.hints().into_iter().map(|hint| format!("hint: {hint}")));
    for line in below.flat_map(|line| wrap(&line, WIDTH)) {
        writeln!(out, "{line}").expect("a string grows");
    }
    out
}

fn title(group: Group) -> &'static str {
    match group {
        Group::Namespaces => "NAMESPACES",
        Group::Process => "PROCESS",
        Group::Files => "FILES",
        Group::Identity => "IDENTITY",
        Group::Network => "NETWORK",
        Group::Resources => "RESOURCES",
        Group::Capabilities => "CAPABILITIES",
        Group::Confinement => "CONFINEMENT",
    }
}

/// How wide the parts of a line are: name, verdict, and two halves for the facts.
struct Columns {
    verdict: usize,
    facts: usize,
    half: usize,
}

impl Columns {
    fn of(against: Against) -> Columns {
        let verdict = match against {
            Against::Host => "? unknown  ".len(),
            Against::Other => "? different  ".len(),
        };
        let facts = WIDTH - NAME - verdict;
        Columns { verdict, facts, half: facts / 2 }
    }
}

struct Canvas {
    style: Style,
    columns: Columns,
}

impl Canvas {
    fn heading(&self, report: &Report) -> String {
        let (subject, reference) = (&report.subject, &report.reference);
        let mut title = clean(&format!("process {}: {}", subject.pid, subject.title()));
        if title.chars().count() > WIDTH {
            title = title.chars().take(WIDTH - 1).chain(['…']).collect();
        }
        let other = match report.against {
            Against::Host => "host (xray itself)".to_owned(),
            Against::Other => format!("{} {}", reference.pid, reference.name),
        };
        let half = self.columns.half;
        let names = [format!("{} {}", subject.pid, subject.name), other]
            .map(|name| clean(&name).chars().take(half - 1).collect::<String>());
        let names = format!("{:half$}{}", names[0], names[1]);
        let indent = NAME + self.columns.verdict;
        format!("{}\n\n{:indent$}{}\n", self.paint(BOLD, &title), "", self.paint(DIM, &names))
    }

    fn row(&self, report: &Report, row: &Row) -> String {
        let verdict = match report.against.word(row.verdict) {
            Some(word) => format!("{} {word}", symbol(row.verdict)),
            None => String::new(),
        };
        let width = self.columns.verdict;
        let mut out = String::new();
        for (index, (label, line)) in self.facts(report, row).into_iter().enumerate() {
            let (name, label) = match index {
                0 => (row.name.as_str(), self.paint(colour(row.verdict), &pad(&verdict, width))),
                _ => ("", self.paint(DIM, &pad(&label, width))),
            };
            let line = format!("  {:rest$}{label}{line}", name, rest = NAME - 2);
            writeln!(out, "{}", line.trim_end()).expect("a string grows");
        }
        out
    }

    /// The lines of a row, each with what stands before it in the column of the verdict. Short
    /// facts stand side by side, equal ones once, long ones one below the other.
    fn facts(&self, report: &Report, row: &Row) -> Vec<(String, String)> {
        let Columns { facts: width, half, .. } = self.columns;
        let (value, reference) = (text(&row.value), text(&row.reference));
        if fits(&value, half - 1) && fits(&reference, width - half) {
            let (left, right): (Vec<_>, Vec<_>) =
                (value.lines().collect(), reference.lines().collect());
            let at = |lines: &[&str], index: usize| lines.get(index).unwrap_or(&"").to_string();
            return (0..left.len().max(right.len()).max(1))
                .map(|index| format!("{:half$}{}", at(&left, index), at(&right, index)))
                .map(|line| (String::new(), line))
                .collect();
        }
        let mut lines = labelled("", &value, width);
        if row.verdict != Verdict::Shared {
            let label = match report.against {
                Against::Host => "  host".to_owned(),
                Against::Other => format!("  {}", report.reference.pid),
            };
            lines.extend(labelled(&label, &reference, width));
        }
        lines
    }

    fn paint(&self, code: &str, text: &str) -> String {
        match self.style {
            Style::Colour if !code.is_empty() && !text.trim().is_empty() => {
                format!("\x1b[{code}m{text}\x1b[0m")
            }
            _ => text.to_owned(),
        }
    }
}

fn symbol(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Own => "●",
        Verdict::Shared => "○",
        Verdict::Unknown => "?",
        Verdict::Uncompared => " ",
    }
}

fn colour(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Own => "1;32",
        Verdict::Shared => DIM,
        Verdict::Unknown => "33",
        Verdict::Uncompared => "",
    }
}

fn text(fact: &Fact) -> String {
    match fact {
        Fact::Known { text, .. } => text.lines().map(clean).collect::<Vec<_>>().join("\n"),
        Fact::Unknown { refused: true, .. } => "may not be read".to_owned(),
        Fact::Unknown { reason, .. } => clean(reason),
    }
}

/// Writes control characters as escapes: a process's name or path may try to drive the terminal.
fn clean(text: &str) -> String {
    text.chars()
        .flat_map(|character| match is_unprintable(character) {
            true => character.escape_default().collect::<Vec<char>>(),
            false => vec![character],
        })
        .collect()
}

/// Control characters, and those that reorder the text around them (CVE-2021-42574).
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn fits(text: &str, width: usize) -> bool {
    text.lines().count() <= 4 && text.lines().all(|line| line.chars().count() <= width)
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:width$}")
}

/// The lines of a text; the first one carries the label.
fn labelled(label: &str, text: &str, width: usize) -> Vec<(String, String)> {
    let labels = std::iter::once(label.to_owned()).chain(std::iter::repeat(String::new()));
    labels.zip(wrap(text, width)).collect()
}

/// Breaks a text into lines: where it has line breaks, else at blanks, else anywhere. A part that
/// continues a line is indented.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let mut word: Vec<char> = word.chars().collect();
            if line.chars().count() + 1 + word.len() > width && !line.trim().is_empty() {
                lines.push(std::mem::replace(&mut line, " ".to_owned()));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            // A path that is longer than a whole line is broken where the line ends.
            while line.chars().count() + word.len() > width {
                let rest = word.split_off(width - line.chars().count());
                line.extend(word);
                lines.push(std::mem::replace(&mut line, "  ".to_owned()));
                word = rest;
            }
            line.extend(word);
        }
        lines.push(line);
    }
    if lines.is_empty() { vec![String::new()] } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(clean("a\x1b[2J\u{202e}b"), r"a\u{1b}[2J\u{202e}b");
    }

    #[test]
    fn lines_break_at_blanks_and_go_on_indented() {
        assert_eq!(wrap("chown kill setgid", 10), ["chown kill", "  setgid"]);
        assert_eq!(wrap("a\nb", 10), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_no_letter_lost(text in "[a-z/ \n]{0,200}", width in 5usize..60) {
            let lines = wrap(&text, width);
            for line in &lines {
                prop_assert!(line.chars().count() <= width, "{:?} in {}", line, width);
            }
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&lines.join("")), letters(&text));
        }
    }
}
