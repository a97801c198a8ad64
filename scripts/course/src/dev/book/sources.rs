//! Holds the pages' sources to the rules of the book: listings come from compiled code, whole and
//! short; a chapter has its six parts; nothing in a shell goes unexecuted unmarked.

use super::Problem;
use super::markdown::{self, Fence, Page};
use crate::dev::console::script;
use anyhow::{Context, Result};
use regex_lite::Regex;
use std::fs;
use std::path::{Path, PathBuf};

/// A listing that is longer than this is not read.
const LISTING: usize = 40;
/// So much Rust may stand in a page without being compiled.
const PASTED: usize = 3;
/// What every chapter has, in this order.
const PARTS: [&str; 6] =
    ["Feel it", "Predict", "The picture", "In the shell", "Build", "Attack again"];
/// Languages that would be a console block which nobody executes.
const SHELLS: [&str; 7] =
    ["sh", "bash", "zsh", "shell", "shell-session", "shellsession", "terminal"];

/// All that is wrong in the sources of the book.
///
/// # Errors
/// A page can't be read.
pub fn problems(book: &Path) -> Result<Vec<Problem>> {
    let source = book.join("src");
    let pages = pages(book)?;
    let mut problems = strays(&source, &pages)?;
    let mut texts = Vec::new();
    for name in &pages {
        let path = source.join(name);
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        problems.extend(of_page(name, &text, &source));
        texts.push((name.as_str(), text));
    }
    problems.extend(parts(&texts));
    Ok(problems)
}

/// The pages that the summary names, in order; chapters without a page yet are none.
///
/// # Errors
/// The summary can't be read.
pub fn pages(book: &Path) -> Result<Vec<String>> {
    let summary = fs::read_to_string(book.join("src/SUMMARY.md")).context("the book's summary")?;
    let link = pattern(r"\]\(([^)]+)\)");
    Ok(link.captures_iter(&summary).map(|link| link[1].to_owned()).collect())
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is ours")
}

/// Pages that no link of the summary reaches.
fn strays(source: &Path, pages: &[String]) -> Result<Vec<Problem>> {
    let mut strays = Vec::new();
    for entry in fs::read_dir(source).context("the book's pages")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") && name != "SUMMARY.md" && !pages.contains(&name) {
            strays.push(Problem::new(&shown(&name), 0, "SUMMARY.md does not name this page"));
        }
    }
    Ok(strays)
}

fn shown(name: &str) -> String {
    format!("book/src/{name}")
}

/// All that is wrong in one page by itself. `source` is the folder its includes start from.
fn of_page(name: &str, text: &str, source: &Path) -> Vec<Problem> {
    let page = markdown::read(text);
    let mut problems = Vec::new();
    let mut say = |line: usize, text: String| problems.push(Problem::new(&shown(name), line, text));
    for fence in &page.fences {
        for text in of_fence(fence, source) {
            say(fence.line, text);
        }
    }
    for (line, text) in &page.prose {
        for include in includes(text) {
            if let Err(problem) = included(&include, source) {
                say(*line, problem);
            }
        }
    }
    if let Err(unplayable) = script::read(text) {
        problems.extend(
            unplayable.iter().map(|(line, text)| Problem::new(&shown(name), *line, text.as_str())),
        );
    }
    problems
}

fn of_fence(fence: &Fence, source: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    if !fence.is_closed {
        problems.push("this block has no end".to_owned());
    }
    let language = fence.language();
    if SHELLS.contains(&language) {
        problems.push(format!("a block of `{language}` is not executed: make it `console`"));
    }
    let (mut length, mut pasted, mut taken) = (0, 0, 0);
    for line in &fence.lines {
        let includes = includes(line);
        pasted += usize::from(includes.is_empty() && !line.trim().is_empty());
        length += usize::from(includes.is_empty());
        for include in includes {
            taken += 1;
            match included(&include, source) {
                Ok(lines) => length += lines,
                Err(problem) => problems.push(problem),
            }
        }
    }
    if language == "rust" && pasted > PASTED {
        problems.push(format!(
            "{pasted} lines of pasted Rust, {PASTED} are allowed: include them from compiled code"
        ));
    }
    if language == "console" && taken > 0 {
        problems.push("a console block with an include can't be executed".to_owned());
    }
    if language != "console" && length > LISTING {
        problems.push(format!("a listing of {length} lines, {LISTING} are allowed"));
    }
    problems
}

/// A `{{#include path:anchor}}` or one of its sisters.
struct Include {
    kind: String,
    path: PathBuf,
    anchor: Option<String>,
}

