//! `schedule add`: a definition, checked, with a cron expression of the command line or those of its triggers.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Zoned;
use schemas::{
    exit_code::ExitCode,
    json::Json,
    schedule::{CatchUp, Overlap, Schedule, Schedules},
};
use workflow_engine::{
    load::Syntax,
    plan::{self, Plan},
};

use super::timetable_of;
use crate::{
    cli::output::{self, shown},
    clock, config,
    definition::{self, Checked, Source},
    errors::{CommandError, Result},
    inputs::{self, Given},
    owner,
    store::{
        definitions::{self, Existing},
        home::Home,
        names::SafeName,
        schedules,
    },
    ui,
};

/// Start a workflow by the clock from now on.
///
/// Without --cron, every trigger of the type `schedule` in the definition becomes a schedule.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow schedule add nightly.json --cron '30 2 * * *' --timezone Europe/Berlin\n  \
    q workflow schedule add report --cron @hourly --overlap queue --input day=today")]
pub(in crate::cli) struct Arguments {
    /// A workflow file, or the name of a stored definition.
    #[arg(value_name = "FILE|NAME")]
    definition: String,
    /// Cron expression: minute, hour, day of month, month, day of week.
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// Time zone of the expression [default: UTC].
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Fires that were missed: none, the latest, or all of them [default: latest].
    #[arg(long, value_name = "WHAT", value_parser = words(CatchUp::ALL, CatchUp::as_str))]
    catch_up: Option<CatchUp>,
    /// A fire while a run still runs: skip it, queue it, allow both, or replace the run [default: skip].
    #[arg(long, value_name = "WHAT", value_parser = words(Overlap::ALL, Overlap::as_str))]
    overlap: Option<Overlap>,
    /// A delay of at most this, different for each fire.
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::run::duration)]
    jitter: Option<Duration>,
    /// A fire later than this counts as missed.
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::run::duration)]
    max_lag: Option<Duration>,
    /// An input of the runs; JSON where its type is not a string.
    #[arg(long = "input", value_name = "NAME=VALUE")]
    input: Vec<String>,
    /// Run the file where it lies, instead of a copy in definitions/.
    #[arg(long)]
    in_place: bool,
    /// Add it without letting it fire.
    #[arg(long)]
    disabled: bool,
    /// Replace a stored definition of that name that is different.
    #[arg(long)]
    force: bool,
}

fn words<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(all.iter().map(move |word| name(*word)))
        .try_map(move |word| all.iter().copied().find(|one| name(*one) == word).ok_or("unknown"))
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    if arguments.definition == "-" {
        return Err(CommandError::new(ExitCode::Usage, "a schedule needs a file or a stored definition"));
    }
    let source = definition::read(&arguments.definition, home)?;
    let checked = definition::check_source(&source, home, None);
    output::problems(&source, &checked);
    let found = found_by(&checked);
    let Some(plan) = checked.plan else { return Ok(ExitCode::Invalid) };
    // Better said to whoever adds it than into a log at every fire.
    owner::demand(home, &plan, &config::read(home)?.capacity)?;
    // What is stored is JSON, whatever the file is.
    let text = checked.json.map_or_else(|| source.text.clone(), |json| json.as_str().as_bytes().to_vec());
    let added = asked(arguments, &plan)?;
    for schedule in &added {
        timetable_of(schedule)?;
    }
    let added = schedules::change(home, |all| {
        let path = place(arguments, home, &source, &text, &plan, &found)?;
        let mut ids = Vec::new();
        for mut schedule in added {
            schedule.id = free_id(all, &plan.name);
            schedule.path.clone_from(&path);
            ids.push(schedule.clone());
            all.schedules.push(schedule);
        }
        Ok::<_, CommandError>(ids)
    })?;
    for schedule in added {
        output::text(&format!("{}\n", schedule.id))?;
        let table = timetable_of(&schedule)?;
        let next = table.next(clock::wall()).filter(|_| schedule.enabled);
        let next = next.map_or_else(
            || "it does not fire".to_owned(),
            |fire| format!("next at {}", Zoned::new(fire.at, table.zone().clone()).strftime("%F %T %Z")),
        );
        ui::say(&format!("added schedule {}: {next}\n", schedule.id));
    }
    Ok(ExitCode::Done)
}

