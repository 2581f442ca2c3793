//! [`Diagnostic`]: one problem of a definition, with its place in the text.

pub mod codes;
mod lines;
mod problems;

use std::ops::Range;

pub use lines::{LineIndex, Position};
pub use problems::{MAX_PROBLEMS, Problems};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The definition cannot run.
    Error,
    /// It can, but is probably not what was meant.
    Warning,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `E012` or `W003`; a page in `docs/errors/` explains each.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: a fragment in lower case.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// Bytes of the text (of the text after a BOM).
    pub span: Range<usize>,
    /// JSON pointer to the place.
    pub pointer: String,
    /// A second place, with a word on it.
    pub note: Option<(Range<usize>, String)>,
    /// An edit that would mend it.
    pub suggestion: Option<Suggestion>,
}

/// An edit: the text in `span` becomes `replacement`. Quotes around a string are not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// Bytes of the text (of the text after a BOM).
    pub span: Range<usize>,
    /// What stands there instead.
    pub replacement: String,
}

impl Diagnostic {
    /// A problem without pointer: [`Problems::finish`] works it out from the span.
    pub fn new(code: codes::Code, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code: code.id,
            severity: code.severity(),
            message: message.into(),
            hint: None,
            span,
            pointer: String::new(),
            note: None,
            suggestion: None,
        }
    }

    /// Says how to mend it.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// Points at a second place.
    pub fn note(&mut self, span: Range<usize>, note: impl Into<String>) -> &mut Self {
        self.note = Some((span, note.into()));
        self
    }

    /// Says that the place is a member of the object around it which the tree does not hold.
    pub(crate) fn below(&mut self, key: &str) -> &mut Self {
        self.pointer = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
        self
    }

    /// Offers an edit.
    pub fn suggest(&mut self, span: Range<usize>, replacement: impl Into<String>) -> &mut Self {
        self.suggestion = Some(Suggestion { span, replacement: replacement.into() });
        self
    }
}
