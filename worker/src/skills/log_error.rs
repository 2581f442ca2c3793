//! `log-error`: one line on stderr, which is the step's log.

use std::io::{self, Write};

use schemas::json::Json;
use serde::{Deserialize, Serialize};

use super::{
    catalog::{Builtin, Needs},
    input,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "log-error",
    description: "Writes one line to the step's log.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "message": {"default": "error", "description": "Text, or any value, which is written as JSON."},
            "level": {"enum": ["debug", "info", "warn", "error"], "default": "error"}
        },
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {"logged": {"description": "The message."}},
        "required": ["logged"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Nothing,
    execute: Some(execute),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default, deserialize_with = "input::present")]
    message: Option<Json>,
    #[serde(default)]
    level: Level,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Debug,
    Info,
    Warn,
    #[default]
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

#[derive(Serialize)]
struct Logged {
    logged: Json,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    log(inputs, &mut io::stderr())
}

fn log(inputs: &str, to: &mut dyn Write) -> Result<Value, Failure> {
    let inputs: Inputs = input::parse(inputs)?;
    let message = match inputs.message {
        Some(message) => message,
        None => value(&"error")?,
    };
    let line = line(inputs.level, &message);
    to.write_all(line.as_bytes())
        .and_then(|()| to.flush())
        .map_err(|error| Failure::permanent("IO", format!("failed to write to the log: {error}")))?;
    value(&Logged { logged: message })
}

/// `level: message`, as exactly one line whatever the message holds.
fn line(level: Level, message: &Json) -> String {
    let text = serde_json::from_str::<String>(message.as_str());
    let mut line = format!("{}: ", level.as_str());
    for c in text.as_deref().unwrap_or(message.as_str()).chars() {
        if breaks_a_line(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

/// Control characters, the other line breaks of Unicode, and what turns the direction of writing.
fn breaks_a_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skills::testing::{bad_input, value};

    #[track_caller]
    fn check(inputs: &str, expected_line: &str, expected_value: &str) {
        let mut written = Vec::new();
        let value = log(inputs, &mut written).expect("fits");
        assert_eq!(String::from_utf8_lossy(&written), expected_line);
        assert_eq!(value.as_str(), expected_value);
    }

    #[test]
    fn writes_one_line() {
        check("{}", "error: error\n", r#"{"logged":"error"}"#);
        check(r#"{"message":"no data","level":"warn"}"#, "warn: no data\n", r#"{"logged":"no data"}"#);
        check(
            r#"{"message":"a\nb\u001b[2Jc\u2028d"}"#,
            "error: a\\nb\\u{1b}[2Jc\\u{2028}d\n",
            r#"{"logged":"a\nb\u001b[2Jc\u2028d"}"#,
        );
        check(r#"{"message":{"a":1}}"#, "error: {\"a\":1}\n", r#"{"logged":{"a":1}}"#);
        check(r#"{"message":null}"#, "error: null\n", r#"{"logged":null}"#);
        check(r#"{"message":"naïve"}"#, "error: naïve\n", r#"{"logged":"naïve"}"#);
    }

    #[test]
    fn runs_without_inputs() {
        value("log-error", "{}", r#"{"logged":"error"}"#);
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input(
            "log-error",
            r#"{"level":"loud"}"#,
            "/level",
            "unknown variant `loud`, expected one of `debug`, `info`, `warn`, `error`",
        );
    }
}
