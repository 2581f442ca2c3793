//! The JSON Schema and the program judge alike, over definitions that are made from the table of keys: right ones,
//! and ones in which something was changed.
//!
//! What the schema cannot say, and the program alone refuses: that ids, keys, outputs are unique; every rule about
//! what a reference, an expression or a strategy means; the exact words of durations and sizes, and those that are
//! too large; shares of more than 1000 cores; an output or an item without a proper name; `1.0` where a whole number
//! belongs (to the schema it is one); names of variables; defaults that do not fit their type; that a `$literal`
//! stands alone; and keys whose meaning depends on the kind of the step around them.

use std::sync::OnceLock;

use jsonschema::Validator;
use proptest::prelude::*;
use schemas::definition::{Key, Shape, TaggedShape, WORKFLOW, json_schema, step::STEP};
use serde_json::{Map, Value, json};

use crate::{
    diagnostic::Diagnostic,
    load::{Syntax, load},
};

/// What follows from the shape of one value.
const SHAPE_CODES: [&str; 10] =
    ["E010", "E011", "E012", "E013", "E014", "E015", "E016", "E018", "E019", "E020"];

/// Problems with these codes that the schema cannot see.
const BEYOND_SCHEMA: [&str; 3] = ["more than 1000 cores", "is too large", "the name of an output"];

/// Choices, one after the other; at its end the first is taken.
struct Tape<'a> {
    rest: std::slice::Iter<'a, u16>,
}

impl Tape<'_> {
    fn pick(&mut self, count: usize) -> usize {
        self.rest.next().map_or(0, |choice| usize::from(*choice) % count)
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.pick(choices.len())].clone()
    }

    /// A right value. `depth` bounds steps within steps.
    fn value(&mut self, shape: &Shape, depth: usize) -> Value {
        match shape {
            Shape::Any | Shape::Value => {
                self.one_of(&[json!(null), json!(1.5), json!("text"), json!([1, {"a": true}]), json!({})])
            }
            Shape::Text | Shape::Template => json!(self.one_of(&["a", "b c", "é"])),
            Shape::Expression => json!(self.one_of(&["true", "1 < 2"])),
            Shape::Name => json!(self.one_of(&["a", "A.b_c-1"])),
            Shape::Version => json!(self.one_of(&["1.0.0", "0.2.3-rc.1+b7"])),
            Shape::StepId => json!(format!("s{}", self.pick(1000))),
            Shape::FailureCode => json!(self.one_of(&["timeout", "skill_error:NOT_FOUND"])),
            Shape::Boolean => json!(self.one_of(&[true, false])),
            Shape::Integer { least, most } => json!(self.one_of(&[*least, (*least + 7).min(*most), *most])),
            Shape::Positive => json!(self.one_of(&[0.5, 2.0, 30.0])),
            Shape::Duration { .. } => self.one_of(&[json!(5), json!("250ms"), json!("1h30m")]),
            Shape::Size { .. } => self.one_of(&[json!(4096), json!("512MiB"), json!("2GB")]),
            Shape::Word(words) => json!(self.one_of(words)),
            Shape::Object(shape) => Value::Object(self.members(shape.keys.iter(), depth)),
            Shape::Tagged(shape) => self.tagged(shape, depth),
            Shape::Nullable(_) if self.pick(4) == 3 => Value::Null,
            Shape::Nullable(of) => self.value(of, depth),
            Shape::Map(of) => {
                let count = self.pick(3);
                (0..count).map(|index| (format!("k{index}"), self.value(of, depth))).collect()
            }
            Shape::List { of, least } => {
                let count = least + if depth == 0 { 0 } else { self.pick(2) };
                (0..count).map(|_| self.value(of, depth)).collect()
            }
            Shape::Either(shapes) => {
                let chosen = self.pick(shapes.len());
                self.value(&shapes[chosen], depth)
            }
        }
    }

    fn tagged(&mut self, shape: &TaggedShape, depth: usize) -> Value {
        let depth = depth.saturating_sub(1);
        let kinds = if depth == 0 { &shape.kinds[..1] } else { shape.kinds };
        let kind = &kinds[self.pick(kinds.len())];
        let mut members = self.members(shape.common.iter().chain(kind.keys), depth);
        members.insert("type".to_owned(), kind.word.into());
        if kind.word == "loop" {
            for (first, second) in [("condition", "for_each"), ("steps", "body")] {
                members.remove(second);
                if !members.contains_key(first) {
                    let key = kind.keys.iter().find(|key| key.name == first).unwrap();
                    members.insert(first.to_owned(), self.value(&key.shape, depth));
                }
            }
        }
        Value::Object(members)
    }

    fn members<'k>(&mut self, keys: impl Iterator<Item = &'k Key>, depth: usize) -> Map<String, Value> {
        let mut members = Map::new();
        for key in keys {
            let is_wanted = key.required || (depth > 0 && self.pick(6) == 5);
            if is_wanted {
                members.insert(key.name.to_owned(), self.value(&key.shape, depth));
            }
        }
        for (first, second) in [("max_memory_mb", "memory"), ("max_cpu_percent", "cpu")] {
            if members.contains_key(first) {
                members.remove(second);
            }
        }
        members
    }

    /// Changes something somewhere.
    fn change(&mut self, value: &mut Value) {
        let parts = match value {
            Value::Object(members) => members.len(),
            Value::Array(elements) => elements.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        };
        let at = self.pick(parts + 1);
        match value {
            Value::Object(members) if at < parts => {
                let key = members.keys().nth(at).unwrap().clone();
                match self.pick(6) {
                    0 => {
                        members.remove(&key);
                    }
                    1 => {
                        let value = members.remove(&key).unwrap();
                        members.insert(format!("{key}x"), value);
                    }
                    _ => self.change(&mut members[&key]),
                }
            }
            Value::Object(members) if self.pick(2) == 0 => {
                members.insert(
                    self.one_of(&["nobody", "x-mine", "memory", "cpu", "body"]).to_owned(),
                    json!("1GB"),
                );
            }
            Value::Array(elements) if at < parts => match self.pick(6) {
                0 => {
                    elements.remove(at);
                }
                _ => self.change(&mut elements[at]),
            },
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => *value = self.other(),
        }
    }

    fn other(&mut self) -> Value {
        let words =
            ["", "x y", "skip", "in", "steps", "1.0", "01.2.3", "5 minutes", "12", "5GB", "${a}", "-a"];
        match self.pick(3) {
            0 => self.one_of(&words.map(Value::from)),
            1 => self.one_of(&[json!(0), json!(-1), json!(1.5), json!(5_000_000_000_u64), json!(true)]),
            _ => self.one_of(&[json!(null), json!([]), json!({}), json!([[]]), json!({"type": "skill"})]),
        }
    }
}

