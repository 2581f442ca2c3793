//! Definition to [`Plan`]: everything that needs more than the shape of one value. All problems at once.

mod agent;
mod aside;
mod assign;
mod before;
mod call;
mod catalog;
mod control;
mod expression;
mod inherit;
mod library;
mod limits;
mod names;
mod near;
mod order;
mod outline;
mod reference;
mod resolve;
mod sandbox;
mod schema;
mod secrets;
mod served;
mod skill;
mod strategy;
mod subworkflow;
mod template;
mod text_skill;
mod trigger;
mod types;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

pub use agent::read_agent;
pub use catalog::{AgentEntry, Agents, Catalog, SkillEntry};
use inherit::Surroundings;
pub use library::{Library, LibraryFile, Named};
use names::Names;
use order::Reader;
use outline::Outline;
pub use sandbox::sandbox_of_manifest;
use schema::Schemas;
pub use secrets::is_secret_name;
pub use skill::check_skill;
use subworkflow::{Calls, Standing};
pub use text_skill::over_inputs;

use crate::{
    diagnostic::{Diagnostic, Problems},
    expr::Asked,
    load::{Definition, Node},
    plan::{InputDeclaration, InputType, Limits, Plan, Sandbox, Step, StepId},
    value::Template,
};

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// The plan; there exactly when there is no error.
    pub plan: Option<Plan>,
    /// What is wrong with the definition.
    pub diagnostics: Vec<Diagnostic>,
    /// What is wrong with the files of the library that it calls, by their index.
    pub library: BTreeMap<usize, Vec<Diagnostic>>,
}

/// Checks a definition against the skills that there are, and with it those that it calls.
pub fn check_with(definition: &Definition, catalog: &Catalog, library: &Library) -> Checked {
    let mut calls = Calls::new(library);
    let (mut plan, diagnostics) = judge(definition, catalog, (&mut calls, Standing::default()));
    if let Some(plan) = &mut plan {
        agent::put_apart(plan);
    }
    Checked { plan, diagnostics, library: calls.into_found() }
}

/// Checks a definition that calls no other.
pub fn check(definition: &Definition, catalog: &Catalog) -> (Option<Plan>, Vec<Diagnostic>) {
    let checked = check_with(definition, catalog, &Library::default());
    (checked.plan, checked.diagnostics)
}

/// Checks one definition where it stands.
fn judge<'a>(
    definition: &'a Definition,
    catalog: &'a Catalog,
    (calls, standing): (&mut Calls<'a>, Standing),
) -> (Option<Plan>, Vec<Diagnostic>) {
    let mut problems = definition.problems.clone();
    let root = &definition.root;
    let plan = root.is_object().then(|| {
        let outline = Outline::new(root, standing.base);
        calls.number(outline.count());
        skill::judge_inline(root, &mut problems);
        trigger::report(root, &mut problems);
        let mut check = Check {
            definition,
            catalog,
            names: Names::new(root, &outline, catalog, calls),
            schemas: Schemas::default(),
            inline: BTreeMap::new(),
            limits: None,
            sandbox: None,
            outline: &outline,
            calls,
            standing,
            surroundings: HashMap::new(),
            problems: &mut problems,
            lists: outline.lists(),
            awaits: Vec::new(),
            in_handler: false,
            asked: HashMap::new(),
            hands_on: false,
            in_condition: false,
            own_steps: None,
        };
        check.plan(root)
    });
    let plan = plan.flatten().filter(|_| problems.errors() == 0);
    (plan, problems.finish(definition.text(), |place| definition.pointer_at(place)))
}

/// The pass over one definition.
struct Check<'a, 'p> {
    definition: &'a Definition,
    catalog: &'a Catalog,
    outline: &'p Outline<'a>,
    /// What the definition calls.
    calls: &'p mut Calls<'a>,
    /// Where the definition stands.
    standing: Standing,
    /// Of steps that hold others: what holds for those.
    surroundings: HashMap<StepId, Surroundings>,
    names: Names<'a>,
    schemas: Schemas<'a>,
    /// Agents that the definition holds itself.
    inline: BTreeMap<&'a str, AgentEntry>,
    /// Those of the step before.
    limits: Option<Arc<Limits>>,
    sandbox: Option<Arc<Sandbox>>,
    problems: &'p mut Problems,
    /// The steps that each step holds, by its number: of a conditional those of `then`, and those of `else`.
    lists: (Vec<Vec<StepId>>, Vec<Vec<StepId>>),
    /// Steps that the step which is looked at must wait for.
    awaits: Vec<StepId>,
    /// Whether the strategies that are looked at belong to a step of a handler.
    in_handler: bool,
    /// Of steps that were looked at: what `has()` said of others where they run.
    asked: HashMap<StepId, Vec<Asked>>,
    /// Whether secret inputs may stand in what is looked at: where they are handed on as they are.
    hands_on: bool,
    /// Whether what is looked at is a condition, which is an expression and nothing else.
    in_condition: bool,
    /// Its steps by their ids, once somebody has asked for all of them.
    own_steps: Option<Arc<BTreeMap<String, StepId>>>,
}

