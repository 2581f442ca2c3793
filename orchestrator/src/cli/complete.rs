//! What a shell asks while somebody types: which commands, runs, names and steps begin like this.
//!
//! The shell calls q with a variable set, and the words so far behind `--` (clap_complete). Nothing is made and nothing
//! is waited for: what cannot be read is not offered.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    io::Write as _,
    path::Path,
};

use clap::{Arg, Command, CommandFactory as _};
use clap_complete::{
    CompleteEnv,
    engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _},
    env::Shells,
};
use schemas::exit_code::ExitCode;

use crate::{
    agents, catalog,
    errors::CommandError,
    fold,
    store::{
        definitions,
        home::Home,
        index::{Entry, Filter, Index},
        resolve, schedules,
    },
    ui,
};

/// Set by the code that a shell runs to complete.
const VARIABLE: &str = "Q_WORKFLOW_COMPLETE";
/// Runs that are offered: the newest.
const RUNS: usize = 50;

/// Answers a shell, if it is one that asks.
pub(super) fn answer() -> Option<ExitCode> {
    let shells = Shells::builtins();
    let asked = CompleteEnv::with_factory(command).var(VARIABLE).bin("q").completer("q").shells(shells);
    match asked.try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref()) {
        Ok(true) => Some(ExitCode::Done),
        Ok(false) => None,
        Err(error) => {
            ui::say(&CommandError::from_error(ExitCode::Engine, &error).render());
            Some(ExitCode::Engine)
        }
    }
}

/// The code with which a shell asks us.
pub(super) fn registration(shell: &str) -> std::io::Result<Vec<u8>> {
    let mut code = Vec::new();
    let shells = Shells::builtins();
    let shell = shells.completer(shell).ok_or(std::io::ErrorKind::Unsupported)?;
    shell.write_registration(VARIABLE, "q", "q", "q", &mut code)?;
    // For whoever reads it: nothing in it names what it completes.
    let commands = super::Workflow::command();
    let names: Vec<_> =
        commands.get_subcommands().filter(|sub| !sub.is_hide_set()).map(Command::get_name).collect();
    writeln!(code, "# completes: q workflow {}", names.join("|"))?;
    Ok(code)
}

/// The grammar, of which every argument knows its candidates.
fn command() -> Command {
    offering(&[], super::Arguments::command())
}

fn offering(above: &[String], command: Command) -> Command {
    let path: Vec<_> = above.iter().cloned().chain([command.get_name().to_owned()]).collect();
    command
        .mut_args(|arg| match of(&path, &arg) {
            Some(candidates) => {
                arg.add(ArgValueCompleter::new(move |current: &OsStr| candidates.like(current)))
            }
            None => arg,
        })
        .mut_subcommands(|sub| offering(&path, sub))
}

/// What may stand in an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Candidates {
    Runs,
    Steps,
    /// Names of stored definitions.
    Definitions,
    /// The same, and files.
    Sources,
    /// The same, and runs.
    SourcesAndRuns,
    /// Names of workflows that have run.
    Workflows,
    Schedules,
    Skills,
    Agents,
}

/// By the command and by the name that the argument's value has in the help.
fn of(path: &[String], arg: &Arg) -> Option<Candidates> {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    let value = arg.get_value_names()?.first()?.as_str();
    match (path.get(2..).unwrap_or_default(), value) {
        _ if arg.get_id() == "step" => Some(Candidates::Steps),
        (["schedule", ..], "ID") => Some(Candidates::Schedules),
        (["skills", ..], "NAME") => Some(Candidates::Skills),
        (["agents", ..], "NAME") => Some(Candidates::Agents),
        (_, "ID") => Some(Candidates::Runs),
        (_, "FILE|NAME") => Some(Candidates::Sources),
        (_, "FILE|NAME|ID") => Some(Candidates::SourcesAndRuns),
        (["delete"], "NAME") => Some(Candidates::Definitions),
        (["history" | "list"], "NAME") => Some(Candidates::Workflows),
        _ => None,
    }
}

