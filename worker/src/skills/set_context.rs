//! `set-context`: gives its inputs as they are. That they are assigned to the mutable context is the engine's part.

use super::{
    catalog::{Builtin, Needs},
    echo,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "set-context",
    description: "Assigns its inputs to the mutable context of the workflow.",
    inputs: r#"{"type":"object"}"#,
    outputs: r#"{"type":"object"}"#,
    idempotent: true,
    needs: Needs::Nothing,
    execute: Some(execute),
};

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    value(&echo::any_object(inputs)?)
}

#[cfg(test)]
mod tests {
    use crate::skills::testing::{bad_input, value};

    #[test]
    fn gives_what_is_to_be_assigned() {
        value("set-context", r#"{"counter":1}"#, r#"{"counter":1}"#);
        bad_input("set-context", "[]", "", "the inputs are not an object");
    }
}
