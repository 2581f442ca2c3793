//! Values of a file as [`Template`]s: which strings are references, which hold them, which are literals.

use super::{Check, reference};
use crate::{
    diagnostic::codes::{BAD_LITERAL, BAD_TEMPLATE},
    load::{Node, NodeKind},
    value::{Part, Template},
};

/// Longest string in which places are counted out.
const MAX_EXACT: usize = 64 << 10;
/// The key that forces a literal.
const LITERAL: &str = "$literal";

impl<'a> Check<'a, '_> {
    /// A value whose strings may hold references. `from` is the step that it belongs to; `None` for values of the
    /// finished run.
    pub(super) fn template(&mut self, node: &'a Node, from: Option<usize>) -> Template {
        self.piece(node, from).unwrap_or_else(|| Template::Literal(node.to_json()))
    }

    /// The template of a value; `None` where it is itself as it stands. So literals, however deep, are written
    /// as JSON once.
    fn piece(&mut self, node: &'a Node, from: Option<usize>) -> Option<Template> {
        match &node.kind {
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) => None,
            NodeKind::Text(text) => self.string(node, text, from),
            NodeKind::Array(elements) => {
                let made = self.made(elements.iter(), from);
                (!made.is_empty()).then(|| Template::Array(completed(elements.iter(), made)))
            }
            NodeKind::Object(members) => {
                if let Some(forced) = node.get(LITERAL) {
                    self.alone(node);
                    return Some(literal(forced));
                }
                let made = self.made(members.iter().map(|member| &member.value), from);
                (!made.is_empty()).then(|| {
                    let values = completed(members.iter().map(|member| &member.value), made);
                    let names = members.iter().map(|member| member.key.to_string());
                    Template::Object(names.zip(values).collect())
                })
            }
        }
    }

    /// The pieces of those values that are not themselves, with their numbers; few, where there may be millions.
    fn made(&mut self, nodes: impl Iterator<Item = &'a Node>, from: Option<usize>) -> Vec<(usize, Template)> {
        nodes.enumerate().filter_map(|(index, node)| Some((index, self.piece(node, from)?))).collect()
    }

    /// `$literal` has no other key beside it.
    fn alone(&mut self, node: &Node) {
        if let Some(other) = node.members().iter().find(|member| &*member.key != LITERAL) {
            let message = format!("`{}` stands beside `{LITERAL}`", other.key);
            self.problems
                .report(BAD_LITERAL, other.key_span.range(), message)
                .hint("an object with `$literal` has no other key");
        }
    }

    fn string(&mut self, node: &Node, text: &str, from: Option<usize>) -> Option<Template> {
        if text.contains("${") {
            return Some(self.parts(node, text, from));
        }
        let path = reference::bare(text)?;
        self.bare_reference(node, text, &path, from).map(Template::Reference)
    }

    /// A text with `${…}` in it. After a problem the text goes on as a literal: no plan comes of it.
    fn parts(&mut self, node: &Node, text: &str, from: Option<usize>) -> Template {
        let mut parts: Vec<Part> = Vec::new();
        let mut plain = String::new();
        let mut at = 0;
        while let Some(found) = text[at..].find('$') {
            plain.push_str(&text[at..at + found]);
            at += found;
            if text[at..].starts_with("$${") {
                plain.push_str("${");
                at += 3;
            } else if text[at..].starts_with("${") {
                let Some(end) = end_of_expression(text, at + 2) else {
                    let place = self.place_in(node, at..at + 2);
                    self.problems
                        .report(BAD_TEMPLATE, place, "`${` is never closed")
                        .hint("close it with `}`, or write `$${` for the characters themselves");
                    return literal(node);
                };
                let part = self.expression(node, text, at + 2..end, from);
                at = end + 1;
                let Some(part) = part else { continue };
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(part);
            } else {
                plain.push('$');
                at += 1;
            }
        }
        plain.push_str(&text[at..]);
        whole(parts, plain)
    }

    /// What stands between `${` and `}`.
    fn expression(
        &mut self,
        node: &Node,
        text: &str,
        range: std::ops::Range<usize>,
        from: Option<usize>,
    ) -> Option<Part> {
        let inner = &text[range.clone()];
        let trimmed = inner.trim();
        let start = range.start + (inner.len() - inner.trim_start().len());
        if trimmed.is_empty() {
            let place = self.place_in(node, range.start - 2..range.end + 1);
            self.problems
                .report(BAD_TEMPLATE, place, "`${}` holds nothing")
                .hint("put a reference or an expression between the braces");
            return None;
        }
        // A plain path needs no parser.
        match reference::expression(trimmed, |id| self.outline.by_id(id).is_some()) {
            Some(path) => self.expression_reference(node, trimmed, &path, start, from).map(Part::Value),
            None => self.program(node, trimmed, start, from).map(Part::Expression),
        }
    }

    /// Where a piece of a string (bytes of its content) stands in the file; of very long strings the whole.
    pub(super) fn place_in(&self, node: &Node, piece: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let span = node.span.range();
        if span.len() > MAX_EXACT {
            return span;
        }
        let raw = &self.definition.text()[span.clone()];
        let at = |offset: usize| span.start + 1 + raw_offset(&raw[1..], offset);
        at(piece.start)..at(piece.end)
    }
}

