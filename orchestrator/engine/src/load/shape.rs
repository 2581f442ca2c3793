//! Judges a tree by the table of keys: types, missing and unknown keys, words, ids, names.

mod rules;
mod values;

use std::collections::{BTreeSet, HashMap};

use schemas::definition::{
    Key, KindShape, ObjectShape, Shape, TaggedShape, WORKFLOW, agent::AGENT, is_extension, skill::MANIFEST,
    step::STEP,
};

use super::{Member, Node, NodeKind, Span, in_words, nearest, shortened};
use crate::diagnostic::{
    Problems,
    codes::{BAD_VALUE, DUPLICATE_STEP, MISSING_KEY, UNKNOWN_KEY, WRONG_TYPE},
};

/// Reports everything that is wrong with the shape of a definition.
pub(super) fn judge(root: &Node, problems: &mut Problems) {
    if !root.is_object() {
        let message = format!("a definition is an object, this is {}", root.type_name());
        problems.report(WRONG_TYPE, root.span.range(), message);
        return;
    }
    Judge { problems, ids: HashMap::new() }.object(root, &WORKFLOW);
}

/// Reports everything that is wrong with the shape of a skill's manifest.
pub(super) fn judge_skill(root: &Node, problems: &mut Problems) {
    if !root.is_object() {
        let message = format!("a manifest is an object, this is {}", root.type_name());
        problems.report(WRONG_TYPE, root.span.range(), message);
        return;
    }
    Judge { problems, ids: HashMap::new() }.object(root, &MANIFEST);
}

/// The same of one value, which is named by what holds it.
pub(super) fn judge_value(node: &Node, shape: &'static Shape, problems: &mut Problems) {
    Judge { problems, ids: HashMap::new() }.value(node, shape, "sandbox");
}

/// Reports everything that is wrong with the shape of an agent's file.
pub(super) fn judge_agent(root: &Node, problems: &mut Problems) {
    if !root.is_object() {
        let message = format!("an agent is an object, this is {}", root.type_name());
        problems.report(WRONG_TYPE, root.span.range(), message);
        return;
    }
    Judge { problems, ids: HashMap::new() }.object(root, &AGENT);
}

/// Calls `visit` for every step of the file, in the order of the text, with the step that holds it.
pub(crate) fn each_step<'a>(root: &'a Node, visit: &mut impl FnMut(&'a Node, Option<&'a Node>)) {
    steps_below(root, &Shape::Object(&WORKFLOW), None, visit);
}

fn steps_below<'a>(
    node: &'a Node,
    shape: &Shape,
    holder: Option<&'a Node>,
    visit: &mut impl FnMut(&'a Node, Option<&'a Node>),
) {
    match shape {
        Shape::Object(shape) => {
            for member in node.members() {
                if let Some(key) = shape.keys.iter().find(|key| key.name == &*member.key) {
                    steps_below(&member.value, &key.shape, holder, visit);
                }
            }
        }
        Shape::Tagged(shape) if node.is_object() => {
            let is_step = std::ptr::eq(*shape, &raw const STEP);
            if is_step {
                visit(node, holder);
            }
            let holder = if is_step { Some(node) } else { holder };
            let own = kind_of(node, shape).map_or(&[][..], |kind| kind.keys);
            for member in node.members() {
                if let Some(key) = shape.common.iter().chain(own).find(|key| key.name == &*member.key) {
                    steps_below(&member.value, &key.shape, holder, visit);
                }
            }
        }
        Shape::Map(of) => {
            for member in node.members() {
                steps_below(&member.value, of, holder, visit);
            }
        }
        Shape::List { of, .. } => {
            for element in node.elements() {
                steps_below(element, of, holder, visit);
            }
        }
        Shape::Either(shapes) => {
            if let Some(shape) = shapes.iter().find(|shape| values::accepts(shape, node)) {
                steps_below(node, shape, holder, visit);
            }
        }
        Shape::Nullable(shape) => steps_below(node, shape, holder, visit),
        Shape::Tagged(_)
        | Shape::Any
        | Shape::Value
        | Shape::Text
        | Shape::Template
        | Shape::Expression
        | Shape::Name
        | Shape::Version
        | Shape::StepId
        | Shape::FailureCode
        | Shape::Boolean
        | Shape::Integer { .. }
        | Shape::Positive
        | Shape::Duration { .. }
        | Shape::Size { .. }
        | Shape::Word(_) => {}
    }
}

