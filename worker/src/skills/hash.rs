//! `hash`: the digest of a value or of a file.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{
    catalog::{Builtin, Needs},
    files,
    input::{self, BadInput},
    json_text,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "hash",
    description: "Gives the digest of a value or of a file.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "data": {"description": "Text, hashed as UTF-8, or any value, hashed as compact JSON."},
            "path": {"type": "string", "minLength": 1, "description": "A file. Relative paths start at the step's cwd."},
            "algorithm": {"enum": ["sha256", "sha384", "sha512"], "default": "sha256"}
        },
        "oneOf": [{"required": ["data"]}, {"required": ["path"]}],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {"hex": {"type": "string", "pattern": "^[0-9a-f]+$"}},
        "required": ["hex"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Files,
    execute: Some(execute),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs<'a> {
    #[serde(borrow, default, deserialize_with = "input::present")]
    data: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "input::present")]
    path: Option<String>,
    #[serde(default)]
    algorithm: Algorithm,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Algorithm {
    #[default]
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Serialize)]
struct Hashed {
    hex: String,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs<'_> = input::parse(inputs)?;
    let hex = match (inputs.data, inputs.path) {
        (Some(data), None) => of_data(inputs.algorithm, data)?,
        (None, Some(path)) => of_file(inputs.algorithm, &path)?,
        (Some(_), Some(_)) => return Err(BadInput::new("", "both `data` and `path` are given").into()),
        (None, None) => return Err(BadInput::new("", "one of `data` and `path` is required").into()),
    };
    value(&Hashed { hex })
}

fn of_data(algorithm: Algorithm, data: &RawValue) -> Result<String, Failure> {
    let text = json_text::plain_text(data).map_err(|error| BadInput::new("/data", error.to_string()))?;
    Ok(digest(algorithm, &mut text.as_bytes()).unwrap_or_default())
}

fn of_file(algorithm: Algorithm, path: &str) -> Result<String, Failure> {
    files::check_path(path, "/path")?;
    let mut file = files::open_existing(path)?;
    digest(algorithm, &mut file).map_err(|error| files::failed("read", path, &error))
}

fn digest(algorithm: Algorithm, from: &mut dyn Read) -> io::Result<String> {
    match algorithm {
        Algorithm::Sha256 => digest_by::<Sha256>(from),
        Algorithm::Sha384 => digest_by::<Sha384>(from),
        Algorithm::Sha512 => digest_by::<Sha512>(from),
    }
}

fn digest_by<D: Digest>(from: &mut dyn Read) -> io::Result<String> {
    let mut digest = D::new();
    files::for_each_chunk(from, |chunk| digest.update(chunk))?;
    Ok(files::hex(&digest.finalize()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::skills::testing::{Directory, bad_input, error, value};

    #[track_caller]
    fn check(inputs: &str, hex: &str) {
        value("hash", inputs, &json!({ "hex": hex }).to_string());
    }

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn hashes_values() {
        check(r#"{"data":"abc"}"#, ABC);
        check(r#"{"data":"\u0061bc","algorithm":"sha256"}"#, ABC);
        check(
            r#"{"data":"abc","algorithm":"sha384"}"#,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        );
        check(
            r#"{"data":"abc","algorithm":"sha512"}"#,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        );
        let compact = r#"{"hex":"015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"}"#;
        value("hash", r#"{"data": {"a" : 1}}"#, compact);
        value("hash", r#"{"data": "{\"a\":1}"}"#, compact);
    }

    #[test]
    fn hashes_files() {
        let directory = Directory::new();
        directory.write("file", "abc");
        directory.fifo("fifo");
        check(&directory.inputs("file"), ABC);
        error("hash", &directory.inputs("none"), "NOT_FOUND");
        error("hash", &directory.inputs("fifo"), "NOT_A_FILE");
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("hash", "{}", "", "one of `data` and `path` is required");
        bad_input("hash", r#"{"data":1,"path":"a"}"#, "", "both `data` and `path` are given");
        bad_input(
            "hash",
            r#"{"data":1,"algorithm":"md5"}"#,
            "/algorithm",
            "unknown variant `md5`, expected one of `sha256`, `sha384`, `sha512`",
        );
    }
}
