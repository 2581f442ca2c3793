//! Judges single values: types, words, numbers, units, names and ids.

use schemas::{
    definition::{MAX_NAME, MAX_STEP_ID, RESERVED_IDS, Shape},
    failure::Code,
};

use super::super::{Node, NodeKind, in_words, nearest, scalar::shortened};
use crate::{
    diagnostic::{
        Problems,
        codes::{BAD_DURATION, BAD_NAME, BAD_SIZE, BAD_STEP_ID, BAD_VALUE, BAD_VERSION, WRONG_TYPE},
    },
    units,
};

/// Whether a value has the JSON type of a shape.
pub(super) fn accepts(shape: &Shape, node: &Node) -> bool {
    match shape {
        Shape::Any | Shape::Value => true,
        Shape::Text
        | Shape::Template
        | Shape::Expression
        | Shape::Name
        | Shape::Version
        | Shape::StepId
        | Shape::FailureCode
        | Shape::Word(_) => matches!(node.kind, NodeKind::Text(_)),
        Shape::Boolean => matches!(node.kind, NodeKind::Bool(_)),
        Shape::Integer { .. } | Shape::Positive => matches!(node.kind, NodeKind::Number(_)),
        Shape::Duration { .. } | Shape::Size { .. } => {
            matches!(node.kind, NodeKind::Number(_) | NodeKind::Text(_))
        }
        Shape::Object(_) | Shape::Tagged(_) | Shape::Map(_) => node.is_object(),
        Shape::List { .. } => matches!(node.kind, NodeKind::Array(_)),
        Shape::Either(shapes) => shapes.iter().any(|shape| accepts(shape, node)),
        Shape::Nullable(shape) => node.kind == NodeKind::Null || accepts(shape, node),
    }
}

/// What a shape wants, with its article.
pub(super) fn expected(shape: &Shape) -> String {
    let text = match shape {
        Shape::Any | Shape::Value => "any value",
        Shape::Text
        | Shape::Template
        | Shape::Expression
        | Shape::Name
        | Shape::Version
        | Shape::StepId
        | Shape::FailureCode => "a string",
        Shape::Boolean => "`true` or `false`",
        Shape::Integer { .. } => "a whole number",
        Shape::Positive => "a number",
        Shape::Duration { .. } => "a duration: seconds, or text such as \"30s\"",
        Shape::Size { .. } => "a size: bytes, or text such as \"512MiB\"",
        Shape::Word(words) => return format!("one of {}", in_words(words.iter().copied())),
        Shape::Object(_) | Shape::Tagged(_) | Shape::Map(_) => "an object",
        Shape::List { .. } => "an array",
        Shape::Either(shapes) => {
            let each: Vec<_> = shapes.iter().map(expected).collect();
            return each.join(", or ");
        }
        Shape::Nullable(shape) => return expected(shape),
    };
    text.to_owned()
}

/// Judges a value whose JSON type fits.
pub(super) fn scalar(node: &Node, shape: &Shape, name: &str, problems: &mut Problems) {
    let text = node.as_text().unwrap_or_default();
    let number = node.as_number().unwrap_or_default();
    match shape {
        Shape::Integer { least, most } => integer(node, number, (*least, *most), name, problems),
        Shape::Positive if number.parse::<f64>().is_ok_and(|number| number > 0.0) => {}
        Shape::Positive => {
            problems.report(BAD_VALUE, node.span.range(), format!("`{name}` must be greater than 0"));
        }
        Shape::Duration { zero } => duration(node, *zero, name, problems),
        Shape::Size { zero } => size(node, *zero, name, problems),
        Shape::Word(words) if words.contains(&text) => {}
        Shape::Word(words) => bad_word(node, text, &mut words.iter().copied(), name, problems),
        Shape::Name => workflow_name(node, text, problems),
        Shape::Version => version(node, text, problems),
        Shape::StepId => step_id(node, text, problems),
        Shape::FailureCode => failure_code(node, text, name, problems),
        Shape::Any
        | Shape::Value
        | Shape::Text
        | Shape::Template
        | Shape::Expression
        | Shape::Boolean
        | Shape::Object(_)
        | Shape::Tagged(_)
        | Shape::Map(_)
        | Shape::List { .. }
        | Shape::Either(_)
        | Shape::Nullable(_) => {}
    }
}

