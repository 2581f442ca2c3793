//! `error_handling`: from a file to the strategies of the steps.

use std::{collections::HashMap, time::Duration};

use schemas::failure;

use super::{
    Check, duration,
    outline::{Side, StepPlace},
};
use crate::{
    diagnostic::codes::{
        BAD_STRATEGY, FOREIGN_KEY, UNKNOWN_HANDLER, UNKNOWN_STRATEGY_STEP, UNREACHED_STRATEGY,
    },
    load::{Node, NodeKind, nearest},
    plan::{Act, Backoff, Final, Jitter, Retry, Scale, Strategy, Trigger, Written},
};

/// Tries in all where the file says nothing.
const MAX_ATTEMPTS: u32 = 3;
/// The first wait where the file says nothing.
const DELAY: Duration = Duration::from_secs(1);
/// The longest wait where the file says nothing.
const MAX_DELAY: Duration = Duration::from_mins(1);
/// The factor of waits, and of memory, where the file says nothing.
const FACTOR: f64 = 2.0;

/// Keys of a strategy that belong to one kind only, with that kind.
const OWN_KEYS: [(&str, &str); 10] = [
    ("max_attempts", "retry"),
    ("backoff", "retry"),
    ("delay", "retry"),
    ("multiplier", "retry"),
    ("max_delay", "retry"),
    ("jitter", "retry"),
    ("max_duration", "retry"),
    ("scale", "retry"),
    ("then", "retry"),
    ("custom_handler", "custom"),
];

