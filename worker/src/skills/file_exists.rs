//! `file-exists`: whether there is something at a path, and what. Links are followed.

use std::{
    fs::{self, Metadata},
    io,
};

use serde::{Deserialize, Serialize};

use super::{
    catalog::{Builtin, Needs},
    files,
    input::{self},
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "file-exists",
    description: "Tells whether there is something at a path, and what.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "description": "Relative paths start at the step's cwd."}
        },
        "required": ["path"],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {
            "exists": {"type": "boolean", "description": "False for a link that leads nowhere."},
            "type": {"enum": ["file", "directory", "symlink", "other", null], "description": "`symlink`: a link that leads nowhere; null: nothing is there."},
            "size": {"type": ["integer", "null"], "description": "Bytes of a file; null for all else."}
        },
        "required": ["exists", "type", "size"],
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
}

#[derive(Serialize)]
struct Found {
    exists: bool,
    r#type: Option<Kind>,
    size: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    File,
    Directory,
    Symlink,
    Other,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs = input::parse(inputs)?;
    let path = input::required(inputs.path, "path")?;
    files::check_path(&path, "/path")?;
    let found = match fs::metadata(&path) {
        Ok(metadata) => existing(&metadata),
        Err(error) => absent(&path, &error)?,
    };
    value(&found)
}

fn existing(metadata: &Metadata) -> Found {
    let (kind, size) = if metadata.is_file() {
        (Kind::File, Some(metadata.len()))
    } else if metadata.is_dir() {
        (Kind::Directory, None)
    } else {
        (Kind::Other, None)
    };
    Found { exists: true, r#type: Some(kind), size }
}

/// Following the path failed: it ends at a link that leads nowhere (or in a circle), or at nothing. What
/// may not be looked at is an error, since nobody can say whether it exists.
fn absent(path: &str, error: &io::Error) -> Result<Found, Failure> {
    let in_circle = error.raw_os_error() == Some(libc::ELOOP);
    if !files::is_absent(error) && !in_circle {
        return Err(files::failed("look at", path, error));
    }
    let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    Ok(Found { exists: false, r#type: is_link.then_some(Kind::Symlink), size: None })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use crate::skills::testing::{Directory, bad_input, error, value};

    #[track_caller]
    fn check(directory: &Directory, name: &str, expected: &str) {
        value("file-exists", &directory.inputs(name), expected);
    }

    #[test]
    fn tells_what_is_there() {
        let directory = Directory::new();
        directory.write("data.json", "12345");
        fs::create_dir(directory.path("folder")).expect("writable");
        symlink("data.json", directory.path("link")).expect("writable");
        symlink("nowhere", directory.path("dangling")).expect("writable");
        symlink("circle", directory.path("circle")).expect("writable");
        directory.fifo("fifo");

        check(&directory, "data.json", r#"{"exists":true,"type":"file","size":5}"#);
        check(&directory, "link", r#"{"exists":true,"type":"file","size":5}"#);
        check(&directory, "folder", r#"{"exists":true,"type":"directory","size":null}"#);
        check(&directory, "fifo", r#"{"exists":true,"type":"other","size":null}"#);
        check(&directory, "dangling", r#"{"exists":false,"type":"symlink","size":null}"#);
        check(&directory, "circle", r#"{"exists":false,"type":"symlink","size":null}"#);
        check(&directory, "nothing", r#"{"exists":false,"type":null,"size":null}"#);
        check(&directory, "nothing/below", r#"{"exists":false,"type":null,"size":null}"#);
        check(&directory, "data.json/below", r#"{"exists":false,"type":null,"size":null}"#);
    }

    #[test]
    fn does_not_guess() {
        let directory = Directory::new();
        error("file-exists", &directory.inputs(&"x".repeat(300)), "IO");
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("file-exists", "{}", "/path", "`path` is required");
        bad_input("file-exists", r#"{"path":""}"#, "/path", "the path is empty");
        bad_input("file-exists", r#"{"path":"a\u0000b"}"#, "/path", "the path contains a NUL character");
        bad_input("file-exists", r#"{"path":null}"#, "/path", "invalid type: null, expected a string");
    }
}
