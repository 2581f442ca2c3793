//! `assign`, and the built-in skill `set-context`: which keys of the mutable context a step gives a new value.

use super::{Check, order::Reader, outline::Spot};
use crate::{
    diagnostic::codes::{READONLY_CONTEXT, UNKNOWN_CONTEXT},
    load::{Member, Node, in_words, nearest},
    plan::SkillTarget,
    value::{Reference, Root, Segment, Template},
};

/// The skill whose inputs are assigned.
const SET_CONTEXT: &str = "set-context";

impl<'a> Check<'a, '_> {
    /// What a step assigns when it completes, in the order in which it is stored: the inputs of `set-context` before
    /// its `assign`.
    pub(super) fn assignments(&mut self, node: &'a Node, spot: Spot) -> Vec<(String, Template)> {
        let mut assigned = Vec::new();
        if self.sets_context(node) {
            let inputs = node
                .get("inputs")
                .map_or(&[][..], |inputs| inputs.get("$literal").unwrap_or(inputs).members());
            for member in inputs {
                self.assignable(member);
                assigned.push((member.key.to_string(), own_result(spot, &member.key)));
            }
        }
        for member in node.get("assign").map_or(&[][..], Node::members) {
            self.assignable(member);
            let value = self.template(&member.value, Reader::After(spot.step));
            assigned.push((member.key.to_string(), value));
        }
        assigned
    }

    fn sets_context(&self, node: &Node) -> bool {
        let called = node.get("type").and_then(Node::as_text) == Some("skill")
            && node.get("skill").and_then(Node::as_text) == Some(SET_CONTEXT);
        let entry = self.catalog.skills.get(SET_CONTEXT).filter(|_| called);
        entry.is_some_and(|entry| matches!(*entry.target, SkillTarget::Builtin { .. }))
    }

    /// Only keys that `context.mutable` declares are written.
    fn assignable(&mut self, member: &Member) {
        let key = &*member.key;
        if self.names.mutable.contains(key) {
            return;
        }
        let place = member.key_span.range();
        if self.names.context.contains(key) {
            self.problems
                .report(READONLY_CONTEXT, place, format!("`{key}` stands in `context.readonly`"))
                .hint("declare it in `context.mutable`, with its first value");
            return;
        }
        let report =
            self.problems.report(UNKNOWN_CONTEXT, place.clone(), format!("the context has no key `{key}`"));
        let known = || self.names.mutable.iter().copied();
        match nearest(key, known()) {
            Some(near) => report.hint(format!("did you mean `{near}`?")).suggest(place, near),
            None if self.names.mutable.is_empty() => {
                report.hint("declare it in `context.mutable`, with its first value")
            }
            None => report.hint(format!("`context.mutable` has: {}", in_words(known().take(20)))),
        };
    }
}

/// A key of the step's own result.
fn own_result(spot: Spot, key: &str) -> Template {
    Template::Reference(Reference {
        root: Root::Step(spot.step),
        path: vec![Segment::Key("data".to_owned()), Segment::Key(key.to_owned())],
        text: format!("{SET_CONTEXT}: {key}"),
    })
}