/// The kind that the `type` of an object names.
fn kind_of(node: &Node, shape: &TaggedShape) -> Option<&'static KindShape> {
    let word = node.get("type").and_then(Node::as_text)?;
    shape.kinds.iter().find(|kind| kind.word == word)
}

/// The pass over one file.
struct Judge<'a> {
    problems: &'a mut Problems,
    /// Step ids seen so far, with their first place.
    ids: HashMap<&'a str, Span>,
}

impl<'a> Judge<'a> {
    fn value(&mut self, node: &'a Node, shape: &'static Shape, name: &str) {
        if !values::accepts(shape, node) {
            return self.wrong_type(node, shape, name);
        }
        match shape {
            Shape::Either(shapes) => {
                if let Some(shape) = shapes.iter().find(|shape| values::accepts(shape, node)) {
                    self.value(node, shape, name);
                }
            }
            Shape::Nullable(_) if node.kind == NodeKind::Null => {}
            Shape::Nullable(shape) => self.value(node, shape, name),
            Shape::Object(shape) => self.object(node, shape),
            Shape::Tagged(shape) => self.tagged(node, shape),
            Shape::Map(of) => {
                for member in node.members() {
                    self.value(&member.value, of, &member.key);
                }
            }
            Shape::List { of, least } => self.list(node, of, *least, name),
            Shape::Any
            | Shape::Value
            | Shape::Text
            | Shape::Template
            | Shape::Expression
            | Shape::Name
            | Shape::Version
            | Shape::StepId
            | Shape::FailureCode
            | Shape::Boolean
            | Shape::Integer { .. }
            | Shape::Positive
            | Shape::Duration { .. }
            | Shape::Size { .. }
            | Shape::Word(_) => values::scalar(node, shape, name, self.problems),
        }
    }

    fn wrong_type(&mut self, node: &Node, shape: &Shape, name: &str) {
        let message = format!("`{name}` must be {}, this is {}", values::expected(shape), node.type_name());
        self.problems.report(WRONG_TYPE, node.span.range(), message);
    }

    fn list(&mut self, node: &'a Node, of: &'static Shape, least: usize, name: &str) {
        let elements = node.elements();
        if elements.len() < least {
            self.problems.report(
                BAD_VALUE,
                node.span.range(),
                format!("`{name}` must hold at least {least}"),
            );
        }
        for (index, element) in elements.iter().enumerate() {
            if values::accepts(of, element) {
                self.value(element, of, name);
            } else {
                self.wrong_type(element, of, &format!("{name}[{index}]"));
            }
        }
    }

    fn object(&mut self, node: &'a Node, shape: &'static ObjectShape) {
        self.keys(node, shape.keys, &[], None);
        rules::object(node, shape, self.problems);
    }

    fn tagged(&mut self, node: &'a Node, shape: &'static TaggedShape) {
        let kind = self.kind(node, shape);
        let own = kind.map_or(&[][..], |kind| kind.keys);
        self.keys(node, shape.common, own, Some((shape, kind)));
        if std::ptr::eq(shape, &raw const STEP) {
            self.remember_id(node);
            rules::step(node, kind.map(|kind| kind.word), self.problems);
        }
    }

