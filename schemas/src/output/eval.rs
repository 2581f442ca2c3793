//! What `eval --json` prints, and each line of `eval --batch`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{failure::Code, json::Json};

/// Version of the shape of an [`AnswerLine`].
pub const ANSWER_VERSION: u32 = 1;

/// What comes of an expression.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It has a value.
    Value(Json),
    /// It is wrong.
    Error(Wrong),
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Wrong {
    /// `expression_error` or `missing_reference`.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// The character at which it is, from 1; `null` where it is the whole.
    pub column: Option<usize>,
}

/// One answer of `--batch`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AnswerLine {
    /// [`ANSWER_VERSION`].
    pub v: u32,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
}
