//! For whom each handler may run: every place of a file that names it, and the step whose failure it sees to there.

use std::collections::HashMap;

use super::{
    order::Reader,
    outline::{Outline, Spot, StepPlace},
};
use crate::{load::Node, plan::StepId};

/// Where the steps of one list stand: what holds them, which of its branches it is, and which row.
type List = (Option<StepId>, bool, Option<u32>);

/// Of each row for whom it may run as a handler: the steps that have failed then, or the run itself after its undo steps.
/// Of the steps of one list only the first and the last are there: what holds of how both stand to another step, holds of
/// those between.
pub(super) fn served(root: &Node, outline: &Outline<'_>) -> Vec<Vec<Reader>> {
    let handling = root.get("error_handling");
    let per_step = handling.and_then(|handling| handling.get("per_step"));
    let default = handling.and_then(|handling| handling.get("default"));
    let mut served = vec![Vec::new(); outline.rows().len()];
    let mut steps: Vec<HashMap<List, [StepId; 2]>> = vec![HashMap::new(); served.len()];
    for (step, spot) in outline.running() {
        let own = step.node.get("error_handling").or_else(|| per_step?.get(step.id?));
        let default = default.filter(|_| takes_default(step, spot) && !own.is_some_and(acts_always));
        let list = (spot.parent, spot.in_else, spot.row);
        for name in own.into_iter().chain(default).flat_map(handlers) {
            let Some(row) = row_of(outline, name) else { continue };
            let known = steps[row].entry(list).or_insert([spot.step; 2]);
            known[1] = spot.step;
        }
    }
    for (served, steps) in served.iter_mut().zip(steps) {
        let mut steps: Vec<StepId> = steps.into_values().flatten().collect();
        steps.sort_unstable();
        steps.dedup();
        served.extend(steps.into_iter().map(Reader::Step));
    }
    let rollback = handling.and_then(|handling| handling.get("rollback"));
    let named = rollback.and_then(|rollback| rollback.get("steps")).map_or(&[][..], Node::elements);
    for row in named.iter().filter_map(Node::as_text).filter_map(|name| row_of(outline, name)) {
        served[row].push(Reader::Outputs);
    }
    served
}

/// The default acts on leaf steps of the run itself.
fn takes_default(step: &StepPlace<'_>, spot: Spot) -> bool {
    let kind = step.node.get("type").and_then(Node::as_text);
    matches!(kind, Some("skill" | "agent" | "workflow")) && spot.row.is_none()
}

/// Whether nothing is left to the default: a strategy acts on all failures, and is no `retry`, which does not.
fn acts_always(strategy: &Node) -> bool {
    let is_last = |strategy: &Node| {
        let word = strategy.as_text().or_else(|| strategy.get("strategy").and_then(Node::as_text));
        word.is_some_and(|word| word != "retry") && strategy.get("on").is_none()
    };
    is_last(strategy) || strategy.elements().iter().any(is_last)
}

/// The handlers that a strategy names, and those that its `then` does.
fn handlers(strategy: &Node) -> Vec<&str> {
    let all = if strategy.is_object() { std::slice::from_ref(strategy) } else { strategy.elements() };
    let each = all.iter().flat_map(|strategy| [Some(strategy), strategy.get("then")]).flatten();
    each.filter_map(|strategy| strategy.get("custom_handler")?.as_text()).collect()
}

fn row_of(outline: &Outline<'_>, name: &str) -> Option<usize> {
    let spot = outline.by_id(name)?.spot.filter(|spot| spot.parent.is_none())?;
    spot.row.map(|row| row as usize)
}
