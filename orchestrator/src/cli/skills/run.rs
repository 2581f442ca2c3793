//! `skills run`: one skill as the only step of a run, in its sandbox and with everything that a step has.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use schemas::{exit_code::ExitCode, json::Json, skill::FILE_NAME};
use workflow_engine::{load::Syntax, value, verdict::parse_output};

use crate::{
    cli::{output, run as whole},
    definition::Source,
    errors::{CommandError, Result},
    store::home::Home,
};

/// Longest inputs.
const INPUT_MAX: u64 = 16 * 1024 * 1024;
/// Longest name of a workflow.
const NAME_MAX: usize = schemas::definition::MAX_NAME;

/// Run one skill in its sandbox, as the only step of a run, and print its result.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow skills run echo --input '{\"message\":\"Hello\"}'\n  \
    q workflow skills run ./skills/greet --input @inputs.json --json\n  \
    echo '{\"path\":\".\"}' | q workflow skills run file-list --input @-")]
pub(super) struct Arguments {
    /// Name of the skill, or its folder.
    #[arg(value_name = "NAME|FOLDER")]
    skill: String,
    /// The inputs: one JSON object, `@FILE`, or `@-` for standard input.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    /// Print the final run view as JSON.
    #[arg(long, conflicts_with = "events")]
    json: bool,
    /// Print every event as a line of JSON.
    #[arg(long)]
    events: bool,
    /// Limit on the whole run: seconds, or 250ms, 30s, 10m, 1h30m.
    #[arg(long, value_name = "DURATION", value_parser = whole::duration)]
    timeout: Option<Duration>,
    /// A cgroup v2 directory that is ours to use.
    #[arg(long, value_name = "PATH")]
    cgroup_base: Option<PathBuf>,
    /// A folder of skills that is searched first.
    #[arg(long, value_name = "DIR")]
    skills_dir: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let (skills_dir, name) = named(arguments)?;
    super::find(&super::all(home, skills_dir.as_deref())?, &name)?;
    let inputs = inputs(&arguments.input)?;
    // A definition in the working directory sees the skills that this command lists.
    let path = super::here()?.join(format!("{name}.json"));
    let source = Source {
        name: format!("<inputs of {name}>"),
        path: Some(path),
        syntax: Syntax::Json,
        text: definition(&name, &inputs).into_bytes(),
    };
    let mut options = whole::Arguments::printing(RESULT);
    options.json = arguments.json;
    options.events = arguments.events;
    options.timeout = arguments.timeout;
    options.cgroup_base.clone_from(&arguments.cgroup_base);
    options.skills_dir = skills_dir;
    whole::execute(&options, source, home)
}

/// The folder that is searched first, and the name of the skill.
fn named(arguments: &Arguments) -> Result<(Option<PathBuf>, String)> {
    let given = Path::new(&arguments.skill);
    if !arguments.skill.contains('/') || !given.join(FILE_NAME).is_file() {
        return Ok((arguments.skills_dir.clone(), arguments.skill.clone()));
    }
    let whole = given.canonicalize().map_err(|error| output::engine_error(&error))?;
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((whole.parent().map(Path::to_owned), name))
}

/// The output of the run that holds the skill's result.
const RESULT: &str = "result";

/// A definition of one step. What the skill is given is data: nothing in it is a reference.
fn definition(name: &str, inputs: &Json) -> String {
    let text = |text: &str| Json::from_serialize(&text).unwrap_or_else(|_| Json::null());
    let step = value::object(&[
        ("id", text("skill")),
        ("type", text("skill")),
        ("skill", text(name)),
        ("inputs", value::object(&[("$literal", inputs.clone())])),
    ]);
    let workflow: String = format!("skill-{name}").chars().take(NAME_MAX).collect();
    let steps = Json::from_serialize(&[step]).unwrap_or_else(|_| Json::null());
    let members = [
        ("name", text(&workflow)),
        ("version", text("1.0.0")),
        ("steps", steps),
        ("outputs", value::object(&[(RESULT, text("skill.data"))])),
    ];
    value::object(&members).as_str().to_owned()
}

fn inputs(given: &str) -> Result<Json> {
    let wrong = |why: String| CommandError::new(ExitCode::Invalid, format!("--input {why}"));
    let text = match given.strip_prefix('@') {
        None => given.as_bytes().to_vec(),
        Some("-") => {
            read(io::stdin().lock()).map_err(|error| wrong(format!("could not be read: {error}")))?
        }
        Some(file) => {
            let read = File::open(file).and_then(read);
            read.map_err(|error| {
                let missing = error.kind() == io::ErrorKind::NotFound;
                let exit = if missing { ExitCode::NotFound } else { ExitCode::Invalid };
                let shown = output::shown(Path::new(file));
                CommandError::new(exit, format!("the inputs {shown} could not be read: {error}"))
            })?
        }
    };
    if text.len() as u64 > INPUT_MAX {
        return Err(wrong(format!("is over {INPUT_MAX} bytes")));
    }
    let value = parse_output(&text).map_err(|error| wrong(format!("is not JSON: {error}")))?;
    if !value.as_str().starts_with('{') {
        return Err(wrong("must be one JSON object: name to value".to_owned()));
    }
    Ok(value)
}

fn read(input: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    input.take(INPUT_MAX + 1).read_to_end(&mut text)?;
    Ok(text)
}
