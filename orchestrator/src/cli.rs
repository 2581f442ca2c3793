//! The command line: one file a command. Here are only the grammar and the way to each.

mod agents;
mod complete;
mod completions;
mod create;
mod daemon;
mod delete;
mod detach;
mod doctor;
mod eval;
mod explain;
mod graph;
mod history;
mod list;
mod logs;
mod man;
mod notify;
mod output;
mod progress;
mod prune;
#[cfg(test)]
mod reference;
mod report;
mod resume;
mod retry;
mod run;
mod schedule;
mod schema;
mod skills;
mod status;
mod stop;
mod validate;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use schemas::exit_code::ExitCode;
use workflow_engine::load;

use crate::{
    errors::{CommandError, Result},
    store::{
        home::{Home, RunDir},
        index::{Filter, Index},
        resolve,
    },
    ui::{self, pager},
};

/// Among so many of the newest runs one is looked for that may have been meant.
const NEAR_RUNS: usize = 50;

/// So much of what somebody took for an id is said again.
const NAME_SHOWN: usize = 100;

/// Workflows whose every step is its own process tree, held by the kernel.
#[derive(Debug, Parser)]
#[command(name = "q", version, max_term_width = 100, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Top,
}

#[derive(Debug, Subcommand)]
enum Top {
    /// Run, watch and manage workflows.
    Workflow(Workflow),
}

#[derive(Debug, Parser)]
struct Workflow {
    /// Directory that holds all state [default: $Q_WORKFLOW_HOME, else ~/.aws/amazonq/workflows].
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// On a terminal, print long output without $PAGER.
    #[arg(long, global = true)]
    no_pager: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Resume(resume::Arguments),
    Retry(retry::Arguments),
    Status(status::Arguments),
    List(list::Arguments),
    Logs(logs::Arguments),
    Stop(stop::Arguments),
    Validate(validate::Arguments),
    Delete(delete::Arguments),
    Create(create::Arguments),
    History(history::Arguments),
    Explain(explain::Arguments),
    Graph(graph::Arguments),
    Report(report::Arguments),
    Prune(prune::Arguments),
    Schedule(schedule::Arguments),
    Daemon(daemon::Arguments),
    Schema(schema::Arguments),
    Agents(agents::Arguments),
    Doctor(doctor::Arguments),
    Skills(skills::Arguments),
    Eval(eval::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
    #[command(hide = true)]
    Notify(notify::Arguments),
}

/// Parses the command line and runs the command. Usage errors end the process with 2, help with 0.
pub fn main() -> ExitCode {
    if let Some(exit) = complete::answer() {
        return exit;
    }
    let Top::Workflow(workflow) = Arguments::parse().command;
    if workflow.no_pager {
        pager::disable();
    }
    match dispatch(workflow) {
        Ok(exit) => exit,
        Err(error) => {
            ui::say(&error.render());
            error.exit
        }
    }
}

fn dispatch(workflow: Workflow) -> Result {
    let home = || {
        Home::choose(workflow.home.as_deref(), |name| std::env::var_os(name))
            .map_err(|error| CommandError::from_error(ExitCode::Engine, &error))
    };
    match workflow.command {
        Command::Run(arguments) => run::run(&arguments, &home()?),
        Command::Resume(arguments) => resume::run(&arguments, &home()?),
        Command::Retry(arguments) => retry::run(&arguments, &home()?),
        Command::Status(arguments) => status::run(&arguments, &home()?),
        Command::List(arguments) => list::run(&arguments, &home()?),
        Command::Logs(arguments) => logs::run(&arguments, &home()?),
        Command::Stop(arguments) => stop::run(&arguments, &home()?),
        Command::Validate(arguments) => validate::run(&arguments, &home()?),
        Command::Delete(arguments) => delete::run(&arguments, &home()?),
        Command::Create(arguments) => create::run(&arguments, &home()?),
        Command::History(arguments) => history::run(&arguments, &home()?),
        Command::Explain(arguments) => explain::run(&arguments, &home()?),
        Command::Graph(arguments) => graph::run(&arguments, &home()?),
        Command::Report(arguments) => report::run(&arguments, &home()?),
        Command::Prune(arguments) => prune::run(&arguments, &home()?),
        Command::Schedule(arguments) => schedule::run(&arguments, &home()?),
        Command::Daemon(arguments) => daemon::run(&arguments, &home()?),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Agents(arguments) => agents::run(&arguments, &home()?),
        Command::Doctor(arguments) => doctor::run(&arguments, home),
        Command::Skills(arguments) => skills::run(&arguments, &home()?),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
        Command::Notify(arguments) => notify::run(&arguments, &home()?),
    }
}

/// The run that an id, a unique beginning of one, or `@last` means.
fn find_run(home: &Home, text: &str) -> Result<RunDir> {
    match resolve::resolve(home, text) {
        Ok(id) => Ok(home.run(id)),
        Err(error) => Err(told(home, &error)),
    }
}

fn told(home: &Home, error: &resolve::Error) -> CommandError {
    let exit = error.exit_code();
    match error {
        resolve::Error::Ambiguous { text, count, candidates } => {
            let candidates: Vec<_> = candidates.iter().map(ToString::to_string).collect();
            CommandError::new(exit, format!("{text:?} means no one run: {count} ids begin like this"))
                .hint(format!("the newest of them: {}", candidates.join(" ")))
        }
        resolve::Error::Unknown { text } => {
            let text: String = text.chars().take(NAME_SHOWN).collect();
            CommandError::new(exit, format!("no run `{}` here", ui::text::escape(&text)))
                .hint(meant(home, &text))
        }
        resolve::Error::NoRuns => {
            CommandError::new(exit, "there is no run yet").hint("`q workflow run` starts one")
        }
        resolve::Error::Index(_) | resolve::Error::Fault(_) => CommandError::from_error(exit, error),
    }
}

/// What somebody may have meant who named a run that is not there: the newest one of a workflow, or an id with a slip.
fn meant(home: &Home, text: &str) -> String {
    if text.starts_with('@') {
        return "the newest run is `@last`".to_owned();
    }
    let newest =
        Index::new(home).newest(NEAR_RUNS, &Filter::default(), |_| true).ok().flatten().unwrap_or_default();
    if let Some(run) = newest.iter().find(|run| run.workflow == text) {
        return format!("the newest run of {text} is {}", run.run_id);
    }
    let ids: Vec<_> = newest.iter().map(|run| run.run_id.to_string()).collect();
    match load::nearest(text, ids.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => "`q workflow list` shows the runs that there are".to_owned(),
    }
}
