//! From a piece of a string to where it is written: escapes, doubled quotes, folded and indented lines lie between.

use std::ops::Range;

/// Bytes in `raw`, a string as it is written, quotes included, of a piece of its content. `None` where `raw` is not
/// how `content` is written: an alias is not.
pub(crate) fn range_in(raw: &str, content: &str, piece: Range<usize>) -> Option<Range<usize>> {
    let quote = raw.bytes().next().filter(|first| matches!(first, b'"' | b'\''));
    let mut at = match raw.bytes().next() {
        Some(b'"' | b'\'') => 1,
        // The first line of a block holds its indicators.
        Some(b'|' | b'>') => raw.find('\n')? + 1,
        Some(_) | None => 0,
    };
    let mut start = None;
    let mut walked = 0;
    for character in content.chars() {
        let width = loop {
            match step(&raw[at..], character, quote)? {
                Step::Stands(width) => break width,
                Step::Between(width) => at += width,
            }
        };
        if walked >= piece.start {
            start.get_or_insert(at);
        }
        at += width;
        walked += character.len_utf8();
        if let Some(start) = start
            && walked >= piece.end
        {
            return Some(start..at);
        }
    }
    // What is missing at the end of a string is where it ends.
    let end = super::parse::ceil_boundary(raw, (at + 1).min(raw.len()));
    Some(start.unwrap_or(at)..end)
}

/// What stands at the beginning of the rest of a written string.
enum Step {
    /// The character that comes next, in so many bytes.
    Stands(usize),
    /// So many bytes that mean nothing: indentation, the end of a line that goes on.
    Between(usize),
}

/// `None`: this is not how the character is written.
fn step(rest: &str, character: char, quote: Option<u8>) -> Option<Step> {
    let bytes = rest.as_bytes();
    match (*bytes.first()?, quote) {
        (b'\\', Some(b'"')) => escape(bytes),
        (b'\'', Some(b'\'')) => Some(Step::Stands(2)),
        _ if rest.starts_with(character) => Some(Step::Stands(character.len_utf8())),
        (b'\n', _) if character == ' ' => Some(Step::Stands(1)),
        (b' ' | b'\t' | b'\r' | b'\n', _) => Some(Step::Between(1)),
        _ => None,
    }
}

/// An escape within double quotes; those of YAML are those of JSON and more.
fn escape(bytes: &[u8]) -> Option<Step> {
    let width = match bytes.get(1)? {
        b'\n' | b'\r' => return Some(Step::Between(2)),
        b'x' => 4,
        // Two of them make one character beyond the first 65,536.
        b'u' if matches!(bytes.get(2..4), Some([b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B'])) => 12,
        b'u' => 6,
        b'U' => 10,
        _ => 2,
    };
    Some(Step::Stands(width.min(bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The piece of `content` that is `part` is written as `expected`.
    #[track_caller]
    fn check(raw: &str, content: &str, part: &str, expected: Option<&str>) {
        let start = content.find(part).unwrap();
        let found = range_in(raw, content, start..start + part.len());
        assert_eq!(found.map(|range| &raw[range]), expected);
    }

    #[test]
    fn json_strings_hold_escapes() {
        check(r#""abc""#, "abc", "bc", Some("bc"));
        check(r#""\n\\x""#, "\n\\x", "x", Some("x"));
        check(r#""\n\\x""#, "\n\\x", "\\", Some(r"\\"));
        check(r#""\u00e4x""#, "äx", "x", Some("x"));
        check(r#""\ud834\udd1ex""#, "𝄞x", "x", Some("x"));
        check(r#""äx""#, "äx", "x", Some("x"));
        check(r#""a\"b""#, "a\"b", "b", Some("b"));
    }

    #[test]
    fn what_is_beyond_the_end_is_the_closing_quote() {
        assert_eq!(range_in(r#""ab""#, "ab", 2..3), Some(3..4));
        assert_eq!(range_in(r#""ab""#, "ab", 1..9), Some(2..4));
        assert_eq!(range_in("ab", "ab", 2..3), Some(2..2));
        assert_eq!(range_in("", "", 0..1), Some(0..0));
    }

    #[test]
    fn yaml_has_more_ways_to_write() {
        check("a.b == c", "a.b == c", "c", Some("c"));
        check("'it''s ${a}'", "it's ${a}", "${a}", Some("${a}"));
        check("a\n    b c", "a b c", "c", Some("c"));
        check("|-\n    one\n      ${two}", "one\n  ${two}", "${two}", Some("${two}"));
        check(">\n  one\n  two\n\n  three\n", "one two\nthree\n", "three", Some("three"));
        check("|\r\n  one\r\n  two\r\n", "one\ntwo\n", "two", Some("two"));
        check("\"a\\\n   b\\x41\\U0001F600c\"", "abA😀c", "c", Some("c"));
    }

    #[test]
    fn an_alias_is_not_the_text() {
        check("*name", "a.b == c", "c", None);
        check("*a", "", "", Some("*"));
    }
}
