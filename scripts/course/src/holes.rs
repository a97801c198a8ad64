//! Takes the exercises out of a source file.
//!
//! A solution marks its holes with mdBook's own comments:
//!
//! ```text
//! // ANCHOR: todo_NAME: the task
//! // | and more of the task
//! the code that a learner will write
//! // ANCHOR_END: todo_NAME
//! ```
//!
//! In the starter the code becomes `todo!("NAME")` under a comment with the task. All other anchors
//! are for the book, and their lines go.

use anyhow::{Context, Result, bail, ensure};

/// The most columns of a comment, those of rustfmt.toml.
const WIDTH: usize = 100;

/// One exercise as the solution has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hole {
    /// The name without `todo_`: `pid_start`.
    pub name: String,
    /// What to do, a line for each line of the comment.
    pub task: Vec<String>,
    /// The line of the solution at which its code begins, counted from one.
    pub line: usize,
    /// The code, as far to the left as it goes.
    pub code: String,
    indent: String,
}

/// What a source file is made of, once the book's anchors are out.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Line(&'a str),
    Hole(Hole),
}

/// A line that mdBook reads.
enum Anchor<'a> {
    Begin { name: &'a str, task: &'a str },
    End { name: &'a str },
}

/// Lists the holes of a solution's source file, in their order.
///
/// # Errors
/// An anchor does not end, or ends without having begun, or a hole lies in another.
pub fn find(text: &str) -> Result<Vec<Hole>> {
    let holes = pieces(text)?.into_iter().filter_map(|piece| match piece {
        Piece::Hole(hole) => Some(hole),
        Piece::Line(_) => None,
    });
    Ok(holes.collect())
}

/// Writes the starter of a solution's source file. `number` tells which exercise a hole is.
///
/// # Errors
/// As [`find`]; or `number` does not know a hole.
pub fn take_out(text: &str, number: impl Fn(&str) -> Option<usize>) -> Result<String> {
    write(text, number, |hole, is_last| {
        // The last expression of a block has no semicolon: it is the block's value.
        let end = if is_last { "" } else { ";" };
        format!("todo!(\"{}\"){end}", hole.name)
    })
}

/// Writes the source file as a learner would who filled the starter's holes with the solution.
///
/// # Errors
/// As [`take_out`].
pub fn fill_in(text: &str, number: impl Fn(&str) -> Option<usize>) -> Result<String> {
    write(text, number, |hole, _| hole.code.trim_end().to_owned())
}

fn write(
    text: &str,
    number: impl Fn(&str) -> Option<usize>,
    code: impl Fn(&Hole, bool) -> String,
) -> Result<String> {
    let pieces = pieces(text)?;
    let mut written: Vec<String> = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Hole(hole) => {
                let number = number(&hole.name).with_context(|| {
                    format!("no exercise of the chapter is called {}", hole.name)
                })?;
                written.extend(comment(hole, number));
                let code = code(hole, is_last(&pieces[index + 1..]));
                written.extend(code.lines().map(|line| indented(line, &hole.indent)));
            }
            // Where an anchor went, two empty lines may have come together.
            Piece::Line("") if written.last().is_none_or(|line| line.is_empty()) => {}
            Piece::Line(line) => written.push((*line).to_owned()),
        }
    }
    Ok(written.join("\n") + "\n")
}

fn indented(line: &str, indent: &str) -> String {
    if line.is_empty() { String::new() } else { format!("{indent}{line}") }
}

/// Is the exercise still open in this source, that is, does it still say `todo!("name")`?
pub fn is_open(source: &str, name: &str) -> bool {
    let mark = format!("todo!(\"{name}\")");
    let code = source.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.into_iter().any(|line| line.replace(' ', "").contains(&mark))
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut anchors: Vec<&str> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        match anchor(line) {
            Some(Anchor::Begin { name, task }) => match name.strip_prefix("todo_") {
                Some(name) => pieces.push(Piece::Hole(read_hole(name, task, line, &mut lines)?)),
                None => anchors.push(name),
            },
            Some(Anchor::End { name }) => {
                let at = anchors.iter().position(|other| *other == name);
                let at = at.with_context(|| {
                    format!("line {}: ANCHOR_END of {name}, which never began", index + 1)
                })?;
                anchors.remove(at);
            }
            None => pieces.push(Piece::Line(line)),
        }
    }
    ensure!(anchors.is_empty(), "no ANCHOR_END of {}", anchors.join(", "));
    Ok(pieces)
}