impl<'a> Check<'a, '_> {
    /// The plan as far as it can be made; everything is looked at all the same.
    fn plan(&mut self, root: &'a Node) -> Option<Plan> {
        let outline = self.outline;
        for node in outline.all().map(|step| step.node).chain([root]) {
            node.get("sandbox").into_iter().for_each(|sandbox| sandbox::judge(sandbox, self.problems));
        }
        self.inline_agents(root);
        let per_step = self.per_step(root);
        let default_strategy = self.default_strategy(root);
        let undo = self.undo_rows();
        let mut steps: Vec<Option<Step>> = Vec::new();
        for (step, spot) in outline.running() {
            let strategies = self.strategies(&per_step, default_strategy.as_ref(), step);
            let planned = self.step(root, step.node, spot);
            steps.push(planned.map(|planned| Step {
                strategies,
                undo: undo.get(&spot.step).copied(),
                ..planned
            }));
        }
        steps.extend(self.rows().into_iter().map(Some));
        let rollback = self.rollback(root);
        let outputs = self.outputs(root);
        let limits = root.get("resource_limits");
        let mut steps: Vec<Step> = steps.into_iter().collect::<Option<_>>()?;
        steps.extend(self.calls.take_called());
        Some(Plan {
            name: root.get("name")?.as_text()?.to_owned(),
            version: root.get("version")?.as_text()?.to_owned(),
            root: self.outline.top(),
            steps,
            inputs: declared_inputs(root),
            readonly: values(root, "readonly"),
            mutable: values(root, "mutable"),
            outputs,
            limits: limits.map(limits::read).unwrap_or_default(),
            default_strategy,
            rollback,
            last: self.last_row(),
            timeout: limits.and_then(|limits| duration(limits, "max_execution_time")),
            schedules: trigger::schedules(root),
        })
    }

    fn outputs(&mut self, root: &'a Node) -> Vec<(String, Template)> {
        let members = root.get("outputs").map_or(&[][..], Node::members);
        members
            .iter()
            .map(|member| (member.key.to_string(), self.template(&member.value, Reader::Outputs)))
            .collect()
    }
}

/// The values of one half of `context`.
fn values(root: &Node, half: &str) -> BTreeMap<String, schemas::json::Json> {
    let members = root.get("context").and_then(|context| context.get(half)).map_or(&[][..], Node::members);
    members.iter().map(|member| (member.key.to_string(), member.value.to_json())).collect()
}

fn declared_inputs(root: &Node) -> BTreeMap<String, InputDeclaration> {
    let members = root.get("inputs").map_or(&[][..], Node::members);
    members.iter().map(|member| (member.key.to_string(), declaration(&member.value))).collect()
}

fn declaration(node: &Node) -> InputDeclaration {
    let flag = |key: &str| node.get(key).and_then(Node::as_bool).unwrap_or(false);
    InputDeclaration {
        kind: node.get("type").and_then(Node::as_text).and_then(input_type),
        description: node.get("description").and_then(Node::as_text).map(str::to_owned),
        default: node.get("default").map(Node::to_json),
        required: flag("required"),
        secret: flag("secret"),
    }
}

fn input_type(word: &str) -> Option<InputType> {
    match word {
        "string" => Some(InputType::String),
        "integer" => Some(InputType::Integer),
        "number" => Some(InputType::Number),
        "boolean" => Some(InputType::Boolean),
        "array" => Some(InputType::Array),
        "object" => Some(InputType::Object),
        "null" => Some(InputType::Null),
        _ => None,
    }
}

/// A duration of an object; what is wrong with it was reported with its shape.
fn duration(node: &Node, key: &str) -> Option<std::time::Duration> {
    node.get(key).and_then(|value| value.duration().ok())
}
