//! `process-file`: counts and hashes a file, in a stream. A file that is not there is an answer, not an
//! error.

use std::{fs::File, io};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    catalog::{Builtin, Needs},
    files, input,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "process-file",
    description: "Counts the lines and bytes of a file and gives its SHA-256.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "default": "./data.json", "description": "Relative paths start at the step's cwd."}
        },
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {
            "exists": {"type": "boolean", "description": "False when there is no such file; then the counts are 0."},
            "lines": {"type": "integer", "minimum": 0, "description": "Line feeds, and one more if the last line lacks its own."},
            "bytes": {"type": "integer", "minimum": 0},
            "sha256": {"type": ["string", "null"], "pattern": "^[0-9a-f]{64}$"}
        },
        "required": ["exists", "lines", "bytes", "sha256"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Files,
    execute: Some(execute),
};

const DEFAULT_PATH: &str = "./data.json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default, deserialize_with = "input::present")]
    path: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Processed {
    exists: bool,
    lines: u64,
    bytes: u64,
    sha256: Option<String>,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs = input::parse(inputs)?;
    let path = inputs.path.as_deref().unwrap_or(DEFAULT_PATH);
    files::check_path(path, "/path")?;
    let processed = match files::open_regular(path)? {
        Some(file) => process(file).map_err(|error| files::failed("read", path, &error))?,
        None => Processed::default(),
    };
    value(&processed)
}

fn process(mut file: File) -> io::Result<Processed> {
    let mut digest = Sha256::new();
    let (mut lines, mut bytes, mut last) = (0, 0, b'\n');
    files::for_each_chunk(&mut file, |chunk| {
        digest.update(chunk);
        lines += chunk.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        bytes += chunk.len() as u64;
        last = chunk.last().copied().unwrap_or(last);
    })?;
    lines += u64::from(last != b'\n');
    Ok(Processed { exists: true, lines, bytes, sha256: Some(files::hex(&digest.finalize())) })
}

#[cfg(test)]
mod tests {
    use crate::skills::testing::{Directory, bad_input, error, value};

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[track_caller]
    fn check(content: &[u8], lines: u64, sha256: &str) {
        let directory = Directory::new();
        directory.write("file", content);
        let expected =
            format!(r#"{{"exists":true,"lines":{lines},"bytes":{},"sha256":"{sha256}"}}"#, content.len());
        value("process-file", &directory.inputs("file"), &expected);
    }

    #[test]
    fn counts_and_hashes() {
        check(b"", 0, EMPTY);
        check(b"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        check(b"a\nb\n", 2, "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2");
        check(b"a\n\xff", 2, "c98c2c7946995fb84574ada12a4a0fdb42cc9c7445df3b8bb527da341c93b5fd");
        check(
            "a".repeat(1_000_000).as_bytes(),
            1,
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        );
    }

    #[test]
    fn a_missing_file_is_an_answer() {
        let directory = Directory::new();
        let nothing = r#"{"exists":false,"lines":0,"bytes":0,"sha256":null}"#;
        value("process-file", &directory.inputs("data.json"), nothing);
        value("process-file", &directory.inputs("folder/data.json"), nothing);
        // The tests' working directory is the package's, where there is no `data.json`.
        value("process-file", "{}", nothing);
    }

    #[test]
    fn what_is_no_file_never_blocks() {
        let directory = Directory::new();
        directory.fifo("fifo");
        error("process-file", &directory.inputs("fifo"), "NOT_A_FILE");
        error("process-file", &directory.inputs("."), "NOT_A_FILE");
        error("process-file", r#"{"path":"/dev/null"}"#, "NOT_A_FILE");
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("process-file", r#"{"path":["a"]}"#, "/path", "invalid type: sequence, expected a string");
        bad_input("process-file", r#"{"path":""}"#, "/path", "the path is empty");
        bad_input("process-file", r#"{"file":"a"}"#, "/file", "unknown field `file`, expected `path`");
    }
}
