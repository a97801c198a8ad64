//! Reads a page as far as the rules need it: its fenced blocks, and the lines outside of them.

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence<'a> {
    /// The line of its opening fence, from 1.
    pub line: usize,
    /// What stands before the opening fence in its line: blanks.
    pub indent: &'a str,
    /// What stands after the opening fence: `console,not-executed`.
    pub info: &'a str,
    /// Its lines, without the indentation of the fence.
    pub lines: Vec<&'a str>,
    /// The line directly before the opening fence.
    pub before: &'a str,
    /// Whether it has a closing fence; mdBook takes all the rest of the page if not.
    pub is_closed: bool,
}

impl Fence<'_> {
    /// The words of the info string.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.info.split([',', ' ']).filter(|word| !word.is_empty())
    }

    /// The first word of the info string: `rust`, `console`, or nothing.
    pub fn language(&self) -> &str {
        self.words().next().unwrap_or_default()
    }
}

/// A page in its two kinds of text.
#[derive(Clone, Debug, Default)]
pub struct Page<'a> {
    /// The fenced blocks, in order.
    pub fences: Vec<Fence<'a>>,
    /// All other lines with their numbers, from 1.
    pub prose: Vec<(usize, &'a str)>,
}

/// Reads a page.
pub fn read(text: &str) -> Page<'_> {
    let mut page = Page::default();
    let mut before = "";
    let mut lines = (1..).zip(text.lines());
    while let Some((line, full)) = lines.next() {
        let Some((indent, mark, info)) = opening(full) else {
            page.prose.push((line, full));
            before = full;
            continue;
        };
        let mut fence = Fence { line, indent, info, lines: Vec::new(), before, is_closed: false };
        for (_, inner) in lines.by_ref() {
            if is_closing(inner, mark) {
                fence.is_closed = true;
                break;
            }
            fence.lines.push(without_indent(inner, indent.len()));
        }
        page.fences.push(fence);
        before = "";
    }
    page
}

/// Blanks, the mark and the info string of a line that opens a block.
fn opening(line: &str) -> Option<(&str, &str, &str)> {
    let text = line.trim_start();
    let indent = &line[..line.len() - text.len()];
    let first = text.chars().next().filter(|first| "`~".contains(*first))?;
    let rest = text.trim_start_matches(first);
    let mark = &text[..text.len() - rest.len()];
    (mark.len() >= 3 && !rest.contains('`')).then_some((indent, mark, rest.trim()))
}

fn is_closing(line: &str, mark: &str) -> bool {
    let text = line.trim();
    text.len() >= mark.len() && text.chars().all(|letter| mark.starts_with(letter))
}

/// Takes away at most `width` blanks.
fn without_indent(line: &str, width: usize) -> &str {
    let blanks = line.len() - line.trim_start_matches(' ').len();
    &line[blanks.min(width)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_have_their_place_their_words_and_the_line_before() {
        let text = "# T\n\n<!-- varies: pid -->\n```console,not-executed\n$ id\n  x\n```\nend\n";
        let page = read(text);
        let fence = &page.fences[0];
        assert_eq!((fence.line, fence.before), (4, "<!-- varies: pid -->"));
        assert_eq!(fence.words().collect::<Vec<_>>(), ["console", "not-executed"]);
        assert_eq!(fence.lines, ["$ id", "  x"]);
        assert!(fence.is_closed);
        assert_eq!(page.prose.last(), Some(&(8, "end")));
    }

    #[test]
    fn a_fence_in_a_list_loses_its_indentation_and_keeps_what_is_deeper() {
        let page = read("- a\n\n  ```rust\n  one\n    two\n  ```\n");
        assert_eq!(page.fences[0].lines, ["one", "  two"]);
        assert_eq!(page.fences[0].indent, "  ");
    }

    #[test]
    fn a_longer_fence_may_show_a_shorter_one_and_one_without_an_end_is_seen() {
        let page = read("````md\n```rust\n```\n````\n```\nlost");
        assert_eq!(page.fences[0].lines, ["```rust", "```"]);
        assert!(!page.fences[1].is_closed);
        assert_eq!(read("`code` and ```code```\n").fences, []);
    }
}
