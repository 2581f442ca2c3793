//! Runs a built-in skill in this process and puts what it gave into the worker's message.

use ipc::message::{SkillError, SkillResult};
use schemas::json::Json;
use serde::Serialize;

use super::{catalog::find, input::BadInput};

/// What a skill is told beside its inputs. The current directory is the step's `cwd` already.
#[derive(Debug, Clone)]
pub struct Context {
    /// The private directory of the attempt, absolute.
    pub work_dir: String,
}

/// What a skill gives: the JSON text of its result.
pub(super) type Value = Json;

/// Why a skill gave no value.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The inputs do not fit.
    #[error(transparent)]
    BadInput(#[from] BadInput),
    /// The skill's own error.
    #[error("{}: {}", .0.code, .0.message)]
    Skill(SkillError),
}

impl Failure {
    /// The skill's own error, which another try would only repeat.
    pub(super) fn permanent(code: &str, message: impl Into<String>) -> Self {
        Self::Skill(SkillError {
            code: code.to_owned(),
            message: message.into(),
            retryable: false,
            details: None,
        })
    }

    /// The skill's own error, which may be gone at another try.
    pub(super) fn passing(code: &str, message: impl Into<String>) -> Self {
        Self::Skill(SkillError {
            code: code.to_owned(),
            message: message.into(),
            retryable: true,
            details: None,
        })
    }

    /// Adds details; a bad input has none.
    pub(super) fn with_details<T: Serialize>(self, details: &T) -> Self {
        match self {
            Self::BadInput(bad) => Self::BadInput(bad),
            Self::Skill(error) => {
                Self::Skill(SkillError { details: Json::from_serialize(details).ok(), ..error })
            }
        }
    }
}

/// Puts a result into its JSON text.
pub(super) fn value<T: Serialize>(result: &T) -> Result<Value, Failure> {
    Json::from_serialize(result)
        .map_err(|error| Failure::permanent("INTERNAL", format!("failed to write the result: {error}")))
}

/// Runs the built-in skill `name` with the JSON object `inputs`.
///
/// The name is known to be one of the catalog's, and not a program: any other gives the error `NOT_FOUND`.
pub fn run(name: &str, inputs: &str, context: &Context) -> SkillResult {
    let Some(execute) = find(name).and_then(|builtin| builtin.execute) else {
        return SkillResult::Error(SkillError {
            code: "NOT_FOUND".to_owned(),
            message: format!("no built-in skill of the name `{name}` runs in the worker"),
            retryable: false,
            details: None,
        });
    };
    match execute(inputs, context) {
        Ok(value) => SkillResult::Value { value: Some(value) },
        Err(Failure::BadInput(BadInput { pointer, message })) => SkillResult::BadInput { pointer, message },
        Err(Failure::Skill(error)) => SkillResult::Error(error),
    }
}

#[cfg(test)]
mod tests {
    use crate::skills::testing::error;

    #[test]
    fn what_does_not_run_here_is_not_found() {
        for name in ["", "no-such-skill", "shell", "exec"] {
            assert!(!error(name, "{}", "NOT_FOUND").retryable, "{name}");
        }
    }
}
