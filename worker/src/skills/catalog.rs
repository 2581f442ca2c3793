//! The list of built-in skills: what `validate` and `skills show` need to know of each, and which
//! function runs it.

use super::{
    assert, echo, exec, fail, file_copy, file_delete, file_exists, file_list, file_read, file_write, hash,
    http_get, http_request, json_parse, json_query, log_error, mcp_call, notify, process_a, process_b,
    process_file,
    run::{Context, Failure, Value},
    set_context, shell, sleep, template, wait_for,
};

/// What a skill touches, and so how cheap its birth may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Its inputs, its result and stderr only.
    Nothing,
    /// Files as well.
    Files,
    /// The network as well as files.
    Network,
    /// A program, which the engine starts: see [`super::program`].
    Program,
}

/// Runs a skill: JSON text of the inputs in, value out.
pub(super) type Execute = fn(&str, &Context) -> Result<Value, Failure>;

/// One built-in skill.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// The name by which steps call it.
    pub name: &'static str,
    /// What it does, one line.
    pub description: &'static str,
    /// JSON Schema of its inputs, as text.
    pub inputs: &'static str,
    /// JSON Schema of its result, as text.
    pub outputs: &'static str,
    /// Whether running it twice does no harm.
    pub idempotent: bool,
    /// What it touches.
    pub needs: Needs,
    /// `None` for those that are programs.
    pub(super) execute: Option<Execute>,
}

/// Every built-in skill, in the order of the reference.
static CATALOG: &[Builtin] = &[
    echo::BUILTIN,
    set_context::BUILTIN,
    http_get::BUILTIN,
    http_request::BUILTIN,
    json_parse::BUILTIN,
    file_exists::BUILTIN,
    process_file::BUILTIN,
    log_error::BUILTIN,
    process_a::BUILTIN,
    process_b::BUILTIN,
    shell::BUILTIN,
    exec::BUILTIN,
    file_read::BUILTIN,
    file_write::BUILTIN,
    file_copy::BUILTIN,
    file_delete::BUILTIN,
    file_list::BUILTIN,
    json_query::BUILTIN,
    template::BUILTIN,
    sleep::BUILTIN,
    assert::BUILTIN,
    fail::BUILTIN,
    hash::BUILTIN,
    wait_for::BUILTIN,
    notify::BUILTIN,
    mcp_call::BUILTIN,
];

/// Every built-in skill, in the order of the reference.
pub fn catalog() -> &'static [Builtin] {
    CATALOG
}

/// The built-in skill of that name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    catalog().iter().find(|builtin| builtin.name == name)
}

/// Whether a skill writes to stderr: what the step says to people.
pub fn writes(name: &str) -> bool {
    [log_error::BUILTIN.name, notify::BUILTIN.name].contains(&name)
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Tree;

    use super::*;
    use crate::skills::testing::{fits, misfits};

    #[test]
    fn names_are_unique_and_found() {
        for builtin in catalog() {
            assert_eq!(find(builtin.name).map(|found| found.description), Some(builtin.description));
        }
        assert!(find("Echo").is_none());
    }

    #[test]
    fn schemas_are_schemas_of_objects() {
        for builtin in catalog() {
            for schema in [builtin.inputs, builtin.outputs] {
                let tree: Tree = serde_json::from_str(schema).expect("the schema is JSON");
                assert!(jsonschema::meta::is_valid(&tree), "{}: {schema}", builtin.name);
                assert_eq!(tree["type"], "object", "{}", builtin.name);
                assert!(!misfits(schema, "[]").is_empty(), "{}", builtin.name);
            }
        }
    }

    #[test]
    fn programs_are_not_run_in_the_worker() {
        for builtin in catalog() {
            assert_eq!(builtin.execute.is_none(), builtin.needs == Needs::Program, "{}", builtin.name);
        }
    }

    #[test]
    fn those_of_the_plan_need_no_inputs() {
        for name in ["echo", "process-a", "process-b", "process-file", "log-error", "notify"] {
            fits(find(name).expect("a built-in skill").inputs, "{}");
        }
    }
}