impl<'a> Check<'a, '_> {
    /// Every entry of `per_step` names a step, which has no strategy of its own.
    pub(super) fn per_step(&mut self, root: &'a Node) -> HashMap<&'a str, &'a Node> {
        let handling = root.get("error_handling");
        let entries = handling.and_then(|handling| handling.get("per_step")).map_or(&[][..], Node::members);
        for member in entries {
            let id = &*member.key;
            let Some(step) = self.outline.by_id(id) else {
                let near = self.names.near.of(id);
                let known = near.iter().map(|near| near.id).filter(|known| nearest(id, [*known]).is_some());
                let near = known.min();
                let place = member.key_span.range();
                let report =
                    self.problems.report(UNKNOWN_STRATEGY_STEP, place, format!("there is no step `{id}`"));
                report.hint(match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "`per_step` has ids of steps as its keys".to_owned(),
                });
                continue;
            };
            if let Some(own) = step.node.member("error_handling") {
                let place = own.key_span.range();
                self.problems
                    .report(BAD_STRATEGY, place, format!("the step `{id}` has two strategies"))
                    .note(member.key_span.range(), "the other one is here")
                    .hint("keep the one at the step, or the one in `per_step`");
            }
        }
        entries.iter().map(|member| (&*member.key, &member.value)).collect()
    }

    /// The strategies of a step, the first that fits first.
    pub(super) fn strategies(
        &mut self,
        per_step: &HashMap<&str, &'a Node>,
        default: Option<&Strategy>,
        step: &StepPlace<'a>,
    ) -> Box<[Strategy]> {
        let own = step.node.get("error_handling").or_else(|| per_step.get(step.id?).copied());
        self.in_handler = step.spot.is_some_and(|spot| self.outline.side(spot.step) == Some(Side::Handler));
        let mut strategies = own.map(|own| self.read_strategies(own)).unwrap_or_default();
        self.in_handler = false;
        // The default is for leaves of the run itself: a failure of an undo step must not be lost.
        let is_leaf =
            matches!(step.node.get("type").and_then(Node::as_text), Some("skill" | "agent" | "workflow"));
        if is_leaf && step.spot.is_some_and(|spot| spot.row.is_none()) {
            strategies.extend(default.cloned());
        }
        strategies.into()
    }

    /// The strategy of leaf steps that have none.
    pub(super) fn default_strategy(&mut self, root: &'a Node) -> Option<Strategy> {
        let strategy = self.strategy(root.get("error_handling")?.get("default")?)?;
        Some(Strategy { written: Written::Default, ..strategy })
    }

    fn read_strategies(&mut self, node: &'a Node) -> Vec<Strategy> {
        let NodeKind::Array(all) = &node.kind else { return self.strategy(node).into_iter().collect() };
        let before_last = all.split_last().map_or(&[][..], |(_, before)| before);
        for strategy in before_last.iter().filter(|strategy| strategy.get("on").is_none()) {
            self.problems
                .report(
                    UNREACHED_STRATEGY,
                    strategy.opening(),
                    "a strategy that acts on all failures stands before another",
                )
                .hint("give it `on`, or put it last: the first strategy that fits acts");
        }
        all.iter().filter_map(|strategy| self.strategy(strategy)).collect()
    }

    /// One strategy; what is wrong with its shape was reported.
    fn strategy(&mut self, node: &'a Node) -> Option<Strategy> {
        let word = node.as_text().or_else(|| node.get("strategy").and_then(Node::as_text))?;
        self.foreign_keys(node, word);
        let act = match word {
            "retry" => Act::Retry(Box::new(self.retry(node))),
            _ => Act::Final(self.last(node, word)?),
        };
        Some(Strategy { on: node.get("on").map(|on| self.triggers(on)), act, written: Written::Step })
    }

    fn foreign_keys(&mut self, node: &Node, word: &str) {
        for member in node.members() {
            let owner = OWN_KEYS.iter().find(|(key, _)| *key == &*member.key);
            if let Some((key, owner)) = owner.filter(|(_, owner)| *owner != word) {
                self.problems
                    .report(
                        FOREIGN_KEY,
                        member.key_span.range(),
                        format!("`{key}` says nothing to the strategy `{word}`"),
                    )
                    .hint(format!("it belongs to `{owner}`"));
            }
        }
    }

    /// What ends the matter; `None`: it is wrong.
    fn last(&mut self, node: &Node, word: &str) -> Option<Final> {
        match word {
            "halt" => Some(Final::Halt),
            "skip" => Some(Final::Skip),
            "rollback" => Some(Final::Rollback),
            "custom" => self.custom(node),
            _ => None,
        }
    }

    fn custom(&mut self, node: &Node) -> Option<Final> {
        let Some(handler) = node.get("custom_handler") else {
            self.problems
                .report(UNKNOWN_HANDLER, node.opening(), "the strategy `custom` needs a `custom_handler`")
                .hint("it names a step of `handlers`");
            return None;
        };
        if self.in_handler {
            self.problems
                .report(BAD_STRATEGY, node.opening(), "a step of a handler cannot have a handler itself")
                .hint("use retry, skip or halt");
            return None;
        }
        self.handler(handler).map(Final::Custom)
    }

    fn retry(&mut self, node: &'a Node) -> Retry {
        let number = |key: &str| node.get(key).and_then(Node::as_number);
        let word = |key: &str| node.get(key).and_then(Node::as_text);
        let multiplier = number("multiplier").and_then(|number| number.parse().ok()).unwrap_or(FACTOR);
        Retry {
            max_attempts: number("max_attempts").and_then(|most| most.parse().ok()).unwrap_or(MAX_ATTEMPTS),
            backoff: match word("backoff") {
                Some("linear") => Backoff::Linear,
                Some("fixed") => Backoff::Fixed,
                Some(_) | None => Backoff::Exponential { multiplier },
            },
            delay: duration(node, "delay").unwrap_or(DELAY),
            max_delay: duration(node, "max_delay").unwrap_or(MAX_DELAY),
            jitter: match word("jitter") {
                Some("full") => Jitter::Full,
                Some(_) | None => Jitter::None,
            },
            max_duration: duration(node, "max_duration"),
            scale: node.get("scale").map(|scale| self.scale(scale)),
            then: node.get("then").and_then(|then| self.then(then)),
        }
    }

    fn scale(&mut self, node: &Node) -> Scale {
        let factor = node.get("memory").and_then(Node::as_number).and_then(|factor| factor.parse().ok());
        let oom = Trigger { code: failure::Code::Oom, own: None };
        Scale {
            on: node.get("on").map_or_else(|| vec![oom], |on| self.triggers(on)),
            memory: factor.unwrap_or(FACTOR),
            max_memory: node.get("max_memory").and_then(|most| most.size().ok()),
        }
    }

    fn then(&mut self, node: &'a Node) -> Option<Final> {
        let word = node.as_text().or_else(|| node.get("strategy").and_then(Node::as_text))?;
        if word == "retry" {
            self.problems
                .report(BAD_STRATEGY, node.span.range(), "`then` cannot be another `retry`")
                .hint("it says what happens when no try is left: skip, halt, rollback or custom");
            return None;
        }
        self.foreign_keys(node, word);
        self.last(node, word)
    }

    fn triggers(&mut self, on: &Node) -> Vec<Trigger> {
        on.elements().iter().filter_map(|node| self.trigger(node)).collect()
    }

    /// One failure code; an unknown one was reported with its shape.
    fn trigger(&mut self, node: &Node) -> Option<Trigger> {
        let text = node.as_text()?;
        let (word, own) = text.split_once(':').map_or((text, None), |(word, own)| (word, Some(own)));
        let code = failure::Code::ALL.iter().copied().find(|code| code.as_str() == word)?;
        let has_own = matches!(code, failure::Code::SkillError | failure::Code::GuardrailExceeded);
        if own.is_some_and(|own| own.is_empty() || !has_own) {
            self.problems
                .report(BAD_STRATEGY, node.span.range(), format!("`{text}` is no failure code"))
                .hint("only `skill_error:CODE` and `guardrail_exceeded:NAME` are more than a code");
        }
        Some(Trigger { code, own: own.map(str::to_owned) })
    }
}
