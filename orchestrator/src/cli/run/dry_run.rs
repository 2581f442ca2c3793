//! `run --dry-run`: the resolved plan with its limits and who would enforce them. No step starts and nothing is
//! written.

mod recovery;

use std::{collections::BTreeMap, fmt::Write as _};

use schemas::{
    exit_code::ExitCode,
    json::Json,
    output::{
        SCHEMA_VERSION,
        plan::{DryRun, PlannedStep, PlannedUndo},
    },
};
use workflow_engine::{
    expr::Program,
    plan::Step,
    units,
    value::{self, Part, Template},
};

use crate::{
    errors::{CommandError, Result},
    owner::{self, Order, Survey},
    ui,
};

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
    let plan = &order.plan;
    let parent = |step: &Step| step.parent.map(|parent| &plan.steps[parent.index()]);
    // Rows beside the run only hold their steps: nobody wrote them.
    let written = plan.steps.iter().zip(&survey.limits).filter(|(step, _)| !step.is_row);
    let steps = written.map(|(step, limits)| {
        let call = step.kind.skill();
        PlannedStep {
            id: &step.name,
            kind: step.kind.name(),
            parent: parent(step).filter(|parent| !parent.is_row).map(|parent| parent.name.as_str()),
            skill: call.map(|call| call.skill.as_str()),
            when: step.when.as_ref().map(Program::source),
            inputs: call.map(|call| inputs(&call.inputs)),
            timeout_ms: step.timeout.map(units::millis),
            limits,
            role: recovery::role(plan, step),
            strategies: recovery::strategies(plan, step),
            undo: step.undo.map(|row| recovery::names(plan, row)).unwrap_or_default(),
        }
    });
    DryRun {
        schema_version: SCHEMA_VERSION,
        workflow: &order.plan.name,
        version: &order.plan.version,
        isolation: &survey.isolation,
        steps: steps.collect(),
        rollback: recovery::rollback(plan),
        rollback_enabled: plan.rollback.enabled,
        finally: plan.last.map(|row| recovery::names(plan, row)).unwrap_or_default(),
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
    // A step comes after the one that holds it.
    let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let depth = step.parent.map_or(0, |parent| depths.get(parent).map_or(0, |depth| depth + 1));
        depths.insert(step.id, depth);
        let indent = "  ".repeat(depth);
        let skill = step.skill.map(|skill| format!(" {skill}")).unwrap_or_default();
        let role = step.role.map(|role| format!(": {}", recovery::role_in_words(role))).unwrap_or_default();
        write(format_args!("{:>3}. {indent}{} ({}{skill}){role}\n", index + 1, step.id, step.kind));
        if let Some(when) = step.when {
            write(format_args!("     {indent}when {}\n", ui::text::escape(when)));
        }
        if let Some(inputs) = &step.inputs {
            write(format_args!("     {indent}inputs {}\n", ui::text::escape(inputs.as_str())));
        }
        if let Some(timeout) = step.timeout_ms {
            write(format_args!("     {indent}timeout {} (engine)\n", ui::quantity::millis(timeout)));
        }
        for strategy in &step.strategies {
            write(format_args!("     {indent}{}\n", recovery::in_words(strategy)));
        }
        if !step.undo.is_empty() {
            write(format_args!("     {indent}undone by {}\n", step.undo.join(", ")));
        }
        for limit in step.limits {
            let why = limit.why.as_deref().map(|why| format!(": not held: {why}")).unwrap_or_default();
            write(format_args!("     {indent}{} {} ({}{why})\n", limit.name, limit.value, limit.by));
        }
    }
    if !plan.rollback.is_empty() {
        let undo = |undo: &PlannedUndo<'_>| match undo.of {
            Some(of) => format!("{} undoes {of}", undo.id),
            None => undo.id.to_owned(),
        };
        let undos: Vec<_> = plan.rollback.iter().map(undo).collect();
        let off = if plan.rollback_enabled { "" } else { " (switched off: `rollback` acts as `halt`)" };
        write(format_args!("rollback, if every step has started{off}: {}\n", undos.join(", then ")));
    }
    if !plan.finally.is_empty() {
        write(format_args!("at the end: {}\n", plan.finally.join(", then ")));
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
