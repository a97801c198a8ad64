//! Lays out text for people: wraps lines, in columns as a terminal counts them.

/// Breaks a paragraph at blanks into lines of at most `width` columns. A word that is longer than
/// that gets a line of its own; an empty paragraph is one empty line.
pub fn wrap(paragraph: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in paragraph.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        let columns = line.chars().count() + 1 + word.chars().count();
        if line.is_empty() {
            line.push_str(word);
        } else if columns <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_blanks_and_never_in_a_word() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("a verylongword b", 4), ["a", "verylongword", "b"]);
        assert_eq!(wrap("größer als", 10), ["größer als"]);
        assert_eq!(wrap("", 10), [""]);
    }
}
