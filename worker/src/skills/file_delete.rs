//! `file-delete`: removes a file or, when told so, a whole folder. Links are removed, not followed.

use std::{env, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    catalog::{Builtin, Needs},
    files,
    input::{self, BadInput},
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "file-delete",
    description: "Removes a file, or a folder with all that is in it.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "description": "Relative paths start at the step's cwd."},
            "recursive": {"type": "boolean", "default": false, "description": "Remove a folder with all that is in it."}
        },
        "required": ["path"],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {"deleted": {"type": "boolean", "description": "False when nothing was there."}},
        "required": ["deleted"],
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
    #[serde(default)]
    recursive: bool,
}

#[derive(Serialize)]
struct Deleted {
    deleted: bool,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs = input::parse(inputs)?;
    let path = input::required(inputs.path, "path")?;
    files::check_path(&path, "/path")?;
    let metadata = match fs::symlink_metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if files::is_absent(&error) => return value(&Deleted { deleted: false }),
        Err(error) => return Err(files::failed("look at", &path, &error)),
    };
    let removed = if !metadata.is_dir() {
        fs::remove_file(&path)
    } else if inputs.recursive {
        check_not_around_us(&path)?;
        fs::remove_dir_all(&path)
    } else {
        let message = format!("`{path}` is a folder; it is removed with `recursive` only");
        return Err(Failure::permanent("IS_DIRECTORY", message));
    };
    removed.map_err(|error| files::failed("delete", &path, &error))?;
    value(&Deleted { deleted: true })
}

/// A mistaken `..` or `/` must not cost the folder in which the step stands.
fn check_not_around_us(path: &str) -> Result<(), Failure> {
    let holds_us = || -> io::Result<bool> {
        Ok(env::current_dir()?.canonicalize()?.starts_with(Path::new(path).canonicalize()?))
    };
    if holds_us().map_err(|error| files::failed("look at", path, &error))? {
        return Err(BadInput::new("/path", "this folder holds the step's working directory").into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::json;

    use super::*;
    use crate::skills::testing::{Directory, bad_input, error, value};

    #[track_caller]
    fn check(directory: &Directory, name: &str, recursive: bool, deleted: bool) {
        let inputs = json!({ "path": directory.path(name), "recursive": recursive }).to_string();
        value("file-delete", &inputs, &json!({ "deleted": deleted }).to_string());
        assert!(fs::symlink_metadata(directory.path(name)).is_err(), "{name}");
    }

    #[test]
    fn removes_what_is_there() {
        let directory = Directory::new();
        fs::create_dir_all(directory.path("folder/inner")).expect("writable");
        directory.write("folder/inner/file", "");
        directory.write("file", "");
        symlink("folder", directory.path("link")).expect("writable");
        directory.fifo("fifo");

        check(&directory, "file", false, true);
        check(&directory, "file", false, false);
        check(&directory, "none/file", true, false);
        check(&directory, "fifo", false, true);
        check(&directory, "link", true, true);
        assert!(directory.path("folder/inner/file").exists());
        error("file-delete", &directory.inputs("folder"), "IS_DIRECTORY");
        check(&directory, "folder", true, true);
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("file-delete", "{}", "/path", "`path` is required");
        for path in ["/", ".", "..", "./../"] {
            let inputs = json!({ "path": path, "recursive": true }).to_string();
            bad_input("file-delete", &inputs, "/path", "this folder holds the step's working directory");
        }
    }
}
