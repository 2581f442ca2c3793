//! What a step takes over from what holds it: limits on its life, its environment, its directory.

use std::time::Duration;

use super::{
    Check, duration,
    limits::least,
    order::Reader,
    outline::Spot,
    sandbox::{Trust, chosen},
};
use crate::{
    diagnostic::codes::MISPLACED_KEY,
    load::Node,
    plan::{KillMode, OnCrash, SandboxChoice},
    value::Template,
};

/// Keys that hold for everything inside a step, unless that has its own.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Inherited {
    pub(super) grace: Option<Duration>,
    /// The tightest of all.
    pub(super) idle_timeout: Option<Duration>,
    pub(super) kill_mode: Option<KillMode>,
    pub(super) on_crash: Option<OnCrash>,
}

/// The environment and the directory of what stands inside a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    pub(super) env: Vec<(String, Template)>,
    pub(super) cwd: Option<Template>,
}

impl<'a> Check<'a, '_> {
    /// What holds for a step: its own keys, then those of what holds it, from the inside out.
    pub(super) fn inherited(&self, node: &Node, spot: Spot) -> Inherited {
        let holders = self.outline.upwards(spot.parent).map(|step| own(self.outline.step(step).node));
        let all = holders.fold(own(node), Inherited::within);
        all.within(self.standing.inherited)
    }

    /// What was chosen for a step: by itself before what holds it, from the inside out, and by how far it is trusted where
    /// that was said.
    pub(super) fn own_sandbox(&self, node: &Node, spot: Spot) -> SandboxChoice {
        let mut trust = None;
        let mut choice = SandboxChoice::default();
        let holders = self.outline.upwards(spot.parent).map(|step| self.outline.step(step).node);
        for level in [node].into_iter().chain(holders) {
            choice = choice.or(chosen(level));
            if trust.is_none() {
                trust = Trust::of(level);
                choice = choice.or(trust.map(Trust::choice).unwrap_or_default());
            }
        }
        let around = self.standing.trust.filter(|_| trust.is_none());
        choice.or(around.map(Trust::choice).unwrap_or_default())
    }

    /// How far a step is trusted: as it says, or what holds it, the innermost first.
    pub(super) fn trust(&self, node: &Node, spot: Spot) -> Option<Trust> {
        let holders = self.outline.upwards(spot.parent).map(|step| self.outline.step(step).node);
        [node].into_iter().chain(holders).find_map(Trust::of).or(self.standing.trust)
    }

    /// Environment and directory of a step, and of what it holds: its own over those of what holds it.
    pub(super) fn surroundings(&mut self, node: &'a Node, spot: Spot) -> Surroundings {
        let around = spot.parent.and_then(|parent| self.surroundings.get(&parent).cloned());
        let mut all = around.unwrap_or_default();
        let own = self.handing_on(|check| check.environment(node, Reader::Step(spot.step)));
        all.env.retain(|(name, _)| own.iter().all(|(own, _)| own != name));
        all.env.extend(own);
        if let Some(cwd) = node.get("cwd") {
            all.cwd = Some(self.template(cwd, Reader::Step(spot.step)));
        }
        all
    }

    /// Keeps the surroundings of a step for what it holds; it stands before that.
    pub(super) fn surround(&mut self, node: &'a Node, spot: Spot) {
        let all = self.surroundings(node, spot);
        self.surroundings.insert(spot.step, all);
        let has_inputs = node.get("type").and_then(Node::as_text) == Some("workflow");
        if let Some(inputs) = node.member("inputs").filter(|_| !has_inputs) {
            self.problems
                .report(
                    MISPLACED_KEY,
                    inputs.key_span.range(),
                    "`inputs` says nothing to a step that holds others",
                )
                .hint("the steps inside have inputs of their own");
        }
    }
}

impl Inherited {
    /// These keys, and where they are absent those around.
    fn within(self, around: Self) -> Self {
        Self {
            grace: self.grace.or(around.grace),
            idle_timeout: least(self.idle_timeout, around.idle_timeout),
            kill_mode: self.kill_mode.or(around.kill_mode),
            on_crash: self.on_crash.or(around.on_crash),
        }
    }
}

fn own(node: &Node) -> Inherited {
    Inherited {
        grace: duration(node, "grace"),
        idle_timeout: duration(node, "idle_timeout"),
        kill_mode: match node.get("kill_mode").and_then(Node::as_text) {
            Some("leader") => Some(KillMode::Leader),
            Some("group") => Some(KillMode::Group),
            Some(_) | None => None,
        },
        on_crash: match node.get("on_crash").and_then(Node::as_text) {
            Some("fail") => Some(OnCrash::Fail),
            Some("rerun") => Some(OnCrash::Rerun),
            Some(_) | None => None,
        },
    }
}
