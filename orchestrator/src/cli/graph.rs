//! `graph`: the steps of a definition or a run, drawn.

mod dot;
mod mermaid;
pub(super) mod svg;
mod text;

use std::path::Path;

use clap::ValueEnum;
use schemas::{
    exit_code::ExitCode,
    output::{
        SCHEMA_VERSION,
        graph::{Edge, EdgeKind, Graph, Node},
    },
    view::{RunView, StepStatus},
};
use workflow_engine::plan::{Plan, Step, StepKind};

use super::output;
use crate::{
    definition,
    errors::Result,
    fold, inputs,
    store::{home::Home, names::SafeName},
    ui,
};

/// Draw the steps of a workflow, or of a run with how each stands.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow graph deploy.json\n  \
    q workflow graph @last --format svg > run.svg\n  \
    q workflow graph deploy --format mermaid")]
pub(super) struct Arguments {
    /// A workflow file, the name of a stored definition, or the id of a run.
    #[arg(value_name = "FILE|NAME|ID")]
    what: String,
    /// How it is drawn.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print one JSON document.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A tree of lines.
    Text,
    /// A Mermaid flowchart.
    Mermaid,
    /// A Graphviz digraph.
    Dot,
    /// A picture for browsers.
    Svg,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let Some(graph) = graph(&arguments.what, home)? else { return Ok(ExitCode::Invalid) };
    if arguments.json {
        output::json(&graph)?;
        return Ok(ExitCode::Done);
    }
    let drawn = match arguments.format {
        Format::Text => text::draw(&graph),
        Format::Mermaid => mermaid::draw(&graph),
        Format::Dot => dot::draw(&graph),
        Format::Svg => svg::draw(&graph),
    };
    output::text(&drawn)?;
    Ok(ExitCode::Done)
}

/// Of a definition, or of a run; `None`: the definition is wrong, and that has been said.
fn graph(what: &str, home: &Home) -> Result<Option<Graph>> {
    let stored = what.parse::<SafeName>().is_ok_and(|name| home.definition(&name).exists());
    if what == "-" || stored || Path::new(what).exists() || what.contains(['/', '.']) {
        let source = definition::read(what, home)?;
        let checked = definition::check_source(&source, home, None);
        if checked.has_errors() {
            let text = workflow_engine::load::display_text(&source.text);
            ui::say(&ui::diagnostics::render(&source.name, &text, &checked.diagnostics));
        }
        return Ok(checked.plan.map(|plan| of(&plan, None)));
    }
    let dir = super::find_run(home, what)?;
    let folded = fold::folded(&dir, inputs::stand_ins)?;
    Ok(Some(of(&folded.plan, Some(&fold::current_view(&dir)?))))
}

/// The graph of a plan, with how its steps stand in a run.
pub(super) fn of(plan: &Plan, view: Option<&RunView>) -> Graph {
    let name = |step: &Step| step.name.clone();
    // A row of undo steps is the engine's own: nobody wrote it.
    let written = plan.steps.iter().filter(|step| !step.is_row);
    let parent = |step: &Step| Some(&plan.steps[step.parent?.index()]).filter(|parent| !parent.is_row);
    let nodes = written.map(|step| Node {
        id: name(step),
        kind: step.kind.name().to_owned(),
        skill: step.kind.skill().map(|call| call.skill.clone()),
        parent: parent(step).map(name),
        background: step.background,
        status: view.and_then(|view| status(view, &step.name)),
    });
    Graph {
        schema_version: SCHEMA_VERSION,
        workflow: plan.name.clone(),
        version: plan.version.clone(),
        nodes: nodes.collect(),
        edges: edges(plan),
    }
}

/// How a step stands; of a loop's body the worst of its turns.
fn status(view: &RunView, step: &str) -> Option<StepStatus> {
    let worst = |status: &StepStatus| match status {
        StepStatus::Failed => 0,
        StepStatus::Cancelled => 1,
        StepStatus::RolledBack => 2,
        StepStatus::Running => 3,
        StepStatus::Waiting => 4,
        StepStatus::Pending => 5,
        StepStatus::Completed => 6,
        StepStatus::Skipped => 7,
    };
    view.steps.iter().filter(|one| one.id == step).map(|one| one.status).min_by_key(worst)
}

fn edges(plan: &Plan) -> Vec<Edge> {
    let mut edges = Vec::new();
    let name = |index: usize| plan.steps[index].name.clone();
    let mut link = |from: usize, to: usize, kind| edges.push(Edge { from: name(from), to: name(to), kind });
    let mut before: Option<usize> = None;
    for step in &plan.root {
        if let Some(before) = before.replace(step.index()) {
            link(before, step.index(), EdgeKind::Next);
        }
    }
    for (index, step) in plan.steps.iter().enumerate() {
        if let StepKind::Conditional(conditional) = &step.kind {
            for (branch, kind) in
                [(&conditional.then, EdgeKind::Then), (&conditional.otherwise, EdgeKind::Else)]
            {
                if let Some(first) = branch.first() {
                    link(index, first.index(), kind);
                }
                for pair in branch.windows(2) {
                    link(pair[0].index(), pair[1].index(), EdgeKind::Next);
                }
            }
        } else if !matches!(step.kind, StepKind::Parallel(_)) {
            let held = plan
                .steps
                .iter()
                .enumerate()
                .filter(|(_, one)| one.parent.is_some_and(|parent| parent.index() == index));
            let mut held: Vec<_> = held.map(|(place, one)| (one.position, place)).collect();
            held.sort_unstable();
            for pair in held.windows(2) {
                link(pair[0].1, pair[1].1, EdgeKind::Next);
            }
        }
        for awaited in &step.awaits {
            link(awaited.index(), index, EdgeKind::Awaits);
        }
    }
    edges
}

/// The steps that one holds, or those at the top.
fn below<'a>(graph: &'a Graph, parent: Option<&'a str>) -> impl Iterator<Item = &'a Node> {
    graph.nodes.iter().filter(move |node| node.parent.as_deref() == parent)
}

/// What a step is, in a few words.
fn about(node: &Node) -> String {
    let skill = node.skill.as_ref().map(|skill| format!(" {skill}")).unwrap_or_default();
    let background = if node.background { ", background" } else { "" };
    format!("{}{skill}{background}", node.kind)
}

#[cfg(test)]
mod tests;
