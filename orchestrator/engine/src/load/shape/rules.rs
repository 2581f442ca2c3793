//! Rules that need more than one value of an object, or its keys.

use std::collections::HashSet;

use schemas::definition::{ObjectShape, policy::LIMITS, skill, workflow::INPUT};

use super::super::{Node, NodeKind};
use crate::{
    diagnostic::{
        Problems,
        codes::{
            BAD_DEFAULT, BAD_PROGRAM, BAD_VALUE, BAD_VARIABLE, CONFLICTING_KEYS, DUPLICATE_OUTPUT,
            MISPLACED_KEY, MISSING_KEY, SINGLE_CHILD,
        },
    },
    units,
};

/// Rules of objects without kinds.
pub(super) fn object(node: &Node, shape: &'static ObjectShape, problems: &mut Problems) {
    let is = |other: *const ObjectShape| std::ptr::eq(shape, other);
    if is(&raw const LIMITS) || is(&raw const skill::LIMITS) {
        limits(node, problems);
    } else if is(&raw const INPUT) {
        input(node, problems);
    } else if is(&raw const skill::MANIFEST) || is(&raw const skill::SKILL) {
        manifest(node, problems);
    }
}

/// Rules of steps.
pub(super) fn step(node: &Node, kind: Option<&str>, problems: &mut Problems) {
    if let Some(env) = node.get("env") {
        environment(env, problems);
    }
    if let Some(outputs) = node.get("outputs") {
        each_output_once(outputs, problems);
    }
    match kind {
        Some("loop") => loop_keys(node, problems),
        Some("parallel") => single_child(node, problems),
        Some(kind) => no_concurrency(node, kind, problems),
        None => {}
    }
}

fn limits(node: &Node, problems: &mut Problems) {
    at_most_one(node, "max_memory_mb", "memory", problems);
    at_most_one(node, "max_cpu_percent", "cpu", problems);
    let shares =
        [("cpu", units::cpu_from_cores as fn(&str) -> _), ("max_cpu_percent", units::cpu_from_percent)];
    for (key, read) in shares {
        let Some(value) = node.get(key) else { continue };
        if value.as_number().is_some_and(|number| read(number) == Err(units::Error::TooLarge)) {
            problems.report(BAD_VALUE, value.span.range(), format!("`{key}` is more than 1000 cores"));
        }
    }
}

fn manifest(node: &Node, problems: &mut Problems) {
    if let Some(env) = node.get("env") {
        environment(env, problems);
    }
    let speaks_text = node.get("protocol").and_then(Node::as_text) == Some("text");
    if let Some(parse) = node.member("parse").filter(|_| !speaks_text) {
        problems
            .report(
                MISPLACED_KEY,
                parse.key_span.range(),
                "`parse` has no meaning with the protocol `json-stdio@1`",
            )
            .hint("what such a program prints is JSON; `parse` belongs to `\"protocol\": \"text\"`");
    }
    let command = node.get("command").map_or(&[][..], Node::elements);
    for (index, word) in command.iter().enumerate() {
        let Some(text) = word.as_text() else { continue };
        if index == 0 && text.is_empty() {
            problems.report(BAD_PROGRAM, word.span.range(), "the program has no name");
        } else if text.contains('\0') {
            problems.report(BAD_PROGRAM, word.span.range(), "no argument can hold a NUL character");
        }
    }
}

fn at_most_one(node: &Node, first: &str, second: &str, problems: &mut Problems) {
    let (Some(a), Some(b)) = (node.member(first), node.member(second)) else { return };
    let (earlier, later) = if a.key_span.start() < b.key_span.start() { (a, b) } else { (b, a) };
    problems
        .report(CONFLICTING_KEYS, later.key_span.range(), format!("`{first}` and `{second}` say the same"))
        .note(earlier.key_span.range(), "the other one is here")
        .hint("keep one of them");
}

fn input(node: &Node, problems: &mut Problems) {
    let (Some(kind), Some(default)) = (node.get("type").and_then(Node::as_text), node.get("default")) else {
        return;
    };
    if !is_of_type(default, kind) {
        let message = format!("the default is {}, the type is `{kind}`", default.type_name());
        problems.report(BAD_DEFAULT, default.span.range(), message).hint("change the default or the type");
    }
}

/// Whether a value has a JSON Schema type; an unknown type fits all (it is reported elsewhere).
fn is_of_type(node: &Node, kind: &str) -> bool {
    match kind {
        "integer" => node.as_number().is_some_and(is_whole),
        "number" => node.as_number().is_some(),
        "string" => node.as_text().is_some(),
        "boolean" => node.as_bool().is_some(),
        "array" => matches!(node.kind, NodeKind::Array(_)),
        "object" => node.is_object(),
        "null" => matches!(node.kind, NodeKind::Null),
        _ => true,
    }
}

/// As JSON Schema has it: `1.0` is an integer.
fn is_whole(number: &str) -> bool {
    number.parse::<f64>().is_ok_and(|number| number.fract() == 0.0)
}

fn environment(env: &Node, problems: &mut Problems) {
    for member in env.members() {
        let name = &*member.key;
        let reason = if name.is_empty() || name.contains(['=', '\0']) {
            "names are not empty and hold neither `=` nor a NUL"
        } else if name.starts_with("LD_") {
            "variables of the dynamic loader are never passed on"
        } else {
            continue;
        };
        let message = format!("`{}` cannot be set", name.escape_debug());
        problems.report(BAD_VARIABLE, member.key_span.range(), message).hint(reason);
    }
}

fn each_output_once(outputs: &Node, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for output in outputs.elements() {
        let Some(name) = output.as_text() else { continue };
        if name.is_empty() {
            problems.report(BAD_VALUE, output.span.range(), "the name of an output is not empty");
        } else if !seen.insert(name) {
            problems.report(
                DUPLICATE_OUTPUT,
                output.span.range(),
                format!("the output `{name}` is named twice"),
            );
        }
    }
}

fn loop_keys(node: &Node, problems: &mut Problems) {
    exactly_one(node, "condition", "for_each", problems);
    exactly_one(node, "steps", "body", problems);
}

fn exactly_one(node: &Node, first: &str, second: &str, problems: &mut Problems) {
    match (node.member(first), node.member(second)) {
        (Some(_), None) | (None, Some(_)) => {}
        (None, None) => {
            let message = format!("one of `{first}` and `{second}` is missing");
            problems.report(MISSING_KEY, node.opening(), message);
        }
        (Some(a), Some(b)) => {
            let (earlier, later) = if a.key_span.start() < b.key_span.start() { (a, b) } else { (b, a) };
            problems
                .report(
                    CONFLICTING_KEYS,
                    later.key_span.range(),
                    format!("`{first}` and `{second}` exclude each other"),
                )
                .note(earlier.key_span.range(), "the other one is here")
                .hint("keep one of them");
        }
    }
}

fn single_child(node: &Node, problems: &mut Problems) {
    let Some(steps) = node.get("steps").filter(|steps| steps.elements().len() == 1) else { return };
    problems
        .report(SINGLE_CHILD, steps.span.range(), "this parallel group has only one step")
        .hint("nothing runs at the same time: the step can stand alone");
}

fn no_concurrency(node: &Node, kind: &str, problems: &mut Problems) {
    let limits = node.get("resource_limits");
    let Some(member) = limits.and_then(|limits| limits.member("max_concurrent_steps")) else { return };
    problems
        .report(
            MISPLACED_KEY,
            member.key_span.range(),
            format!("`{}` has no meaning in a `{kind}` step", member.key),
        )
        .hint("it belongs to the whole workflow, or to `parallel` and `loop` steps");
}