/// The includes in a line; one behind a backslash is text.
fn includes(line: &str) -> Vec<Include> {
    let include = pattern(r"(\\?)\{\{\s*#(\w+)\s+([^}]+)\}\}");
    let found = include.captures_iter(line).filter(|found| found[1].is_empty());
    let read = |found: regex_lite::Captures| {
        let (path, anchor) = match found[3].trim().split_once(':') {
            Some((path, anchor)) => (path, Some(anchor.to_owned())),
            None => (found[3].trim(), None),
        };
        Include { kind: found[2].to_owned(), path: PathBuf::from(path), anchor }
    };
    found.map(read).collect()
}

/// How many lines an include brings, or why it brings none.
fn included(include: &Include, source: &Path) -> Result<usize, String> {
    if include.kind != "include" {
        return Err(format!("`#{}` is none of ours: use `#include`", include.kind));
    }
    let path = include.path.display();
    let Ok(text) = fs::read_to_string(source.join(&include.path)) else {
        return Err(format!("there is no {path} to include"));
    };
    match include.anchor.as_deref() {
        None => Ok(text.lines().count()),
        Some(anchor)
            if anchor.starts_with(|first: char| first == ':' || first.is_ascii_digit()) =>
        {
            Err(format!("{path}:{anchor} names lines, which move: name an anchor"))
        }
        Some(anchor) => anchored(&text, anchor).map_err(|problem| format!("{path} {problem}")),
    }
}

/// How many lines an anchor holds, as mdBook counts: the marks of inner anchors are none.
fn anchored(text: &str, anchor: &str) -> Result<usize, String> {
    let mark = pattern(r"ANCHOR(_END)?:\s*([\w-]+)");
    let (mut length, mut is_inside) = (None, false);
    for line in text.lines() {
        match mark.captures(line) {
            Some(found) if &found[2] == anchor => {
                is_inside = found.get(1).is_none();
                length.get_or_insert(0);
            }
            Some(_) => {}
            None if is_inside => *length.get_or_insert(0) += 1,
            None => {}
        }
    }
    match length {
        None => Err(format!("has no anchor `{anchor}`")),
        Some(_) if is_inside => Err(format!("never ends its anchor `{anchor}`")),
        Some(0) => Err(format!("has nothing in its anchor `{anchor}`")),
        Some(length) => Ok(length),
    }
}

/// A chapter's pages, those whose names begin with its number, have the six parts: each page some
/// of them in order, the first page the first, the last page the last, and together all.
fn parts(pages: &[(&str, String)]) -> Vec<Problem> {
    let number =
        |name: &str| name.get(..2).filter(|two| two.parse::<u8>().is_ok()).map(str::to_owned);
    let mut problems = Vec::new();
    let is_same = |a: &(&str, String), b: &(&str, String)| number(a.0) == number(b.0);
    for chapter in pages.chunk_by(is_same).filter(|chapter| number(chapter[0].0).is_some()) {
        let mut all = Vec::new();
        for (name, text) in chapter {
            let headings = headings(&markdown::read(text));
            problems.extend(order(name, &headings));
            all.extend(headings.into_iter().map(|(_, heading)| heading));
        }
        let first = shown(chapter[0].0);
        for part in PARTS.iter().filter(|part| all.iter().all(|heading| heading != *part)) {
            problems.push(Problem::new(&first, 0, format!("the chapter has no part `## {part}`")));
        }
        for (part, found) in [(PARTS[0], all.first()), (PARTS[5], all.last())] {
            if found.is_some_and(|found| found != part) && all.iter().any(|one| one == part) {
                let end = if part == PARTS[0] { "begins" } else { "ends" };
                problems.push(Problem::new(&first, 0, format!("a chapter {end} with `## {part}`")));
            }
        }
    }
    problems
}

/// The `##` headings of a page, with their lines.
fn headings(page: &Page) -> Vec<(usize, String)> {
    let heading = |(line, text): &(usize, &str)| {
        text.strip_prefix("## ").map(|heading| (*line, heading.trim().to_owned()))
    };
    page.prose.iter().filter_map(heading).collect()
}

