//! Runs a built-in skill in this process and puts what it gave into the worker's message.

use ipc::message::{SkillError, SkillResult};
use schemas::json::Json;
use serde::Serialize;
use ureq::Proxy;

use super::{catalog::find, input::BadInput};

/// What a skill is told beside its inputs. The current directory is the step's `cwd` already.
#[derive(Debug, Clone)]
pub struct Context {
    /// The private directory of the attempt, absolute.
    pub work_dir: String,
    /// The environment of the step: this process has none.
    pub env: Vec<(String, String)>,
}

/// Variables that name a proxy, the first that is set counts.
const PROXIES: [&str; 6] =
    ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

impl Context {
    /// The proxy of the step, if it has one: with `network.allow` the only way out.
    pub(super) fn proxy(&self) -> Option<Proxy> {
        let value = |name: &&str| self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        PROXIES.iter().filter_map(value).find_map(|value| Proxy::new(value).ok())
    }
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
    use super::Context;
    use crate::skills::testing::error;

    #[track_caller]
    fn check_proxy(env: &[(&str, &str)], expected: Option<(&str, u16)>) {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let proxy = Context { work_dir: String::new(), env }.proxy();
        assert_eq!(proxy.as_ref().map(|proxy| (proxy.host(), proxy.port())), expected);
    }

    #[test]
    fn the_proxy_is_that_of_the_step() {
        check_proxy(&[], None);
        check_proxy(&[("http_proxy", "http://127.0.0.1:3128")], Some(("127.0.0.1", 3128)));
        check_proxy(&[("http_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:2")], Some(("b", 2)));
        check_proxy(&[("HTTP_PROXY", "")], None);
    }

    #[test]
    fn what_does_not_run_here_is_not_found() {
        for name in ["", "no-such-skill", "shell", "exec"] {
            assert!(!error(name, "{}", "NOT_FOUND").retryable, "{name}");
        }
    }
}
