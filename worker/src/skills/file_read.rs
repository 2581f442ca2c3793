//! `file-read`: the content of a file.

use std::{io::Read, num::NonZeroU64};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{
    catalog::{Builtin, Needs},
    files, input,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "file-read",
    description: "Gives the content of a file.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "description": "Relative paths start at the step's cwd."},
            "max_bytes": {"type": "integer", "minimum": 1, "default": 8388608, "description": "A larger file is an error."}
        },
        "required": ["path"],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {
            "content": {"type": "string", "description": "Text; base64 when it is not UTF-8."},
            "encoding": {"const": "base64", "description": "There only when `content` is base64."}
        },
        "required": ["content"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Files,
    execute: Some(execute),
};

const DEFAULT_MAX_BYTES: u64 = 8 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default, deserialize_with = "input::present")]
    path: Option<String>,
    #[serde(default, deserialize_with = "input::present")]
    max_bytes: Option<NonZeroU64>,
}

#[derive(Serialize)]
struct Content {
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

#[derive(Serialize)]
struct Limit {
    max_bytes: u64,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs = input::parse(inputs)?;
    let path = input::required(inputs.path, "path")?;
    files::check_path(&path, "/path")?;
    let max_bytes = inputs.max_bytes.map_or(DEFAULT_MAX_BYTES, NonZeroU64::get);
    let mut bytes = Vec::new();
    files::open_existing(&path)?
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| files::failed("read", &path, &error))?;
    if bytes.len() as u64 > max_bytes {
        let message = format!("`{path}` is larger than {max_bytes} bytes");
        return Err(Failure::permanent("TOO_LARGE", message).with_details(&Limit { max_bytes }));
    }
    value(&match String::from_utf8(bytes) {
        Ok(content) => Content { content, encoding: None },
        Err(error) => Content { content: STANDARD.encode(error.as_bytes()), encoding: Some("base64") },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::skills::testing::{Directory, bad_input, error, value};

    #[track_caller]
    fn check(content: &[u8], expected: &str) {
        let directory = Directory::new();
        directory.write("file", content);
        value("file-read", &directory.inputs("file"), expected);
    }

    #[test]
    fn gives_the_content() {
        check(b"", r#"{"content":""}"#);
        check("naïve\n".as_bytes(), r#"{"content":"naïve\n"}"#);
        check(b"\xff\x00\x01", r#"{"content":"/wAB","encoding":"base64"}"#);
    }

    #[test]
    fn large_files_are_errors() {
        let directory = Directory::new();
        directory.write("file", "12345");
        let inputs =
            |max_bytes| json!({ "path": directory.path("file"), "max_bytes": max_bytes }).to_string();
        value("file-read", &inputs(5), r#"{"content":"12345"}"#);
        error("file-read", &inputs(4), "TOO_LARGE");
    }

    #[test]
    fn what_is_no_file_is_an_error() {
        let directory = Directory::new();
        directory.fifo("fifo");
        error("file-read", &directory.inputs("fifo"), "NOT_A_FILE");
        error("file-read", &directory.inputs("."), "NOT_A_FILE");
        error("file-read", &directory.inputs("none"), "NOT_FOUND");
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("file-read", "{}", "/path", "`path` is required");
        bad_input("file-read", r#"{"path":""}"#, "/path", "the path is empty");
    }
}
