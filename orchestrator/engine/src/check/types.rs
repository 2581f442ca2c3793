//! Of which types values are, as far as the definition says it: declared inputs, the context, results of skills whose
//! schema tells, fields of records. What is not known may be anything.

use std::collections::{BTreeMap, BTreeSet};

use schemas::json::Json;
use serde_json::Value;

use super::{Check, order::Reader, outline::Outline};
use crate::{
    diagnostic::codes::{ALWAYS_UNEQUAL, BAD_SKILL_INPUT, DOUBTFUL_PART, TYPE_ERROR},
    expr::{Kinds, Program, Types, Weight},
    load::{Node, NodeKind, shortened},
    plan::{InputType, StepId},
    value::{Part, Reference, Root, Segment, Template},
};

/// Whole numbers as they are expected: `5.0` is an integer to JSON Schema, and a double to expressions.
const WHOLE: Types = Types { surely: Kinds::NUMBER, likely: Kinds::INT.or(Kinds::UINT) };

/// Types by name.
pub(super) type ByName<'a> = BTreeMap<&'a str, Types>;

/// The types of what a definition declares.
#[derive(Debug, Default)]
pub(super) struct Declared<'a> {
    inputs: ByName<'a>,
    context: ByName<'a>,
}

impl<'a> Declared<'a> {
    pub(super) fn new(root: &'a Node, outline: &Outline<'a>) -> Self {
        let members = |node: Option<&'a Node>| node.map_or(&[][..], Node::members).iter();
        let inputs = members(root.get("inputs")).filter_map(|input| {
            let kind = super::input_type(input.value.get("type")?.as_text()?)?;
            Some((&*input.key, of_input(kind)))
        });
        let context = root.get("context");
        let half = |half: &str| members(context.and_then(|context| context.get(half)));
        // `--context` gives a readonly key another value: text stays text, all else may become anything.
        let readonly = half("readonly").map(|member| {
            let likely = of_literal(&member.value);
            let surely = if likely == Kinds::TEXT { Kinds::TEXT } else { Kinds::JSON };
            (&*member.key, Types { surely, likely })
        });
        let assigned = assigned(outline);
        let mutable = half("mutable").map(|member| {
            let key = &*member.key;
            let is_kept = !assigned.contains(key);
            (key, if is_kept { Types::surely(of_literal(&member.value)) } else { Types::JSON })
        });
        Self { inputs: inputs.collect(), context: readonly.chain(mutable).collect() }
    }
}

/// Keys to which a step gives another value.
fn assigned<'a>(outline: &Outline<'a>) -> BTreeSet<&'a str> {
    let keys = outline.all().flat_map(|step| {
        let sets = step.node.get("skill").and_then(Node::as_text) == Some("set-context");
        let inputs = step.node.get("inputs").filter(|_| sets);
        let inputs = inputs.map(|inputs| inputs.get("$literal").unwrap_or(inputs));
        step.node.get("assign").into_iter().chain(inputs).flat_map(Node::members)
    });
    keys.map(|member| &*member.key).collect()
}

pub(super) fn of_input(kind: InputType) -> Types {
    match kind {
        InputType::String => Types::surely(Kinds::TEXT),
        InputType::Integer => WHOLE,
        InputType::Number => Types::surely(Kinds::NUMBER),
        InputType::Boolean => Types::surely(Kinds::BOOL),
        InputType::Array => Types::surely(Kinds::LIST),
        InputType::Object => Types::surely(Kinds::MAP),
        InputType::Null => Types::surely(Kinds::NULL),
    }
}

/// The type of a value as it stands in the file.
fn of_literal(node: &Node) -> Kinds {
    match &node.kind {
        NodeKind::Null => Kinds::NULL,
        NodeKind::Bool(_) => Kinds::BOOL,
        NodeKind::Number(_) => Kinds::NUMBER,
        NodeKind::Text(_) => Kinds::TEXT,
        NodeKind::Array(_) => Kinds::LIST,
        NodeKind::Object(_) => Kinds::MAP,
    }
}

