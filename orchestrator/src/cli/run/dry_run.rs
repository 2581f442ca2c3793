//! `run --dry-run`: the resolved plan with its limits and who would enforce them. No step starts and nothing is
//! written.

use std::fmt::Write as _;

use schemas::{
    exit_code::ExitCode,
    json::Json,
    view::{Isolation, Limit},
};
use serde::Serialize;
use workflow_engine::{
    expr::Program,
    plan::StepKind,
    units,
    value::{self, Part, Template},
};

use crate::{
    errors::{CommandError, Result},
    owner::{self, Order, Survey},
    ui,
};

#[derive(Serialize)]
struct DryRun<'a> {
    schema_version: u32,
    workflow: &'a str,
    version: &'a str,
    isolation: &'a Isolation,
    steps: Vec<PlannedStep<'a>>,
}

#[derive(Serialize)]
struct PlannedStep<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    skill: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<&'a str>,
    inputs: Json,
    timeout_ms: Option<u64>,
    limits: &'a [Limit],
}

pub(super) fn show(order: &Order, json: bool) -> Result {
    let survey = owner::survey(order)?;
    let plan = describe(order, &survey);
    let failed = |error: &dyn std::error::Error| CommandError::from_error(ExitCode::Engine, error);
    let text = if json {
        serde_json::to_string_pretty(&plan).map_err(|error| failed(&error))? + "\n"
    } else {
        table(&plan)
    };
    ui::print(&text).map_err(|error| failed(&error))?;
    Ok(ExitCode::Done)
}

fn describe<'a>(order: &'a Order, survey: &'a Survey) -> DryRun<'a> {
    let steps = order.plan.root.iter().map(|id| {
        let step = &order.plan.steps[id.index()];
        let StepKind::Skill(call) = &step.kind;
        PlannedStep {
            id: &step.name,
            kind: step.kind.name(),
            skill: &call.skill,
            when: step.when.as_ref().map(Program::source),
            inputs: inputs(&call.inputs),
            timeout_ms: step.timeout.map(units::millis),
            limits: survey.limits.get(id.index()).map(Vec::as_slice).unwrap_or_default(),
        }
    });
    DryRun {
        schema_version: 1,
        workflow: &order.plan.name,
        version: &order.plan.version,
        isolation: &survey.isolation,
        steps: steps.collect(),
    }
}

/// The inputs as the file has them: references as they are written.
fn inputs(template: &Template) -> Json {
    let text = |text: &str| Json::from_serialize(&text).unwrap_or_else(|_| Json::null());
    match template {
        Template::Literal(value) => value.clone(),
        Template::Reference(reference) => text(&format!("${{{}}}", reference.text)),
        Template::Expression(program) => text(&format!("${{{}}}", program.source())),
        Template::Text(parts) => text(
            &parts
                .iter()
                .map(|part| match part {
                    Part::Text(plain) => plain.clone(),
                    Part::Value(reference) => format!("${{{}}}", reference.text),
                    Part::Expression(program) => format!("${{{}}}", program.source()),
                })
                .collect::<String>(),
        ),
        Template::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(name, value)| (name.as_str(), inputs(value))).collect();
            value::object(&members)
        }
        Template::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(inputs).collect();
            Json::from_serialize(&elements).unwrap_or_else(|_| Json::null())
        }
    }
}

fn table(plan: &DryRun<'_>) -> String {
    let mut text = String::new();
    let isolation = plan.isolation;
    // Writing to a String does not fail.
    let mut write = |line: std::fmt::Arguments<'_>| {
        let _infallible = text.write_fmt(line);
    };
    write(format_args!("{} {}\n", plan.workflow, plan.version));
    for (index, step) in plan.steps.iter().enumerate() {
        write(format_args!("{:>3}. {} ({} {})\n", index + 1, step.id, step.kind, step.skill));
        if let Some(when) = step.when {
            write(format_args!("     when {}\n", ui::text::escape(when)));
        }
        write(format_args!("     inputs {}\n", ui::text::escape(step.inputs.as_str())));
        if let Some(timeout) = step.timeout_ms {
            write(format_args!("     timeout {} (engine)\n", ui::quantity::millis(timeout)));
        }
        for limit in step.limits {
            let why = limit.why.as_deref().map(|why| format!(": not held: {why}")).unwrap_or_default();
            write(format_args!("     {} {} ({}{why})\n", limit.name, limit.value, limit.by));
        }
    }
    write(format_args!(
        "enforced by: memory {}, cpu {}, pids {}, io {}, kill {}, network {}, filesystem {}\n",
        isolation.memory,
        isolation.cpu,
        isolation.pids,
        isolation.io,
        isolation.kill,
        isolation.network,
        isolation.filesystem
    ));
    for note in &isolation.notes {
        write(format_args!("note: {note}\n"));
    }
    text
}
