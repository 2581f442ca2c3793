//! Whether a step has ended when another reads it, and what is said if not.

use std::ops::Range;

use super::{
    Check,
    expression::unwrapped,
    order::{Reader, Relation, relation, served},
    outline::{Outline, Side, Spot, StepPlace},
    resolve::Use,
};
use crate::{
    diagnostic::codes::{Code, FORWARD_REFERENCE, NOT_BEFORE, SELF_REFERENCE, UNGUARDED_REFERENCE},
    expr::{Asked, asked},
    load::Node,
    plan::StepId,
};

/// What of a step a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Its record, which is there once it has started.
    Record,
    /// Its outputs.
    Outputs,
}

impl Check<'_, '_> {
    /// A step can be referred to by what runs after it on every path.
    pub(super) fn comes_before(
        &mut self,
        at: &Use<'_>,
        step: &StepPlace<'_>,
        range: &Range<usize>,
        wanted: Wanted,
    ) -> Option<StepId> {
        let spot = step.spot?;
        let relation = relation(self.outline, at.from, spot.step);
        let is_there = match relation {
            Relation::Before | Relation::Previous => true,
            Relation::InBranch => self.is_guarded(at, step.id) || self.is_in_branch_taken(at, spot.step),
            Relation::Handled => wanted == Wanted::Record || self.is_guarded(at, step.id),
            Relation::Sometimes => self.is_guarded(at, step.id),
            Relation::Concurrent
            | Relation::Later
            | Relation::Itself
            | Relation::Around
            | Relation::Beside
            | Relation::OtherBranch
            | Relation::Aside => false,
        };
        if !is_there {
            self.not_before(at, step, range, relation);
            return None;
        }
        // Of the step itself nothing is waited for: what is asked is asked when it has completed.
        let is_own = relation == Relation::Handled || self.is_own_part(at.from, spot.step);
        Some(if is_own { spot.step } else { self.awaited(spot) })
    }

    fn not_before(&mut self, at: &Use<'_>, step: &StepPlace<'_>, range: &Range<usize>, relation: Relation) {
        let name = step.id.unwrap_or_default();
        let (mut code, mut message, mut hint) = told(relation, name);
        // Of a handler it is said when it is so.
        let of = self.served_so(at.from, step, relation);
        if let Some((of, is_so)) = of {
            message = match of.and_then(|of| self.outline.step(of).id) {
                Some(of) => format!("where this handler sees to `{of}`, {}", told(is_so, name).1),
                None => format!("where this handler runs in a rollback, {}", told(is_so, name).1),
            };
        }
        if relation == Relation::Sometimes {
            (code, hint) = (UNGUARDED_REFERENCE, "guard it with `has()` in an expression");
        }
        let place = self.place(at, range);
        let report = self.problems.report(code, place, message);
        report.hint(hint);
        if let (false, Some(id)) = (relation == Relation::Itself, step.node.get("id")) {
            report.note(id.span.range(), "the step is here");
        }
    }

    /// For which of those whom a handler serves a step has not ended; nothing of readers that are no handlers.
    fn served_so(
        &self,
        from: Reader,
        step: &StepPlace<'_>,
        relation: Relation,
    ) -> Option<(Option<StepId>, Relation)> {
        let reader = from.step().filter(|reader| self.outline.side(*reader) == Some(Side::Handler))?;
        let mut all = served(self.outline, reader, step.spot?.step);
        match relation {
            Relation::Sometimes => all.find(|(_, relation)| !relation.has_ended()),
            Relation::Handled | Relation::Aside => None,
            Relation::Before
            | Relation::InBranch
            | Relation::Previous
            | Relation::Concurrent
            | Relation::Later
            | Relation::Itself
            | Relation::Around
            | Relation::Beside
            | Relation::OtherBranch => all.find(|(_, found)| *found == relation),
        }
    }

    /// Whether the reader only runs where `has()` said that a step has run.
    fn is_guarded(&mut self, at: &Use<'_>, name: Option<&str>) -> bool {
        self.is_answered(at, &|asked| asked.is_there && Some(asked.name.as_str()) == name)
    }

    /// Whether the reader only runs where one of the answers of `has()` is such a one: it stands in the same expression,
    /// or in what decides about the reader or what is around it.
    fn is_answered(&mut self, at: &Use<'_>, is_such: &dyn Fn(&Asked) -> bool) -> bool {
        let outline = self.outline;
        at.asked.iter().any(is_such)
            || outline.upwards(at.from.step()).any(|step| {
                let asked = self.asked.entry(step).or_insert_with(|| asked_for(outline, step));
                asked.iter().any(is_such)
            })
    }

