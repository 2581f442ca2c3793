//! What a plan does with failures, as `run --dry-run` shows it: strategies, undo steps, handlers, final steps.

use schemas::output::plan::{PlannedRetry, PlannedStrategy, PlannedUndo, Role};
use workflow_engine::{
    plan::{Act, Backoff, Final, Jitter, Plan, Retry, Step, StepId, StepKind, Strategy, Trigger, Written},
    units,
};

use crate::ui;

/// Most waits that are shown.
const MOST_WAITS: u32 = 10;

/// Why a step stands beside the others, itself or by what holds it.
pub(super) fn role(plan: &Plan, step: &Step) -> Option<Role> {
    let mut holders = std::iter::successors(step.parent, |holder| plan.steps[holder.index()].parent);
    let row = holders.find(|holder| plan.steps[holder.index()].is_row)?;
    let is_undo = plan.steps.iter().any(|step| step.undo == Some(row));
    let is_last = plan.last == Some(row) || called(plan).any(|(_, called)| called.last == Some(row));
    Some(match plan.steps[row.index()].name.as_str() {
        _ if is_undo => Role::Undo,
        _ if is_last => Role::Finally,
        "rollback" => Role::Rollback,
        _ => Role::Handler,
    })
}

/// The workflows that are called, each with the step that calls it.
fn called(plan: &Plan) -> impl Iterator<Item = (&Step, &workflow_engine::plan::Subworkflow)> {
    plan.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Workflow(called) => Some((step, &**called)),
        StepKind::Skill(_)
        | StepKind::Sequence(_)
        | StepKind::Parallel(_)
        | StepKind::Conditional(_)
        | StepKind::Loop(_) => None,
    })
}

/// The steps of a row, in order.
pub(super) fn names(plan: &Plan, row: StepId) -> Vec<&str> {
    plan.steps.iter().filter(|step| step.parent == Some(row)).map(|step| step.name.as_str()).collect()
}

/// What a rollback would do if every step had started in the order of the file.
pub(super) fn rollback(plan: &Plan) -> Vec<PlannedUndo<'_>> {
    let rows = |rows: &[StepId]| -> Vec<PlannedUndo<'_>> {
        let names = rows.iter().flat_map(|row| names(plan, *row));
        names.map(|id| PlannedUndo { id, of: None }).collect()
    };
    let mut undos = Vec::new();
    for step in started(plan).into_iter().rev() {
        if let StepKind::Workflow(called) = &step.kind
            && called.rollback.enabled
        {
            undos.extend(rows(&called.rollback.rows));
        }
        let own = step.undo.map(|row| names(plan, row)).unwrap_or_default();
        undos.extend(own.into_iter().map(|id| PlannedUndo { id, of: Some(&step.name) }));
    }
    undos.extend(rows(&plan.rollback.rows));
    undos
}

/// The steps of the run in the order in which they start: those of a workflow right after the step that calls it.
fn started(plan: &Plan) -> Vec<&Step> {
    let mut children = vec![Vec::new(); plan.steps.len()];
    for (index, step) in plan.steps.iter().enumerate() {
        if let Some(parent) = step.parent {
            children[parent.index()].push(index);
        }
    }
    let mut started = Vec::new();
    let mut next: Vec<usize> = plan.root.iter().rev().map(|step| step.index()).collect();
    while let Some(index) = next.pop() {
        started.push(&plan.steps[index]);
        next.extend(children[index].iter().rev());
    }
    started
}

/// What a step does with its failures.
pub(super) fn strategies<'a>(plan: &'a Plan, step: &'a Step) -> Vec<PlannedStrategy<'a>> {
    step.strategies.iter().map(|strategy| planned(plan, strategy)).collect()
}

fn planned<'a>(plan: &'a Plan, strategy: &Strategy) -> PlannedStrategy<'a> {
    let (word, custom_handler, retry) = match &strategy.act {
        Act::Retry(retry) => ("retry", None, Some(planned_retry(plan, retry))),
        Act::Final(last) => {
            let (word, handler) = last_word(plan, *last);
            (word, handler, None)
        }
    };
    PlannedStrategy {
        strategy: word,
        on: strategy.on.as_ref().map(|on| on.iter().map(trigger).collect()),
        is_default: strategy.written == Written::Default,
        custom_handler,
        retry,
    }
}

fn planned_retry<'a>(plan: &'a Plan, retry: &Retry) -> PlannedRetry<'a> {
    let (then, custom_handler) = last_word(plan, retry.then.unwrap_or(Final::Halt));
    let whole = Retry { jitter: Jitter::None, ..retry.clone() };
    let waits = 1..retry.max_attempts.min(MOST_WAITS + 1);
    PlannedRetry {
        max_attempts: retry.max_attempts,
        backoff: match retry.backoff {
            Backoff::Exponential { .. } => "exponential",
            Backoff::Linear => "linear",
            Backoff::Fixed => "fixed",
        },
        waits_ms: waits.map(|failures| units::millis(whole.wait(failures, 0))).collect(),
        jitter: match retry.jitter {
            Jitter::None => "none",
            Jitter::Full => "full",
        },
        max_duration_ms: retry.max_duration.map(units::millis),
        then,
        custom_handler,
    }
}

fn last_word(plan: &Plan, last: Final) -> (&'static str, Option<&str>) {
    match last {
        Final::Halt => ("halt", None),
        Final::Rollback => ("rollback", None),
        Final::Skip => ("skip", None),
        Final::Custom(row) => ("custom", names(plan, row).first().copied()),
    }
}

fn trigger(trigger: &Trigger) -> String {
    match &trigger.own {
        Some(own) => format!("{}:{own}", trigger.code.as_str()),
        None => trigger.code.as_str().to_owned(),
    }
}

/// A role, for people.
pub(super) fn role_in_words(role: Role) -> &'static str {
    match role {
        Role::Handler => "a handler",
        Role::Undo => "an undo step",
        Role::Rollback => "after the undo steps",
        Role::Finally => "at the end",
    }
}

/// A strategy, for people.
pub(super) fn in_words(strategy: &PlannedStrategy<'_>) -> String {
    let on = strategy.on.as_ref().map_or_else(|| "failure".to_owned(), |on| on.join(", "));
    let does = match &strategy.retry {
        None => with_handler(strategy.strategy, strategy.custom_handler),
        Some(retry) => retry_in_words(retry),
    };
    let default = if strategy.is_default { " (default)" } else { "" };
    ui::text::escape(&format!("on {on}: {does}{default}")).into_owned()
}

fn retry_in_words(retry: &PlannedRetry<'_>) -> String {
    let waits: Vec<_> = retry.waits_ms.iter().map(|wait| ui::quantity::millis(*wait)).collect();
    let more = if retry.max_attempts > MOST_WAITS + 1 { ", …" } else { "" };
    let jitter = if retry.jitter == "full" { " at most" } else { "" };
    let within = retry.max_duration_ms.map(|within| format!(", within {}", ui::quantity::millis(within)));
    format!(
        "retry, {} attempts, {} backoff{jitter} {}{more}{}, then {}",
        retry.max_attempts,
        retry.backoff,
        waits.join(", "),
        within.unwrap_or_default(),
        with_handler(retry.then, retry.custom_handler)
    )
}

fn with_handler(word: &str, handler: Option<&str>) -> String {
    handler.map_or_else(|| word.to_owned(), |handler| format!("{word} {handler}"))
}
