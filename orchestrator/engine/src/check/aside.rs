//! What stands beside the run: handlers, undo steps, steps of a rollback and final steps. Each list of them is a row
//! in the plan: a step that nobody wrote and that holds the others.

use std::{collections::HashMap, time::Duration};

use super::{
    Check,
    order::Reader,
    outline::{Side, Spot},
};
use crate::{
    diagnostic::codes::{MISPLACED_KEY, UNKNOWN_HANDLER},
    load::{Node, in_words, nearest},
    plan::{KillMode, OnCrash, Parallel, Rollback, Step, StepId, StepKind, WaitFor},
};

/// What the inputs of a handler hold besides those of the run.
const BOUND: [&str; 2] = ["error", "step"];
/// Wall-clock limit of a final step where the file says nothing.
const LAST_TIMEOUT: Duration = Duration::from_mins(1);

impl<'a> Check<'a, '_> {
    /// The rows, in the order of their numbers.
    pub(super) fn rows(&mut self) -> Vec<Step> {
        self.no_undo_beside();
        let rows = self.outline.rows().iter().zip(self.outline.row_lists());
        rows.map(|(side, steps)| row_step(*side, steps)).collect()
    }

    /// The row that undoes each step.
    pub(super) fn undo_rows(&self) -> HashMap<StepId, StepId> {
        let rows = self.outline.rows().iter().zip(0..);
        let undo = rows.filter_map(|(side, row)| match side {
            Side::Undo(of) => Some((*of, self.outline.row_id(row))),
            Side::Handler | Side::Rollback | Side::Finally => None,
        });
        undo.collect()
    }

    /// The row of the final steps.
    pub(super) fn last_row(&self) -> Option<StepId> {
        let mut rows = self.outline.rows().iter().zip(0..);
        rows.find(|(side, _)| **side == Side::Finally).map(|(_, row)| self.outline.row_id(row))
    }

    /// What a rollback does besides the undo of each step.
    pub(super) fn rollback(&mut self, root: &'a Node) -> Rollback {
        let node = root.get("error_handling").and_then(|handling| handling.get("rollback"));
        let enabled = node.and_then(|node| node.get("enabled")).and_then(Node::as_bool).unwrap_or(true);
        let steps = node.and_then(|node| node.get("steps")).map_or(&[][..], Node::elements);
        let outline = self.outline;
        let inline = outline.rows().iter().zip(0..).filter(|(side, _)| **side == Side::Rollback);
        let mut inline = inline.map(|(_, row)| outline.row_id(row));
        let rows = steps.iter().filter_map(|step| match step.as_text() {
            Some(_) => self.handler(step),
            None => inline.next(),
        });
        Rollback { enabled, rows: rows.collect() }
    }

    /// The row of the handler that a text names.
    pub(super) fn handler(&mut self, node: &Node) -> Option<StepId> {
        let id = node.as_text()?;
        let outline = self.outline;
        let row =
            |spot: Spot| spot.row.filter(|row| outline.rows().get(*row as usize) == Some(&Side::Handler));
        let found = outline.by_id(id).and_then(|step| step.spot).filter(|spot| spot.parent.is_none());
        if let Some(row) = found.and_then(row) {
            return Some(outline.row_id(row));
        }
        let is_handler = |spot: &Spot| spot.parent.is_none() && row(*spot).is_some();
        let known: Vec<_> =
            outline.running().filter(|(_, spot)| is_handler(spot)).filter_map(|(step, _)| step.id).collect();
        let place = node.span.range();
        let report = self.problems.report(UNKNOWN_HANDLER, place, format!("there is no handler `{id}`"));
        report.hint(match nearest(id, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "handlers are steps of the list `handlers`".to_owned(),
            None => format!("`handlers` has: {}", in_words(known.into_iter().take(20))),
        });
        None
    }

    /// Whether a name is bound in the inputs that a step sees.
    pub(super) fn is_bound(&self, from: Reader, name: &str) -> bool {
        let side = from.step().and_then(|step| self.outline.side(step));
        BOUND.contains(&name) && matches!(side, Some(Side::Handler | Side::Rollback))
    }

    /// The limit of a step whose file gives none, where there is one.
    pub(super) fn last_timeout(&self, node: &Node, spot: Spot) -> Option<Duration> {
        let is_process = matches!(node.get("type").and_then(Node::as_text), Some("skill" | "agent"));
        (is_process && self.outline.side(spot.step) == Some(Side::Finally)).then_some(LAST_TIMEOUT)
    }

    /// Only what belongs to the run itself is undone.
    fn no_undo_beside(&mut self) {
        for (step, _) in self.outline.running().filter(|(_, spot)| spot.row.is_some()) {
            if let Some(undo) = step.node.member("rollback") {
                self.problems
                    .report(
                        MISPLACED_KEY,
                        undo.key_span.range(),
                        "`rollback` has no meaning in a step beside the run",
                    )
                    .hint("handlers, undo steps and final steps are not undone");
            }
        }
    }
}

/// One after the other, and one that fails does not keep the rest from running.
fn row_step(side: Side, steps: Vec<StepId>) -> Step {
    let name = match side {
        Side::Handler => "handler",
        Side::Undo(_) => "undo",
        Side::Rollback => "rollback",
        Side::Finally => "finally",
    };
    let parallel = Parallel { steps, wait_for: WaitFor::All, max_concurrent: Some(1), fail_fast: false };
    Step {
        name: name.to_owned(),
        parent: None,
        position: 0,
        background: false,
        awaits: Box::default(),
        kind: StepKind::Parallel(Box::new(parallel)),
        when: None,
        outputs: Vec::new(),
        timeout: None,
        idle_timeout: None,
        grace: Duration::ZERO,
        strategies: Box::default(),
        undo: None,
        is_row: true,
        assign: Vec::new(),
        on_crash: OnCrash::Rerun,
        kill_mode: KillMode::Group,
    }
}
