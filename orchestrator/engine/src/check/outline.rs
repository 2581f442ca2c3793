//! [`Outline`]: all steps of a file, wherever they stand, and how those that run stand to each other.

use std::collections::HashMap;

use super::{order::Reader, served::served};
use crate::{
    load::{Node, each_step},
    plan::StepId,
};

/// A step and where it stands.
#[derive(Debug)]
pub(super) struct StepPlace<'a> {
    /// The step.
    pub(super) node: &'a Node,
    /// Its id, if it has one.
    pub(super) id: Option<&'a str>,
    /// Its place; `None` where it can never run.
    pub(super) spot: Option<Spot>,
}

/// Where a step that runs stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    /// Its number in the plan.
    pub(super) step: StepId,
    /// What holds it.
    pub(super) parent: Option<StepId>,
    /// Its place in its list.
    pub(super) position: u32,
    /// Whether it stands in an `else`.
    pub(super) in_else: bool,
    /// Whether nobody waits for it.
    pub(super) background: bool,
    /// Whether it, or a step inside, is in the background.
    pub(super) leaves_background: bool,
    /// The row beside the run in which it stands.
    pub(super) row: Option<u32>,
}

/// What a row of steps beside the run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// It handles failures.
    Handler,
    /// It undoes a step.
    Undo(StepId),
    /// It runs after the undo steps.
    Rollback,
    /// It runs at the end.
    Finally,
}

/// All steps of a file.
#[derive(Debug)]
pub(super) struct Outline<'a> {
    steps: Vec<StepPlace<'a>>,
    by_id: HashMap<&'a str, usize>,
    /// Indices of the steps that run, by their number.
    running: Vec<usize>,
    /// The rows beside the run.
    rows: Vec<Side>,
    /// For whom each row may run as a handler.
    served: Vec<Vec<Reader>>,
    /// The number of the first of them.
    base: u32,
}

impl<'a> Outline<'a> {
    /// `base` is the number of its first step.
    pub(super) fn new(root: &'a Node, base: u32) -> Self {
        let mut lists = Lists::default();
        lists.add(root.get("steps"), (None, None), false);
        lists.add_beside(root);
        let mut steps: Vec<StepPlace<'a>> = Vec::new();
        let mut running = Vec::new();
        let mut numbers: HashMap<*const Node, StepId> = HashMap::new();
        each_step(root, &mut |node, _| {
            let id = node.get("id").and_then(Node::as_text);
            let spot = lists.places.get(&std::ptr::from_ref(node)).copied().map(|listed| {
                let step = StepId(u32::try_from(running.len()).unwrap_or(u32::MAX).saturating_add(base));
                numbers.insert(std::ptr::from_ref(node), step);
                running.push(steps.len());
                // Steps of a row run one after the other.
                let is_in_row = listed.row.is_some() && listed.parent.is_none();
                let background = !is_in_row && is_background(listed.parent, node);
                Spot {
                    step,
                    // What holds a step comes before it in the text.
                    parent: listed
                        .parent
                        .and_then(|parent| numbers.get(&std::ptr::from_ref(parent)).copied()),
                    position: listed.position,
                    in_else: listed.in_else,
                    background,
                    leaves_background: background,
                    row: listed.row,
                }
            });
            if let (Some(spot), Some(undo)) = (spot.filter(|spot| spot.row.is_none()), node.get("rollback")) {
                let steps = if undo.is_object() { std::slice::from_ref(undo) } else { undo.elements() };
                lists.add_row(Side::Undo(spot.step), steps);
            }
            steps.push(StepPlace { node, id, spot });
        });
        let mut by_id = HashMap::new();
        for (index, step) in steps.iter().enumerate() {
            if let Some(id) = step.id {
                by_id.entry(id).or_insert(index);
            }
        }
        let mut outline = Self { steps, by_id, running, rows: lists.rows, served: Vec::new(), base };
        outline.spread_background();
        outline.served = served(root, &outline);
        outline
    }

    /// What holds a step in the background leaves something there. Steps come after what holds them.
    fn spread_background(&mut self) {
        for index in self.running.iter().rev() {
            let Some(spot) = self.steps[*index].spot else { continue };
            if let (true, Some(parent)) = (spot.leaves_background, spot.parent)
                && let Some(holder) = &mut self.steps[self.running[parent.index() - self.base as usize]].spot
            {
                holder.leaves_background = true;
            }
        }
    }

