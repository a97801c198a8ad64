//! How the tool looks: 80 columns, colour on a terminal only, and never colour alone.

use crate::catalogue::{Chapter, Exercise};
use crate::text::wrap;
use anstyle::{AnsiColor, Style};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

/// What the eye should find first.
pub const BOLD: Style = Style::new().bold();
/// What it may skip.
pub const DIM: Style = Style::new().dimmed();
/// Right.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Still to do.
pub const TODO: Style = AnsiColor::Yellow.on_default();
/// What can be typed.
pub const TYPE: Style = AnsiColor::Cyan.on_default();

/// The widest that text gets.
const WIDEST: usize = 80;
/// The width of the labels before a paragraph.
const LABEL: usize = 12;

/// Columns to write in: those of the terminal, at most 80.
pub fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    let columns = size.map_or(WIDEST, |size| usize::from(size.ws_col));
    if columns == 0 { WIDEST } else { columns.clamp(40, WIDEST) }
}

/// Prints; colours are left out where nobody would see them. A reader who closes the pipe early has
/// seen enough.
pub fn say(text: &str) {
    let mut stdout = anstream::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// What stands above what is said of an exercise.
pub fn title(chapter: &Chapter, exercise: &Exercise) -> String {
    let (chapter, number) = (chapter.number(), chapter.number_of(&exercise.name).unwrap_or(1));
    format!("\n{BOLD}Chapter {chapter}, exercise {number}{BOLD:#}: {}\n\n", exercise.title)
}

/// A paragraph to standard error, which is where remarks go.
pub fn remark(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = writeln!(stderr, "{}", wrap(text, WIDEST).join("\n"));
}

/// Is somebody looking?
pub fn is_watched() -> bool {
    io::stdout().is_terminal()
}

/// A paragraph with all its lines moved to the right.
pub fn paragraph(text: &str, indent: usize) -> String {
    let indent = " ".repeat(indent);
    let lines = wrap(text, width() - indent.len());
    lines.iter().map(|line| format!("{indent}{line}\n")).collect()
}

/// A paragraph beside a word that says what it is.
pub fn labelled(label: &str, text: &str, style: Style) -> String {
    let mut lines = wrap(text, width() - LABEL - 4).into_iter();
    let first = lines.next().unwrap_or_default();
    let mut written = format!("  {style}{label:<LABEL$}{style:#}  {first}\n");
    for line in lines {
        let _ = writeln!(written, "  {:<LABEL$}  {line}", "");
    }
    written
}

/// A command on a line of its own, to be typed.
pub fn to_type(command: &str) -> String {
    format!("  {TYPE}{command}{TYPE:#}\n")
}

/// `1 minute`, `5 minutes`.
pub fn minutes(count: u32) -> String {
    format!("{count} minute{}", if count == 1 { "" } else { "s" })
}
