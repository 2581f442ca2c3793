//! Text to tree: encoding, caps, and the syntax of JSON.

use std::borrow::Cow;

use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{Object, ObjectPropName, Value},
    common::Ranged,
    errors::{ParseError, ParseErrorKind},
    parse_to_ast,
};
use serde::de::IgnoredAny;

use super::{Member, Node, NodeKind, Span, Syntax, members::Members, scalar, yaml};
use crate::diagnostic::{
    Diagnostic, Problems,
    codes::{NOT_UTF8, SYNTAX, TOO_DEEP, TOO_LARGE},
};

/// Longest file.
pub const MAX_BYTES: usize = 16 << 20;
/// Most arrays and objects inside each other.
pub const MAX_DEPTH: usize = 64;

/// Why a text gives no tree.
pub(super) type Refused = Box<Diagnostic>;

/// Cuts the byte order mark.
pub(super) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// Cap and encoding.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, Refused> {
    if bytes.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, at most {MAX_BYTES} are read", bytes.len());
        return Err(Box::new(Diagnostic::new(TOO_LARGE, 0..0, message)));
    }
    str::from_utf8(without_bom(bytes)).map_err(|error| {
        let at = error.valid_up_to();
        let mut diagnostic = Diagnostic::new(NOT_UTF8, at..at + 1, "this byte is not UTF-8");
        diagnostic.hint("save the file as UTF-8");
        Box::new(diagnostic)
    })
}

/// Syntax, then the tree. Duplicate keys and numbers out of range are reported; the tree lacks the former.
pub(super) fn parse(text: &str, syntax: Syntax, problems: &mut Problems) -> Result<Node, Refused> {
    match syntax {
        Syntax::Json => json(text, false, problems),
        Syntax::Jsonc => json(text, true, problems),
        Syntax::Yaml => yaml::parse(text, problems),
    }
}

fn json(text: &str, relaxed: bool, problems: &mut Problems) -> Result<Node, Refused> {
    let options = ParseOptions {
        allow_comments: relaxed,
        allow_trailing_commas: relaxed,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed =
        parse_to_ast(text, &CollectOptions::default(), &options).map_err(|error| refuse(&error, text))?;
    let Some(value) = parsed.value else {
        return Err(empty(text));
    };
    let root = Tree { text, problems }.node(value, 1)?;
    if !relaxed {
        strictly(text)?;
    }
    Ok(root)
}

/// There is nothing in the file.
pub(super) fn empty(text: &str) -> Refused {
    let mut diagnostic = Diagnostic::new(SYNTAX, text.len()..text.len(), "the file is empty");
    diagnostic.hint("a definition is one object");
    Box::new(diagnostic)
}

/// The parser lets through a few things that are not JSON (exotic white space): a strict one has the last word.
fn strictly(text: &str) -> Result<(), Refused> {
    let Err(error) = serde_json::from_str::<IgnoredAny>(text) else {
        return Ok(());
    };
    let line_start: usize =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = floor_boundary(text, (line_start + error.column().saturating_sub(1)).min(text.len()));
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    Err(Box::new(Diagnostic::new(SYNTAX, at..ceil_boundary(text, at + 1), message)))
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The first boundary of characters that is not before a byte.
pub(super) fn ceil_boundary(text: &str, mut at: usize) -> usize {
    while at < text.len() && !text.is_char_boundary(at) {
        at += 1;
    }
    at.min(text.len())
}

/// A syntax error in our words.
fn refuse(error: &ParseError, text: &str) -> Refused {
    let range = error.range();
    let start = range.start.min(text.len());
    let end = range.end.clamp(start, text.len());
    let kind = error.kind();
    if matches!(kind, ParseErrorKind::NestingDepthExceeded) {
        return too_deep(start);
    }
    let message = in_lower_case(kind.to_string());
    // An unterminated value spans all the rest of the file: its first character is enough.
    let unterminated = matches!(
        kind,
        ParseErrorKind::UnterminatedArray
            | ParseErrorKind::UnterminatedObject
            | ParseErrorKind::UnterminatedCommentBlock
    );
    let end = if unterminated { (start + 1).min(text.len()) } else { end };
    let mut diagnostic = Diagnostic::new(SYNTAX, start..end, message);
    if let Some(hint) = syntax_hint(kind) {
        diagnostic.hint(hint);
    }
    Box::new(diagnostic)
}

/// The message of a library as a fragment of ours.
pub(super) fn in_lower_case(mut message: String) -> String {
    if let Some(first) = message.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    message
}

fn syntax_hint(kind: &ParseErrorKind) -> Option<&'static str> {
    use ParseErrorKind as Kind;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is the parser's, and most of it needs no hint"
    )]
    match kind {
        Kind::CommentsNotAllowed | Kind::TrailingCommasNotAllowed => {
            Some("files that end in `.jsonc` may hold comments and trailing commas")
        }
        Kind::ExpectedComma => Some("put a comma between the values"),
        Kind::SingleQuotedStringsNotAllowed => Some("strings stand in double quotes"),
        Kind::ExpectedStringObjectProperty | Kind::UnexpectedWord => Some("words stand in double quotes"),
        _ => None,
    }
}

