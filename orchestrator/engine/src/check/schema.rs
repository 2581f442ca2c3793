//! Inputs of a step against the schema of its skill, as far as they are known before the run.

use std::collections::{BTreeMap, HashMap};

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};

use super::{SkillEntry, types::of_schema};
use crate::{
    diagnostic::{
        Problems,
        codes::{BAD_SKILL_INPUT, MISSING_SKILL_INPUT},
    },
    expr::Kinds,
    load::{Node, in_words, nearest, node_at, shortened},
    value::Template,
};

/// Schemas of inputs, compiled once each.
#[derive(Debug, Default)]
pub(super) struct Schemas<'a> {
    by_skill: HashMap<&'a str, Option<InputSchema>>,
}

/// A schema of inputs, taken apart as far as its outermost object goes.
#[derive(Debug)]
struct InputSchema {
    required: Vec<String>,
    properties: BTreeMap<String, Option<Validator>>,
    /// The types of those that the schema says.
    types: BTreeMap<String, Kinds>,
    /// Whether other keys are refused.
    closed: bool,
    whole: Option<Validator>,
}

impl<'a> Schemas<'a> {
    /// Reports what is wrong with the inputs of `step`. A value that holds references fits anything.
    pub(super) fn judge(
        &mut self,
        skill: &'a str,
        entry: &SkillEntry,
        step: &Node,
        inputs: &Template,
        problems: &mut Problems,
    ) {
        let schema =
            self.by_skill.entry(skill).or_insert_with(|| InputSchema::new(entry.inputs.as_ref()?.as_str()));
        let Some(schema) = schema else { return };
        // Under `$literal` the inputs are what it holds.
        let node = step.get("inputs").map(|node| node.get("$literal").unwrap_or(node));
        schema.missing(skill, node, step, problems);
        // That it is no object was said with the shape of the file.
        let Some(node) = node.filter(|node| node.is_object()) else { return };
        schema.unknown(skill, node, problems);
        match inputs {
            Template::Literal(value) => {
                if let (Some(validator), Ok(value)) = (&schema.whole, serde_json::from_str(value.as_str())) {
                    report(validator, &value, (skill, node), problems);
                }
            }
            Template::Object(members) => {
                for (name, value) in members {
                    schema.member(name, value, (skill, node), problems);
                }
            }
            Template::Reference(_) | Template::Expression(_) | Template::Text(_) | Template::Array(_) => {}
        }
    }
}

impl Schemas<'_> {
    /// The types that an input of a skill may have; the skill was looked at before.
    pub(super) fn types(&self, skill: &str, name: &str) -> Option<Kinds> {
        self.by_skill.get(skill)?.as_ref()?.types.get(name).copied()
    }
}

impl InputSchema {
    fn new(text: &str) -> Option<Self> {
        let schema: Value = serde_json::from_str(text).ok()?;
        let object = schema.as_object()?;
        let names = |key: &str| object.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let required = names("required").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let members = object.get("properties").and_then(Value::as_object);
        let types = members.into_iter().flatten();
        let types = types.map(|(name, member)| (name.clone(), of_schema(member).surely)).collect();
        let properties =
            members.into_iter().flatten().map(|(name, member)| (name.clone(), compile(member, object)));
        Some(Self {
            required,
            types,
            properties: properties.collect(),
            closed: object.get("additionalProperties") == Some(&Value::Bool(false))
                && !object.contains_key("patternProperties"),
            whole: jsonschema::validator_for(&schema).ok(),
        })
    }

    fn missing(&self, skill: &str, inputs: Option<&Node>, step: &Node, problems: &mut Problems) {
        let missing =
            self.required.iter().filter(|name| inputs.is_none_or(|inputs| inputs.get(name).is_none()));
        for name in missing {
            let near = inputs.map_or(&[][..], Node::members).iter().find(|member| {
                !self.properties.contains_key(&*member.key) && nearest(&member.key, [name.as_str()]).is_some()
            });
            // An unknown key that was probably meant to be this one is reported instead.
            if near.is_some() && self.closed {
                continue;
            }
            let place = inputs.unwrap_or(step).opening();
            problems
                .report(MISSING_SKILL_INPUT, place, format!("the skill `{skill}` needs the input `{name}`"))
                .hint(format!("it needs: {}", in_words(self.required.iter().map(String::as_str))));
        }
    }

    fn unknown(&self, skill: &str, inputs: &Node, problems: &mut Problems) {
        if !self.closed {
            return;
        }
        for member in inputs.members().iter().filter(|member| !self.properties.contains_key(&*member.key)) {
            let span = member.key_span.range();
            let name = shortened(&member.key);
            let known = || self.properties.keys().map(String::as_str);
            let near = if problems.is_full() { None } else { nearest(&member.key, known()) };
            let message = format!("the skill `{skill}` has no input `{name}`");
            let report = problems.report(BAD_SKILL_INPUT, span.clone(), message);
            match near {
                Some(near) => report.hint(format!("did you mean `{near}`?")).suggest(span, near),
                None => report.hint(format!("its inputs: {}", in_words(known()))),
            };
        }
    }

    fn member(&self, name: &str, value: &Template, (skill, inputs): (&str, &Node), problems: &mut Problems) {
        let Some(Some(validator)) = self.properties.get(name) else { return };
        let Template::Literal(value) = value else { return };
        let Some(node) = inputs.get(name) else { return };
        if let Ok(value) = serde_json::from_str(value.as_str()) {
            report(validator, &value, (skill, node.get("$literal").unwrap_or(node)), problems);
        }
    }
}

/// A member's schema by itself, with the definitions that it may refer to.
fn compile(member: &Value, root: &Map<String, Value>) -> Option<Validator> {
    let mut member = member.clone();
    if let Value::Object(object) = &mut member {
        for key in ["$schema", "$defs", "definitions"] {
            if let Some(value) = root.get(key) {
                object.entry(key).or_insert_with(|| value.clone());
            }
        }
    }
    jsonschema::validator_for(&member).ok()
}

fn report(validator: &Validator, value: &Value, (skill, node): (&str, &Node), problems: &mut Problems) {
    for error in validator.iter_errors(value) {
        let pointer = error.instance_path().as_str();
        if pointer.is_empty() && node.is_object() && is_about_keys(&error) {
            continue;
        }
        let place = node_at(node, pointer).span.range();
        problems
            .report(BAD_SKILL_INPUT, place, format!("does not fit the skill: {}", words(&error)))
            .hint(format!("`q workflow skills show {}` shows the schema of its inputs", shortened(skill)));
    }
}

/// Problems of the outermost object that were reported with better places already.
fn is_about_keys(error: &ValidationError<'_>) -> bool {
    matches!(
        error.kind(),
        ValidationErrorKind::Required { .. } | ValidationErrorKind::AdditionalProperties { .. }
    )
}

/// The message, without a value of any length in it.
fn words(error: &ValidationError<'_>) -> String {
    error.masked_with("the value").to_string()
}
