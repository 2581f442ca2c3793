//! Quoted strings of expressions: where they end, and what they hold.

use std::ops::Range;

use super::CompileError;

/// What a string holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Quoted {
    Text(String),
    Bytes(Vec<u8>),
}

/// Bytes of the prefix of a string (`r`, `b`, `br`) that a text begins with.
pub(super) fn prefix(text: &str) -> Option<usize> {
    let end = text.find(['"', '\''])?;
    matches!(text[..end].to_ascii_lowercase().as_str(), "r" | "b" | "br").then_some(end)
}

/// Reads the string that a text begins with, and tells how long it is.
pub(super) fn read(prefix: &str, text: &str) -> Result<(Quoted, usize), CompileError> {
    let is_raw = prefix.contains(['r', 'R']);
    let is_bytes = prefix.contains(['b', 'B']);
    let Some((content, length)) = content(text, is_raw) else {
        return Err(CompileError::new("the string is never closed", 0..text.len()));
    };
    let start = content.start;
    let content = &text[content];
    let mut bytes = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some(next) = rest.chars().next() {
        let at = start + content.len() - rest.len();
        let taken = match next {
            '\\' if !is_raw => escape(rest, is_bytes, &mut bytes).ok_or_else(|| {
                let shown: String = rest.chars().take(2).collect();
                CompileError::new(
                    format!("`{shown}` is no escape that a string may have"),
                    at..at + shown.len(),
                )
            })?,
            // A line ends in one way, however the file was written.
            '\r' => {
                bytes.push(b'\n');
                if rest.starts_with("\r\n") { 2 } else { 1 }
            }
            other => {
                bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                other.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    if is_bytes {
        return Ok((Quoted::Bytes(bytes), length));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| CompileError::new("the string is not UTF-8", 0..length))?;
    Ok((Quoted::Text(text), length))
}

/// The bytes of the content, and the length of the whole.
fn content(text: &str, is_raw: bool) -> Option<(Range<usize>, usize)> {
    let bytes = text.as_bytes();
    let thrice = ["\"\"\"", "'''"].into_iter().find(|quote| text.starts_with(quote));
    let quote = thrice.unwrap_or(&text[..1]);
    let mut at = quote.len();
    while at < bytes.len() {
        if bytes[at..].starts_with(quote.as_bytes()) {
            return Some((quote.len()..at, at + quote.len()));
        }
        match bytes[at] {
            b'\n' | b'\r' if thrice.is_none() => return None,
            b'\\' if !is_raw => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// Puts what an escape stands for at the end of `out`; how long the escape is, if it is one.
fn escape(text: &str, is_bytes: bool, out: &mut Vec<u8>) -> Option<usize> {
    let kind = *text.as_bytes().get(1)?;
    let (digits, radix) = match kind {
        b'x' | b'X' => (2..4, 16),
        b'u' if !is_bytes => (2..6, 16),
        b'U' if !is_bytes => (2..10, 16),
        b'0'..=b'3' => (1..4, 8),
        _ => {
            out.push(match kind {
                b'a' => 0x07,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 0x0b,
                b'\\' | b'\'' | b'"' | b'`' | b'?' => kind,
                _ => return None,
            });
            return Some(2);
        }
    };
    let end = digits.end;
    let number = text.get(digits).filter(|digits| digits.chars().all(|digit| digit.is_digit(radix)))?;
    let number = u32::from_str_radix(number, radix).ok()?;
    if is_bytes {
        out.push(u8::try_from(number).ok()?);
    } else {
        out.extend_from_slice(char::from_u32(number)?.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let at = prefix(text).unwrap_or(0);
        let (found, length) = read(&text[..at], &text[at..]).unwrap();
        assert_eq!(found, Quoted::Text(expected.to_owned()), "{text}");
        assert_eq!(at + length, text.len(), "{text}");
    }

    #[track_caller]
    fn check_bytes(text: &str, expected: &[u8]) {
        let at = prefix(text).unwrap_or(0);
        let (found, _) = read(&text[..at], &text[at..]).unwrap();
        assert_eq!(found, Quoted::Bytes(expected.to_vec()), "{text}");
    }

    #[track_caller]
    fn check_wrong(text: &str, part: &str, place: Range<usize>) {
        let at = prefix(text).unwrap_or(0);
        let error = read(&text[..at], &text[at..]).unwrap_err();
        assert!(error.message.contains(part), "{text}: {error}");
        assert_eq!(error.place, place, "{text}");
    }

    #[test]
    fn strings_and_their_escapes() {
        check("'a'", "a");
        check(r#""a'b""#, "a'b");
        check(r#"'\a\b\f\n\r\t\v\\\'\"\`\?'"#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\\'\"`?");
        check(r"'\x41\X42\u00e4\U0001f431\101'", "ABä🐱A");
        check("'''a'b\nc\r\nd\re'''", "a'b\nc\nd\ne");
        check(r#"""""a" """"#, "\"a\" ");
        check(r"r'\n\'", r"\n\");
        check(r#"R"""\""""#, r"\");
        check("''", "");
        check("''''''", "");
    }

    #[test]
    fn bytes_have_escapes_of_one_byte() {
        check_bytes(r"b'\xff\376aä'", &[0xff, 0xfe, b'a', 0xc3, 0xa4]);
        check_bytes(r"bR'\x'", br"\x");
        check_wrong(r"b'\u0041'", r"`\u`", 1..3);
    }

    #[test]
    fn what_is_no_string_says_where() {
        check_wrong("'abc", "never closed", 0..4);
        check_wrong("'a\nb'", "never closed", 0..5);
        check_wrong("'\\", "never closed", 0..2);
        check_wrong("'''a''", "never closed", 0..6);
        check_wrong(r"'ab\q'", r"`\q`", 3..5);
        check_wrong(r"'\x4'", r"`\x`", 1..3);
        check_wrong(r"'\ud800'", r"`\u`", 1..3);
        check_wrong(r"'\477'", r"`\4`", 1..3);
        check_wrong(r"'\é'", r"`\é`", 1..4);
        check_wrong(r"'\u+041'", r"`\u`", 1..3);
    }
}
