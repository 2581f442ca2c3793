//! Whether a step has ended when another reads it, and what is said if not.

use std::ops::Range;

use super::{
    Check,
    order::{Reader, Relation, is_concurrent, relation},
    outline::{Spot, StepPlace},
    resolve::Use,
};
use crate::{
    diagnostic::codes::{FORWARD_REFERENCE, NOT_BEFORE, SELF_REFERENCE, UNGUARDED_REFERENCE},
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
            Relation::InBranch if self.guarded.iter().any(|guarded| guarded == name) => {
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
