//! `file-list`: the files of a folder whose names match a pattern. Links to folders are not followed.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};
use walkdir::{DirEntry, WalkDir};

use super::{
    catalog::{Builtin, Needs},
    files,
    input::{self, BadInput},
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "file-list",
    description: "Lists the files of a folder whose names match a pattern, sorted.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "default": ".", "description": "The folder. Relative paths start at the step's cwd."},
            "glob": {"type": "string", "minLength": 1, "default": "*", "description": "Pattern of the path below the folder: `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any number of folders."}
        },
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {"files": {"type": "array", "items": {"type": "string"}, "description": "Paths that begin with the folder's, unless that is `.`; characters that are not UTF-8 are replaced."}},
        "required": ["files"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Files,
    execute: Some(execute),
};

/// More files than this are an error: their list would be of no use.
const MAX_FILES: usize = 100_000;
/// Folders below folders deeper than this are not looked into.
const MAX_DEPTH: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default, deserialize_with = "input::present")]
    path: Option<String>,
    #[serde(default, deserialize_with = "input::present")]
    glob: Option<String>,
}

#[derive(Serialize)]
struct Listed {
    files: Vec<String>,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs = input::parse(inputs)?;
    let folder = inputs.path.as_deref().unwrap_or(".");
    files::check_path(folder, "/path")?;
    let glob = inputs.glob.as_deref().unwrap_or("*");
    let mut files = list(folder, &matcher(glob)?, depth(glob))?;
    files.sort_unstable();
    value(&Listed { files })
}

fn matcher(glob: &str) -> Result<GlobMatcher, BadInput> {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| BadInput::new("/glob", error.kind().to_string()))
}

/// How deep a match can lie: without `**` a pattern matches as many names as it has parts.
fn depth(glob: &str) -> usize {
    if glob.contains("**") { MAX_DEPTH } else { (glob.matches('/').count() + 1).min(MAX_DEPTH) }
}

fn list(folder: &str, matcher: &GlobMatcher, depth: usize) -> Result<Vec<String>, Failure> {
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).min_depth(1).max_depth(depth) {
        let entry = match entry {
            Ok(entry) => entry,
            // A folder that vanished or may not be looked into takes only itself out of the list.
            Err(error) if error.depth() > 0 => continue,
            Err(error) => return Err(files::failed("list", folder, &error.into())),
        };
        let below = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        if !matcher.is_match(below) || !is_file(&entry) {
            continue;
        }
        if files.len() == MAX_FILES {
            return Err(Failure::permanent("TOO_MANY", format!("more than {MAX_FILES} files match")));
        }
        let shown = if folder == "." { below } else { entry.path() };
        files.push(shown.to_string_lossy().into_owned());
    }
    Ok(files)
}

/// A regular file, or a link to one.
fn is_file(entry: &DirEntry) -> bool {
    entry.file_type().is_file() || (entry.path_is_symlink() && Path::is_file(entry.path()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use serde_json::{Value as Tree, json};

    use crate::skills::testing::{Directory, bad_input, error, some_value};

    fn tree() -> Directory {
        let directory = Directory::new();
        fs::create_dir_all(directory.path("src/deep")).expect("writable");
        for file in ["a.rs", "b.txt", ".hidden", "src/c.rs", "src/deep/d.rs"] {
            directory.write(file, "");
        }
        symlink("a.rs", directory.path("link.rs")).expect("writable");
        symlink("nowhere", directory.path("dangling.rs")).expect("writable");
        symlink("..", directory.path("src/circle")).expect("writable");
        directory.fifo("fifo.rs");
        directory
    }

    #[track_caller]
    fn check(directory: &Directory, glob: &str, expected: &[&str]) {
        let inputs = json!({ "path": directory.path(""), "glob": glob }).to_string();
        let listed: Tree = serde_json::from_str(&some_value("file-list", &inputs)).expect("JSON");
        let expected: Vec<_> = expected.iter().map(|name| directory.path(name)).collect();
        assert_eq!(listed, json!({ "files": expected }), "{glob}");
    }

    #[test]
    fn lists_what_matches() {
        let directory = tree();
        check(&directory, "*", &[".hidden", "a.rs", "b.txt", "link.rs"]);
        check(&directory, "*.rs", &["a.rs", "link.rs"]);
        check(&directory, "**/*.rs", &["a.rs", "link.rs", "src/c.rs", "src/deep/d.rs"]);
        check(&directory, "src/*", &["src/c.rs"]);
        check(&directory, "{a,src/c}.rs", &["a.rs", "src/c.rs"]);
        check(&directory, "[ab].*", &["a.rs", "b.txt"]);
        check(&directory, "none", &[]);
    }

    #[test]
    fn starts_at_the_working_directory() {
        // That of the tests is the package's.
        let listed = some_value("file-list", r#"{"glob":"Cargo.tom?"}"#);
        assert_eq!(listed, r#"{"files":["Cargo.toml"]}"#);
        let listed = some_value("file-list", r#"{"path":"src","glob":"lib.rs"}"#);
        assert_eq!(listed, r#"{"files":["src/lib.rs"]}"#);
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        error("file-list", &tree().inputs("none"), "NOT_FOUND");
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("file-list", r#"{"path":""}"#, "/path", "the path is empty");
        bad_input("file-list", r#"{"glob":"[a"}"#, "/glob", "unclosed character class; missing ']'");
    }
}
