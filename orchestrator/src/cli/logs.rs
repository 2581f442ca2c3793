//! `logs`: what the engine and the programs of a run wrote, as lines; with `--follow` until the run ends.

mod engine;
mod follow;
mod line;
mod merge;
mod steps;
mod tail;

use std::io;

use jiff::Timestamp;
use schemas::{
    exit_code::ExitCode,
    output::log::{LogLine, Stream},
};
use workflow_engine::load;

use self::{
    engine::EngineLog,
    line::{Form, Printer},
    merge::Ending,
    steps::Steps,
};
use super::output::{self, engine_error};
use crate::{
    errors::{CommandError, Result},
    fold,
    store::home::{Home, RunDir},
    ui::pager::Pager,
};

/// Show what a run wrote: lines of the engine, of stdout and of stderr.
///
/// A line of the engine begins with `engine |`, one of stdout with the step and `|`, one of stderr with the step
/// and `!`. With both --step and --stream the lines stand alone. Control characters are shown as escapes; --json
/// has the text as it was written.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow logs @last\n  \
    q workflow logs @last --follow\n  \
    q workflow logs 01997b1c --step build --stream stderr\n  \
    q workflow logs 01997b1c --since 10m --json")]
pub(super) struct Arguments {
    /// Id of a run, or a unique beginning of one; `@last` is the newest.
    #[arg(value_name = "ID")]
    id: String,
    /// Go on until the run ends.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    wanted: Wanted,
    /// Print each line as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Which lines are wanted.
#[derive(Debug, Clone, clap::Args)]
struct Wanted {
    /// Only this step.
    #[arg(long, value_name = "ID")]
    step: Option<String>,
    /// Only this attempt of a step.
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Only this stream.
    #[arg(long, value_name = "STREAM", value_parser = streams())]
    stream: Option<Stream>,
    /// Only lines since then: how long ago (90, 10m, 2d), or a time by RFC 3339.
    #[arg(long, value_name = "WHEN", value_parser = output::moment)]
    since: Option<Timestamp>,
}

fn streams() -> impl clap::builder::TypedValueParser<Value = Stream> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};
    let words = PossibleValuesParser::new(Stream::ALL.iter().map(|stream| stream.as_str()));
    words.try_map(|word| Stream::ALL.iter().find(|stream| stream.as_str() == word).copied().ok_or("unknown"))
}

/// Whether a step is meant: by its id, or by the one that is unique in the run (`call.inner`).
fn is_named(step: &str, wanted: &str) -> bool {
    step == wanted || step.rsplit('.').next() == Some(wanted)
}

impl Wanted {
    /// Whether a stream of an attempt is to be read at all.
    fn reads(&self, step: &str, attempt: u32, stream: Stream) -> bool {
        self.step.as_deref().is_none_or(|wanted| is_named(step, wanted))
            && self.attempt.is_none_or(|wanted| wanted == attempt)
            && self.stream.is_none_or(|wanted| wanted == stream)
    }

    fn has(&self, line: &LogLine) -> bool {
        self.step
            .as_deref()
            .is_none_or(|wanted| line.step.as_deref().is_some_and(|step| is_named(step, wanted)))
            && (self.attempt.is_none() || self.attempt == line.attempt)
            && self.stream.is_none_or(|wanted| wanted == line.stream)
            && self.since.is_none_or(|since| line.ts >= since)
    }
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let dir = super::find_run(home, &arguments.id)?;
    let wanted = &arguments.wanted;
    if let Some(step) = &wanted.step {
        check_step(&dir, step)?;
    }
    let form = match (arguments.json, &wanted.step, wanted.stream) {
        (true, _, _) => Form::Json,
        (false, Some(_), Some(Stream::Stdout | Stream::Stderr)) => Form::Alone,
        (false, _, _) => Form::Marked,
    };
    let pager = if arguments.follow { None } else { Pager::start() };
    let mut printer = Printer::new(form, wanted.clone(), pager);
    if arguments.follow {
        heard(follow::follow(&dir, &mut printer))?;
    } else {
        heard(show(&dir, &mut printer))?;
    }
    Ok(ExitCode::Done)
}

/// A step that the run does not have is a mistake, one that did not run yet is not.
fn check_step(dir: &RunDir, wanted: &str) -> Result<()> {
    let view = fold::current_view(dir)?;
    if view.steps.iter().any(|step| step.id == wanted || step.full_name() == wanted)
        || view.rollback.iter().any(|undo| undo.id == wanted)
    {
        return Ok(());
    }
    let wanted: String = wanted.chars().take(64).collect();
    let error = CommandError::new(ExitCode::NotFound, format!("run {} has no step {wanted:?}", dir.id()));
    match load::nearest(&wanted, view.steps.iter().map(|step| step.id.as_str())) {
        Some(near) => Err(error.hint(format!("did you mean `{near}`?"))),
        None => Err(error.hint(format!("`q workflow status {}` shows its steps", dir.id()))),
    }
}

/// Prints everything that is there.
fn show(dir: &RunDir, printer: &mut Printer) -> io::Result<()> {
    let (mut engine, mut steps) = (EngineLog::new(dir), Steps::new(dir));
    merge::merge(&mut engine, &mut steps, Ending::Final, printer)
}

/// A reader that went away has seen enough.
fn heard(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| engine_error(&error)),
    }
}
