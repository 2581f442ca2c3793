//! `validate --json`: every problem of every file.

use schemars::JsonSchema;
use serde::Serialize;

use crate::words;

words! {
    /// How bad a problem is.
    Severity {
        /// The definition cannot run.
        Error = "error",
        /// It can, but is probably not what was meant.
        Warning = "warning",
    }
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Validation {
    /// Version of this shape.
    pub schema_version: u32,
    /// Whether no file has an error (with `--strict`: no warning either).
    pub valid: bool,
    /// The files in the order in which they were named.
    pub files: Vec<ValidatedFile>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ValidatedFile {
    /// The file as it was named; `<stdin>` for `-`.
    pub file: String,
    /// Its problems, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// One problem. Lines and columns are 1-based; columns count Unicode characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Diagnostic {
    /// `E012` or `W003`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// Line of its first character.
    pub line: u64,
    /// Column of its first character.
    pub column: u64,
    /// Line of the place after its last character.
    pub end_line: u64,
    /// Column of the place after its last character.
    pub end_column: u64,
    /// JSON pointer to it.
    pub pointer: String,
    /// A second place that has to do with it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
    /// An edit that would mend it.
    pub suggestion: Option<Suggestion>,
}

/// A second place, and what it has to do with the problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Note {
    /// What is there.
    pub message: String,
    /// Line of its first character.
    pub line: u64,
    /// Column of its first character.
    pub column: u64,
}

/// An edit within one line: the characters from `column` up to, not including, `end_column` are replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Suggestion {
    /// What stands there instead.
    pub replacement: String,
    /// The line.
    pub line: u64,
    /// Column of the first character that goes.
    pub column: u64,
    /// Column of the first character that stays.
    pub end_column: u64,
}
