//! `run`: from a file or a stored name to an ended run.

mod dry_run;

use std::{path::PathBuf, rc::Rc, sync::Arc, time::Duration};

use jiff::Timestamp;
use schemas::{
    exit_code::ExitCode,
    journal::{FORMAT_VERSION, RunCreated},
};
use workflow_engine::{plan::Plan, units};

use super::{
    detach, notify,
    progress::{Progress, Shape},
};
use crate::{
    agents, catalog,
    cli::output,
    config,
    definition::{self, Source},
    errors::{CommandError, Result},
    inputs::{self, Given, Values},
    owner::{self, Created, Driving, Order},
    secrets::Secrets,
    store::{home::Home, names::RunId, run::Frozen},
    ui,
};

/// Run a workflow to its end.
#[derive(Debug, Default, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow run examples/simple-test.json\n  \
    q workflow run deploy --input version=1.2.3 --json\n  \
    q workflow run nightly.json --detach")]
pub(super) struct Arguments {
    /// A workflow file, the name of a stored definition, or `-` for standard input.
    #[arg(value_name = "FILE|NAME")]
    definition: String,
    #[command(flatten)]
    given: Given,
    /// Overrides a key of the readonly context.
    #[arg(long, value_name = "NAME=VALUE")]
    context: Vec<String>,
    /// Print the run's id and return; the run goes on in a session of its own.
    #[arg(long, conflicts_with_all = ["json", "events", "dry_run"])]
    detach: bool,
    /// Print the final run view as JSON.
    #[arg(long, conflicts_with = "events")]
    pub(super) json: bool,
    /// Print every event as a line of JSON.
    #[arg(long)]
    pub(super) events: bool,
    /// Show the resolved plan, its limits and who enforces them; start nothing.
    #[arg(long)]
    dry_run: bool,
    /// Steps at once, at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_concurrent_steps: Option<u32>,
    /// Limit on the whole run: seconds, or 250ms, 30s, 10m, 1h30m.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) timeout: Option<Duration>,
    /// Place in the line when there is no free slot: the higher goes first, then who came first.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// A cgroup v2 directory that is ours to use.
    #[arg(long, value_name = "PATH")]
    pub(super) cgroup_base: Option<PathBuf>,
    /// A folder of skills that is searched first.
    #[arg(long, value_name = "DIR")]
    pub(super) skills_dir: Option<PathBuf>,
    /// The engine of a detached run: prints the id and lets go of the terminal.
    #[arg(long, hide = true)]
    detached: bool,
    /// The id that the run gets.
    #[arg(long, hide = true)]
    run_id: Option<RunId>,
    /// What started it.
    #[arg(long, hide = true, default_value = MANUAL)]
    trigger: String,
    /// The moment for which a schedule meant it.
    #[arg(long, hide = true)]
    scheduled_at: Option<Timestamp>,
    /// The one output that is printed, bare: of a skill that is run by itself.
    #[arg(skip)]
    only: Option<&'static str>,
}

/// The trigger of a run that a person started.
const MANUAL: &str = "manual";

impl Arguments {
    /// Those of a run of which one output is printed, bare.
    pub(super) fn printing(only: &'static str) -> Self {
        Self { only: Some(only), trigger: MANUAL.to_owned(), ..Self::default() }
    }
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    if arguments.detach {
        return detach::start();
    }
    execute(arguments, definition::read(&arguments.definition, home)?, home)
}

/// From the text of a definition to an ended run.
pub(super) fn execute(arguments: &Arguments, source: Source, home: &Home) -> Result {
    let checked = definition::check_source(&source, home, arguments.skills_dir.as_deref());
    output::problems(&source, &checked);
    let Some(plan) = checked.plan else { return Ok(ExitCode::Invalid) };
    let id = arguments.run_id.unwrap_or_else(RunId::generate);
    let Values { stored, secret } = inputs::resolve(&plan, &arguments.given)?;
    let created = RunCreated {
        called: checked.called.called(),
        ..created(arguments, &source, &plan, id, stored, checked.skills)?
    };
    let driving = Driving {
        cgroup_base: arguments.cgroup_base.clone(),
        detached: arguments.detached,
        priority: arguments.priority,
        config: config::read(home)?,
    };
    let mut order = Order { plan: Arc::new(plan), created, secrets: Rc::default(), driving };
    if arguments.dry_run {
        return dry_run::show(&order, arguments.json);
    }
    order.secrets = Rc::new(Secrets::gather(home, &order.driving.config, &order.plan, secret)?);
    owner::refuse_unheld(&order)?;
    let unread = |fault| CommandError::from_error(ExitCode::Engine, &fault);
    let skills = catalog::texts(&order.created.skills).map_err(unread)?;
    let called = checked.called.frozen().map_err(unread)?;
    let definition = checked.json.map_or(source.text, |json| json.as_str().as_bytes().to_vec());
    let prompts = agents::prompts(&order.plan, &order.folder());
    let frozen = Frozen { definition, skills, agents: checked.agents, prompts, called };
    let created = owner::create(home, &order, &frozen)?;
    if arguments.detached {
        detach::let_go(id)?;
    }
    let shape = match (arguments.detached, arguments.events, arguments.json) {
        (true, _, _) => Shape::Silent,
        (false, true, _) => Shape::Events,
        (false, false, true) => Shape::View,
        (false, false, false) => arguments.only.map_or(Shape::Lines, Shape::Output),
    };
    drive(home, created, &order, shape)
}

/// Drives a run that is ours to its end, and shows it.
pub(super) fn drive(home: &Home, created: Created, order: &Order, shape: Shape) -> Result {
    let dir = created.owned.dir.clone();
    let mut progress = Progress::new(shape, &order.plan, &dir);
    let ended = owner::drive(home, created, order, &mut progress)?;
    for why in &ended.unwritten {
        ui::say(&format!("warning: {why}; the run is recorded all the same\n"));
    }
    notify::begin(home, &order.driving.config, &dir, ended.run.streamed_view().status);
    progress.end(&ended.run)?;
    Ok(ended.exit)
}

fn created(
    arguments: &Arguments,
    source: &Source,
    plan: &Plan,
    id: RunId,
    inputs: std::collections::BTreeMap<String, schemas::json::Json>,
    skills: std::collections::BTreeMap<String, String>,
) -> Result<RunCreated> {
    let base = std::env::current_dir().map_err(|error| {
        CommandError::new(ExitCode::Engine, format!("the current directory cannot be used: {error}"))
    })?;
    let path = source.path.clone().unwrap_or_else(|| base.join("stdin.json"));
    Ok(RunCreated {
        format_version: FORMAT_VERSION,
        q: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: id.to_string(),
        workflow: plan.name.clone(),
        version: plan.version.clone(),
        trigger: arguments.trigger.clone(),
        scheduled_at: arguments.scheduled_at,
        base: base.to_string_lossy().into_owned(),
        source: path.to_string_lossy().into_owned(),
        inputs,
        context: inputs::context(plan, &arguments.context)?,
        timeout_ms: arguments.timeout.map(units::millis),
        max_concurrent_steps: arguments.max_concurrent_steps,
        skills,
        called: schemas::journal::Called::default(),
    })
}

/// Reads a duration of the command line.
pub(super) fn duration(text: &str) -> std::result::Result<Duration, String> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
    let parsed = if number { units::duration_from_number(text) } else { units::duration_from_text(text) };
    parsed.map_err(|error| format!("{error} (use whole seconds, or 250ms, 30s, 10m, 1h30m)"))
}
