//! What a run is given on its command line: declared inputs and context, checked before anything exists.

use std::{collections::BTreeMap, fs::File, io::Read as _, path::Path};

use schemas::{exit_code::ExitCode, json::Json};
use serde_json::value::RawValue;
use workflow_engine::{
    load::nearest,
    plan::{InputDeclaration, InputType, Plan},
    verdict::parse_output,
};

use crate::errors::{CommandError, Result};

/// Longest file of inputs.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// The values of the declared inputs: those of `--inputs`, over them those of `--input`, defaults for the rest.
pub fn resolve(plan: &Plan, file: Option<&Path>, given: &[String]) -> Result<BTreeMap<String, Json>> {
    let mut values = file.map(read_file).transpose()?.unwrap_or_default();
    let mut problems = Vec::new();
    for name in values.keys() {
        if !plan.inputs.contains_key(name) {
            problems.push(undeclared(plan, name));
        }
    }
    for pair in given {
        let (name, text) = split(pair, "--input")?;
        match plan.inputs.get(name) {
            Some(declaration) => {
                values.insert(name.to_owned(), from_text(declaration, name, text)?);
            }
            None => problems.push(undeclared(plan, name)),
        }
    }
    for (name, declaration) in &plan.inputs {
        match (values.get(name), &declaration.default) {
            (Some(value), _) => problems.extend(misfit(declaration, name, value)),
            (None, Some(default)) => {
                values.insert(name.clone(), default.clone());
            }
            (None, None) if declaration.required => problems.push(format!("the input `{name}` is required")),
            (None, None) => {}
        }
    }
    if problems.is_empty() {
        return Ok(values);
    }
    Err(CommandError::new(ExitCode::Invalid, problems.join("; ")).hint(usage(plan)))
}

/// The values of `--context`: each must be a key of the definition's readonly context.
pub fn context(plan: &Plan, given: &[String]) -> Result<BTreeMap<String, Json>> {
    let mut values = BTreeMap::new();
    for pair in given {
        let (name, text) = split(pair, "--context")?;
        let Some(current) = plan.readonly.get(name) else {
            let known: Vec<_> = plan.readonly.keys().map(String::as_str).collect();
            return Err(CommandError::new(
                ExitCode::Invalid,
                format!("the definition has no readonly context key `{name}`"),
            )
            .hint(format!("it has: {}", listed(&known))));
        };
        // A key that holds text stays text; any other takes JSON, and text that is no JSON.
        let value = if current.as_str().starts_with('"') { string(text) } else { json_or_string(text) };
        values.insert(name.to_owned(), value);
    }
    Ok(values)
}

fn read_file(path: &Path) -> Result<BTreeMap<String, Json>> {
    let shown = path.display();
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut text));
    read.map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let exit = if missing { ExitCode::NotFound } else { ExitCode::Invalid };
        CommandError::new(exit, format!("the inputs {shown} could not be read: {error}"))
    })?;
    if text.len() as u64 > FILE_MAX {
        return Err(CommandError::new(
            ExitCode::Invalid,
            format!("the inputs {shown} are over {FILE_MAX} bytes"),
        ));
    }
    let wrong =
        |why: String| CommandError::new(ExitCode::Invalid, format!("the inputs {shown} are wrong: {why}"));
    let value = parse_output(&text).map_err(|error| wrong(error.to_string()))?;
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(value.as_str())
        .map_err(|_| wrong("they must be one JSON object, name to value".to_owned()))?;
    members
        .into_iter()
        .map(|(name, value)| Ok((name, Json::parse(value.get()).map_err(|error| wrong(error.to_string()))?)))
        .collect()
}

fn split<'a>(pair: &'a str, flag: &str) -> Result<(&'a str, &'a str)> {
    pair.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
        CommandError::new(ExitCode::Usage, format!("`{flag} {pair}` is not of the form name=value"))
    })
}

/// Text from the command line as the declared type wants it.
fn from_text(declaration: &InputDeclaration, name: &str, text: &str) -> Result<Json> {
    match declaration.kind {
        Some(InputType::String) => Ok(string(text)),
        None => Ok(json_or_string(text)),
        Some(kind) => parse_output(text.as_bytes()).map_err(|_| {
            CommandError::new(
                ExitCode::Invalid,
                format!("the input `{name}` must be of type {}, and `{text}` is not JSON", kind.name()),
            )
        }),
    }
}

fn misfit(declaration: &InputDeclaration, name: &str, value: &Json) -> Option<String> {
    let kind = declaration.kind?;
    (!kind.takes(value)).then(|| format!("the input `{name}` must be of type {}", kind.name()))
}

fn undeclared(plan: &Plan, name: &str) -> String {
    let near = nearest(name, plan.inputs.keys().map(String::as_str));
    let near = near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
    format!("the definition declares no input `{name}`{near}")
}

fn usage(plan: &Plan) -> String {
    let known: Vec<_> = plan.inputs.keys().map(String::as_str).collect();
    format!("give inputs by --input name=value or --inputs file.json; declared: {}", listed(&known))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn json_or_string(text: &str) -> Json {
    parse_output(text.as_bytes()).unwrap_or_else(|_| string(text))
}

fn string(text: &str) -> Json {
    Json::from_serialize(&text).unwrap_or_else(|_| Json::null())
}