/// Reports a word that is not in the list of those allowed.
pub(super) fn bad_word(
    node: &Node,
    word: &str,
    allowed: &mut dyn Iterator<Item = &'static str>,
    name: &str,
    problems: &mut Problems,
) {
    let allowed: Vec<_> = allowed.collect();
    let span = node.span.range();
    let message = format!("`{}` is not a value of `{name}`", shortened(word));
    let report = problems.report(BAD_VALUE, span.clone(), message);
    match nearest(word, allowed.iter().copied()) {
        Some(near) => report.hint(format!("did you mean `{near}`?")).suggest(span, near),
        None => report.hint(format!("one of {}", in_words(allowed))),
    };
}

fn integer(node: &Node, number: &str, (least, most): (u64, u64), name: &str, problems: &mut Problems) {
    if number.contains(['.', 'e', 'E']) {
        problems.report(WRONG_TYPE, node.span.range(), format!("`{name}` must be a whole number"));
        return;
    }
    if !number.parse::<u64>().is_ok_and(|number| (least..=most).contains(&number)) {
        let message = format!("`{name}` must be between {least} and {most}");
        problems.report(BAD_VALUE, node.span.range(), message);
    }
}

fn duration(node: &Node, zero: bool, name: &str, problems: &mut Problems) {
    let span = node.span.range();
    match node.duration() {
        Ok(duration) if duration.is_zero() && !zero => {
            problems.report(BAD_DURATION, span, format!("`{name}` must be longer than 0"));
        }
        Ok(_) => {}
        Err(error) => {
            let hint = "write a whole number of seconds, or text such as \"250ms\", \"30s\", \"1h30m\"";
            problems.report(BAD_DURATION, span, format!("`{name}` {error}")).hint(hint);
        }
    }
}

fn size(node: &Node, zero: bool, name: &str, problems: &mut Problems) {
    let span = node.span.range();
    match node.size() {
        Ok(units::Bytes(0)) if !zero => {
            problems.report(BAD_SIZE, span, format!("`{name}` must be greater than 0"));
        }
        Ok(_) => {}
        Err(error) => {
            let hint = "write a whole number of bytes, or text such as \"512MiB\" or \"2GB\"";
            problems.report(BAD_SIZE, span, format!("`{name}` {error}")).hint(hint);
        }
    }
}

fn workflow_name(node: &Node, text: &str, problems: &mut Problems) {
    let fits = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= MAX_NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !fits {
        problems
            .report(BAD_NAME, node.span.range(), format!("`{}` is not a name of a workflow", shortened(text)))
            .hint(format!("letters, digits, `.`, `_` and `-`, a letter or digit first, at most {MAX_NAME}"));
    }
}

fn version(node: &Node, text: &str, problems: &mut Problems) {
    if let Err(error) = semver::Version::parse(text) {
        problems
            .report(
                BAD_VERSION,
                node.span.range(),
                format!("`{}` is no semantic version: {error}", shortened(text)),
            )
            .hint("three numbers, as in `1.0.0`");
    }
}

fn step_id(node: &Node, text: &str, problems: &mut Problems) {
    let fits = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.len() <= MAX_STEP_ID
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let span = node.span.range();
    if !fits {
        problems
            .report(BAD_STEP_ID, span, format!("`{}` is not an id", shortened(text)))
            .hint(format!("letters, digits, `_` and `-`, no `-` first, at most {MAX_STEP_ID}"));
    } else if RESERVED_IDS.contains(&text) {
        problems
            .report(BAD_STEP_ID, span, format!("the id `{text}` is reserved"))
            .hint("references and expressions use it for something else: choose another");
    }
}

fn failure_code(node: &Node, text: &str, name: &str, problems: &mut Problems) {
    let word = text.split_once(':').map_or(text, |(word, _)| word);
    if !Code::ALL.iter().any(|code| code.as_str() == word) {
        bad_word(node, word, &mut Code::ALL.iter().map(|code| code.as_str()), name, problems);
    }
}

impl Node {
    /// The value as a duration; judged by its shape, so that it is a number or text.
    pub(crate) fn duration(&self) -> Result<std::time::Duration, units::Error> {
        match (self.as_number(), self.as_text()) {
            (Some(number), _) => units::duration_from_number(number),
            (None, Some(text)) => units::duration_from_text(text),
            (None, None) => Err(units::Error::NotDuration),
        }
    }

    /// The value as a size.
    pub(crate) fn size(&self) -> Result<units::Bytes, units::Error> {
        match (self.as_number(), self.as_text()) {
            (Some(number), _) => units::size_from_number(number),
            (None, Some(text)) => units::size_from_text(text),
            (None, None) => Err(units::Error::NotSize),
        }
    }
}
