//! [`Problems`]: collects diagnostics up to a bound, and sorts them by place.

use std::ops::Range;

use super::{
    Diagnostic, Severity, Suggestion,
    codes::{Code, TOO_MANY},
};

/// Most errors, and most warnings, of one file: beyond it they are only counted.
pub const MAX_PROBLEMS: usize = 1000;

/// Diagnostics of one file, in the making.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    list: Vec<Diagnostic>,
    omitted: usize,
    errors: usize,
    warnings: usize,
    /// Takes the place of a diagnostic beyond the bound.
    spare: Option<Diagnostic>,
}

impl Problems {
    /// Adds one; what comes back can be given a hint, a note, a suggestion.
    pub fn report(&mut self, code: Code, span: Range<usize>, message: impl Into<String>) -> &mut Diagnostic {
        let diagnostic = Diagnostic::new(code, span, message);
        let count = match diagnostic.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count > MAX_PROBLEMS {
            self.omitted += 1;
            self.spare.insert(diagnostic)
        } else {
            self.list.push(diagnostic);
            let last = self.list.len() - 1;
            &mut self.list[last]
        }
    }

    /// Whether further errors are only counted: no need to look for good hints.
    pub fn is_full(&self) -> bool {
        self.errors >= MAX_PROBLEMS
    }

    /// How many errors were reported so far.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// All of them, sorted by place, each with the pointer that `pointer` finds for its span.
    /// Edits are those of `text`.
    pub fn finish(mut self, text: &str, pointer: impl Fn(&Range<usize>) -> String) -> Vec<Diagnostic> {
        self.list.sort_by(|a, b| {
            let key = |d: &Diagnostic| (d.span.start, d.severity, d.span.end, d.code);
            key(a).cmp(&key(b))
        });
        for diagnostic in &mut self.list {
            diagnostic.pointer.insert_str(0, &pointer(&diagnostic.span));
            diagnostic.suggestion =
                diagnostic.suggestion.take().and_then(|suggestion| within_quotes(suggestion, text));
        }
        if self.omitted > 0 {
            let end = self.list.last().map_or(0..0, |last| last.span.clone());
            let message = format!("{} more problems are not shown", self.omitted);
            let mut last = Diagnostic::new(TOO_MANY, end, message);
            last.hint("mend those above first");
            self.list.push(last);
        }
        self.list
    }
}

/// An edit of a whole value as an edit of what stands between its quotes. What is written in another way (as an
/// alias, in a block of lines) cannot be replaced by a word.
fn within_quotes(mut suggestion: Suggestion, text: &str) -> Option<Suggestion> {
    let written = text.get(suggestion.span.clone())?;
    if written.starts_with(['*', '|', '>']) || written.contains('\n') {
        return None;
    }
    let quoted = written.len() >= 2 && written.starts_with(['"', '\'']);
    if quoted && written.ends_with(&written[..1]) {
        suggestion.span = suggestion.span.start + 1..suggestion.span.end - 1;
    }
    Some(suggestion)
}