/// The schedules that the command line asks for; their ids and paths are not known yet.
fn asked(arguments: &Arguments, plan: &Plan) -> Result<Vec<Schedule>> {
    let given: Vec<plan::Schedule> = match &arguments.cron {
        Some(cron) => vec![plan::Schedule {
            cron: cron.clone(),
            timezone: "UTC".to_owned(),
            catch_up: CatchUp::default(),
            overlap: Overlap::default(),
            enabled: true,
            inputs: BTreeMap::new(),
            jitter: Duration::ZERO,
            max_lag: None,
        }],
        None => plan.schedules.clone(),
    };
    if given.is_empty() {
        return Err(CommandError::new(
            ExitCode::Usage,
            format!("{} has no trigger of the type `schedule`, and no --cron is given", plan.name),
        )
        .hint("say when: --cron '0 9 * * *'"));
    }
    let schedule = |trigger: plan::Schedule| {
        Ok(Schedule {
            id: String::new(),
            workflow: plan.name.clone(),
            path: None,
            cron: trigger.cron,
            timezone: arguments.timezone.clone().unwrap_or(trigger.timezone),
            catch_up: arguments.catch_up.unwrap_or(trigger.catch_up),
            overlap: arguments.overlap.unwrap_or(trigger.overlap),
            enabled: trigger.enabled && !arguments.disabled,
            since: clock::wall(),
            inputs: inputs_of(arguments, plan, trigger.inputs)?,
            jitter_ms: millis(arguments.jitter.unwrap_or(trigger.jitter)),
            max_lag_ms: arguments.max_lag.or(trigger.max_lag).map(millis),
        })
    };
    given.into_iter().map(schedule).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The inputs of the trigger, over them those of the command line. Defaults are not stored: they may change.
fn inputs_of(
    arguments: &Arguments,
    plan: &Plan,
    mut given: BTreeMap<String, Json>,
) -> Result<BTreeMap<String, Json>> {
    let named: Vec<_> = arguments.input.iter().filter_map(|pair| pair.split_once('=')).collect();
    let resolved = inputs::resolve(plan, &Given::over(given.clone(), arguments.input.clone()))?;
    if let Some(name) = resolved.secret.keys().next() {
        let why = format!("a schedule cannot hold the secret input `{name}`");
        return Err(CommandError::new(ExitCode::Invalid, why)
            .hint("let the steps name `secrets`: their values come from the home's configuration"));
    }
    for (name, _) in named {
        if let Some(value) = resolved.stored.get(name) {
            given.insert(name.to_owned(), value.clone());
        }
    }
    Ok(given)
}

/// Something outside of a definition that it names, and what stands for it.
type Found = (String, Vec<u8>);

/// What a definition finds from where it stands: the files that it calls, manifests and agents.
fn found_by(checked: &Checked) -> BTreeSet<Found> {
    let called = checked.called.sources.iter().filter_map(|source| source.path.as_ref());
    let manifests = checked.skills.values().map(PathBuf::from);
    let real = |path: PathBuf| path.canonicalize().unwrap_or(path).to_string_lossy().into_owned();
    let files = called.cloned().chain(manifests).map(|path| (real(path), Vec::new()));
    let agents = checked.agents.iter().map(|(name, copy)| (format!("the agent `{name}`"), copy.clone()));
    files.chain(agents).collect()
}

/// Refuses a copy that would not find what the file finds where it lies.
fn refuse_if_lost(
    home: &Home,
    source: &Source,
    stored: &Path,
    text: &[u8],
    found: &BTreeSet<Found>,
) -> Result<()> {
    let copy = Source {
        name: source.name.clone(),
        path: Some(stored.to_owned()),
        syntax: Syntax::Json,
        text: text.to_vec(),
    };
    let again = found_by(&definition::check_source(&copy, home, None));
    let lost: Vec<_> = found.difference(&again).map(|(what, _)| shown(Path::new(what))).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let message = format!(
        "a copy of {} in the home would not find what the file finds: {}",
        source.name,
        lost.join(", ")
    );
    Err(CommandError::new(ExitCode::Failed, message).hint(
        "--in-place runs the file where it lies; or put what it names into the home: definitions/, skills/, agents/",
    ))
}

/// Where the definition lies from now on: stored under its name (`None`), or in place.
fn place(
    arguments: &Arguments,
    home: &Home,
    source: &Source,
    text: &[u8],
    plan: &Plan,
    found: &BTreeSet<Found>,
) -> Result<Option<String>> {
    let name: SafeName =
        plan.name.parse().map_err(|error| CommandError::from_error(ExitCode::Invalid, &error))?;
    let Some(path) = &source.path else { return Ok(None) };
    if arguments.in_place {
        return Ok(Some(path.to_string_lossy().into_owned()));
    }
    let stored = home.definition(&name);
    if *path == stored {
        return Ok(None);
    }
    refuse_if_lost(home, source, &stored, text, found)?;
    let existing = if arguments.force { Existing::Replace } else { Existing::Keep };
    if definitions::read(home, &name).is_ok_and(|stored| stored == text) {
        return Ok(None);
    }
    definitions::write(home, &name, text, existing).map_err(|error| {
        let told = CommandError::from_error(error.exit_code(), &error);
        match error {
            definitions::Error::Exists(_) => told.hint(format!(
                "{} is different: --force replaces it, --in-place runs the file where it lies",
                shown(&stored)
            )),
            definitions::Error::Missing(_)
            | definitions::Error::TooLarge(_)
            | definitions::Error::Fault(_) => told,
        }
    })?;
    Ok(None)
}

/// The workflow's name, or the first of `name-2`, `name-3` that is free.
fn free_id(all: &Schedules, name: &str) -> String {
    let taken = |id: &str| all.schedules.iter().any(|schedule| schedule.id == id);
    let mut id = name.to_owned();
    let mut number = 2;
    while taken(&id) {
        id = format!("{name}-{number}");
        number += 1;
    }
    id
}