    /// The kind of a tagged object; what is wrong with `type` is reported.
    fn kind(&mut self, node: &Node, shape: &'static TaggedShape) -> Option<&'static KindShape> {
        let words = || shape.kinds.iter().map(|kind| kind.word);
        let Some(tag) = node.get("type") else {
            let meant = words().find(|word| node.get(word).is_some());
            let hint = match meant {
                Some(word) => format!("add `\"type\": \"{word}\"`"),
                None => format!("`type` is one of {}", in_words(words())),
            };
            if !node.members().iter().any(|member| nearest(&member.key, ["type"]).is_some()) {
                self.problems.report(MISSING_KEY, node.opening(), "the key `type` is missing").hint(hint);
            }
            return None;
        };
        let Some(word) = tag.as_text() else {
            self.wrong_type(tag, &Shape::Text, "type");
            return None;
        };
        let kind = shape.kinds.iter().find(|kind| kind.word == word);
        if kind.is_none() {
            values::bad_word(tag, word, &mut words(), "type", self.problems);
        }
        kind
    }

    /// Judges each member by its key, then looks for keys that are missing.
    fn keys(
        &mut self,
        node: &'a Node,
        common: &'static [Key],
        own: &'static [Key],
        tag: Option<(&'static TaggedShape, Option<&'static KindShape>)>,
    ) {
        let mut present: Vec<&str> = Vec::new();
        let mut unknown: Vec<&Member> = Vec::new();
        for member in node.members() {
            if let Some(key) = common.iter().chain(own).find(|key| key.name == &*member.key) {
                present.push(key.name);
                self.value(&member.value, &key.shape, key.name);
            } else if tag.is_some() && &*member.key == "type" {
                present.push("type");
            } else if !is_extension(&member.key) {
                unknown.push(member);
            }
        }
        // A key that an unknown one was probably meant to be is not missing as well.
        let mut meant: Vec<&str> = Vec::new();
        for member in unknown {
            meant.extend(self.unknown_key(member, &present, (common, own), tag));
        }
        for key in common.iter().chain(own).filter(|key| key.required) {
            if !present.contains(&key.name) && !meant.contains(&key.name) {
                self.problems
                    .report(MISSING_KEY, node.opening(), format!("the key `{}` is missing", key.name))
                    .hint(key.about);
            }
        }
    }

    /// Reports a key that is not known; answers which it was probably meant to be. Without a kind, the keys of
    /// every kind are known.
    fn unknown_key(
        &mut self,
        member: &Member,
        present: &[&str],
        (common, own): (&'static [Key], &'static [Key]),
        tag: Option<(&'static TaggedShape, Option<&'static KindShape>)>,
    ) -> Option<&'static str> {
        let span = member.key_span.range();
        if self.problems.is_full() {
            self.problems.report(UNKNOWN_KEY, span, "a key is not known here");
            return None;
        }
        let kinds = tag.map_or(&[][..], |(shape, _)| shape.kinds);
        let owners: Vec<_> =
            kinds.iter().filter(|kind| kind.keys.iter().any(|key| key.name == &*member.key)).collect();
        let any_kind = if matches!(tag, Some((_, None))) { kinds } else { &[] };
        if !any_kind.is_empty() && !owners.is_empty() {
            return None;
        }
        let all = || any_kind.iter().flat_map(|kind| kind.keys);
        let known = || common.iter().chain(own).chain(all()).map(|key| key.name).chain(tag.map(|_| "type"));
        let near = nearest(&member.key, known().filter(|name| !present.contains(name)));
        let key = shortened(&member.key);
        let report =
            self.problems.report(UNKNOWN_KEY, span.clone(), format!("the key `{key}` is not known here"));
        if let Some(near) = near {
            report.hint(format!("did you mean `{near}`?")).suggest(span, near);
        } else if owners.is_empty() {
            let known: BTreeSet<_> = known().collect();
            let given = nearest(&member.key, known.iter().copied());
            let given = given.map(|given| format!("did you mean `{given}`, which is given too? "));
            report.hint(format!(
                "{}known keys: {}; keys that begin with `x-` are free",
                given.unwrap_or_default(),
                in_words(known)
            ));
        } else {
            report.hint(format!("only {} has this key", in_words(owners.iter().map(|kind| kind.word))));
        }
        near
    }

    fn remember_id(&mut self, step: &'a Node) {
        let Some(id) = step.get("id") else { return };
        let NodeKind::Text(text) = &id.kind else { return };
        if let Some(first) = self.ids.get(&**text) {
            self.problems
                .report(DUPLICATE_STEP, id.span.range(), format!("the id `{text}` is given to two steps"))
                .note(first.range(), "first given here")
                .hint("ids are unique in the whole file, inner steps included");
        } else {
            self.ids.insert(text, id.span);
        }
    }
}
