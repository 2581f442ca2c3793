//! What references may name: outputs of steps, keys of the context, declared inputs, fields of records.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{
    Catalog,
    near::NearIds,
    outline::{Outline, StepPlace},
    subworkflow::Calls,
    types::{Declared, of_schema},
};
use crate::{
    expr::{Kinds, Types},
    load::Node,
    plan::SkillTarget,
};

/// Fields of `run`.
pub(super) const RUN_FIELDS: [&str; 3] = ["id", "attempt", "scheduled_at"];
/// Fields of `steps["<id>"]`.
pub(super) const RECORD_FIELDS: [&str; 7] =
    ["status", "outputs", "attempts", "error", "started_at", "finished_at", "duration_ms"];

/// The names of one definition.
#[derive(Debug)]
pub(super) struct Names<'a> {
    /// Keys of both halves of the context.
    pub(super) context: BTreeSet<&'a str>,
    /// Keys of its mutable half.
    pub(super) mutable: BTreeSet<&'a str>,
    /// Declared inputs.
    pub(super) inputs: BTreeSet<&'a str>,
    /// Ids that a text may nearly be.
    pub(super) near: NearIds<'a>,
    /// Outputs that steps list, by id; steps without a list are not there.
    declared: HashMap<&'a str, BTreeSet<&'a str>>,
    /// Steps whose result a handler may give.
    handled: BTreeSet<&'a str>,
    /// The types of what is declared.
    pub(super) types: Declared<'a>,
    /// Keys of results, by skill.
    results: HashMap<&'a str, Results>,
    /// Outputs of workflows, by the name that a step gives.
    workflows: HashMap<&'a str, BTreeSet<&'a str>>,
}

/// The keys that the result of a skill has.
#[derive(Debug)]
struct Results {
    keys: BTreeSet<String>,
    /// Whether there can be others.
    open: bool,
    /// Those that are always there.
    required: BTreeSet<String>,
    /// The types of the values, where the schema says them.
    types: BTreeMap<String, Types>,
    /// Those of the whole.
    whole: Types,
    /// Whether the schema always holds.
    is_kept: bool,
}

impl<'a> Names<'a> {
    pub(super) fn new(
        root: &'a Node,
        outline: &Outline<'a>,
        catalog: &'a Catalog,
        calls: &Calls<'a>,
    ) -> Self {
        let context = root.get("context");
        let half = |half: &str| context.and_then(|context| context.get(half)).map_or(&[][..], Node::members);
        let mutable: BTreeSet<_> = half("mutable").iter().map(|member| &*member.key).collect();
        let readonly = half("readonly").iter().map(|member| &*member.key);
        let context = mutable.iter().copied().chain(readonly).collect();
        let inputs =
            root.get("inputs").map_or(&[][..], Node::members).iter().map(|member| &*member.key).collect();
        let results = catalog
            .skills
            .iter()
            .filter_map(|(name, entry)| {
                let results = results(entry.outputs.as_ref()?.as_str())?;
                // Large results of other programs are not looked at.
                let is_kept = matches!(*entry.target, SkillTarget::Builtin { .. });
                Some((name.as_str(), Results { is_kept, ..results }))
            })
            .collect();
        let called = outline.all().filter_map(|step| step.node.get("workflow")?.as_text());
        let workflows = called.filter_map(|name| Some((name, calls.file(name)?.outputs()))).collect();
        let declared = outline.all().filter_map(|step| {
            let outputs = step.node.get("outputs").map_or(&[][..], Node::elements);
            let names: BTreeSet<_> = outputs.iter().filter_map(Node::as_text).collect();
            Some((step.id?, names)).filter(|(_, names)| !names.is_empty())
        });
        let handling = root.get("error_handling");
        let by_default = handling.and_then(|handling| handling.get("default")).is_some_and(names_handler);
        let per_step = handling.and_then(|handling| handling.get("per_step")).map_or(&[][..], Node::members);
        let named = per_step.iter().filter(|member| names_handler(&member.value)).map(|member| &*member.key);
        let own = outline.all().filter_map(|step| {
            let own = step.node.get("error_handling").is_some_and(names_handler);
            step.id.filter(|_| own || by_default)
        });
        Self {
            handled: named.chain(own).collect(),
            types: Declared::new(root, outline),
            context,
            mutable,
            inputs,
            near: NearIds::new(outline.all().filter_map(|step| step.id)),
            declared: declared.collect(),
            results,
            workflows,
        }
    }

    /// Whether a name is one of the outputs that are known of a step: those it lists, else those that its skill
    /// describes. `data` and `text` are not among them.
    pub(super) fn is_known_output(&self, step: &StepPlace<'_>, name: &str) -> bool {
        match self.declared_by(step) {
            Some(declared) => declared.contains(name),
            None if holds_steps(step.node) => has_part(step.node, name),
            None => match self.called_by(step.node) {
                Some(outputs) => outputs.contains(name),
                None => self.result_of(step.node).is_some_and(|results| results.keys.contains(name)),
            },
        }
    }

    /// Whether a step may have outputs that are not known.
    pub(super) fn has_others(&self, step: &StepPlace<'_>) -> bool {
        let is_open = || {
            !holds_steps(step.node)
                && self.called_by(step.node).is_none()
                && self.result_of(step.node).is_none_or(|results| results.open)
        };
        self.declared_by(step).is_none() && (is_open() || self.is_handled(step))
    }

    /// Whether a handler's result may take the place of the step's, with any keys.
    pub(super) fn is_handled(&self, step: &StepPlace<'_>) -> bool {
        step.id.is_some_and(|id| self.handled.contains(id))
    }

