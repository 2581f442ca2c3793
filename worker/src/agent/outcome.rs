//! The result of an agent: what it handed over, else the last JSON block of its text, else the text; held against
//! the schema, if there is one.

use schemas::json::Json;
use serde_json::Value;

use super::Error;

/// The result that a text holds.
pub(super) fn of_text(text: &str) -> Json {
    let block = last_block(text).or_else(|| Json::parse(text.trim()).ok());
    block.unwrap_or_else(|| Json::from_serialize(&text.trim()).unwrap_or_else(|_| Json::null()))
}

/// The last block between fences that is JSON.
fn last_block(text: &str) -> Option<Json> {
    let blocks: Vec<&str> = text.split("```").collect();
    let mut inside = blocks.iter().skip(1).step_by(2).rev();
    inside.find_map(|block| {
        let block = block.strip_prefix("json").unwrap_or(block);
        Json::parse(block.trim()).ok()
    })
}

/// What a model is told of a result that does not fit.
pub(super) fn complaint(pointer: &str, message: &str) -> String {
    format!("the result does not fit its schema at `{pointer}`: {message}. Correct it.")
}

/// Holds a result against the schema.
pub(super) fn check(schema: Option<&Json>, value: &Json) -> Result<(), Error> {
    let Some(schema) = schema else { return Ok(()) };
    let schema: Value = serde_json::from_str(schema.as_str()).unwrap_or_default();
    let validator = jsonschema::validator_for(&schema)
        .map_err(|error| Error::permanent(format!("the output schema is wrong: {error}")))?;
    let value: Value = serde_json::from_str(value.as_str())
        .map_err(|error| Error::Output { pointer: String::new(), message: error.to_string() })?;
    validator.validate(&value).map_err(|error| Error::Output {
        pointer: error.instance_path().to_string(),
        message: error.to_string().chars().take(500).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(text: &str, expected: &str) {
        assert_eq!(of_text(text).as_str(), expected, "{text:?}");
    }

    #[test]
    fn the_last_json_block_counts_else_the_text() {
        check_text("done", r#""done""#);
        check_text(" [1, 2] ", "[1, 2]");
        check_text("```json\n{\"a\":1}\n``` then ```json\n{\"b\":2}\n``` end", r#"{"b":2}"#);
        check_text("```json\n{\"a\":1}\n``` and ```sh\nls\n```", r#"{"a":1}"#);
        check_text("```sh\nls\n```", r#""```sh\nls\n```""#);
        check_text("", r#""""#);
    }

    #[test]
    fn a_misfit_says_where() {
        let schema = Json::parse(r#"{"properties":{"n":{"type":"integer"}}}"#).expect("json");
        let value = |text| Json::parse(text).expect("json");
        assert!(check(Some(&schema), &value(r#"{"n":1}"#)).is_ok());
        let Err(Error::Output { pointer, .. }) = check(Some(&schema), &value(r#"{"n":"x"}"#)) else {
            panic!("it does not fit");
        };
        assert_eq!(pointer, "/n");
    }
}