    /// Every step, in the order of the text.
    pub(super) fn all(&self) -> impl Iterator<Item = &StepPlace<'a>> {
        self.steps.iter()
    }

    /// The steps that run, by their number.
    pub(super) fn running(&self) -> impl Iterator<Item = (&StepPlace<'a>, Spot)> {
        self.running.iter().filter_map(|index| Some((&self.steps[*index], self.steps[*index].spot?)))
    }

    /// The rows beside the run.
    pub(super) fn rows(&self) -> &[Side] {
        &self.rows
    }

    /// For whom the handler may run in whose row a step stands.
    pub(super) fn served(&self, step: StepId) -> &[Reader] {
        let row = self.spot(step).and_then(|spot| spot.row);
        row.and_then(|row| self.served.get(row as usize)).map_or(&[], Vec::as_slice)
    }

    /// The number of a row, which stands in the plan as a step that holds its steps.
    pub(super) fn row_id(&self, row: u32) -> StepId {
        let running = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        StepId(running.saturating_add(row).saturating_add(self.base))
    }

    /// What the row is for in which a step stands.
    pub(super) fn side(&self, step: StepId) -> Option<Side> {
        self.rows.get(self.spot(step)?.row? as usize).copied()
    }

    /// The numbers of the steps of each row, in order.
    pub(super) fn row_lists(&self) -> Vec<Vec<StepId>> {
        let mut lists = vec![Vec::new(); self.rows.len()];
        for (_, spot) in self.running().filter(|(_, spot)| spot.parent.is_none()) {
            if let Some(row) = spot.row {
                lists[row as usize].push(spot.step);
            }
        }
        lists
    }

    /// The step with an id.
    pub(super) fn by_id(&self, id: &str) -> Option<&StepPlace<'a>> {
        self.by_id.get(id).map(|index| &self.steps[*index])
    }

    /// A step that runs.
    pub(super) fn step(&self, step: StepId) -> &StepPlace<'a> {
        &self.steps[self.running[self.place(step)]]
    }

    /// How many steps the plan has of it, rows included.
    pub(super) fn count(&self) -> usize {
        self.running.len() + self.rows.len()
    }

    /// The place of a step among those that run.
    pub(super) fn place(&self, step: StepId) -> usize {
        step.index() - self.base as usize
    }

    /// Its place.
    pub(super) fn spot(&self, step: StepId) -> Option<Spot> {
        self.step(step).spot
    }

    /// Its kind.
    pub(super) fn kind(&self, step: StepId) -> &'a str {
        self.step(step).node.get("type").and_then(Node::as_text).unwrap_or_default()
    }

    /// The step and what holds it, from the inside out.
    pub(super) fn upwards(&self, step: Option<StepId>) -> impl Iterator<Item = StepId> {
        std::iter::successors(step, |step| self.spot(*step)?.parent)
    }

    /// Numbers of the steps at the top, in order.
    pub(super) fn top(&self) -> Vec<StepId> {
        self.running()
            .filter(|(_, spot)| spot.parent.is_none() && spot.row.is_none())
            .map(|(_, spot)| spot.step)
            .collect()
    }

    /// Numbers of the steps that each step holds, in order: those of an `else` apart.
    pub(super) fn lists(&self) -> (Vec<Vec<StepId>>, Vec<Vec<StepId>>) {
        let empty = || vec![Vec::new(); self.running.len()];
        let (mut lists, mut others) = (empty(), empty());
        for (_, spot) in self.running() {
            if let Some(parent) = spot.parent {
                let lists = if spot.in_else { &mut others } else { &mut lists };
                lists[self.place(parent)].push(spot.step);
            }
        }
        (lists, others)
    }
}

/// The lists of steps that run.
#[derive(Debug, Default)]
struct Lists<'a> {
    places: HashMap<*const Node, Listed<'a>>,
    rows: Vec<Side>,
}

#[derive(Debug, Clone, Copy)]
struct Listed<'a> {
    parent: Option<&'a Node>,
    row: Option<u32>,
    position: u32,
    in_else: bool,
}

/// What holds a list, and the row in which it stands.
type Holder<'a> = (Option<&'a Node>, Option<u32>);

impl<'a> Lists<'a> {
    fn add(&mut self, list: Option<&'a Node>, holder: Holder<'a>, in_else: bool) {
        self.add_steps(list.map_or(&[][..], Node::elements), holder, in_else);
    }

    fn add_steps(&mut self, steps: &'a [Node], (parent, row): Holder<'a>, in_else: bool) {
        for (node, position) in steps.iter().zip(0..) {
            self.places.insert(std::ptr::from_ref(node), Listed { parent, row, position, in_else });
            let inside = (Some(node), row);
            match node.get("type").and_then(Node::as_text) {
                Some("sequence" | "parallel") => self.add(node.get("steps"), inside, false),
                Some("loop") => self.add(body(node), inside, false),
                Some("conditional") => {
                    self.add(node.get("then"), inside, false);
                    self.add(node.get("else"), inside, true);
                }
                Some(_) | None => {}
            }
        }
    }

    /// What stands beside the run of the whole definition.
    fn add_beside(&mut self, root: &'a Node) {
        for handler in root.get("handlers").map_or(&[][..], Node::elements) {
            self.add_row(Side::Handler, std::slice::from_ref(handler));
        }
        let rollback = root.get("error_handling").and_then(|handling| handling.get("rollback"));
        let steps = rollback.and_then(|rollback| rollback.get("steps")).map_or(&[][..], Node::elements);
        for step in steps.iter().filter(|step| step.is_object()) {
            self.add_row(Side::Rollback, std::slice::from_ref(step));
        }
        let last = root.get("finally").map_or(&[][..], Node::elements);
        if !last.is_empty() {
            self.add_row(Side::Finally, last);
        }
    }

    fn add_row(&mut self, side: Side, steps: &'a [Node]) {
        let row = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        self.rows.push(side);
        self.add_steps(steps, (None, Some(row)), false);
    }
}

/// The body of a loop, by either name.
fn body(node: &Node) -> Option<&Node> {
    node.get("steps").or_else(|| node.get("body"))
}

/// Every child of a group that waits for children is waited for.
fn is_background(parent: Option<&Node>, node: &Node) -> bool {
    let group = parent.filter(|parent| parent.get("type").and_then(Node::as_text) == Some("parallel"));
    match group {
        Some(group) => group.get("wait_for").and_then(Node::as_text) == Some("none"),
        None => node.get("async").and_then(Node::as_bool) == Some(true),
    }
}
