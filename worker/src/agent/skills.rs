//! Skills as tools: those that are built in, which run in this process, and those with a manifest, which are programs.
//! All of them are in the agent's sandbox, and none takes longer than a tool may.

use std::{sync::mpsc, thread, time::Duration};

use ipc::message::SkillResult;
use schemas::{
    agent::{AgentTask, SkillTask},
    json::Json,
};
use serde_json::{Value, json};

use super::{Error, outcome, program};
use crate::skills::{self, program::Kind};

/// A skill as it is offered: its name, what it does, and the schema of its inputs.
pub(super) type Described = (String, String, Value);

/// The skills that the agent could call, each once: one with a manifest comes before a built-in one of its name.
pub(super) fn described(task: &AgentTask) -> impl Iterator<Item = Described> + '_ {
    let built_in =
        skills::catalog().iter().filter(|skill| !task.skills.contains_key(skill.name)).map(|skill| {
            let schema = serde_json::from_str(skill.inputs).unwrap_or_default();
            (skill.name.to_owned(), skill.description.to_owned(), schema)
        });
    let own = task.skills.iter().map(|(name, skill)| {
        let schema = skill.inputs.as_ref().and_then(|schema| serde_json::from_str(schema.as_str()).ok());
        (name.clone(), skill.description.clone(), schema.unwrap_or_else(|| json!({"type": "object"})))
    });
    built_in.chain(own)
}

/// Calls a skill; gives its result as text.
pub(super) fn call(
    name: &str,
    arguments: &str,
    (task, env): (&AgentTask, &[(String, String)]),
) -> Result<String, String> {
    let inputs = if arguments.trim().is_empty() { "{}" } else { arguments };
    if let Some(skill) = task.skills.get(name) {
        return external(skill, inputs, (task, env));
    }
    match Kind::from_name(name) {
        Some(kind) => program(kind, inputs, (task, env)),
        None => built_in(name, inputs, (task, env)),
    }
}

/// One that runs in this process, on a thread of its own: what takes too long is left to itself, and ends with the
/// agent.
fn built_in(
    name: &str,
    inputs: &str,
    (task, env): (&AgentTask, &[(String, String)]),
) -> Result<String, String> {
    let work_dir = task.write.first().cloned().unwrap_or_default();
    let context = skills::Context { work_dir, env: env.to_vec() };
    let (tell, told) = mpsc::channel();
    let (own_name, inputs) = (name.to_owned(), inputs.to_owned());
    let run = move || {
        // Nobody hears what comes too late.
        let _late = tell.send(skills::run(&own_name, &inputs, &context));
    };
    thread::Builder::new().spawn(run).map_err(|error| format!("`{name}` could not be started: {error}"))?;
    let limit = limit(task);
    match told.recv_timeout(limit) {
        Ok(SkillResult::Value { value }) => {
            Ok(value.map(|value| value.as_str().to_owned()).unwrap_or_default())
        }
        Ok(SkillResult::Error(error)) => Err(format!("{}: {}", error.code, error.message)),
        Ok(SkillResult::BadInput { pointer, message }) => Err(bad_input(&pointer, &message)),
        Ok(SkillResult::Agent(failure)) => Err(failure.message),
        Err(_) => Err(program::too_long(limit)),
    }
}

/// `shell` and `exec`.
fn program(
    kind: Kind,
    inputs: &str,
    (task, env): (&AgentTask, &[(String, String)]),
) -> Result<String, String> {
    let program = kind.program(inputs).map_err(|bad| bad_input(&bad.pointer, &bad.message))?;
    let printed = program::printed(&program.argv, (&task.cwd, env), program.stdin.as_deref(), limit(task))?;
    match printed.code {
        Some(code) if code == 0 || program.allow_failure => {
            let result = json!({"stdout": printed.stdout, "stderr": printed.stderr, "exit_code": code});
            Ok(result.to_string())
        }
        Some(_) | None => Err(printed.ending()),
    }
}

