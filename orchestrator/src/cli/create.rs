//! `create`: a definition from questions and answers, or from a file of answers.

mod answers;
mod draft;
mod prompter;
mod wizard;

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use schemas::exit_code::ExitCode;
use workflow_engine::{
    check::check,
    load::{self, Syntax},
};

use self::answers::{Answers, Save};
use super::output::{self, engine_error, shown};
use crate::{
    catalog,
    errors::{CommandError, Result},
    store::{
        definitions::{self, Existing},
        files::{self, Durability},
        home::Home,
        names::SafeName,
    },
    ui::{self, terminal},
};

/// Make a workflow by answering questions.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow create\n  \
    q workflow create --from answers.json")]
pub(super) struct Arguments {
    /// A file with the answers: the keys of a definition, and `save` (a path, or true for the stored definitions),
    /// `overwrite` and `run`.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let answers = match &arguments.from {
        Some(path) => answers::read(path)?,
        None if terminal::can_ask() => wizard::ask(&mut prompter::Terminal::new()?, home)?,
        None => {
            return Err(CommandError::new(ExitCode::Failed, "nobody can be asked without a terminal")
                .hint("give the answers in a file: --from answers.json"));
        }
    };
    if !is_right(&answers, home) {
        return Ok(ExitCode::Invalid);
    }
    let saved = save(&answers, home)?;
    match &saved {
        Some(path) => output::text(&format!("{}\n", shown(path)))?,
        None if answers.run => {}
        None => output::text(&answers.definition)?,
    }
    if answers.run { start(&answers, saved.as_deref(), home) } else { Ok(ExitCode::Done) }
}

/// Checks the definition, and says what is wrong with it.
fn is_right(answers: &Answers, home: &Home) -> bool {
    let text = answers.definition.as_bytes();
    let (plan, diagnostics) = match load::load(text, Syntax::Json) {
        Ok(definition) => {
            let found = catalog::discover(&definition, folder(answers).as_deref(), home, None);
            check(&definition, &found.catalog)
        }
        Err(diagnostics) => (None, diagnostics),
    };
    if !diagnostics.is_empty() {
        let text = load::display_text(text);
        ui::say(&ui::diagnostics::render("<answers>", &text, &diagnostics));
    }
    plan.is_some()
}

/// Where the file will lie: skills beside it are found from there.
fn folder(answers: &Answers) -> Option<PathBuf> {
    match &answers.save {
        Save::File(path) => std::path::absolute(path).ok()?.parent().map(Path::to_owned),
        Save::Stored | Save::No => None,
    }
}

/// Saves the definition as a whole, or not at all.
fn save(answers: &Answers, home: &Home) -> Result<Option<PathBuf>> {
    let text = answers.definition.as_bytes();
    match &answers.save {
        Save::No => Ok(None),
        Save::Stored => {
            let name: SafeName =
                answers.name.parse().map_err(|error| CommandError::from_error(ExitCode::Invalid, &error))?;
            let existing = if answers.overwrite { Existing::Replace } else { Existing::Keep };
            definitions::write(home, &name, text, existing).map_err(|error| {
                let told = CommandError::from_error(error.exit_code(), &error);
                if told.exit == ExitCode::Failed { told.hint("say `overwrite` to replace it") } else { told }
            })?;
            Ok(Some(home.definition(&name)))
        }
        Save::File(path) => {
            // Its folder is synced, so it must have a name.
            let target = std::path::absolute(path).map_err(|error| engine_error(&error))?;
            let written = if answers.overwrite {
                files::replace(&target, Durability::Durable, |file| file.write_all(text))
            } else {
                files::create_whole(&target, |file| file.write_all(text))
            };
            written.map_err(|fault| {
                if fault.source.kind() == std::io::ErrorKind::AlreadyExists {
                    CommandError::new(ExitCode::Failed, format!("{} is there already", shown(path)))
                        .hint("say `overwrite` to replace it")
                } else {
                    engine_error(&fault)
                }
            })?;
            Ok(Some(path.clone()))
        }
    }
}

/// Runs the definition as `q workflow run` does.
fn start(answers: &Answers, saved: Option<&Path>, home: &Home) -> Result {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("q").args(["workflow", "--home"]).arg(home.path()).arg("run");
    let failed = |error: std::io::Error| engine_error(&error);
    let status = if let Some(path) = saved {
        command.arg(path).status().map_err(failed)?
    } else {
        let mut child = command.arg("-").stdin(Stdio::piped()).spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(answers.definition.as_bytes()).map_err(failed)?;
        }
        child.wait().map_err(failed)?
    };
    let mut known = ExitCode::TABLE.iter().map(|(exit, _)| *exit);
    Ok(known.find(|exit| Some(i32::from(exit.code())) == status.code()).unwrap_or(ExitCode::Engine))
}