/// All values: those that were made, and the others as they stand.
fn completed<'n>(nodes: impl Iterator<Item = &'n Node>, made: Vec<(usize, Template)>) -> Vec<Template> {
    let mut made = made.into_iter().peekable();
    nodes
        .enumerate()
        .map(|(index, node)| match made.next_if(|(at, _)| *at == index) {
            Some((_, template)) => template,
            None => literal(node),
        })
        .collect()
}

fn literal(node: &Node) -> Template {
    Template::Literal(node.to_json())
}

/// A template of parts and the text after them.
fn whole(mut parts: Vec<Part>, rest: String) -> Template {
    if parts.is_empty() {
        let text = serde_json::to_string(&rest).expect("a string has a JSON form");
        return Template::Literal(schemas::json::Json::parse(&text).expect("a string's JSON form is JSON"));
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    match parts.pop() {
        Some(Part::Value(reference)) if parts.is_empty() => Template::Reference(reference),
        Some(Part::Expression(program)) if parts.is_empty() => Template::Expression(program),
        last => {
            parts.extend(last);
            Template::Text(parts)
        }
    }
}

/// The closing brace of an expression: braces of its own and those in strings are passed over.
pub(super) fn end_of_expression(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' => at = reference::end_of_string(text, at)? - 1,
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The offset in the raw text of a string (after its opening quote) of an offset in its content.
fn raw_offset(raw: &str, offset: usize) -> usize {
    let bytes = raw.as_bytes();
    let mut at = 0;
    let mut content = 0;
    while content < offset && at < bytes.len() {
        let (width, length) = match (bytes[at], bytes.get(at + 1)) {
            (b'\\', Some(b'u')) => escaped_width(raw, at),
            (b'\\', Some(_)) => (2, 1),
            _ => (1, 1),
        };
        at += width;
        content += length;
    }
    at
}

/// Bytes of a `\u` escape (of a pair of them) in the raw text, and of the character in UTF-8.
fn escaped_width(raw: &str, at: usize) -> (usize, usize) {
    let unit = raw.get(at + 2..at + 6).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0);
    match unit {
        0xD800..=0xDBFF => (12, 4),
        _ => (6, char::from_u32(unit).map_or(1, char::len_utf8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_end_at_their_own_brace() {
        let check = |text: &str, end: Option<usize>| assert_eq!(end_of_expression(text, 0), end);
        check("a.b}", Some(3));
        check("{'}': 1}['}']}", Some(13));
        check("a", None);
        check("'a}", None);
        check("{}", None);
    }

    #[test]
    fn offsets_pass_over_escapes() {
        let check = |raw: &str, offset: usize, expected: usize| assert_eq!(raw_offset(raw, offset), expected);
        check("abc", 2, 2);
        check(r"\n\\x", 2, 4);
        check(r"\u00e4x", 2, 6);
        check(r"\ud834\udd1ex", 4, 12);
        check("äx", 2, 2);
        check("ab", 9, 2);
    }
}
