//! `skill.json`: a named callable with typed inputs and outputs, as programs read it. Its keys as people write
//! them are in `definition::skill`; names, durations, sizes and schemas are judged where they are used, not here.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};

use crate::json::Json;

/// Name of the file in a skill's folder.
pub const FILE_NAME: &str = "skill.json";

/// A whole `skill.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// For editors; means nothing to the engine.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Name by which steps call it.
    pub name: String,
    /// Semantic version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The program and its arguments; a relative program starts at the skill's folder. With the protocol
    /// `text` the arguments are templates over `inputs`.
    pub command: Vec<String>,
    /// How the program is spoken to.
    #[serde(default)]
    pub protocol: Protocol,
    /// How the text of the protocol `text` is read; absent: as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parse: Option<Parse>,
    /// JSON Schema of the inputs; absent: any object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Json>,
    /// JSON Schema of the result; absent: any value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Json>,
    /// Limits of each attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// The sandbox that it asks for: the name of a profile or an object, with the same keys as `sandbox` of
    /// a step and read by the same code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Json>,
    /// Variables of the program; with the protocol `text` their values are templates over `inputs`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether running it twice does no harm: then it may be run again after a crash of the engine.
    #[serde(default = "yes")]
    pub idempotent: bool,
    /// Whether it writes events on descriptor 3.
    #[serde(default)]
    pub events: bool,
}

/// Protocols in which a skill's program may speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// One JSON object on stdin, one JSON value on stdout.
    #[default]
    #[serde(rename = "json-stdio@1")]
    JsonStdio1,
    /// Arguments are templates over the inputs; stdout is text.
    #[serde(rename = "text")]
    Text,
}

/// How the text that a program wrote is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parse {
    /// As one JSON value.
    Json,
}

/// Limits of an attempt: the keys of `resource_limits` that make sense for one step, and its timeouts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wall time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Quantity>,
    /// Time without a sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Quantity>,
    /// Time from SIGTERM to SIGKILL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Quantity>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_memory_mb: Option<u64>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// CPU share; 100 is one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cpu_percent: Option<f64>,
    /// CPU share; 1.0 is one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Wall time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_execution_time: Option<Quantity>,
    /// CPU time of the process tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_time: Option<Quantity>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    /// Open files of a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Size of a written file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_size: Option<Quantity>,
    /// Size of the private `/tmp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Quantity>,
    /// Size of the whole output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Quantity>,
    /// Bytes a second read from disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_read_bps: Option<Quantity>,
    /// Bytes a second written to disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_write_bps: Option<Quantity>,
    /// Whether a limit that cannot be held refuses the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<Enforcement>,
}

/// What happens where a limit cannot be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// The run is refused before anything starts.
    Required,
    /// It runs, and the record names what was not held.
    BestEffort,
}

/// A duration or a size as written: a whole number (seconds, bytes) or text with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quantity {
    /// `30`
    Number(u64),
    /// `"30s"`, `"128MiB"`
    Text(String),
}

impl Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityVisitor)
    }
}

struct QuantityVisitor;

impl Visitor<'_> for QuantityVisitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number or text with a unit")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Quantity, E> {
        Ok(Quantity::Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
        Ok(Quantity::Text(text.to_owned()))
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["integer", "string"], "minimum": 0})
    }

    fn inline_schema() -> bool {
        true
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::definition::{is_extension, skill::MANIFEST};

    const WHOLE: &str = r#"{
        "$schema": "./skill.schema.json", "name": "http-get", "version": "1.0.0", "description": "…",
        "command": ["./run.py"], "protocol": "text", "parse": "json",
        "inputs": {"type": "object"}, "outputs": true,
        "limits": {"timeout": "30s", "idle_timeout": 5, "memory": "128MiB", "cpu": 0.5, "pids": 32,
                   "output": 4096, "enforcement": "best_effort"},
        "sandbox": {"network": "host", "read": ["."], "write": [], "env": ["HTTP_PROXY"]},
        "env": {"MODE": "${inputs.mode}"}, "idempotent": false, "events": true
    }"#;

    #[test]
    fn reads_a_whole_manifest() {
        let manifest: Manifest = serde_json::from_str(WHOLE).expect("valid");
        assert_eq!((manifest.name.as_str(), manifest.protocol), ("http-get", Protocol::Text));
        assert_eq!((manifest.parse, manifest.idempotent, manifest.events), (Some(Parse::Json), false, true));
        assert_eq!(manifest.outputs.as_ref().map(Json::as_str), Some("true"));
        let limits = manifest.limits.clone().expect("given");
        assert_eq!(limits.timeout, Some(Quantity::Text("30s".to_owned())));
        assert_eq!(limits.idle_timeout, Some(Quantity::Number(5)));
        assert_eq!((limits.cpu, limits.pids), (Some(0.5), Some(32)));
        assert_eq!(limits.enforcement, Some(Enforcement::BestEffort));

        let written = serde_json::to_string(&manifest).expect("serializes");
        assert_eq!(serde_json::from_str::<Manifest>(&written).expect("valid"), manifest);
    }

    #[test]
    fn fills_what_is_absent() {
        let manifest: Manifest = serde_json::from_str(r#"{"name":"a","command":["b"]}"#).expect("valid");
        assert_eq!(manifest.protocol, Protocol::JsonStdio1);
        assert_eq!((manifest.idempotent, manifest.events), (true, false));
        assert_eq!((manifest.inputs, manifest.limits), (None, None));
    }

    #[track_caller]
    fn check_refused(text: &str, message: &str) {
        let error = serde_json::from_str::<Manifest>(text).expect_err("not a manifest");
        assert!(error.to_string().starts_with(message), "{error}");
    }

    #[test]
    fn refuses_what_is_no_manifest() {
        check_refused(r#"{"command":["b"]}"#, "missing field `name`");
        check_refused(r#"{"name":"a"}"#, "missing field `command`");
        check_refused(r#"{"name":"a","command":"b"}"#, "invalid type: string \"b\", expected a sequence");
        check_refused(r#"{"name":"a","command":["b"],"comand":[]}"#, "unknown field `comand`");
        check_refused(r#"{"name":"a","command":["b"],"protocol":"xml"}"#, "unknown variant `xml`");
        check_refused(
            r#"{"name":"a","command":["b"],"limits":{"timeout":1.5}}"#,
            "invalid type: floating point `1.5`, expected a whole number or text with a unit",
        );
        check_refused(
            r#"{"name":"a","command":["b"],"limits":{"max_concurrent_steps":1}}"#,
            "unknown field `max_concurrent_steps`",
        );
    }

    #[test]
    fn its_keys_are_those_of_the_table() {
        let manifest: BTreeMap<String, Json> = serde_json::from_str(WHOLE).expect("valid");
        let written: BTreeSet<&str> =
            manifest.keys().map(String::as_str).filter(|key| !is_extension(key)).collect();
        assert_eq!(written, MANIFEST.keys.iter().map(|key| key.name).collect());
    }
}