/// Reads on to the end of a hole that has just begun.
fn read_hole<'a>(
    name: &str,
    task: &str,
    first: &str,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<Hole> {
    let mut hole =
        Hole { name: name.to_owned(), indent: indent_of(first).to_owned(), ..Hole::default() };
    hole.task.push(task.to_owned());
    let mut code = Vec::new();
    for (index, line) in lines {
        match anchor(line) {
            Some(Anchor::End { name: end }) if end.strip_prefix("todo_") == Some(name) => {
                hole.code = dedent(&code);
                return Ok(hole);
            }
            Some(Anchor::Begin { name: other, .. }) if other.starts_with("todo_") => {
                bail!("line {}: the hole {other} begins inside of todo_{name}", index + 1)
            }
            Some(Anchor::End { name: end }) if end.starts_with("todo_") => {
                bail!("line {}: ANCHOR_END of {end} inside of todo_{name}", index + 1)
            }
            Some(_) => {}
            None => match line.trim().strip_prefix("// |") {
                Some(more) if code.is_empty() => hole.task.push(more.trim().to_owned()),
                _ => {
                    hole.line = if code.is_empty() { index + 1 } else { hole.line };
                    code.push(line);
                }
            },
        }
    }
    bail!("no ANCHOR_END of todo_{name}")
}

fn anchor(line: &str) -> Option<Anchor<'_>> {
    let comment = line.trim().strip_prefix("// ANCHOR")?;
    if let Some(name) = comment.strip_prefix("_END:") {
        return Some(Anchor::End { name: name.trim() });
    }
    let anchor = comment.strip_prefix(':')?.trim();
    let (name, task) = anchor.split_once(':').unwrap_or((anchor, ""));
    Some(Anchor::Begin { name: name.trim(), task: task.trim() })
}

/// The task as a comment over the hole.
fn comment(hole: &Hole, number: usize) -> Vec<String> {
    let mut paragraphs = hole.task.clone();
    paragraphs[0] = format!("Exercise {number}, {}: {}", hole.name, paragraphs[0]);
    let width = WIDTH - hole.indent.len() - "// ".len();
    let lines = paragraphs.iter().flat_map(|paragraph| crate::text::wrap(paragraph, width));
    lines.map(|line| format!("{}// {line}", hole.indent)).collect()
}

/// Does the block end here?
fn is_last(rest: &[Piece]) -> bool {
    let code = rest.iter().find(|piece| match piece {
        Piece::Hole(_) => true,
        Piece::Line(line) => !line.trim().is_empty() && !line.trim().starts_with("//"),
    });
    matches!(code, Some(Piece::Line(line)) if line.trim().starts_with('}'))
}

fn indent_of(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn dedent(lines: &[&str]) -> String {
    let full = lines.iter().filter(|line| !line.trim().is_empty());
    let indent = full.map(|line| indent_of(line).len()).min().unwrap_or_default();
    lines.iter().map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOLUTION: &str = "\
// ANCHOR: listing
fn one() -> u8 {
    // ANCHOR: todo_first: count,
    // | and say why
    let two = 1 + 1;

    two - 1
    // ANCHOR_END: todo_first
}
// ANCHOR_END: listing

fn two() {
    // ANCHOR: todo_second: print
    println!();
    // ANCHOR_END: todo_second
    one();
}
";

    fn number(name: &str) -> Option<usize> {
        ["first", "second"].iter().position(|other| *other == name).map(|index| index + 1)
    }

    #[test]
    fn a_hole_becomes_its_task_and_a_todo() {
        let starter = "\
fn one() -> u8 {
    // Exercise 1, first: count,
    // and say why
    todo!(\"first\")
}

fn two() {
    // Exercise 2, second: print
    todo!(\"second\");
    one();
}
";
        assert_eq!(take_out(SOLUTION, number).unwrap(), starter);
    }

    #[test]
    fn filled_in_it_is_the_solution_under_its_tasks() {
        let filled = fill_in(SOLUTION, number).unwrap();
        assert!(
            filled.contains("    // and say why\n    let two = 1 + 1;\n\n    two - 1\n}\n"),
            "{filled}"
        );
    }

    #[test]
    fn a_hole_knows_its_code_and_where_it_stands() {
        let holes = find(SOLUTION).unwrap();
        assert_eq!(holes[0].code, "let two = 1 + 1;\n\ntwo - 1\n");
        assert_eq!((holes[0].line, holes[1].line), (5, 14));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let says = |text: &str| take_out(text, number).unwrap_err().to_string();
        assert_eq!(says("// ANCHOR: todo_first: x\n"), "no ANCHOR_END of todo_first");
        assert_eq!(says("// ANCHOR: x\n"), "no ANCHOR_END of x");
        assert_eq!(says("\n// ANCHOR_END: x\n"), "line 2: ANCHOR_END of x, which never began");
        assert_eq!(
            says("// ANCHOR: todo_first: x\n// ANCHOR: todo_second: x\n"),
            "line 2: the hole todo_second begins inside of todo_first"
        );
        assert_eq!(
            says("// ANCHOR: todo_third: x\n// ANCHOR_END: todo_third\n"),
            "no exercise of the chapter is called third"
        );
    }

    #[test]
    fn a_hole_is_open_while_its_todo_is_code() {
        assert!(is_open("    todo!(\"first\")\n", "first"));
        assert!(is_open("    todo!( \"first\" );\n", "first"));
        assert!(!is_open("    // todo!(\"first\")\n", "first"));
        assert!(!is_open("    todo!(\"second\")\n", "first"));
    }
}