impl Candidates {
    /// Those that begin like this.
    fn like(self, current: &OsStr) -> Vec<CompletionCandidate> {
        let words: Vec<_> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
        let Some(home) = home(&words) else { return Vec::new() };
        let files = || PathCompleter::file().complete(current);
        let found = match self {
            Self::Runs => runs(&home),
            Self::Steps => steps(&home, &words),
            Self::Definitions | Self::Sources => stored(&home),
            Self::SourcesAndRuns => stored(&home).into_iter().chain(runs(&home)).collect(),
            Self::Workflows => newest(&home)
                .map(|entry| entry.workflow)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .map(bare)
                .collect(),
            Self::Schedules => schedules(&home),
            Self::Skills => skills(&home),
            Self::Agents => {
                let names = agents::all_names(&agents::places(None, &home));
                names.iter().map(|name| bare(name.as_str().to_owned())).collect()
            }
        };
        let begins = |candidate: &CompletionCandidate| {
            candidate.get_value().as_encoded_bytes().starts_with(current.as_encoded_bytes())
        };
        let with_files = matches!(self, Self::Sources | Self::SourcesAndRuns);
        let files = if with_files { files() } else { Vec::new() };
        found.into_iter().filter(begins).chain(files).collect()
    }
}

/// The home that the words so far mean.
fn home(words: &[OsString]) -> Option<Home> {
    let given = words.iter().position(|word| word == "--home").and_then(|place| words.get(place + 1));
    let joined = words.iter().find_map(|word| word.to_str()?.strip_prefix("--home="));
    let flag = given.map(Path::new).or(joined.map(Path::new));
    Home::choose(flag, |name| std::env::var_os(name)).ok()
}

fn bare(name: String) -> CompletionCandidate {
    CompletionCandidate::new(name)
}

fn newest(home: &Home) -> impl Iterator<Item = Entry> {
    let entries = Index::new(home).newest(RUNS, &Filter::default(), |_| true);
    entries.ok().flatten().unwrap_or_default().into_iter()
}

fn runs(home: &Home) -> Vec<CompletionCandidate> {
    let told = |entry: Entry| {
        let help = format!("{}, {}", entry.workflow, entry.status);
        CompletionCandidate::new(entry.run_id.to_string()).help(Some(help.into()))
    };
    let runs: Vec<_> = newest(home).map(told).collect();
    let last =
        (!runs.is_empty()).then(|| CompletionCandidate::new("@last").help(Some("the newest run".into())));
    last.into_iter().chain(runs).collect()
}

/// The steps of the run that stands among the words; else of the newest.
fn steps(home: &Home, words: &[OsString]) -> Vec<CompletionCandidate> {
    let mut named = words.iter().filter_map(|word| word.to_str()).filter(|word| word.len() >= 4);
    let run = named.find_map(|word| resolve::resolve(home, word).ok());
    let Some(run) = run.or_else(|| resolve::resolve(home, "@last").ok()) else { return Vec::new() };
    let Ok(view) = fold::current_view(&home.run(run)) else { return Vec::new() };
    let ids: BTreeSet<_> = view.steps.into_iter().map(|step| step.id).collect();
    ids.into_iter().map(bare).collect()
}

fn stored(home: &Home) -> Vec<CompletionCandidate> {
    let names = definitions::list(home).unwrap_or_default();
    names.iter().map(|name| bare(name.as_str().to_owned())).collect()
}

fn schedules(home: &Home) -> Vec<CompletionCandidate> {
    let stored = schedules::read(home).map(|stored| stored.schedules).unwrap_or_default();
    let told = |schedule: schemas::schedule::Schedule| {
        CompletionCandidate::new(schedule.id).help(Some(schedule.cron.into()))
    };
    stored.into_iter().map(told).collect()
}

fn skills(home: &Home) -> Vec<CompletionCandidate> {
    let here = std::env::current_dir().unwrap_or_default();
    let all = catalog::list::all(&here, home, None);
    all.callable.into_iter().map(|skill| bare(skill.name)).collect()
}
