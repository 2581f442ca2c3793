//! `file-copy`: one file to another path, permissions included.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt,
};

use serde::{Deserialize, Serialize};

use super::{
    catalog::{Builtin, Needs},
    files, input,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "file-copy",
    description: "Copies a file with its permissions; what was there is replaced.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "description": "The file. Relative paths start at the step's cwd."},
            "to": {"type": "string", "minLength": 1, "description": "The path of the copy, no folder."}
        },
        "required": ["path", "to"],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {"bytes": {"type": "integer", "minimum": 0, "description": "Bytes copied."}},
        "required": ["bytes"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Files,
    execute: Some(execute),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default, deserialize_with = "input::present")]
    path: Option<String>,
    #[serde(default, deserialize_with = "input::present")]
    to: Option<String>,
}

#[derive(Serialize)]
struct Copied {
    bytes: u64,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs = input::parse(inputs)?;
    let (from, to) = (input::required(inputs.path, "path")?, input::required(inputs.to, "to")?);
    files::check_path(&from, "/path")?;
    files::check_path(&to, "/to")?;
    let source = files::open_existing(&from)?;
    let metadata = source.metadata().map_err(|error| files::failed("read", &from, &error))?;
    let target = files::open_for_writing(&to, Some(&metadata.permissions()))?;
    let failed = |error: io::Error| files::failed("copy to", &to, &error);
    if is_same_file(&metadata, &target.metadata().map_err(failed)?) {
        return Err(Failure::permanent("SAME_FILE", format!("`{from}` and `{to}` are the same file")));
    }
    let bytes = copy(source, target, &metadata).map_err(failed)?;
    value(&Copied { bytes })
}

/// Emptying the target would empty the source.
fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn copy(mut source: File, mut target: File, metadata: &Metadata) -> io::Result<u64> {
    target.set_permissions(metadata.permissions())?;
    target.set_len(0)?;
    io::copy(&mut source, &mut target)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use serde_json::json;

    use crate::skills::testing::{Directory, bad_input, error, value};

    fn inputs(directory: &Directory, from: &str, to: &str) -> String {
        json!({ "path": directory.path(from), "to": directory.path(to) }).to_string()
    }

    #[test]
    fn copies_content_and_permissions() {
        let directory = Directory::new();
        directory.write("from", "12345");
        fs::set_permissions(directory.path("from"), fs::Permissions::from_mode(0o750)).expect("writable");
        directory.write("old", "longer than that");
        for to in ["new", "old"] {
            value("file-copy", &inputs(&directory, "from", to), r#"{"bytes":5}"#);
            assert_eq!(fs::read(directory.path(to)).expect("readable"), b"12345");
            let mode = fs::metadata(directory.path(to)).expect("exists").permissions().mode();
            assert_eq!(mode & 0o777, 0o750, "{to}");
        }
    }

    #[test]
    fn never_empties_its_source() {
        let directory = Directory::new();
        directory.write("file", "12345");
        fs::hard_link(directory.path("file"), directory.path("link")).expect("writable");
        for to in ["file", "link", "./file"] {
            error("file-copy", &inputs(&directory, "file", to), "SAME_FILE");
            assert_eq!(fs::read(directory.path("file")).expect("readable"), b"12345");
        }
    }

    #[test]
    fn what_cannot_be_copied_is_an_error() {
        let directory = Directory::new();
        directory.write("file", "");
        directory.fifo("fifo");
        error("file-copy", &inputs(&directory, "none", "new"), "NOT_FOUND");
        assert!(!directory.path("new").exists());
        error("file-copy", &inputs(&directory, "fifo", "new"), "NOT_A_FILE");
        error("file-copy", &inputs(&directory, "file", "."), "NOT_A_FILE");
        error("file-copy", &inputs(&directory, "file", "fifo"), "NOT_A_FILE");
        error("file-copy", &inputs(&directory, "file", "none/new"), "NOT_FOUND");
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("file-copy", r#"{"path":"a"}"#, "/to", "`to` is required");
        bad_input("file-copy", r#"{"path":"a","to":""}"#, "/to", "the path is empty");
    }
}