fn order(name: &str, headings: &[(usize, String)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut reached = None;
    for (line, heading) in headings {
        let place = PARTS.iter().position(|part| part == heading);
        let Some(place) = place else {
            let text = format!("`## {heading}` is none of the six parts: make it `###` or a fold");
            problems.push(Problem::new(&shown(name), *line, text));
            continue;
        };
        if reached.is_some_and(|reached| place <= reached) {
            let text = format!("`## {heading}` is out of its place: {}", PARTS.join(", "));
            problems.push(Problem::new(&shown(name), *line, text));
        }
        reached = Some(place);
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a page that stands beside a file `code.rs`.
    fn said(page: &str, code: &str) -> String {
        let name = format!("course-sources-{}-{:p}", std::process::id(), &page);
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("code.rs"), code).unwrap();
        let problems = of_page("page.md", page, &folder);
        fs::remove_dir_all(&folder).unwrap();
        problems.iter().map(|problem| format!("{problem}\n")).collect()
    }

    const CODE: &str = "// ANCHOR: all\nfn a() {\n    // ANCHOR: todo_a: do it\n    b();\n    \
                        // ANCHOR_END: todo_a\n}\n// ANCHOR_END: all\n// ANCHOR: endless\nfn c() {}\n";

    #[test]
    fn a_good_listing_passes() {
        let page = "```rust\n{{#include code.rs:all}}\n```\n\nand `\\{{#include x}}` as a word";
        assert_eq!(said(page, CODE), "");
        assert_eq!(anchored(CODE, "all"), Ok(3));
    }

    #[test]
    fn an_include_of_nothing_is_found_in_a_block_and_in_the_text() {
        let page = "{{#include no.svg}}\n\n```rust\n{{#include no.rs}}\n```\n";
        let said = said(page, CODE);
        assert!(said.contains("page.md:1: there is no no.svg to include"), "{said}");
        assert!(said.contains("page.md:3: there is no no.rs to include"), "{said}");
    }

    #[test]
    fn an_anchor_must_exist_and_end_and_lines_are_no_anchor() {
        for (anchor, complaint) in [
            ("nobody", "code.rs has no anchor `nobody`"),
            ("endless", "code.rs never ends its anchor `endless`"),
            ("2:4", "names lines, which move"),
        ] {
            let said = said(&format!("```rust\n{{{{#include code.rs:{anchor}}}}}\n```\n"), CODE);
            assert!(said.contains(complaint), "{said}");
        }
        let said = said("```rust\n{{#rustdoc_include code.rs:all}}\n```\n", CODE);
        assert!(said.contains("none of ours"), "{said}");
    }

    #[test]
    fn forty_lines_are_a_listing_and_forty_one_are_not() {
        let code = |length| "x\n".repeat(length);
        let page = "```rust\n{{#include code.rs}}\n```\n";
        assert_eq!(said(page, &code(40)), "");
        assert!(said(page, &code(41)).contains("a listing of 41 lines"));
        assert!(said(&format!("```toml\n{}```\n", code(41)), "").contains("a listing of 41 lines"));
    }

    #[test]
    fn three_lines_of_rust_may_be_pasted_and_four_not() {
        assert_eq!(said("```rust\na\nb\n\nc\n```\n", ""), "");
        assert!(said("```rust\na\nb\nc\nd\n```\n", "").contains("4 lines of pasted Rust"));
    }

    #[test]
    fn no_shell_goes_by_another_name_and_every_block_ends() {
        assert!(said("```bash\nls\n```\n", "").contains("make it `console`"));
        assert!(said("```console\n$ ls\n", "").contains("no end"));
        assert!(said("```console\nls\n```\n", "").contains("begins with a line that is typed"));
        assert!(said("```console\n{{#include code.rs}}\n```\n", "x").contains("can't be executed"));
    }

    fn parts_said(pages: &[(&str, &[&str])]) -> String {
        let text = |parts: &[&str]| parts.iter().map(|part| format!("## {part}\n\n")).collect();
        let pages: Vec<(&str, String)> =
            pages.iter().map(|(name, parts)| (*name, text(parts))).collect();
        parts(&pages).iter().map(|problem| format!("{problem}\n")).collect()
    }

    #[test]
    fn the_six_parts_may_be_spread_over_the_pages_of_a_chapter() {
        assert_eq!(parts_said(&[("setup.md", &["Anything"]), ("00-xray.md", &PARTS)]), "");
        assert_eq!(parts_said(&[("02-a.md", &PARTS[..3]), ("02-b.md", &PARTS[2..])]), "");
    }

    #[test]
    fn a_chapter_without_a_part_or_with_another_or_in_another_order_is_none() {
        for missing in 0..6 {
            let mut some = PARTS.to_vec();
            let part = some.remove(missing);
            let said = parts_said(&[("01-pid.md", &some)]);
            assert!(said.contains(&format!("no part `## {part}`")), "{said}");
        }
        let said = parts_said(&[("01-pid.md", &[&PARTS[..], &["More"]].concat())]);
        assert!(said.contains("`## More` is none of the six parts"), "{said}");
        let mut turned = PARTS.to_vec();
        turned.swap(1, 2);
        assert!(parts_said(&[("01-pid.md", &turned)]).contains("out of its place"));
        let said = parts_said(&[("02-a.md", &PARTS), ("02-b.md", &PARTS[4..5])]);
        assert!(said.contains("a chapter ends with `## Attack again`"), "{said}");
    }

    #[test]
    fn a_heading_in_a_block_is_no_part() {
        let text = "```text\n## Feel it\n```\n".to_owned();
        assert!(parts(&[("01-a.md", text)])[0].to_string().contains("no part `## Feel it`"));
    }
}
