//! `skill.json`: a named callable with typed inputs and outputs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Protocols in which a skill's program may speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// One JSON object on stdin, one JSON value on stdout.
    #[default]
    #[serde(rename = "json-stdio@1")]
    JsonStdio1,
    /// Arguments are templates over the inputs; stdout is text.
    #[serde(rename = "text")]
    Text,
}
