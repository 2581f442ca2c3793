//! Short ways to write definitions.

use serde_json::{Value, json};

/// A definition with these steps.
pub fn workflow(steps: &[Value]) -> Value {
    json!({"name": "test", "version": "1.0.0", "steps": steps})
}

/// A step that uses a skill.
#[expect(clippy::needless_pass_by_value, reason = "callers write the value in place")]
pub fn skill(id: &str, skill: &str, inputs: Value) -> Value {
    json!({"id": id, "type": "skill", "skill": skill, "inputs": inputs})
}

/// A step that hands on its inputs.
pub fn echo(id: &str, inputs: Value) -> Value {
    skill(id, "echo", inputs)
}

/// A step that executes a program.
pub fn exec(id: &str, argv: &[&str]) -> Value {
    skill(id, "exec", json!({"argv": argv}))
}

/// A step that gives a command to the shell.
pub fn shell(id: &str, command: &str) -> Value {
    skill(id, "shell", json!({"command": command}))
}

/// A step that says it has started, by `<id>.started` in the working directory, and waits for `<id>.go` there.
pub fn gate(id: &str) -> Value {
    shell(id, &format!("echo waiting; touch {id}.started; until [ -e {id}.go ]; do sleep 0.02; done"))
}

/// `value` with the keys of `more` added or replaced.
#[track_caller]
pub fn with(mut value: Value, more: Value) -> Value {
    let (Some(target), Value::Object(more)) = (value.as_object_mut(), more) else {
        panic!("both are objects");
    };
    target.extend(more);
    value
}