    /// Whether a step has run because one of the other branch has not, as `has()` said: of every conditional that holds it
    /// and not the reader.
    fn is_in_branch_taken(&mut self, at: &Use<'_>, source: StepId) -> bool {
        let outline = self.outline;
        let around: Vec<StepId> = outline.upwards(at.from.step()).skip(1).collect();
        let way: Vec<StepId> =
            outline.upwards(Some(source)).take_while(|holder| !around.contains(holder)).collect();
        way.windows(2).filter(|pair| outline.kind(pair[1]) == "conditional").all(|pair| {
            let Some(taken) = outline.spot(pair[0]) else { return false };
            let is_other = |asked: &Asked| {
                let other = outline.by_id(&asked.name).filter(|_| !asked.is_there);
                other.is_some_and(|other| always_runs_in(outline, other, (pair[1], !taken.in_else)))
            };
            self.is_answered(at, &is_other)
        })
    }

    /// Whether a step is, or is held by, the one that reads after it has completed.
    fn is_own_part(&self, from: Reader, step: StepId) -> bool {
        match from {
            Reader::After(holder) => self.outline.upwards(Some(step)).any(|around| around == holder),
            Reader::Outputs | Reader::Step(_) | Reader::Condition(_) => false,
        }
    }

    /// Remembers a step that may still run in the background when it is read.
    fn awaited(&mut self, spot: Spot) -> StepId {
        let outline = self.outline;
        let is_background = |step| outline.spot(step).is_some_and(|spot: Spot| spot.background);
        if spot.leaves_background || outline.upwards(Some(spot.step)).any(is_background) {
            self.awaits.push(spot.step);
        }
        spot.step
    }
}

/// What is wrong where a step stands so to a reader.
fn told(relation: Relation, name: &str) -> (Code, String, &'static str) {
    match relation {
        Relation::InBranch | Relation::Before | Relation::Previous | Relation::Sometimes => (
            UNGUARDED_REFERENCE,
            format!("the step `{name}` may not have run: it stands in a branch"),
            "use the outputs of the conditional step, or guard it with `has()` in an expression",
        ),
        Relation::Handled => (
            UNGUARDED_REFERENCE,
            format!("the step `{name}` has failed where this handler runs, and has no outputs"),
            "`inputs.error` says why it failed",
        ),
        Relation::Concurrent => (
            NOT_BEFORE,
            format!("there is no turn before for `{name}`: several turns run at once"),
            "values of the turn before are there only with `max_concurrent` 1",
        ),
        Relation::Later => (
            FORWARD_REFERENCE,
            format!("the step `{name}` comes later"),
            "a step can use outputs of the steps before it",
        ),
        Relation::Itself => (
            SELF_REFERENCE,
            format!("the step `{name}` refers to itself"),
            "its own outputs are there only after it has run",
        ),
        Relation::Around => (
            NOT_BEFORE,
            format!("the step `{name}` holds this one, and ends after it"),
            "its outputs are there only after it has run",
        ),
        Relation::Beside => (
            NOT_BEFORE,
            format!("the step `{name}` runs at the same time"),
            "children of a parallel group cannot use outputs of each other",
        ),
        Relation::Aside => (
            NOT_BEFORE,
            format!("the step `{name}` stands beside the run"),
            "outputs of handlers, undo steps and final steps are for their own list only",
        ),
        Relation::OtherBranch => {
            (NOT_BEFORE, format!("the step `{name}` stands in the other branch"), "of two branches one runs")
        }
    }
}

/// Whether a step runs wherever a branch is taken: it stands there, perhaps in a sequence, and nothing asks further.
fn always_runs_in(outline: &Outline<'_>, step: &StepPlace<'_>, (holder, in_else): (StepId, bool)) -> bool {
    let way = outline.upwards(step.spot.map(|spot| spot.step));
    for step in way {
        let StepPlace { node, spot: Some(spot), .. } = outline.step(step) else { return false };
        if node.get("when").is_some() {
            return false;
        }
        match spot.parent {
            Some(parent) if parent == holder => return spot.in_else == in_else,
            Some(parent) if outline.kind(parent) == "sequence" => {}
            Some(_) | None => return false,
        }
    }
    false
}

/// What `has()` said where a step runs: in its own `when`, and in the condition of the branch in which it stands.
fn asked_for(outline: &Outline<'_>, step: StepId) -> Vec<Asked> {
    let StepPlace { node, spot, .. } = outline.step(step);
    let holder = spot.and_then(|spot| Some((outline.step(spot.parent?).node, spot.in_else)));
    let conditional =
        holder.filter(|(holder, _)| holder.get("type").and_then(Node::as_text) == Some("conditional"));
    let branch = conditional.and_then(|(holder, in_else)| Some((holder.get("condition")?, !in_else)));
    let own = node.get("when").map(|when| (when, true));
    let texts = own.into_iter().chain(branch).filter_map(|(text, outcome)| Some((text.as_text()?, outcome)));
    let is_name = |id: &str| outline.by_id(id).is_some();
    texts.flat_map(|(text, outcome)| asked(unwrapped(text).1, outcome, &is_name)).collect()
}
