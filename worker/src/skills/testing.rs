//! What the tests of the skills share. Every value that a skill gives here is held against its schema.

use std::path::{Path, PathBuf};

use ipc::message::{SkillError, SkillResult};
use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::{Value as Tree, json};

use super::{Context, find, run};

/// Runs the skill, which must give exactly the JSON text `expected`.
#[track_caller]
pub(super) fn value(name: &str, inputs: &str, expected: &str) {
    let text = some_value(name, inputs);
    assert_eq!(text, expected, "{name} {inputs}");
}

/// Runs the skill, which must give a value.
#[track_caller]
pub(super) fn some_value(name: &str, inputs: &str) -> String {
    let builtin = find(name).expect("a built-in skill");
    fits(builtin.inputs, inputs);
    match outcome(name, inputs) {
        SkillResult::Value { value: Some(value) } => {
            fits(builtin.outputs, value.as_str());
            value.as_str().to_owned()
        }
        other @ (SkillResult::Value { .. }
        | SkillResult::Error(_)
        | SkillResult::BadInput { .. }
        | SkillResult::Agent(_)) => {
            panic!("{name} {inputs}: {other:?}")
        }
    }
}

/// Runs the skill, which must give its own error of that code.
#[track_caller]
pub(super) fn error(name: &str, inputs: &str, code: &str) -> SkillError {
    match outcome(name, inputs) {
        SkillResult::Error(error) => {
            assert_eq!(error.code, code, "{name} {inputs}: {error:?}");
            error
        }
        other @ (SkillResult::Value { .. } | SkillResult::BadInput { .. } | SkillResult::Agent(_)) => {
            panic!("{name} {inputs}: {other:?}")
        }
    }
}

/// Runs the skill, which must refuse its inputs.
#[track_caller]
pub(super) fn bad_input(name: &str, inputs: &str, expected_pointer: &str, expected_message: &str) {
    match outcome(name, inputs) {
        SkillResult::BadInput { pointer, message } => {
            assert_eq!(
                (pointer.as_str(), message.as_str()),
                (expected_pointer, expected_message),
                "{name} {inputs}"
            );
        }
        other @ (SkillResult::Value { .. } | SkillResult::Error(_) | SkillResult::Agent(_)) => {
            panic!("{name} {inputs}: {other:?}")
        }
    }
}

/// Asserts that the value fits the schema.
#[track_caller]
pub(super) fn fits(schema: &str, value: &str) {
    let errors = misfits(schema, value);
    assert!(errors.is_empty(), "{value} does not fit: {errors:?}");
}

/// What does not fit the schema.
#[track_caller]
pub(super) fn misfits(schema: &str, value: &str) -> Vec<String> {
    let schema: Tree = serde_json::from_str(schema).expect("the schema is JSON");
    let value: Tree = serde_json::from_str(value).expect("the value is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
    validator.iter_errors(&value).map(|error| error.to_string()).collect()
}

fn outcome(name: &str, inputs: &str) -> SkillResult {
    run(name, inputs, &Context { work_dir: "/nonexistent".to_owned(), env: Vec::new() })
}

/// A directory of one test, removed at its end.
pub(super) struct Directory(tempfile::TempDir);

impl Directory {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(super) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a file.
    pub(super) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        #[expect(clippy::disallowed_methods, reason = "a file of a test, which no other process reads")]
        std::fs::write(self.path(name), content).expect("writable");
    }

    /// Makes a fifo, at which a careless open waits for ever.
    pub(super) fn fifo(&self, name: &str) {
        mkfifo(&self.path(name), Mode::S_IRWXU).expect("a fifo");
    }

    /// Inputs with the absolute path of `name`.
    pub(super) fn inputs(&self, name: &str) -> String {
        json!({ "path": self.path(name) }).to_string()
    }
}
