//! `delete`: a stored definition, or the record of an ended run.

use std::io::{self, BufRead as _};

use schemas::{exit_code::ExitCode, schedule::Schedule, view::RunStatus};
use workflow_engine::load;

use super::output::{self, shown};
use crate::{
    errors::{CommandError, Result},
    fold,
    store::{definitions, home::Home, lock, names::SafeName, removal, run::Error, schedules},
    ui::{self, terminal, text::escape},
};

/// Delete a stored definition, or the record of a run that has ended.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  q workflow delete deploy\n  q workflow delete --run 01997b1c --yes")]
pub(super) struct Arguments {
    /// Name of a stored definition.
    #[arg(value_name = "NAME", required_unless_present = "run")]
    name: Option<String>,
    /// Delete the record of this run: its id, or a unique beginning of it.
    #[arg(long, value_name = "ID", conflicts_with = "name")]
    run: Option<String>,
    /// Also a definition that a schedule uses.
    #[arg(long)]
    force: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    match &arguments.run {
        Some(id) => delete_run(id, arguments.yes, home),
        None => delete_definition(arguments, home),
    }
}

fn delete_definition(arguments: &Arguments, home: &Home) -> Result {
    let text = arguments.name.as_deref().unwrap_or_default();
    let name = text.parse::<SafeName>().ok().filter(|name| home.definition(name).exists());
    let name = name.ok_or_else(|| unknown_definition(text, home))?;
    if !arguments.force {
        refuse_scheduled(home, &name)?;
    }
    confirm(arguments.yes, &format!("the definition {name} ({})", shown(&home.definition(&name))))?;
    definitions::delete(home, &name).map_err(|error| CommandError::from_error(error.exit_code(), &error))?;
    output::text(&format!("deleted definition {name}\n"))?;
    Ok(ExitCode::Done)
}

fn refuse_scheduled(home: &Home, name: &SafeName) -> Result<()> {
    let schedules = schedules::read(home)?.schedules;
    let uses = |schedule: &&Schedule| schedule.path.is_none() && schedule.workflow == name.as_str();
    let ids: Vec<_> = schedules.iter().filter(uses).map(|schedule| schedule.id.as_str()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let message = format!("the definition {name} is used by a schedule: {}", ids.join(", "));
    Err(CommandError::new(ExitCode::Failed, message)
        .hint(format!("`q workflow schedule remove {}` first, or say --force", ids.join(" "))))
}

fn unknown_definition(text: &str, home: &Home) -> CommandError {
    let text: String = text.chars().take(100).collect();
    let error =
        CommandError::new(ExitCode::NotFound, format!("there is no stored definition named {text:?}"));
    let stored = definitions::list(home).unwrap_or_default();
    match load::nearest(&text, stored.iter().map(SafeName::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`q workflow list --definitions` shows the stored ones"),
    }
}

fn delete_run(id: &str, sure: bool, home: &Home) -> Result {
    let dir = super::find_run(home, id)?;
    let view = fold::current_view(&dir)?;
    let id = dir.id();
    if !view.status.is_ended() {
        let hint = if view.status == RunStatus::Interrupted { "closes it" } else { "ends it" };
        return Err(CommandError::new(
            ExitCode::Failed,
            format!("run {id} has not ended: it is {}", view.status),
        )
        .hint(format!("`q workflow stop {id}` {hint}")));
    }
    confirm(sure, &format!("run {id} of {} ({})", escape(&view.workflow), view.status))?;
    removal::delete(home, id).map_err(|error| {
        let exit = match &error {
            Error::Lock(lock::Error::Owned(_)) => ExitCode::Failed,
            Error::Lock(lock::Error::NoRun(_)) => ExitCode::NotFound,
            Error::Id(_) | Error::Lock(_) | Error::Journal(_) | Error::Index(_) | Error::Fault(_) => {
                ExitCode::Engine
            }
        };
        CommandError::from_error(exit, &error)
    })?;
    output::text(&format!("deleted run {id}\n"))?;
    Ok(ExitCode::Done)
}

/// Asks whoever is at the terminal; without one, only `--yes` is an answer.
fn confirm(sure: bool, what: &str) -> Result<()> {
    if sure {
        return Ok(());
    }
    if !terminal::can_ask() {
        return Err(CommandError::new(ExitCode::Failed, format!("will not delete {what} without asking"))
            .hint("say --yes to delete it without a terminal"));
    }
    ui::say(&format!("delete {what}? [y/N] "));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| output::engine_error(&error))?;
    if is_yes(&answer) {
        return Ok(());
    }
    Err(CommandError::new(ExitCode::Failed, "nothing was deleted"))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for answer in ["y\n", "Y", " yes \n", "YES\n"] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "yess\n", "no\n", "j\n"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }

    #[test]
    fn an_unknown_definition_has_its_nearest_name() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        let none = unknown_definition("deploi", &home).render();
        definitions::write(&home, &"deploy".parse().unwrap(), b"{}", definitions::Existing::Keep).unwrap();
        let near = unknown_definition("deploi", &home).render();
        insta::assert_snapshot!(none + &near, @r#"
        error: there is no stored definition named "deploi"
        hint: `q workflow list --definitions` shows the stored ones
        error: there is no stored definition named "deploi"
        hint: did you mean `deploy`?
        "#);
        let hostile = unknown_definition("\u{1b}[31m", &home).render();
        assert!(!hostile.contains('\u{1b}'), "{hostile:?}");
    }
}