/// Too many arrays and objects inside each other.
pub(super) fn too_deep(at: usize) -> Refused {
    let message = format!("values are nested deeper than {MAX_DEPTH}");
    Box::new(Diagnostic::new(TOO_DEEP, at..at + 1, message))
}

/// Turns the tree of the JSON parser into ours.
struct Tree<'a, 'p> {
    text: &'a str,
    problems: &'p mut Problems,
}

impl<'a> Tree<'a, '_> {
    /// `depth` counts the arrays and objects around the value, itself included if it is one.
    fn node(&mut self, value: Value<'a>, depth: usize) -> Result<Node, Refused> {
        let range = value.range();
        let span = Span::new(range.start, range.end);
        if depth > MAX_DEPTH && matches!(value, Value::Array(_) | Value::Object(_)) {
            return Err(too_deep(range.start));
        }
        let kind = match value {
            Value::NullKeyword(_) => NodeKind::Null,
            Value::BooleanLit(literal) => NodeKind::Bool(literal.value),
            Value::NumberLit(literal) => NodeKind::Number(scalar::number(literal.value, span, self.problems)),
            Value::StringLit(literal) => NodeKind::Text(self.string(literal.value, span)?),
            Value::Array(array) => {
                let elements = array.elements.into_iter().map(|element| self.node(element, depth + 1));
                NodeKind::Array(elements.collect::<Result<_, _>>()?)
            }
            Value::Object(object) => NodeKind::Object(self.members(object, depth)?),
        };
        Ok(Node { span, kind })
    }

    fn members(&mut self, object: Object<'a>, depth: usize) -> Result<Vec<Member>, Refused> {
        let mut members = Members::with_capacity(object.properties.len());
        for property in object.properties {
            let range = property.name.range();
            let key_span = Span::new(range.start, range.end);
            let key = match property.name {
                ObjectPropName::String(literal) => self.string(literal.value, key_span)?,
                ObjectPropName::Word(literal) => literal.value.into(),
            };
            let value = self.node(property.value, depth + 1)?;
            members.push(key, key_span, value, self.problems);
        }
        Ok(members.into_list())
    }

    /// Control characters must be escaped in JSON; the parser does not mind them.
    fn string(&self, value: Cow<'a, str>, span: Span) -> Result<Box<str>, Refused> {
        let raw = &self.text.as_bytes()[span.range()];
        if let Some(at) = raw.iter().position(|byte| *byte < b' ') {
            let at = span.start() + at;
            let mut diagnostic = Diagnostic::new(SYNTAX, at..at + 1, "control character in a string");
            diagnostic.hint("write it as an escape: `\\n`, `\\t`, `\\u0000`");
            return Err(Box::new(diagnostic));
        }
        Ok(value.into())
    }
}
