//! `file-write`: puts text into a file. Folders are not made.

use std::{
    fs::{File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    catalog::{Builtin, Needs},
    files,
    input::{self, BadInput},
    json_text,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "file-write",
    description: "Writes a file, or appends to it.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "description": "Relative paths start at the step's cwd."},
            "content": {"description": "Text, or any value, which is written as compact JSON."},
            "append": {"type": "boolean", "default": false},
            "mode": {"type": "string", "pattern": "^[0-7]{3,4}$", "description": "Permissions in octal digits, \"0644\" say; those of an existing file stay unless given."}
        },
        "required": ["path", "content"],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {"bytes": {"type": "integer", "minimum": 0, "description": "Bytes written."}},
        "required": ["bytes"],
        "additionalProperties": false
    }"#,
    // Appending twice is not appending once.
    idempotent: false,
    needs: Needs::Files,
    execute: Some(execute),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs<'a> {
    #[serde(default, deserialize_with = "input::present")]
    path: Option<String>,
    #[serde(borrow, default, deserialize_with = "input::present")]
    content: Option<&'a RawValue>,
    #[serde(default)]
    append: bool,
    #[serde(default, deserialize_with = "input::present")]
    mode: Option<String>,
}

#[derive(Serialize)]
struct Written {
    bytes: usize,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs<'_> = input::parse(inputs)?;
    let path = input::required(inputs.path, "path")?;
    files::check_path(&path, "/path")?;
    let content = json_text::plain_text(input::required(inputs.content, "content")?)
        .map_err(|error| BadInput::new("/content", error.to_string()))?;
    let mode = inputs.mode.as_deref().map(permissions).transpose()?;
    let file = files::open_for_writing(&path, mode.as_ref())?;
    write(file, &content, inputs.append, mode).map_err(|error| files::failed("write", &path, &error))?;
    value(&Written { bytes: content.len() })
}

fn write(mut file: File, content: &str, append: bool, mode: Option<Permissions>) -> io::Result<()> {
    if let Some(mode) = mode {
        // The mode of open(2) is cut by the umask, and ignored for a file that exists.
        file.set_permissions(mode)?;
    }
    if append {
        io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
    } else {
        file.set_len(0)?;
    }
    file.write_all(content.as_bytes())
}

fn permissions(digits: &str) -> Result<Permissions, BadInput> {
    let bad = || BadInput::new("/mode", "expected three or four octal digits, \"0644\" say");
    if !(3..=4).contains(&digits.len()) || !digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        return Err(bad());
    }
    u32::from_str_radix(digits, 8).map(Permissions::from_mode).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value as Tree, json};

    use super::*;
    use crate::skills::testing::{Directory, bad_input, error, value};

    /// Writes the inputs' content into `file`, which must hold `expected` then.
    #[track_caller]
    fn check(directory: &Directory, mut inputs: Tree, bytes: usize, expected: &str) {
        inputs["path"] = json!(directory.path("file"));
        value("file-write", &inputs.to_string(), &json!({ "bytes": bytes }).to_string());
        assert_eq!(fs::read_to_string(directory.path("file")).expect("readable"), expected);
    }

    #[test]
    fn writes_and_appends() {
        let directory = Directory::new();
        check(&directory, json!({ "content": "long content" }), 12, "long content");
        check(&directory, json!({ "content": "é\n" }), 3, "é\n");
        check(&directory, json!({ "content": "more", "append": true }), 4, "é\nmore");
        check(&directory, json!({ "content": {"a": [1, null]} }), 14, r#"{"a":[1,null]}"#);
        check(&directory, json!({ "content": "" }), 0, "");
    }

    #[test]
    fn sets_permissions() {
        let directory = Directory::new();
        let mode = || fs::metadata(directory.path("file")).expect("exists").permissions().mode() & 0o7777;
        check(&directory, json!({ "content": "", "mode": "0666" }), 0, "");
        assert_eq!(mode(), 0o666);
        check(&directory, json!({ "content": "x", "mode": "600" }), 1, "x");
        assert_eq!(mode(), 0o600);
        check(&directory, json!({ "content": "y" }), 1, "y");
        assert_eq!(mode(), 0o600);
    }

    #[track_caller]
    fn check_error(directory: &Directory, name: &str, code: &str) {
        let inputs = json!({ "path": directory.path(name), "content": "x" }).to_string();
        error("file-write", &inputs, code);
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let directory = Directory::new();
        directory.fifo("fifo");
        check_error(&directory, "fifo", "NOT_A_FILE");
        check_error(&directory, ".", "NOT_A_FILE");
        check_error(&directory, "none/file", "NOT_FOUND");
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("file-write", r#"{"content":""}"#, "/path", "`path` is required");
        bad_input("file-write", r#"{"path":"a"}"#, "/content", "`content` is required");
        for mode in ["", "8", "99", "-644", "+644", "00644"] {
            let inputs = json!({ "path": "none/a", "content": "", "mode": mode }).to_string();
            bad_input("file-write", &inputs, "/mode", "expected three or four octal digits, \"0644\" say");
        }
    }
}