/// A program that speaks `json-stdio@1`.
fn external(
    skill: &SkillTask,
    inputs: &str,
    (task, env): (&AgentTask, &[(String, String)]),
) -> Result<String, String> {
    let inputs = Json::parse(inputs).map_err(|error| format!("the arguments are wrong: {error}"))?;
    outcome::check(skill.inputs.as_ref(), &inputs).map_err(|error| misfit(&error, "input"))?;
    let mut request: Value = serde_json::from_str(task.envelope.as_str()).unwrap_or_default();
    request["inputs"] = serde_json::from_str(inputs.as_str()).unwrap_or_default();
    let own_limit = skill.timeout_ms.map(Duration::from_millis);
    let limit = own_limit.into_iter().chain([limit(task)]).min().unwrap_or_default();
    let env: Vec<_> = env.iter().chain(&skill.env).cloned().collect();
    let printed = program::printed(&skill.command, (&task.cwd, &env), Some(&request.to_string()), limit)?;
    let result = answer(&printed)?;
    outcome::check(skill.outputs.as_ref(), &result).map_err(|error| misfit(&error, "output"))?;
    Ok(result.as_str().to_owned())
}

/// What a program said: a result, as it is or in its envelope, or an error.
fn answer(printed: &program::Printed) -> Result<Json, String> {
    let said = serde_json::from_str::<Value>(printed.stdout.trim());
    let alone = |key: &str| match &said {
        Ok(Value::Object(members)) if members.len() == 1 => members.get(key),
        Ok(_) | Err(_) => None,
    };
    if let Some(error) = alone("error") {
        let text = |key: &str| error[key].as_str().unwrap_or_default();
        return Err(format!("{}: {}", text("code"), text("message")));
    }
    if printed.code != Some(0) {
        return Err(printed.ending());
    }
    let value = match (alone("outputs"), &said) {
        (Some(outputs), _) => outputs,
        (None, Ok(value)) => value,
        (None, Err(_)) => return Err("what the skill printed is not one JSON value".to_owned()),
    };
    Json::from_serialize(value).map_err(|error| error.to_string())
}

fn limit(task: &AgentTask) -> Duration {
    Duration::from_millis(task.guardrails.tool_timeout_ms)
}

fn bad_input(pointer: &str, message: &str) -> String {
    format!("bad input at `{pointer}`: {message}")
}

fn misfit(error: &Error, what: &str) -> String {
    match error {
        Error::Output { pointer, message } => format!("bad {what} at `{pointer}`: {message}"),
        Error::Failed { .. } | Error::Guardrail { .. } => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stdout: &str, code: i32, expected: Result<&str, &str>) {
        let stderr = "first\nlast words\n".to_owned();
        let found = answer(&program::Printed { stdout: stdout.to_owned(), stderr, code: Some(code) });
        let found = found.as_ref().map(Json::as_str).map_err(String::as_str);
        assert_eq!(found, expected, "{stdout} {code}");
    }

    #[test]
    fn a_skill_answers_with_a_result_or_an_error() {
        check(r#"{"sum": 5}"#, 0, Ok(r#"{"sum":5}"#));
        check(r#"{"outputs": {"sum": 5}}"#, 0, Ok(r#"{"sum":5}"#));
        check(r#"{"outputs": 1, "more": 2}"#, 0, Ok(r#"{"more":2,"outputs":1}"#));
        check(r#"{"error": {"code": "EMPTY", "message": "no word"}}"#, 0, Err("EMPTY: no word"));
        check(r#"{"error": {"code": "EMPTY", "message": "no word"}}"#, 1, Err("EMPTY: no word"));
        check(r#"{"sum": 5}"#, 3, Err("exit code 3: last words"));
        check("5 6", 0, Err("what the skill printed is not one JSON value"));
        check("", 0, Err("what the skill printed is not one JSON value"));
    }
}