    /// The types of an output of a step that calls a skill.
    pub(super) fn output_types(&self, step: &StepPlace<'_>, name: &str) -> Types {
        let Some(results) = self.result_of(step.node) else { return Types::JSON };
        let whole = results.whole;
        let types = if name == "data" {
            whole
        } else {
            // A single name stands for the whole result if the result has no such key.
            let stands_for_all = self.declared_by(step).is_some_and(|declared| declared.len() == 1)
                && !results.required.contains(name);
            let known = results.types.get(name).filter(|_| !stands_for_all && whole.surely == Kinds::MAP);
            known.copied().unwrap_or(Types::JSON)
        };
        if results.is_kept { types } else { Types { surely: Kinds::JSON, ..types } }
    }

    /// The outputs that are known of a step.
    pub(super) fn known_outputs<'s>(&'s self, step: &'s StepPlace<'_>) -> Vec<&'s str> {
        match self.declared_by(step) {
            Some(declared) => declared.iter().copied().collect(),
            None if holds_steps(step.node) => parts(step.node).collect(),
            None => match self.called_by(step.node) {
                Some(outputs) => outputs.iter().copied().collect(),
                None => self
                    .result_of(step.node)
                    .map_or_else(Vec::new, |results| results.keys.iter().map(String::as_str).collect()),
            },
        }
    }

    /// The outputs of the workflow that a step calls.
    fn called_by(&self, step: &Node) -> Option<&BTreeSet<&'a str>> {
        let is_workflow = step.get("type").and_then(Node::as_text) == Some("workflow");
        let name = step.get("workflow").filter(|_| is_workflow)?.as_text()?;
        self.workflows.get(name)
    }

    fn declared_by(&self, step: &StepPlace<'_>) -> Option<&BTreeSet<&'a str>> {
        step.id.and_then(|id| self.declared.get(id))
    }

    /// Declared outputs of a step that its skill can never give.
    pub(super) fn impossible<'s>(&self, step: &'s Node) -> Vec<&'s Node> {
        let declared = step.get("outputs").map_or(&[][..], Node::elements);
        let Some(results) = self.result_of(step).filter(|results| !results.open) else {
            return Vec::new();
        };
        // A single name stands for the whole result if the result has no such key; a handler gives what it likes.
        let is_handled = step.get("id").and_then(Node::as_text).is_some_and(|id| self.handled.contains(id));
        if declared.len() < 2 || is_handled {
            return Vec::new();
        }
        let possible = |name: &str| matches!(name, "data" | "text") || results.keys.contains(name);
        declared.iter().filter(|node| node.as_text().is_some_and(|name| !possible(name))).collect()
    }

    fn result_of(&self, step: &Node) -> Option<&Results> {
        if step.get("type").and_then(Node::as_text) != Some("skill") {
            return None;
        }
        step.get("skill").and_then(Node::as_text).and_then(|skill| self.results.get(skill))
    }
}

/// Declared outputs that a step which holds others can never give.
pub(super) fn impossible_parts(step: &Node) -> Vec<&Node> {
    if !holds_steps(step) {
        return Vec::new();
    }
    let declared = step.get("outputs").map_or(&[][..], Node::elements);
    let possible = |name: &str| matches!(name, "data" | "text") || has_part(step, name);
    declared.iter().filter(|node| node.as_text().is_some_and(|name| !possible(name))).collect()
}

/// Whether a strategy, or one inside it, is `custom`.
fn names_handler(strategy: &Node) -> bool {
    strategy.as_text() == Some("custom")
        || strategy.elements().iter().any(names_handler)
        || strategy.members().iter().any(|member| names_handler(&member.value))
}

/// Whether a step is a group, a branching or a loop: what it gives is known.
fn holds_steps(step: &Node) -> bool {
    let kind = step.get("type").and_then(Node::as_text);
    matches!(kind, Some("sequence" | "parallel" | "conditional" | "loop"))
}

fn has_part(step: &Node, name: &str) -> bool {
    parts(step).any(|part| part == name)
}

/// The keys of the result of a step that holds others.
fn parts(step: &Node) -> impl Iterator<Item = &str> {
    let kind = step.get("type").and_then(Node::as_text).unwrap_or_default();
    let own: &[&str] = match kind {
        "loop" => &["iterations", "results", "last"],
        "conditional" => &["branch"],
        "parallel" if step.get("wait_for").and_then(Node::as_text) == Some("any") => &["winner"],
        _ => &[],
    };
    let lists = ["steps", "then", "else"].into_iter().filter(move |_| kind != "loop");
    let children = lists.filter_map(|list| step.get(list)).flat_map(Node::elements);
    let ids = children.filter_map(|child| child.get("id").and_then(Node::as_text));
    own.iter().copied().chain(ids)
}

/// What a schema of results says.
fn results(schema: &str) -> Option<Results> {
    let schema: Value = serde_json::from_str(schema).ok()?;
    let object = schema.as_object()?;
    let properties = object.get("properties")?.as_object()?;
    let closed = object.get("additionalProperties") == Some(&Value::Bool(false))
        && !object.contains_key("patternProperties")
        && object.get("type").and_then(Value::as_str) == Some("object");
    let required = object.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    Some(Results {
        keys: properties.keys().cloned().collect(),
        open: !closed,
        required: required.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        types: properties.iter().map(|(name, schema)| (name.clone(), of_schema(schema))).collect(),
        whole: of_schema(&schema),
        is_kept: false,
    })
}
