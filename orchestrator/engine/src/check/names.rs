//! What references may name: outputs of steps, keys of the context, declared inputs, fields of records.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::{
    Catalog,
    near::NearIds,
    outline::{Outline, StepPlace},
};
use crate::load::Node;

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
    /// Declared inputs.
    pub(super) inputs: BTreeSet<&'a str>,
    /// Ids that a text may nearly be.
    pub(super) near: NearIds<'a>,
    results: HashMap<&'a str, Results>,
}

/// The keys that the result of a skill has.
#[derive(Debug, Default)]
struct Results {
    keys: Vec<String>,
    /// Whether there can be others.
    open: bool,
}

/// The outputs that a step can have.
#[derive(Debug)]
pub(super) struct Outputs<'s> {
    /// Known names, `data` and `text` not among them.
    pub(super) names: Vec<&'s str>,
    /// Whether there can be others.
    pub(super) open: bool,
}

impl<'a> Names<'a> {
    pub(super) fn new(root: &'a Node, outline: &Outline<'a>, catalog: &'a Catalog) -> Self {
        let context = root.get("context");
        let half = |half: &str| context.and_then(|context| context.get(half)).map_or(&[][..], Node::members);
        let context = half("mutable").iter().chain(half("readonly")).map(|member| &*member.key).collect();
        let inputs =
            root.get("inputs").map_or(&[][..], Node::members).iter().map(|member| &*member.key).collect();
        let results = catalog
            .skills
            .iter()
            .filter_map(|(name, entry)| Some((name.as_str(), results(entry.outputs.as_ref()?.as_str())?)))
            .collect();
        Self { context, inputs, near: NearIds::new(outline.all().filter_map(|step| step.id)), results }
    }

    /// The outputs that later steps may use.
    pub(super) fn outputs<'s>(&'s self, step: &StepPlace<'s>) -> Outputs<'s> {
        let declared = step.node.get("outputs").map_or(&[][..], Node::elements);
        if !declared.is_empty() {
            return Outputs { names: declared.iter().filter_map(Node::as_text).collect(), open: false };
        }
        match self.result_of(step.node) {
            Some(results) => {
                Outputs { names: results.keys.iter().map(String::as_str).collect(), open: results.open }
            }
            None => Outputs { names: Vec::new(), open: true },
        }
    }

    /// Declared outputs of a step that its skill can never give.
    pub(super) fn impossible<'s>(&self, step: &'s Node) -> Vec<&'s Node> {
        let declared = step.get("outputs").map_or(&[][..], Node::elements);
        let Some(results) = self.result_of(step).filter(|results| !results.open) else {
            return Vec::new();
        };
        // A single name stands for the whole result if the result has no such key.
        if declared.len() < 2 {
            return Vec::new();
        }
        let possible =
            |name: &str| matches!(name, "data" | "text") || results.keys.iter().any(|key| key == name);
        declared.iter().filter(|node| node.as_text().is_some_and(|name| !possible(name))).collect()
    }

    fn result_of(&self, step: &Node) -> Option<&Results> {
        if step.get("type").and_then(Node::as_text) != Some("skill") {
            return None;
        }
        step.get("skill").and_then(Node::as_text).and_then(|skill| self.results.get(skill))
    }
}

/// The keys that a schema of results names.
fn results(schema: &str) -> Option<Results> {
    let schema: Value = serde_json::from_str(schema).ok()?;
    let object = schema.as_object()?;
    let keys: Vec<_> = object.get("properties")?.as_object()?.keys().cloned().collect();
    let closed = object.get("additionalProperties") == Some(&Value::Bool(false))
        && !object.contains_key("patternProperties")
        && object.get("type").and_then(Value::as_str) == Some("object");
    Some(Results { keys, open: !closed })
}
