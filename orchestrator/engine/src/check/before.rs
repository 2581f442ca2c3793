//! Whether a step has ended when another reads it, and what is said if not.

use std::{collections::HashSet, ops::Range};

use super::{
    Check,
    expression::unwrapped,
    order::{Reader, Relation, is_concurrent, relation},
    outline::{Outline, Spot, StepPlace},
    resolve::Use,
};
use crate::{
    diagnostic::codes::{FORWARD_REFERENCE, NOT_BEFORE, SELF_REFERENCE, UNGUARDED_REFERENCE},
    expr::present,
    load::Node,
    plan::StepId,
};

impl Check<'_, '_> {
    /// A step can be referred to by what runs after it on every path.
    pub(super) fn comes_before(
        &mut self,
        at: &Use<'_>,
        step: &StepPlace<'_>,
        range: &Range<usize>,
    ) -> Option<StepId> {
        let spot = step.spot?;
        let name = step.id.unwrap_or_default();
        let relation = relation(self.outline, at.from, spot.step);
        let (code, message, hint) = match relation {
            // Of the step itself nothing is waited for: what is asked is asked when it has completed.
            Relation::Before if self.is_own_part(at.from, spot.step) => return Some(spot.step),
            Relation::Before => return Some(self.awaited(spot)),
            Relation::Previous(around) if !is_concurrent(self.outline, around) => {
                return Some(self.awaited(spot));
            }
            Relation::InBranch if at.guarded || self.is_guarded_around(at.from, name) => {
                return Some(if self.is_own_part(at.from, spot.step) {
                    spot.step
                } else {
                    self.awaited(spot)
                });
            }
            Relation::InBranch => (
                UNGUARDED_REFERENCE,
                format!("the step `{name}` may not have run: it stands in a branch"),
                "use the outputs of the conditional step, or guard it with `has()` in an expression",
            ),
            Relation::Previous(_) => (
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
            Relation::OtherBranch => (
                NOT_BEFORE,
                format!("the step `{name}` stands in the other branch"),
                "of two branches one runs",
            ),
        };
        let place = self.place(at, range);
        let report = self.problems.report(code, place, message);
        report.hint(hint);
        if let (false, Some(id)) = (relation == Relation::Itself, step.node.get("id")) {
            report.note(id.span.range(), "the step is here");
        }
        None
    }

    /// Whether the reader only runs where `has()` said that a step has run.
    fn is_guarded_around(&mut self, from: Reader, name: &str) -> bool {
        let outline = self.outline;
        outline.upwards(from.step()).any(|step| {
            let present = self.present.entry(step).or_insert_with(|| present_for(outline, step));
            present.contains(name)
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

/// The steps of which `has()` says that they have run where a step runs: in its own `when`, and in the condition of the
/// branch in which it stands.
fn present_for(outline: &Outline<'_>, step: StepId) -> HashSet<String> {
    let StepPlace { node, spot, .. } = outline.step(step);
    let holder = spot.and_then(|spot| Some((outline.step(spot.parent?).node, spot.in_else)));
    let conditional =
        holder.filter(|(holder, _)| holder.get("type").and_then(Node::as_text) == Some("conditional"));
    let branch = conditional.and_then(|(holder, in_else)| Some((holder.get("condition")?, !in_else)));
    let own = node.get("when").map(|when| (when, true));
    let texts = own.into_iter().chain(branch).filter_map(|(text, outcome)| Some((text.as_text()?, outcome)));
    let is_name = |id: &str| outline.by_id(id).is_some();
    texts.flat_map(|(text, outcome)| present(unwrapped(text).1, outcome, &is_name)).collect()
}
