//! `json-query`: a jq program over a value.

use std::thread;

use jaq_core::{Compiler, Ctx, Vars, data::JustLut, load};
use jaq_json::{Val, read};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    catalog::{Builtin, Needs},
    input::{self, BadInput},
    json_text,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "json-query",
    description: "Runs a jq program over a value and gives all that it yields.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "data": {"description": "Any value; text is taken as text, not parsed."},
            "query": {"type": "string", "minLength": 1, "maxLength": 65536, "description": "A jq program, `.items[] | .name` say."}
        },
        "required": ["data", "query"],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {
            "result": {"description": "The first value that the program yields; `null` if it yields none."},
            "results": {"type": "array", "description": "All of them."}
        },
        "required": ["result", "results"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Nothing,
    execute: Some(execute),
};

/// Longest program.
const QUERY_MAX: usize = 64 * 1024;
/// Most values that a program may yield.
const RESULTS_MAX: usize = 100_000;
/// Most bytes of all of them together.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Programs and values nest; each level of both takes some of the stack.
const STACK: usize = 256 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs<'a> {
    #[serde(borrow, default, deserialize_with = "input::present")]
    data: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "input::present")]
    query: Option<String>,
}

#[derive(Serialize)]
struct Queried<'a> {
    result: Option<&'a RawValue>,
    results: &'a [Box<RawValue>],
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs<'_> = input::parse(inputs)?;
    let data = input::required(inputs.data, "data")?.get();
    let query = input::required(inputs.query, "query")?;
    if query.len() > QUERY_MAX {
        return Err(BadInput::new("/query", format!("it is over {QUERY_MAX} bytes")).into());
    }
    let results = thread::scope(|scope| {
        let runner = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || query_all(data, &query));
        let broken =
            |what: &str| Failure::permanent("INTERNAL", format!("the query could not be run: {what}"));
        let runner = runner.map_err(|error| broken(&error.to_string()))?;
        runner.join().unwrap_or_else(|_| Err(broken("it broke down")))
    })?;
    value(&Queried { result: results.first().map(AsRef::as_ref), results: &results })
}

fn query_all(data: &str, query: &str) -> Result<Vec<Box<RawValue>>, Failure> {
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = load::Arena::default();
    let modules = load::Loader::new(definitions)
        .load(&arena, load::File { code: query, path: () })
        .map_err(|errors| wrong(&syntax(query, errors)))?;
    let filter = Compiler::default()
        .with_funs(functions)
        .compile(modules)
        .map_err(|errors| wrong(&undefined(query, errors)))?;
    let data = read::parse_single(data.as_bytes())
        .map_err(|error| BadInput::new("/data", format!("it cannot be read: {error}")))?;
    let context = Ctx::<JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let mut results = Vec::new();
    let mut bytes = 0_usize;
    for yielded in filter.id.run((context, data)) {
        let text = match yielded.map_err(jaq_core::Exn::get_err) {
            Ok(value) => value.to_string(),
            Err(Ok(error)) => return Err(Failure::permanent("QUERY_FAILED", error.to_string())),
            // The program asked for its own end.
            Err(Err(_)) => break,
        };
        bytes = bytes.saturating_add(text.len());
        if results.len() == RESULTS_MAX || bytes > BYTES_MAX {
            let message =
                format!("the query yields more than {RESULTS_MAX} values or {BYTES_MAX} bytes of them");
            return Err(Failure::permanent("TOO_LARGE", message));
        }
        // jq knows values that JSON does not: NaN, bytes, keys that are no text.
        results.push(json_text::checked(&text).map_err(|_| {
            let shown: String = text.chars().take(100).collect();
            Failure::permanent("NOT_JSON", format!("the query yields what is no JSON: {shown}"))
        })?);
    }
    Ok(results)
}

fn wrong(why: &str) -> Failure {
    BadInput::new("/query", format!("it is no jq program: {why}")).into()
}

/// What is wrong with the grammar, and at which character.
fn syntax(query: &str, errors: load::Errors<&str, ()>) -> String {
    let mut said = Vec::new();
    for (_, error) in errors {
        match error {
            load::Error::Io(problems) => {
                said.extend(problems.into_iter().map(|(_, why)| why));
            }
            load::Error::Lex(problems) => said.extend(
                problems
                    .iter()
                    .map(|(expected, rest)| format!("{} expected {}", expected.as_str(), at(query, rest))),
            ),
            load::Error::Parse(problems) => said.extend(
                problems
                    .iter()
                    .map(|(expected, rest)| format!("{} expected {}", expected.as_str(), at(query, rest))),
            ),
        }
    }
    said.join("; ")
}

fn undefined(query: &str, errors: jaq_core::compile::Errors<&str, ()>) -> String {
    let problems = errors.into_iter().flat_map(|(_, problems)| problems);
    let said: Vec<_> = problems
        .map(|(name, kind)| format!("the {} `{name}` is not defined {}", kind.as_str(), at(query, name)))
        .collect();
    said.join("; ")
}

/// Where a piece of the program stands in it.
fn at(query: &str, piece: &str) -> String {
    let offset = (piece.as_ptr() as usize).checked_sub(query.as_ptr() as usize);
    match offset.and_then(|offset| query.get(..offset)) {
        Some(before) if before.len() < query.len() => {
            format!("at character {}", before.chars().count() + 1)
        }
        Some(_) | None => "at the end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::skills::testing::{bad_input, error, value};

    #[test]
    fn gives_the_first_and_all() {
        value(
            "json-query",
            r#"{"data":{"items":[{"n":1},{"n":2.50}]},"query":".items[].n"}"#,
            r#"{"result":1,"results":[1,2.50]}"#,
        );
        value(
            "json-query",
            r#"{"data":[1,2,3],"query":"map(. * 2) | add"}"#,
            r#"{"result":12,"results":[12]}"#,
        );
        value("json-query", r#"{"data":[],"query":".[]"}"#, r#"{"result":null,"results":[]}"#);
        value(
            "json-query",
            r#"{"data":"a b","query":"split(\" \") | {first: .[0], n: length}"}"#,
            r#"{"result":{"first":"a","n":2},"results":[{"first":"a","n":2}]}"#,
        );
        value("json-query", r#"{"data":null,"query":"1, halt, 2"}"#, r#"{"result":1,"results":[1]}"#);
    }

    #[test]
    fn says_what_is_wrong_with_a_program() {
        bad_input(
            "json-query",
            r#"{"data":1,"query":". | nope"}"#,
            "/query",
            "it is no jq program: the filter `nope` is not defined at character 5",
        );
        bad_input(
            "json-query",
            r#"{"data":1,"query":"[1"}"#,
            "/query",
            "it is no jq program: closing bracket expected at the end",
        );
        bad_input("json-query", r#"{"data":1}"#, "/query", "`query` is required");
    }

    #[test]
    fn fails_within_bounds() {
        error("json-query", r#"{"data":1,"query":".a"}"#, "QUERY_FAILED");
        error("json-query", r#"{"data":1,"query":"error(\"no\")"}"#, "QUERY_FAILED");
        error("json-query", r#"{"data":1,"query":"repeat(1)"}"#, "TOO_LARGE");
        error("json-query", r#"{"data":1,"query":"nan"}"#, "NOT_JSON");
    }
}