/// What a schema says by its `type`.
pub(super) fn of_schema(schema: &Value) -> Types {
    let words: Vec<&str> = match schema.get("type") {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => return Types::JSON,
    };
    let each = words.into_iter().map(|word| super::input_type(word).map_or(Types::JSON, of_input));
    each.fold(Types::surely(Kinds::NONE), |all, one| Types {
        surely: all.surely.or(one.surely),
        likely: all.likely.or(one.likely),
    })
}

impl Check<'_, '_> {
    /// The types of what a reference leads to.
    pub(super) fn types_of(&self, reference: &Reference, from: Reader) -> Types {
        let path = &reference.path[..];
        let declared = &self.names.types;
        match (&reference.root, path) {
            (Root::Inputs, [Segment::Key(name)]) if !self.is_bound(from, name) => {
                declared.inputs.get(&**name).copied().unwrap_or(Types::JSON)
            }
            (Root::Context, [Segment::Key(name)]) => {
                declared.context.get(&**name).copied().unwrap_or(Types::JSON)
            }
            (Root::Inputs | Root::Context | Root::Steps(_) | Root::Step(_), []) => Types::surely(Kinds::MAP),
            (Root::Run, [Segment::Key(name)]) => Types::surely(match name.as_str() {
                "id" => Kinds::TEXT,
                "attempt" => Kinds::INT,
                "scheduled_at" => Kinds::TEXT.or(Kinds::NULL),
                _ => Kinds::JSON,
            }),
            (Root::StepIds(_), []) => Types::surely(Kinds::LIST),
            (Root::Index(_), []) => Types::surely(Kinds::INT),
            (Root::Step(step), [Segment::Key(name)]) => self.output_types(*step, name),
            (Root::StepRecord(step), path) => self.record_types(*step, path),
            (
                Root::Inputs
                | Root::Context
                | Root::Run
                | Root::Index(_)
                | Root::Step(_)
                | Root::Steps(_)
                | Root::StepIds(_)
                | Root::Item(_),
                _,
            ) => Types::JSON,
        }
    }

    fn record_types(&self, step: StepId, path: &[Segment]) -> Types {
        let null_or = |kinds: Kinds| Types::surely(kinds.or(Kinds::NULL));
        match path {
            [Segment::Key(field)] => match field.as_str() {
                "status" => Types::surely(Kinds::TEXT),
                "attempts" => Types::surely(Kinds::INT),
                "outputs" => Types::surely(Kinds::MAP),
                "error" => null_or(Kinds::MAP),
                "started_at" | "finished_at" => null_or(Kinds::TEXT),
                "duration_ms" => null_or(Kinds::INT),
                _ => Types::JSON,
            },
            [Segment::Key(field), Segment::Key(name)]
                if field == "outputs" && !matches!(name.as_str(), "data" | "text") =>
            {
                self.output_types(step, name)
            }
            _ => Types::JSON,
        }
    }

    fn output_types(&self, step: StepId, name: &str) -> Types {
        let place = self.outline.step(step);
        if name == "text" {
            return Types::surely(Kinds::TEXT);
        }
        if self.names.is_handled(place) {
            return Types::JSON;
        }
        let lists_outputs = place.node.get("outputs").is_some();
        let kind = self.outline.kind(step);
        match (kind, name) {
            ("skill", _) => self.names.output_types(place, name),
            ("loop" | "sequence" | "parallel" | "conditional", "data") => Types::surely(Kinds::MAP),
            ("loop" | "sequence" | "parallel" | "conditional", _) if lists_outputs => Types::JSON,
            ("loop", "iterations") => Types::surely(Kinds::INT),
            ("loop", "results") => Types::surely(Kinds::LIST),
            ("loop", "last") => Types::surely(Kinds::MAP.or(Kinds::NULL)),
            ("conditional", "branch") => Types::surely(Kinds::TEXT),
            ("parallel", "winner") => Types::JSON,
            ("sequence" | "parallel" | "conditional", _) => Types::surely(Kinds::MAP),
            _ => Types::JSON,
        }
    }

