//! Text for terminals: what programs wrote is made harmless, widths are counted in columns.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Makes text harmless for a terminal: every character that could move the cursor, colour the rest, begin a
/// line of its own or turn the direction of writing is shown as an escape. A tab stays.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_dangerous(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Controls (C0, DEL, C1), line and paragraph separators, and the controls of bidirectional writing
/// (Unicode Standard Annex #9).
fn is_dangerous(character: char) -> bool {
    matches!(character,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || (character.is_control() && character != '\t')
}

/// Columns that a line takes on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Cuts a line to so many columns; the last one then is `…`.
pub fn shorten(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let kept = &text[..fitting(text, columns.saturating_sub(1))];
    Cow::Owned(format!("{kept}…"))
}

/// Length in bytes of the longest beginning that takes at most so many columns.
fn fitting(text: &str, columns: usize) -> usize {
    let mut taken = 0;
    let beyond = text.char_indices().find(|(_, character)| {
        taken += character.width().unwrap_or(0);
        taken > columns
    });
    beyond.map_or(text.len(), |(index, _)| index)
}

/// A line, filled with spaces up to so many columns.
pub fn pad(text: &str, columns: usize) -> String {
    let mut padded = text.to_owned();
    padded.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(text))));
    padded
}

/// Breaks text into lines of so many columns at most, between words where it can. Its own line feeds stay.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    text.split('\n').flat_map(|line| wrap_line(line, columns)).collect()
}

fn wrap_line(line: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split(' ') {
        if !current.is_empty() && width(&current) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
        while width(&current) > columns {
            // A character wider than the terminal stands alone.
            let first = current.chars().next().map_or(0, char::len_utf8);
            let rest = current.split_off(fitting(&current, columns).max(first));
            lines.push(std::mem::replace(&mut current, rest));
        }
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_escape(text: &str, expected: &str) {
        assert_eq!(escape(text), expected);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_comes_through() {
        check_escape("plain\ttext é 漢 👍🏽", "plain\ttext é 漢 👍🏽");
        check_escape("\u{1b}[31mred\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m");
        check_escape("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}");
        check_escape("\u{9b}31m\u{7f}\u{8}", "\\u{9b}31m\\u{7f}\\u{8}");
        check_escape("a\r\nforged line", "a\\r\\nforged line");
        check_escape("\u{2028}\u{202e}txt.exe\u{2066}", "\\u{2028}\\u{202e}txt.exe\\u{2066}");
    }

    #[track_caller]
    fn check_shorten(text: &str, columns: usize, expected: &str) {
        let shortened = shorten(text, columns);
        assert_eq!(shortened, expected);
        assert!(width(&shortened) <= columns.max(1));
    }

    #[test]
    fn long_lines_are_cut_by_columns() {
        check_shorten("abc", 3, "abc");
        check_shorten("abcd", 3, "ab…");
        check_shorten("漢字漢字", 8, "漢字漢字");
        check_shorten("漢字漢字", 7, "漢字漢…");
        check_shorten("漢字漢字", 6, "漢字…");
        check_shorten("abc", 1, "…");
        check_shorten("abc", 0, "…");
    }

    #[test]
    fn padding_counts_columns() {
        assert_eq!(pad("漢", 4), "漢  ");
        assert_eq!(pad("abcd", 2), "abcd");
    }

    #[track_caller]
    fn check_wrap(text: &str, columns: usize, expected: &[&str]) {
        assert_eq!(wrap(text, columns), expected);
    }

    #[test]
    fn lines_break_between_words_where_they_can() {
        check_wrap("", 5, &[""]);
        check_wrap("one two three", 7, &["one two", "three"]);
        check_wrap("one\ntwo", 7, &["one", "two"]);
        check_wrap("abcdefgh ij", 3, &["abc", "def", "gh", "ij"]);
        check_wrap("漢字", 1, &["漢", "字", ""]);
        check_wrap("漢字漢", 5, &["漢字", "漢"]);
        check_wrap("ab", 0, &["a", "b"]);
    }
}
