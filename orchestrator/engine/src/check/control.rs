//! Steps that hold others: groups, branches and loops.

use schemas::definition::{RESERVED_IDS, step::MAX_TURNS};

use super::{
    Check,
    expression::unwrapped,
    limits::{self, least},
    order::Reader,
    outline::Spot,
    reference,
    resolve::Use,
};
use crate::{
    diagnostic::codes::{BAD_VALUE, HIDDEN_OUTPUT, MISPLACED_KEY},
    expr::Kinds,
    load::{Node, NodeKind},
    plan::{Conditional, Loop, Parallel, StepId, StepKind, Turns, WaitFor},
    value::{Root, Template},
};

/// Turns of a loop with a condition where the file says nothing.
const DEFAULT_TURNS: u32 = 100;

impl<'a> Check<'a, '_> {
    /// What a step does that holds others; `None` for other steps, and where it is wrong.
    pub(super) fn composite(&mut self, root: &'a Node, node: &'a Node, spot: Spot) -> Option<StepKind> {
        let steps = |check: &Self| check.children(spot.step, false);
        match node.get("type").and_then(Node::as_text)? {
            "sequence" => Some(StepKind::Sequence(steps(self))),
            "parallel" => Some(StepKind::Parallel(Box::new(Parallel {
                steps: steps(self),
                wait_for: match node.get("wait_for").and_then(Node::as_text) {
                    Some("any") => WaitFor::Any,
                    Some("none") => WaitFor::None,
                    Some(_) | None => WaitFor::All,
                },
                max_concurrent: max_concurrent(node),
                fail_fast: node.get("fail_fast").and_then(Node::as_bool).unwrap_or(true),
            }))),
            "conditional" => {
                let condition = self.condition(node.get("condition")?, Reader::Step(spot.step));
                Some(StepKind::Conditional(Box::new(Conditional {
                    condition: condition?,
                    then: steps(self),
                    otherwise: self.children(spot.step, true),
                    has_else: node.get("else").is_some(),
                })))
            }
            "loop" => {
                self.item_name(node);
                let turns = self.turns(node, spot.step);
                Some(StepKind::Loop(Box::new(Loop { steps: steps(self), turns: turns? })))
            }
            "workflow" => self.subworkflow(root, node, spot),
            _ => None,
        }
    }

    /// A child whose outputs would stand where one of the group itself stands.
    pub(super) fn hidden_output(&mut self, node: &Node) {
        let own = match node.get("type").and_then(Node::as_text) {
            Some("conditional") => "branch",
            Some("parallel") if node.get("wait_for").and_then(Node::as_text) == Some("any") => "winner",
            Some(_) | None => return,
        };
        let lists = ["steps", "then", "else"].into_iter().filter_map(|list| node.get(list));
        let ids = lists.flat_map(Node::elements).filter_map(|child| child.get("id"));
        for id in ids.filter(|id| id.as_text() == Some(own)) {
            self.problems
                .report(
                    HIDDEN_OUTPUT,
                    id.span.range(),
                    format!("`{own}` of the group hides the outputs of this step"),
                )
                .hint("give the step another id");
        }
    }

    fn children(&self, step: StepId, in_else: bool) -> Vec<StepId> {
        let lists = if in_else { &self.lists.1 } else { &self.lists.0 };
        lists.get(self.outline.place(step)).cloned().unwrap_or_default()
    }

    fn turns(&mut self, node: &'a Node, step: StepId) -> Option<Turns> {
        let most = node.get("max_iterations").and_then(Node::as_number).and_then(|most| most.parse().ok());
        if let Some(condition) = node.get("condition") {
            self.only_for_each(node, "max_concurrent");
            self.only_for_each(node, "as");
            let condition = self.condition(condition, Reader::Condition(step))?;
            return Some(Turns::While { condition, most: most.unwrap_or(DEFAULT_TURNS) });
        }
        let items = node.get("for_each")?;
        let items = match &items.kind {
            NodeKind::Text(text) => self.given_items(items, text, step)?,
            NodeKind::Null
            | NodeKind::Bool(_)
            | NodeKind::Number(_)
            | NodeKind::Array(_)
            | NodeKind::Object(_) => self.template(items, Reader::Step(step)),
        };
        let cap = u32::try_from(MAX_TURNS).unwrap_or(u32::MAX);
        Some(Turns::ForEach {
            items,
            most: most.unwrap_or(cap),
            max_concurrent: max_concurrent(node).unwrap_or(1),
        })
    }

    /// Keys that say nothing to a loop with a condition.
    fn only_for_each(&mut self, node: &Node, key: &str) {
        if let Some(member) = node.member(key) {
            self.problems
                .report(
                    MISPLACED_KEY,
                    member.key_span.range(),
                    format!("`{key}` has no meaning in a loop with a condition"),
                )
                .hint("it belongs to a loop with `for_each`");
        }
    }

    /// The name of a loop's item is one that can be written, and hides nothing.
    fn item_name(&mut self, node: &Node) {
        let Some(name) = node.get("as") else { return };
        let Some(text) = name.as_text() else { return };
        let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let taken = text != "item" && RESERVED_IDS.contains(&text);
        let problem = if !is_name {
            "letters, digits and underscores make a name of an item, a digit not first"
        } else if taken {
            "the name has a meaning of its own"
        } else if self.outline.by_id(text).is_some() {
            "a step has this id"
        } else {
            return;
        };
        self.problems
            .report(BAD_VALUE, name.span.range(), format!("`{text}` cannot be the name of an item"))
            .hint(problem);
    }

    /// `for_each` as text: an expression that gives an array.
    fn given_items(&mut self, node: &'a Node, text: &str, step: StepId) -> Option<Template> {
        let (start, inner) = unwrapped(text);
        let reader = Reader::Step(step);
        // A plain path needs no parser.
        let path = reference::expression(inner, |id| self.outline.by_id(id).is_some());
        let (items, place) = if let Some(path) = path {
            let at = Use { node, text: inner, start, from: reader, asked: &[] };
            (Template::Reference(self.expression_reference(&at, &path)?), 0..inner.len())
        } else {
            let program = self.program(node, inner, start, reader)?;
            let place = program.place();
            (Template::Expression(program), place)
        };
        let place = self.place_in(node, start + place.start..start + place.end);
        let types = self.template_types(&items, reader);
        self.needs(place, types, Kinds::LIST, "`for_each` goes over an array");
        Some(items)
    }

    /// The names that the loops around give to their item and its number.
    pub(super) fn loop_name(&self, reader: Reader, name: &str) -> Option<Root> {
        let outline = self.outline;
        let mut is_innermost = true;
        for around in super::order::loops_around(outline, reader) {
            let node = outline.step(around).node;
            if name == "index" && is_innermost {
                return Some(Root::Index(around));
            }
            is_innermost = false;
            if node.get("for_each").is_none() || reader == Reader::Condition(around) {
                continue;
            }
            let item = node.get("as").and_then(Node::as_text).unwrap_or("item");
            if name == item {
                return Some(Root::Item(around));
            }
            if name.strip_suffix("_index") == Some(item) {
                return Some(Root::Index(around));
            }
        }
        None
    }
}

/// How many children or turns run at once, at most.
fn max_concurrent(node: &Node) -> Option<u32> {
    let own = node.get("max_concurrent").and_then(Node::as_number).and_then(|most| most.parse().ok());
    let limits = node.get("resource_limits").map(limits::read);
    least(own, limits.and_then(|limits| limits.max_concurrent_steps))
}
