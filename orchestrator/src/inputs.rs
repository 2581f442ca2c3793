//! What a run is given on its command line: declared inputs and context, checked before anything exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use schemas::{exit_code::ExitCode, json::Json};
use serde_json::value::RawValue;
use workflow_engine::{
    load::nearest,
    plan::{InputDeclaration, InputType, Plan},
    verdict::parse_output,
};

use crate::{
    errors::{CommandError, Result},
    secrets::without_line_feed,
};

/// Longest file of inputs.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// Values on a command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Given {
    /// A declared input; JSON where its type is not a string. VALUE may be env:VARIABLE, @FILE, or @- for standard
    /// input.
    #[arg(long = "input", value_name = "NAME=VALUE")]
    input: Vec<String>,
    /// A file with one JSON object of inputs.
    #[arg(long, value_name = "FILE")]
    inputs: Option<PathBuf>,
    /// Values that came in another way; those of the command line go before.
    #[arg(skip)]
    ready: BTreeMap<String, Json>,
}

impl Given {
    /// These values, and over them those of a command line, each `name=value`.
    pub fn over(ready: BTreeMap<String, Json>, pairs: Vec<String>) -> Self {
        Self { input: pairs, inputs: None, ready }
    }
}

/// Values of the declared inputs.
#[derive(Debug, Default)]
pub struct Values {
    /// Those that the journal holds.
    pub stored: BTreeMap<String, Json>,
    /// Those that are never stored.
    pub secret: BTreeMap<String, Json>,
}

/// The values of the declared inputs: those of `--inputs`, over them those of `--input`, defaults for the rest.
pub fn resolve(plan: &Plan, given: &Given) -> Result<Values> {
    let mut stored = values(&plan.inputs, given)?;
    let is_secret = |name: &String| plan.inputs.get(name).is_some_and(|input| input.secret);
    let secret: BTreeMap<_, _> = stored.extract_if(.., |name, _| is_secret(name)).collect();
    Ok(Values { stored, secret })
}

/// The values of the secret inputs of a run that exists: nobody has stored them.
pub fn again(plan: &Plan, given: &Given) -> Result<BTreeMap<String, Json>> {
    let secret = plan.inputs.iter().filter(|(_, input)| input.secret);
    let secret: Declared = secret.map(|(name, input)| (name.clone(), input.clone())).collect();
    values(&secret, given).map_err(|error| {
        error.hint("only secret inputs are given again; all others are those with which the run was created")
    })
}

/// Values that stand for secret inputs where nothing starts: no decision can depend on them.
pub fn stand_ins(plan: &Plan) -> Result<BTreeMap<String, Json>> {
    let secret = plan.inputs.iter().filter(|(_, input)| input.secret);
    Ok(secret.map(|(name, _)| (name.clone(), string("***"))).collect())
}

/// Declared inputs by name.
type Declared = BTreeMap<String, InputDeclaration>;

fn values(declared: &Declared, given: &Given) -> Result<BTreeMap<String, Json>> {
    let mut values = given.ready.clone();
    values.extend(given.inputs.as_deref().map(read_file).transpose()?.unwrap_or_default());
    let mut problems = Vec::new();
    let mut unread = BTreeSet::new();
    for name in values.keys() {
        if !declared.contains_key(name) {
            problems.push(undeclared(declared, name));
        }
    }
    for pair in &given.input {
        let (name, text) = split(pair, "--input")?;
        let text = &content(name, text)?;
        match declared.get(name) {
            Some(declaration) => match from_text(declaration, name, text) {
                Ok(value) => {
                    unread.remove(name);
                    values.insert(name.to_owned(), value);
                }
                Err(problem) => {
                    unread.insert(name);
                    problems.push(problem);
                }
            },
            None => problems.push(undeclared(declared, name)),
        }
    }
    for (name, declaration) in declared.iter().filter(|(name, _)| !unread.contains(name.as_str())) {
        match (values.get_mut(name), &declaration.default) {
            (Some(value), _) => match declaration.kind.map(|kind| (kind, kind.read(value))) {
                Some((_, Some(read))) => *value = read,
                Some((kind, None)) => {
                    problems.push(format!("the input `{name}` must be of type {}", kind.name()));
                }
                None => {}
            },
            (None, Some(default)) => {
                values.insert(name.clone(), default.clone());
            }
            // A secret that may be absent would decide something by that.
            (None, None) if declaration.required || declaration.secret => {
                problems.push(format!("the input `{name}` is required"));
            }
            (None, None) => {}
        }
    }
    if problems.is_empty() {
        return Ok(values);
    }
    Err(CommandError::new(ExitCode::Invalid, problems.join("; ")).hint(usage(declared)))
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

/// What a value on the command line stands for: a variable, a file, standard input, or itself.
fn content(name: &str, text: &str) -> Result<String> {
    let wrong = |exit, why: String| CommandError::new(exit, format!("the input `{name}`: {why}"));
    if let Some(variable) = text.strip_prefix("env:") {
        return std::env::var(variable)
            .map_err(|error| wrong(ExitCode::Invalid, format!("the variable {variable}: {error}")));
    }
    let Some(path) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    let mut bytes = Vec::new();
    let read = match path {
        "-" => io::stdin().lock().take(FILE_MAX + 1).read_to_end(&mut bytes),
        path => File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let exit = if missing { ExitCode::NotFound } else { ExitCode::Invalid };
        wrong(exit, format!("{path} could not be read: {error}"))
    })?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(wrong(ExitCode::Invalid, format!("{path} is over {FILE_MAX} bytes")));
    }
    String::from_utf8(without_line_feed(bytes))
        .map_err(|_| wrong(ExitCode::Invalid, format!("{path} is not UTF-8")))
}

fn split<'a>(pair: &'a str, flag: &str) -> Result<(&'a str, &'a str)> {
    pair.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
        CommandError::new(ExitCode::Usage, format!("`{flag} {pair}` is not of the form name=value"))
    })
}

/// Text from the command line as the declared type wants it; else what is wrong.
fn from_text(declaration: &InputDeclaration, name: &str, text: &str) -> std::result::Result<Json, String> {
    match declaration.kind {
        Some(InputType::String) => Ok(string(text)),
        None => Ok(json_or_string(text)),
        Some(kind) => parse_output(text.as_bytes()).map_err(|_| {
            format!(
                "the input `{name}` must be of type {}, and {} is not JSON",
                kind.name(),
                if declaration.secret { "it".to_owned() } else { format!("`{text}`") }
            )
        }),
    }
}

fn undeclared(declared: &Declared, name: &str) -> String {
    let near = nearest(name, declared.keys().map(String::as_str));
    let near = near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
    format!("the definition declares no input `{name}`{near}")
}

fn usage(declared: &Declared) -> String {
    let known: Vec<_> = declared.keys().map(String::as_str).collect();
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
