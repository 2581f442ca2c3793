//! From the JSON text of the inputs to a skill's own type, with a JSON pointer to what does not fit.

use serde::{Deserialize, Deserializer};
use serde_path_to_error::Segment;

use super::pointer;

/// The inputs do not fit the skill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad input at `{pointer}`: {message}")]
pub struct BadInput {
    /// JSON pointer into the inputs.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

impl BadInput {
    /// A complaint about the value at `pointer`.
    pub(super) fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

/// Reads the inputs into the skill's type.
pub(super) fn parse<'a, T: Deserialize<'a>>(inputs: &'a str) -> Result<T, BadInput> {
    // A derived `Deserialize` would take an array for the fields in their order.
    if !inputs.trim_start().starts_with('{') {
        return Err(BadInput::new("", "the inputs are not an object"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(inputs);
    let parsed = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer_of(error.path());
        BadInput::new(pointer, without_position(error.inner()))
    })?;
    deserializer.end().map_err(|error| BadInput::new("", without_position(&error)))?;
    Ok(parsed)
}

/// Unwraps an input that must be given.
pub(super) fn required<T>(value: Option<T>, name: &str) -> Result<T, BadInput> {
    value.ok_or_else(|| BadInput::new(format!("/{name}"), format!("`{name}` is required")))
}

/// For optional inputs: absent is `None`, and `null` is no value of its type. (Without this serde takes
/// `null` for absent, against the published schema.)
pub(super) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer::push(&mut text, &index.to_string()),
            Segment::Map { key } => pointer::push(&mut text, key),
            Segment::Enum { variant } => pointer::push(&mut text, variant),
            Segment::Unknown => {}
        }
    }
    text
}

/// The parser's message less ` at line 1 column 17`: nobody sees the text in which that would be.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&position).unwrap_or(&message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inputs {
        #[serde(default, deserialize_with = "present")]
        path: Option<String>,
        #[serde(default)]
        accept: Vec<u16>,
    }

    #[track_caller]
    fn check(inputs: &str, pointer: &str, message: &str) {
        let error = parse::<Inputs>(inputs).expect_err("the inputs do not fit");
        assert_eq!((error.pointer.as_str(), error.message.as_str()), (pointer, message), "{inputs}");
    }

    #[test]
    fn points_at_what_does_not_fit() {
        check(r#"{"path":1}"#, "/path", "invalid type: integer `1`, expected a string");
        check(r#"{"path":null}"#, "/path", "invalid type: null, expected a string");
        check(r#"{"accept":[200,"x"]}"#, "/accept/1", "invalid type: string \"x\", expected u16");
        check(r#"{"a/b~c":1}"#, "/a~1b~0c", "unknown field `a/b~c`, expected `path` or `accept`");
        check(r#"{"path":"a","path":"b"}"#, "", "duplicate field `path`");
        check(r"{} {}", "", "trailing characters");
        check("[]", "", "the inputs are not an object");
        check("", "", "the inputs are not an object");
        check("{", "", "EOF while parsing an object");
    }

    #[test]
    fn says_what_is_missing() {
        let inputs = parse::<Inputs>(r#"{"accept":[200]}"#).expect("fits");
        assert_eq!(inputs.accept, [200]);
        let error = required(inputs.path, "path").expect_err("not given");
        assert_eq!(error, BadInput::new("/path", "`path` is required"));
    }
}
