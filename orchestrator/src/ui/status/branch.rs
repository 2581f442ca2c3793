//! Which step stands below which, and the lines that draw it.

use std::collections::HashMap;

use schemas::view::StepView;

/// A step in the tree.
#[derive(Debug)]
pub struct Branch<'a> {
    /// It.
    pub step: &'a StepView,
    /// What stands before its name.
    pub first: String,
    /// What stands before further lines about it.
    pub further: String,
}

/// The steps in the order in which they are shown: each followed by those that it holds.
pub fn branches(steps: &[StepView]) -> Vec<Branch<'_>> {
    let (roots, children) = children(steps);
    let mut shown = Vec::with_capacity(steps.len());
    // What is still to be shown, the next one last.
    let mut waiting: Vec<_> =
        roots.into_iter().rev().map(|root| (root, String::new(), String::new())).collect();
    while let Some((index, first, below)) = waiting.pop() {
        let inner = &children[index];
        let further = if inner.is_empty() { format!("{below}  ") } else { format!("{below}│ ") };
        for (place, child) in inner.iter().enumerate().rev() {
            let (corner, line) = if place + 1 == inner.len() { ("└ ", "  ") } else { ("├ ", "│ ") };
            waiting.push((*child, format!("{below}{corner}"), format!("{below}{line}")));
        }
        shown.push(Branch { step: &steps[index], first, further });
    }
    shown
}

/// The steps at the top, and for each step those that it holds. A step belongs to the last one before it that
/// has its parent's id, stands in the same workflow or calls it, and whose turns are the beginning of its own.
fn children(steps: &[StepView]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let (mut roots, mut children) = (Vec::new(), vec![Vec::new(); steps.len()]);
    let mut seen: HashMap<(String, &[u32]), usize> = HashMap::new();
    for (index, step) in steps.iter().enumerate() {
        let turns = &step.iteration;
        let parent = parent_names(step).into_iter().find_map(|parent| {
            (0..=turns.len()).rev().find_map(|depth| seen.get(&(parent.clone(), &turns[..depth])).copied())
        });
        match parent {
            Some(parent) => children[parent].push(index),
            None => roots.push(index),
        }
        seen.insert((step.full_name(), turns), index);
    }
    (roots, children)
}

/// What may be the full name of what holds a step: another step of its workflow, or the step that calls that.
fn parent_names(step: &StepView) -> Vec<String> {
    match (&step.parent, &step.within) {
        (None, _) => Vec::new(),
        (Some(parent), None) => vec![parent.clone()],
        (Some(parent), Some(within)) => vec![format!("{within}.{parent}"), within.clone()],
    }
}
