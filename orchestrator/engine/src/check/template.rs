//! Values of a file as [`Template`]s: which strings are references, which hold them, which are literals.

use super::{Check, order::Reader, reference, resolve::Use};
use crate::{
    diagnostic::codes::{BAD_LITERAL, BAD_TEMPLATE},
    load::{Node, NodeKind, range_in},
    value::{Part, Reference, Template},
};

/// Longest string in which places are counted out.
const MAX_EXACT: usize = 64 << 10;
/// The key that forces a literal.
const LITERAL: &str = "$literal";

impl<'a> Check<'a, '_> {
    /// A value whose strings may hold references. `from` is who reads them.
    pub(super) fn template(&mut self, node: &'a Node, from: Reader) -> Template {
        self.piece(node, from).unwrap_or_else(|| Template::Literal(node.to_json()))
    }

    /// The template of a value; `None` where it is itself as it stands. So literals, however deep, are written
    /// as JSON once.
    fn piece(&mut self, node: &'a Node, from: Reader) -> Option<Template> {
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
    fn made(&mut self, nodes: impl Iterator<Item = &'a Node>, from: Reader) -> Vec<(usize, Template)> {
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

    fn string(&mut self, node: &Node, text: &str, from: Reader) -> Option<Template> {
        if text.contains("${") {
            return Some(self.parts(node, text, from));
        }
        if let Some(root) = self.loop_name(from, text) {
            // Inside a loop the item and its number are references, alone as they stand.
            return Some(Template::Reference(Reference { root, path: Vec::new(), text: text.to_owned() }));
        }
        let path = reference::bare(text)?;
        self.bare_reference(node, text, &path, from).map(Template::Reference)
    }

    /// A text with `${…}` in it. After a problem the text goes on as a literal: no plan comes of it.
    fn parts(&mut self, node: &Node, text: &str, from: Reader) -> Template {
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
        from: Reader,
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
            Some(path) => {
                let at = Use { node, text: trimmed, start, from, asked: &[] };
                self.expression_reference(&at, &path).map(Part::Value)
            }
            None => self.program(node, trimmed, start, from).map(Part::Expression),
        }
    }

    /// Where a piece of a string (bytes of its content) stands in the file; of very long strings, and of those that
    /// an alias stands for, the whole.
    pub(super) fn place_in(&self, node: &Node, piece: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let span = node.span.range();
        if span.len() > MAX_EXACT {
            return span;
        }
        let raw = &self.definition.text()[span.clone()];
        let content = node.as_text().unwrap_or_default();
        match range_in(raw, content, piece) {
            Some(place) => span.start + place.start..span.start + place.end,
            None => span,
        }
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
}
