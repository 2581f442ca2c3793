//! `eval`: one expression, or one a line, with variables from a file. Nothing is stored.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use schemas::{
    exit_code::ExitCode,
    failure::Code,
    json::Json,
    output::eval::{ANSWER_VERSION, Answer, AnswerLine, Wrong},
};
use serde::Deserialize;
use workflow_engine::{
    expr::{self, Bound, Names, Program},
    load::nearest,
    value::{Reference, Root, Scope, Segment, select},
    verdict::parse_output,
};

use super::output;
use crate::{
    errors::{CommandError, Result},
    ui,
};

/// Longest file of variables, and longest line of `--batch`.
const MAX_BYTES: u64 = 16 << 20;

/// Evaluate an expression.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow eval '1 + 2 * 3'\n  \
    q workflow eval 'fetch.status in [200, 204]' --vars vars.json\n  \
    echo '{\"expr\":\"n < 5\",\"vars\":{\"n\":3}}' | q workflow eval --batch")]
pub(super) struct Arguments {
    /// The expression.
    #[arg(value_name = "EXPRESSION", required_unless_present = "batch", allow_hyphen_values = true)]
    expression: Option<String>,
    /// JSON file with one object: the names in scope and their values.
    #[arg(long, value_name = "FILE", conflicts_with = "batch")]
    vars: Option<PathBuf>,
    /// Print `{"value":…}` or `{"error":{code,message,column}}`.
    #[arg(long)]
    json: bool,
    /// Read `{"expr","vars"}` from stdin, one a line, and answer each with a line of JSON.
    #[arg(long, conflicts_with = "expression")]
    batch: bool,
}

/// One line of `--batch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    expr: String,
    #[serde(default)]
    vars: Option<Json>,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let Some(expression) = &arguments.expression else { return batch() };
    let variables = arguments.vars.as_deref().map(read_variables).transpose()?.unwrap_or_default();
    let answer = evaluate(expression, &variables);
    let exit = match &answer {
        Answer::Value(_) => ExitCode::Done,
        Answer::Error(_) => ExitCode::Invalid,
    };
    if arguments.json {
        output::json(&answer)?;
        return Ok(exit);
    }
    match answer {
        Answer::Value(value) => output::text(&format!("{}\n", value.as_str()))?,
        Answer::Error(wrong) => ui::say(&drawn(expression, &wrong)),
    }
    Ok(exit)
}

/// Answers line by line, each as soon as it is known.
fn batch() -> Result {
    let mut exit = ExitCode::Done;
    let mut input = BufReader::new(io::stdin().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.by_ref().take(MAX_BYTES + 1).read_until(b'\n', &mut line);
        if read.map_err(|error| output::engine_error(&error))? == 0 {
            return Ok(exit);
        }
        if line.len() as u64 > MAX_BYTES {
            return Err(CommandError::new(
                ExitCode::Invalid,
                format!("a line is longer than {MAX_BYTES} bytes"),
            ));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = answer(&line).unwrap_or_else(|message| {
            exit = ExitCode::Invalid;
            Answer::Error(Wrong { code: Code::BadInput, message, column: None })
        });
        let line = AnswerLine { v: ANSWER_VERSION, answer };
        let mut text = serde_json::to_string(&line).map_err(|error| output::engine_error(&error))?;
        text.push('\n');
        match ui::write(&text) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(exit),
            written => written.map_err(|error| output::engine_error(&error))?,
        }
    }
}

fn answer(line: &[u8]) -> std::result::Result<Answer, String> {
    let request: Request = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let variables = request.vars.as_ref().map(members).transpose()?.unwrap_or_default();
    Ok(evaluate(&request.expr, &variables))
}

/// The variables by name.
#[derive(Debug, Default)]
struct Variables(BTreeMap<String, Json>);

fn members(object: &Json) -> std::result::Result<Variables, String> {
    serde_json::from_str(object.as_str())
        .map(Variables)
        .map_err(|_| "the variables must be one JSON object, name to value".to_owned())
}

impl Names for Variables {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn bind(&mut self, path: &expr::Path) -> Bound {
        let head = &path.head;
        if !self.has(head) {
            return Bound::Unknown(match nearest(head, self.0.keys().map(String::as_str)) {
                Some(near) => format!("there is no `{head}`: did you mean `{near}`?"),
                None => format!("there is no `{head}`"),
            });
        }
        let mut way = vec![Segment::Key(head.clone())];
        way.extend(path.segments.iter().map(|(segment, _)| segment.clone()));
        // What inputs are to a run, variables are to a single expression.
        Bound::To(Reference { root: Root::Inputs, path: way, text: path.to_string() })
    }
}

impl Scope for Variables {
    fn resolve(&self, _: &Root, path: &[Segment]) -> Option<Json> {
        let (Segment::Key(name), rest) = path.split_first()? else { return None };
        select(self.0.get(name)?, rest)
    }

    fn weight(&self, _: &Root, path: &[Segment]) -> usize {
        let [Segment::Key(name), _, ..] = path else { return 0 };
        self.0.get(name).map_or(0, Json::len)
    }
}

fn evaluate(expression: &str, variables: &Variables) -> Answer {
    let column = |at: usize| expression.get(..at).map(|before| before.chars().count() + 1);
    let mut names = Variables(variables.0.clone());
    let program = match Program::compile(expression, &mut names) {
        Ok(program) => program,
        Err(error) => {
            let column = column(error.place.start);
            return Answer::Error(Wrong { code: Code::ExpressionError, message: error.message, column });
        }
    };
    match program.evaluate(variables) {
        Ok(value) => Answer::Value(value),
        Err(error) => Answer::Error(Wrong {
            code: error.code(),
            message: error.to_string(),
            column: error.offset().and_then(column),
        }),
    }
}

fn read_variables(path: &Path) -> Result<Variables> {
    let shown = output::shown(path);
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text));
    read.map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let exit = if missing { ExitCode::NotFound } else { ExitCode::Invalid };
        CommandError::new(exit, format!("the variables {shown} could not be read: {error}"))
    })?;
    let wrong =
        |why: String| CommandError::new(ExitCode::Invalid, format!("the variables {shown} are wrong: {why}"));
    if text.len() as u64 > MAX_BYTES {
        return Err(wrong(format!("they are over {MAX_BYTES} bytes")));
    }
    let value = parse_output(&text).map_err(|error| wrong(error.to_string()))?;
    members(&value).map_err(wrong)
}

/// The error for people: the expression with a pointer below it.
fn drawn(expression: &str, wrong: &Wrong) -> String {
    let mut drawn = format!("error: {}\n", wrong.message);
    let shown = ui::text::escape(expression);
    // A pointer helps where it stands below what it points at.
    if let Some(column) = wrong.column.filter(|_| shown == expression && shown.len() <= 120) {
        let before: String = expression.chars().take(column - 1).collect();
        let indent = " ".repeat(unicode_width::UnicodeWidthStr::width(before.as_str()));
        let _infallible = writeln!(drawn, "  {shown}\n  {indent}^");
    }
    drawn
}
