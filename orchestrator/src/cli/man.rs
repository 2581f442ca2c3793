//! `man`: manual pages, as man(1) reads them.

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use schemas::exit_code::ExitCode;
use workflow_engine::load;

use super::output;
use crate::errors::{CommandError, Result};

/// Print a manual page.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow man | man -l -\n  \
    q workflow man run > q-workflow-run.1")]
pub(super) struct Arguments {
    /// The page of one command instead of the overview.
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let workflow = workflow();
    let (title, command) = match &arguments.command {
        None => ("q-workflow".to_owned(), workflow),
        Some(name) => {
            let command = workflow.find_subcommand(name).ok_or_else(|| unknown(name, &workflow))?;
            (format!("q-workflow-{name}"), command.clone())
        }
    };
    let mut page = Vec::new();
    let man =
        Man::new(command).title(title.to_uppercase()).source(format!("q {}", env!("CARGO_PKG_VERSION")));
    man.render(&mut page).map_err(|error| output::engine_error(&error))?;
    output::text(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::Done)
}

/// The grammar of `q workflow`.
fn workflow() -> Command {
    let mut whole = super::Arguments::command();
    whole.build();
    whole.find_subcommand("workflow").cloned().unwrap_or(whole)
}

fn unknown(name: &str, workflow: &Command) -> CommandError {
    let error = CommandError::new(ExitCode::NotFound, format!("there is no command {name:?}"));
    match load::nearest(name, workflow.get_subcommands().map(Command::get_name)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`q workflow --help` shows them all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let workflow = workflow();
        assert!(workflow.get_subcommands().count() > 3);
        for command in workflow.get_subcommands() {
            let mut page = Vec::new();
            Man::new(command.clone()).render(&mut page).unwrap();
            assert!(String::from_utf8(page).unwrap().contains(".TH"), "{}", command.get_name());
        }
    }

    #[test]
    fn an_unknown_command_has_its_nearest_name() {
        insta::assert_snapshot!(unknown("statsu", &workflow()).render(), @r#"
        error: there is no command "statsu"
        hint: did you mean `status`?
        "#);
    }
}
