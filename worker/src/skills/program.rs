//! The skills that are programs: `shell` and `exec`. The engine starts what [`Kind::program`] describes
//! and makes a result of what the program left; nothing is executed here.

pub use super::input::BadInput;
use super::{exec, shell};

/// A program to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments; at least one.
    pub argv: Vec<String>,
    /// What it reads; `None`: nothing.
    pub stdin: Option<String>,
    /// Whether an exit code other than 0 is a result and no failure.
    pub allow_failure: bool,
}

/// The skills that are programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `shell`: a command line for `sh -c`.
    Shell,
    /// `exec`: a program and its arguments.
    Exec,
}

impl Kind {
    /// The kind by its skill's name.
    pub fn from_name(name: &str) -> Option<Self> {
        [(Self::Shell, shell::BUILTIN.name), (Self::Exec, exec::BUILTIN.name)]
            .into_iter()
            .find_map(|(kind, its_name)| (its_name == name).then_some(kind))
    }

    /// The program that the inputs (JSON text) ask for.
    pub fn program(self, inputs: &str) -> Result<Program, BadInput> {
        match self {
            Self::Shell => shell::program(inputs),
            Self::Exec => exec::program(inputs),
        }
    }
}

/// The JSON Schema of the result that the engine makes of what the program left.
pub(super) const OUTPUTS: &str = r#"{
    "type": "object",
    "properties": {
        "stdout": {"type": "string", "description": "What the program wrote; bytes that are not UTF-8 are replaced."},
        "stderr": {"type": "string"},
        "exit_code": {"type": "integer"}
    },
    "required": ["stdout", "stderr", "exit_code"],
    "additionalProperties": false
}"#;

/// An argument ends at its first NUL character for the kernel, execve(2): refused before.
pub(super) fn check_argument(argument: &str, pointer: impl FnOnce() -> String) -> Result<(), BadInput> {
    if argument.contains('\0') {
        return Err(BadInput::new(pointer(), "it contains a NUL character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skills::testing::fits;

    #[track_caller]
    fn check(kind: Kind, inputs: &str, argv: &[&str], stdin: Option<&str>, allow_failure: bool) {
        let program = kind.program(inputs).expect("fits");
        let argv = argv.iter().map(|&argument| argument.to_owned()).collect();
        let expected = Program { argv, stdin: stdin.map(str::to_owned), allow_failure };
        assert_eq!(program, expected, "{inputs}");
        let schema = match kind {
            Kind::Shell => shell::BUILTIN.inputs,
            Kind::Exec => exec::BUILTIN.inputs,
        };
        fits(schema, inputs);
    }

    #[track_caller]
    fn check_bad(kind: Kind, inputs: &str, pointer: &str, message: &str) {
        let error = kind.program(inputs).expect_err("does not fit");
        assert_eq!(error, BadInput::new(pointer, message), "{inputs}");
    }

    #[test]
    fn describes_the_program() {
        check(Kind::Shell, r#"{"command":"echo $HOME | wc"}"#, &["sh", "-c", "echo $HOME | wc"], None, false);
        check(
            Kind::Shell,
            r#"{"command":"cat","stdin":"a\nb","allow_failure":true}"#,
            &["sh", "-c", "cat"],
            Some("a\nb"),
            true,
        );
        check(Kind::Exec, r#"{"argv":["ls","-l","a b; rm"]}"#, &["ls", "-l", "a b; rm"], None, false);
        check(Kind::Exec, r#"{"argv":["cat"],"stdin":""}"#, &["cat"], Some(""), false);
    }

    #[test]
    fn refuses_bad_inputs() {
        check_bad(Kind::Shell, "{}", "/command", "`command` is required");
        check_bad(Kind::Shell, r#"{"command":"a\u0000b"}"#, "/command", "it contains a NUL character");
        check_bad(
            Kind::Shell,
            r#"{"command":["a"]}"#,
            "/command",
            "invalid type: sequence, expected a string",
        );
        check_bad(
            Kind::Shell,
            r#"{"cmd":"a"}"#,
            "/cmd",
            "unknown field `cmd`, expected one of `command`, `stdin`, `allow_failure`",
        );
        check_bad(Kind::Exec, "{}", "/argv", "`argv` is required");
        check_bad(Kind::Exec, r#"{"argv":[]}"#, "/argv", "it names no program");
        check_bad(Kind::Exec, r#"{"argv":[""]}"#, "/argv/0", "it names no program");
        check_bad(Kind::Exec, r#"{"argv":["a","b\u0000"]}"#, "/argv/1", "it contains a NUL character");
        check_bad(
            Kind::Exec,
            r#"{"argv":["a",5]}"#,
            "/argv/1",
            "invalid type: integer `5`, expected a string",
        );
        check_bad(
            Kind::Exec,
            r#"{"argv":["a"],"allow_failure":1}"#,
            "/allow_failure",
            "invalid type: integer `1`, expected a boolean",
        );
    }

    #[test]
    fn knows_its_names() {
        assert_eq!(Kind::from_name("shell"), Some(Kind::Shell));
        assert_eq!(Kind::from_name("exec"), Some(Kind::Exec));
        assert_eq!(Kind::from_name("echo"), None);
    }
}