/// What the pass over shapes says. What only the check can see is beyond every schema.
fn wrong_in_shape(value: &Value) -> Vec<Diagnostic> {
    let diagnostics = match load(value.to_string().as_bytes(), Syntax::Json) {
        Ok(definition) => definition.problems.finish(&definition.text, |_| String::new()),
        Err(diagnostics) => diagnostics,
    };
    let seen = |found: &Diagnostic| {
        SHAPE_CODES.contains(&found.code) && !BEYOND_SCHEMA.iter().any(|part| found.message.contains(part))
    };
    diagnostics.into_iter().filter(seen).collect()
}

fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| jsonschema::validator_for(&json_schema()).expect("the schema compiles"))
}

fn tape() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn right_definitions_are_right_to_both(tapes in proptest::collection::vec(tape(), 1..3)) {
        let validator = validator();
        for tape in tapes {
            let value = Tape { rest: tape.iter() }.value(&Shape::Object(&WORKFLOW), 4);
            let wrong = wrong_in_shape(&value);
            prop_assert!(wrong.is_empty(), "{value:#}\n{wrong:#?}");
            let seen = validator.validate(&value).map_err(|error| error.to_string());
            prop_assert!(seen.is_ok(), "{value:#}\n{seen:?}");
        }
    }

    #[test]
    fn changed_definitions_are_wrong_to_both_or_to_none(tapes in proptest::collection::vec((tape(), tape()), 1..8)) {
        let validator = validator();
        for (tape, changes) in tapes {
            let mut value = Tape { rest: tape.iter() }.value(&Shape::Object(&WORKFLOW), 3);
            Tape { rest: changes.iter() }.change(&mut value);
            let wrong = wrong_in_shape(&value);
            let seen: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            prop_assert_eq!(wrong.is_empty(), seen.is_empty(), "{:#}\n{:#?}\n{:#?}", value, wrong, seen);
        }
    }
}

/// The generator reaches every kind of step and most keys: else the properties say little.
#[test]
fn the_table_is_covered() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..40_u16 {
        let tape: Vec<u16> = (0..400).map(|index: u16| index.wrapping_mul(seed).wrapping_add(seed)).collect();
        let value = Tape { rest: tape.iter() }.value(&Shape::Object(&WORKFLOW), 4);
        let text = value.to_string();
        kinds.extend(
            STEP.kinds
                .iter()
                .map(|kind| kind.word)
                .filter(|word| text.contains(&format!("\"type\":\"{word}\""))),
        );
    }
    assert_eq!(kinds.len(), STEP.kinds.len(), "{kinds:?}");
}