    /// The types of a value that is filled in.
    pub(super) fn template_types(&self, template: &Template, from: Reader) -> Types {
        match template {
            Template::Literal(value) => Types::surely(of_json(value)),
            Template::Reference(reference) => self.types_of(reference, from),
            Template::Expression(program) => {
                let Types { surely, likely } = program.types();
                Types { surely: surely.as_json(), likely: likely.as_json() }
            }
            Template::Text(parts) => {
                let fails = parts.iter().any(
                    |part| matches!(part, Part::Expression(program) if program.types().surely.is_none()),
                );
                Types::surely(if fails { Kinds::NONE } else { Kinds::TEXT })
            }
            Template::Object(_) => Types::surely(Kinds::MAP),
            Template::Array(_) => Types::surely(Kinds::LIST),
        }
    }

    /// Reports what types say of an expression that begins at `start` in the content of a string.
    pub(super) fn report_types(&mut self, node: &Node, start: usize, program: &Program) {
        for finding in program.findings() {
            let place = self.place_in(node, start + finding.place.start..start + finding.place.end);
            let (code, hint) = match finding.weight {
                Weight::Fails => (TYPE_ERROR, finding.hint),
                Weight::FailsWhereReached => {
                    (DOUBTFUL_PART, finding.hint.or(Some("it fails whenever it is reached")))
                }
                Weight::AlwaysUnequal => {
                    (ALWAYS_UNEQUAL, Some("values keep their types: nothing is converted"))
                }
            };
            let report = self.problems.report(code, place, finding.message.clone());
            if let Some(hint) = hint {
                report.hint(hint);
            }
        }
    }

    /// Reports a value of which every type, or every likely one, is none that is needed there.
    pub(super) fn needs(&mut self, place: std::ops::Range<usize>, types: Types, needed: Kinds, what: &str) {
        let (code, given) = if misses(types.surely, needed) {
            (TYPE_ERROR, types.surely)
        } else if misses(types.likely, needed) {
            (DOUBTFUL_PART, types.likely)
        } else {
            return;
        };
        self.problems.report(code, place, format!("{what}, this gives {given}"));
    }
}

impl<'a> Check<'a, '_> {
    /// Reports inputs of a skill that are not known yet, and whose types are none that it takes.
    pub(super) fn judge_types(&mut self, skill: &'a str, node: &Node, inputs: &Template, from: Reader) {
        let Template::Object(members) = inputs else { return };
        for (name, value) in members {
            let known = matches!(value, Template::Literal(_));
            let Some(needed) = self.schemas.types(skill, name).filter(|_| !known) else { continue };
            let given = self.template_types(value, from).surely;
            if let (true, Some(input)) = (misses(given, needed), node.get(name)) {
                let message = format!("does not fit the skill: `{name}` is {needed}, this gives {given}");
                self.problems.report(BAD_SKILL_INPUT, input.span.range(), message).hint(format!(
                    "`q workflow skills show {}` shows the schema of its inputs",
                    shortened(skill)
                ));
            }
        }
    }
}

/// Whether there is a value, and none that fits. One that always fails was reported already.
pub(super) fn misses(given: Kinds, needed: Kinds) -> bool {
    !given.is_none() && given.misses(needed)
}

fn of_json(value: &Json) -> Kinds {
    match value.as_str().as_bytes()[0] {
        b'n' => Kinds::NULL,
        b't' | b'f' => Kinds::BOOL,
        b'"' => Kinds::TEXT,
        b'[' => Kinds::LIST,
        b'{' => Kinds::MAP,
        _ => Kinds::NUMBER,
    }
}
