//! `skills`: lists, shows, checks, runs and makes skills: one file a command.

mod list;
mod new;
mod run;
mod show;
mod validate;

use std::path::{Path, PathBuf};

use schemas::{exit_code::ExitCode, output::skills::Reason};
use workflow_engine::load::nearest;

use super::output;
use crate::{
    catalog::list::{All, Callable},
    errors::{CommandError, Result},
    store::home::Home,
};

/// List, show, check, run and make skills.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow skills list\n  \
    q workflow skills show http-get --json\n  \
    q workflow skills run echo --input '{\"message\":\"Hello\"}'")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Arguments),
    Show(show::Arguments),
    Validate(validate::Arguments),
    Run(run::Arguments),
    New(new::Arguments),
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    match &arguments.command {
        Command::List(arguments) => list::run(arguments, home),
        Command::Show(arguments) => show::run(arguments, home),
        Command::Validate(arguments) => validate::run(arguments, home),
        Command::Run(arguments) => run::run(arguments, home),
        Command::New(arguments) => new::run(arguments),
    }
}

/// All skills, as a definition in the working directory would see them.
fn all(home: &Home, skills_dir: Option<&Path>) -> Result<All> {
    Ok(crate::catalog::list::all(&here()?, home, skills_dir))
}

fn here() -> Result<PathBuf> {
    std::env::current_dir().map_err(|error| {
        CommandError::new(ExitCode::Engine, format!("the current directory cannot be used: {error}"))
    })
}

/// The skill of that name.
fn find<'a>(all: &'a All, name: &str) -> Result<&'a Callable> {
    if let Some(skill) = all.find(name) {
        return Ok(skill);
    }
    if let Some(other) = all.other(name) {
        let exit = match other.reason {
            Reason::Broken => ExitCode::Invalid,
            Reason::OnlyText | Reason::Hidden => ExitCode::NotFound,
        };
        return Err(CommandError::new(exit, format!("the skill `{name}` cannot be used: {}", other.message)));
    }
    let near = nearest(name, all.callable.iter().map(|skill| skill.name.as_str()));
    let mut hint = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    hint.push_str("searched: ");
    for folder in &all.searched {
        hint.push_str(&output::shown(folder));
        hint.push_str(", ");
    }
    hint.push_str("built in");
    let shown = crate::ui::text::escape(name);
    Err(CommandError::new(ExitCode::NotFound, format!("the skill `{shown}` does not exist")).hint(hint))
}
