//! [`Diagnostic`]: one problem of a definition, with its place in the text.

use std::ops::Range;

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
    /// A replacement of the text in `span`.
    pub suggestion: Option<String>,
}
