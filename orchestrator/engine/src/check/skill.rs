//! Manifests of skills, in files of their own and inside definitions: what needs more than the shape of one value.

use jsonschema::Validator;
use schemas::{definition::is_extension, skill::Manifest};
use serde_json::Value;

use super::over_inputs;
use crate::{
    diagnostic::{
        Diagnostic, Problems,
        codes::{BAD_SKILL_SCHEMA, BAD_SKILL_TEMPLATE, OTHER_NAME},
    },
    load::{Definition, Member, Node, NodeKind, in_words, nearest, node_at},
    value::{Part, Reference, Segment, Template},
};

/// Checks the file of a skill. The manifest is there exactly when no error is.
pub fn check_skill(file: &Definition) -> (Option<Manifest>, Vec<Diagnostic>) {
    let mut problems = file.problems.clone();
    judge(&file.root, &mut problems);
    let name = file.root.get("name").and_then(Node::as_text).unwrap_or_default();
    let manifest = if problems.errors() == 0 { manifest(&file.root, name) } else { None };
    (manifest, problems.finish(file.text(), |place| file.pointer_at(place)))
}

impl Definition {
    /// The skills that the definition holds itself, by name; one whose shape is wrong has no manifest.
    pub fn inline_skills(&self) -> Vec<(&str, Option<Manifest>)> {
        let members = self.root.get("skills").map_or(&[][..], Node::members);
        members.iter().map(|member| (&*member.key, manifest(&member.value, &member.key))).collect()
    }
}

/// Reports what is wrong with the skills that a definition holds itself.
pub(super) fn judge_inline(root: &Node, problems: &mut Problems) {
    for Member { key, value, .. } in root.get("skills").map_or(&[][..], Node::members) {
        judge(value, problems);
        let Some(name) = value.get("name") else { continue };
        if name.as_text().is_some_and(|text| text != &**key) {
            problems
                .report(OTHER_NAME, name.span.range(), format!("steps call this skill `{key}`"))
                .hint("the key under which it stands is its name: `name` can be left out");
        }
    }
}

fn judge(manifest: &Node, problems: &mut Problems) {
    for key in ["inputs", "outputs"] {
        if let Some(schema) = manifest.get(key) {
            judge_schema(schema, key, problems);
        }
    }
    if manifest.get("protocol").and_then(Node::as_text) == Some("text") {
        let command = manifest.get("command").map_or(&[][..], Node::elements);
        let variables = manifest.get("env").map_or(&[][..], Node::members);
        let strings = command.iter().skip(1).chain(variables.iter().map(|variable| &variable.value));
        for string in strings {
            judge_template(string, manifest.get("inputs"), problems);
        }
    }
}

fn judge_schema(node: &Node, key: &str, problems: &mut Problems) {
    // That it is neither an object nor a boolean was said with the shape of the file.
    if !node.is_object() {
        return;
    }
    let Ok(schema) = serde_json::from_str::<Value>(node.to_json().as_str()) else { return };
    if let Err(wrong) = compile(&schema) {
        problems
            .report(
                BAD_SKILL_SCHEMA,
                node_at(node, &wrong.pointer).span.range(),
                format!("`{key}` is no JSON Schema: {}", wrong.message),
            )
            .hint("a schema is checked by JSON Schema 2020-12, and can refer to nothing outside itself");
    }
}

/// Why a schema is none.
struct WrongSchema {
    /// JSON pointer into the schema.
    pointer: String,
    message: String,
}

fn compile(schema: &Value) -> Result<Validator, WrongSchema> {
    let wrong = |error: jsonschema::ValidationError<'_>| WrongSchema {
        pointer: error.instance_path().to_string(),
        message: error.masked_with("the value").to_string(),
    };
    jsonschema::meta::validate(schema).map_err(wrong)?;
    jsonschema::validator_for(schema).map_err(wrong)
}

fn judge_template(string: &Node, inputs: Option<&Node>, problems: &mut Problems) {
    let Some(text) = string.as_text() else { return };
    let span = string.span.range();
    let template = match over_inputs(text) {
        Ok(template) => template,
        Err(why) => {
            problems
                .report(BAD_SKILL_TEMPLATE, span, why)
                .hint("a template names inputs, as in `${inputs.name}`; `$${` is a literal `${`");
            return;
        }
    };
    let Some(inputs) = inputs.filter(|inputs| is_closed(inputs)) else { return };
    let known = || inputs.get("properties").map_or(&[][..], Node::members).iter().map(|input| &*input.key);
    for name in references(&template).into_iter().filter(|name| !known().any(|input| input == *name)) {
        let hint = match nearest(name, known()) {
            Some(near) => format!("did you mean `inputs.{near}`?"),
            None => format!("its inputs: {}", in_words(known())),
        };
        problems
            .report(BAD_SKILL_TEMPLATE, string.span.range(), format!("the skill has no input `{name}`"))
            .hint(hint);
    }
}

/// Whether a schema lists every input that there can be.
fn is_closed(schema: &Node) -> bool {
    schema.get("additionalProperties").and_then(Node::as_bool) == Some(false)
        && schema.get("patternProperties").is_none()
}

/// The inputs that a template names.
fn references(template: &Template) -> Vec<&str> {
    fn name(reference: &Reference) -> Option<&str> {
        match reference.path.first()? {
            Segment::Key(name) => Some(name),
            Segment::Index(_) => None,
        }
    }
    match template {
        Template::Reference(reference) => name(reference).into_iter().collect(),
        Template::Text(parts) => {
            let named = parts.iter().filter_map(|part| match part {
                Part::Value(reference) => name(reference),
                // `has()` may ask for an input that there is not.
                Part::Text(_) | Part::Expression(_) => None,
            });
            named.collect()
        }
        Template::Literal(_) | Template::Expression(_) | Template::Object(_) | Template::Array(_) => {
            Vec::new()
        }
    }
}

/// The manifest that an object describes; `None` where its shape is wrong.
fn manifest(node: &Node, name: &str) -> Option<Manifest> {
    let mut object = plain(node)?;
    let members = object.members();
    let mut members: Vec<Member> = members.iter().filter(|member| &*member.key != "name").cloned().collect();
    for member in &mut members {
        if &*member.key == "limits" {
            member.value = plain(&member.value)?;
        }
    }
    let name = Node { kind: NodeKind::Text(name.into()), ..object.clone() };
    members.push(Member { key: "name".into(), key_span: name.span, value: name });
    object.kind = NodeKind::Object(members);
    serde_json::from_str(object.to_json().as_str()).ok()
}

/// An object without the keys that mean nothing to the engine.
fn plain(node: &Node) -> Option<Node> {
    let NodeKind::Object(members) = &node.kind else { return None };
    let members = members.iter().filter(|member| !is_extension(&member.key)).cloned().collect();
    Some(Node { kind: NodeKind::Object(members), ..node.clone() })
}
