//! The examples of the user's plan, as they are written there.

use super::problems;
use crate::load::Syntax;

#[track_caller]
fn check(text: &str, expected: &str) {
    let codes: Vec<_> = problems(text, Syntax::Json)
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(codes.join("\n"), expected);
}

#[test]
fn linear() {
    check(
        r#"{
  "name": "simple-test",
  "version": "1.0.0",
  "steps": [
    {
      "id": "step1",
      "type": "skill",
      "skill": "echo",
      "inputs": {"message": "Hello"}
    },
    {
      "id": "step2",
      "type": "skill",
      "skill": "echo",
      "inputs": {"message": "World"}
    }
  ]
}"#,
        "",
    );
}

#[test]
fn data_flow() {
    check(
        r#"{
  "name": "data-flow-test",
  "version": "1.0.0",
  "context": {
    "readonly": {
      "environment": "dev"
    }
  },
  "steps": [
    {
      "id": "fetch",
      "type": "skill",
      "skill": "http-get",
      "inputs": {"url": "https://api.example.com"},
      "outputs": ["response"]
    },
    {
      "id": "process",
      "type": "skill",
      "skill": "json-parse",
      "inputs": {"data": "fetch.response"},
      "outputs": ["parsed"]
    }
  ]
}"#,
        "",
    );
}

#[test]
fn parallel() {
    check(
        r#"{
  "name": "parallel-test",
  "version": "1.0.0",
  "steps": [
    {
      "id": "parallel-tasks",
      "type": "parallel",
      "steps": [
        {
          "id": "task1",
          "type": "skill",
          "skill": "process-a"
        },
        {
          "id": "task2",
          "type": "skill",
          "skill": "process-b"
        }
      ],
      "wait_for": "all"
    }
  ]
}"#,
        "",
    );
}

#[test]
fn agent() {
    check(
        r#"{
  "name": "agent-test",
  "version": "1.0.0",
  "steps": [
    {
      "id": "analyze",
      "type": "agent",
      "agent": "code-analyzer",
      "inputs": {"path": "./src"},
      "async": true,
      "guardrails": {
        "max_iterations": 10,
        "allowed_tools": ["fs_read"]
      }
    }
  ]
}"#,
        "",
    );
}

#[test]
fn error_handling() {
    check(
        r#"{
  "name": "error-handling-test",
  "version": "1.0.0",
  "steps": [
    {
      "id": "fetch",
      "type": "skill",
      "skill": "http-get",
      "inputs": {"url": "https://api.example.com"}
    }
  ],
  "error_handling": {
    "per_step": {
      "fetch": {
        "strategy": "retry",
        "max_attempts": 3,
        "backoff": "exponential"
      }
    }
  }
}"#,
        "",
    );
}

#[test]
fn control_flow() {
    check(
        r#"{
  "name": "control-flow-test",
  "version": "1.0.0",
  "steps": [
    {
      "id": "check",
      "type": "skill",
      "skill": "file-exists",
      "inputs": {"path": "./data.json"},
      "outputs": ["exists"]
    },
    {
      "id": "conditional",
      "type": "conditional",
      "condition": "check.exists == true",
      "then": [
        {
          "id": "process",
          "type": "skill",
          "skill": "process-file"
        }
      ],
      "else": [
        {
          "id": "error",
          "type": "skill",
          "skill": "log-error"
        }
      ]
    }
  ]
}"#,
        "",
    );
}
