//! The grammar of references: `head(.name | [index] | ["name"])*`, with the place of every piece.

use std::ops::Range;

use crate::value::Segment;

/// A reference as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path<'t> {
    /// The first name.
    pub(super) head: &'t str,
    /// Bytes of the head in the text that was read.
    pub(super) head_range: Range<usize>,
    /// The rest, each piece with its bytes (dots, brackets and quotes not included).
    pub(super) segments: Vec<(Segment, Range<usize>)>,
}

/// A whole string as a bare reference: at least one segment; names may hold hyphens, heads begin with a digit.
pub(super) fn bare(text: &str) -> Option<Path<'_>> {
    let head = run(text, 0, |c| is_name(c) || c == b'-');
    if text.starts_with('-') {
        return None;
    }
    path(text, head, true).filter(|path| !path.segments.is_empty())
}

/// An expression that is only a path; not `steps` alone, which is put together within the bounds of an expression. `is_step` tells hyphenated ids from subtractions.
pub(super) fn expression(text: &str, is_step: impl Fn(&str) -> bool) -> Option<Path<'_>> {
    let with_hyphens = run(text, 0, |c| is_name(c) || c == b'-');
    let head = if is_step(&text[..with_hyphens]) { with_hyphens } else { run(text, 0, is_name) };
    if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return None;
    }
    path(text, head, false).filter(|path| match path.head {
        "true" | "false" | "null" | "in" => false,
        "steps" => !path.segments.is_empty(),
        _ => true,
    })
}

fn path(text: &str, head: usize, bare: bool) -> Option<Path<'_>> {
    if head == 0 {
        return None;
    }
    let mut segments = Vec::new();
    let mut at = head;
    while at < text.len() {
        let (segment, range, next) = match text.as_bytes()[at] {
            b'.' => name(text, at + 1, bare)?,
            b'[' => bracket(text, at + 1, bare)?,
            _ => return None,
        };
        segments.push((segment, range));
        at = next;
    }
    Some(Path { head: &text[..head], head_range: 0..head, segments })
}

type Piece = (Segment, Range<usize>, usize);

fn name(text: &str, start: usize, hyphens: bool) -> Option<Piece> {
    let first = *text.as_bytes().get(start)?;
    if !is_name(first) || first.is_ascii_digit() {
        return None;
    }
    let end = run(text, start, |c| is_name(c) || (hyphens && c == b'-'));
    Some((Segment::Key(text[start..end].to_owned()), start..end, end))
}

fn bracket(text: &str, start: usize, bare: bool) -> Option<Piece> {
    let first = *text.as_bytes().get(start)?;
    if first.is_ascii_digit() {
        let end = run(text, start, |c| c.is_ascii_digit());
        let index = text[start..end].parse().ok()?;
        return closed(text, end).map(|next| (Segment::Index(index), start..end, next));
    }
    if first != b'"' && (bare || first != b'\'') {
        return None;
    }
    let end = end_of_string(text, start)?;
    let inner = start + 1..end - 1;
    let key = unquoted(&text[start..end])?;
    closed(text, end).map(|next| (Segment::Key(key), inner, next))
}

fn closed(text: &str, at: usize) -> Option<usize> {
    (text.as_bytes().get(at) == Some(&b']')).then_some(at + 1)
}

/// One past the closing quote of the string that starts at `start`.
pub(super) fn end_of_string(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = bytes[start];
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            byte if byte == quote => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The content of a quoted string; escapes are those of JSON.
fn unquoted(text: &str) -> Option<String> {
    let inner = &text[1..text.len() - 1];
    if !inner.contains('\\') {
        return Some(inner.to_owned());
    }
    text.starts_with('"').then(|| serde_json::from_str(text).ok()).flatten()
}

/// End of the run of bytes from `start` on that `fits`.
fn run(text: &str, start: usize, fits: impl Fn(u8) -> bool) -> usize {
    text.bytes().skip(start).position(|byte| !fits(byte)).map_or(text.len(), |length| start + length)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: Option<Path<'_>>) -> Option<String> {
        use std::fmt::Write as _;
        path.map(|path| {
            let mut shown = path.head.to_owned();
            for (segment, _) in path.segments {
                match segment {
                    Segment::Key(key) => write!(shown, "<{key}>").unwrap(),
                    Segment::Index(index) => write!(shown, "<#{index}>").unwrap(),
                }
            }
            shown
        })
    }

    #[track_caller]
    fn check_bare(text: &str, expected: Option<&str>) {
        assert_eq!(shown(bare(text)).as_deref(), expected);
    }

    #[track_caller]
    fn check_expression(text: &str, expected: Option<&str>) {
        assert_eq!(shown(expression(text, |id| id == "a-b")).as_deref(), expected);
    }

    #[test]
    fn bare_references() {
        check_bare("fetch.response", Some("fetch<response>"));
        check_bare("a-b.c-d[0][\"x y\"].z", Some("a-b<c-d><#0><x y><z>"));
        check_bare("1st.data", Some("1st<data>"));
        check_bare(r#"steps["a\"b"].outputs"#, Some("steps<a\"b><outputs>"));
        check_bare("fetch", None);
        check_bare("", None);
        check_bare(".a", None);
        check_bare("-a.b", None);
        check_bare("a.", None);
        check_bare("a..b", None);
        check_bare("a.1", None);
        check_bare("a.-b", None);
        check_bare("a[", None);
        check_bare("a[1", None);
        check_bare("a[-1]", None);
        check_bare("a['x']", None);
        check_bare("a[\"x]", None);
        check_bare("a[99999999999999999999]", None);
        check_bare("a.b c", None);
        check_bare("https://api.example.com", None);
        check_bare("ä.b", None);
        check_bare("a.ä", None);
    }

    #[test]
    fn expressions_that_are_paths() {
        check_expression("a.b", Some("a<b>"));
        check_expression("a", Some("a"));
        check_expression("a-b.c", Some("a-b<c>"));
        check_expression("a-c.d", None);
        check_expression("a.b-c", None);
        check_expression("a['x']", Some("a<x>"));
        check_expression("a + 1", None);
        check_expression("1", None);
        check_expression("true", None);
        check_expression("", None);
    }
}
