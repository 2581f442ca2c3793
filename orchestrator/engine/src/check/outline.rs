//! [`Outline`]: all steps of a file, wherever they stand, and how those that run stand to each other.

use std::collections::HashMap;

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
    /// Its place in the run; `None` for handlers, undo steps and final steps.
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
}

/// All steps of a file.
#[derive(Debug)]
pub(super) struct Outline<'a> {
    steps: Vec<StepPlace<'a>>,
    by_id: HashMap<&'a str, usize>,
    /// Indices of the steps that run, by their number.
    running: Vec<usize>,
    /// The number of the first of them.
    base: u32,
}

impl<'a> Outline<'a> {
    /// `base` is the number of its first step.
    pub(super) fn new(root: &'a Node, base: u32) -> Self {
        let mut lists = Lists::default();
        lists.add(root.get("steps"), None, false);
        let mut steps: Vec<StepPlace<'a>> = Vec::new();
        let mut running = Vec::new();
        let mut numbers: HashMap<*const Node, StepId> = HashMap::new();
        each_step(root, &mut |node, _| {
            let id = node.get("id").and_then(Node::as_text);
            let spot = lists.places.get(&std::ptr::from_ref(node)).map(|listed| {
                let step = StepId(u32::try_from(running.len()).unwrap_or(u32::MAX).saturating_add(base));
                numbers.insert(std::ptr::from_ref(node), step);
                running.push(steps.len());
                let background = is_background(listed.parent, node);
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
                }
            });
            steps.push(StepPlace { node, id, spot });
        });
        let mut by_id = HashMap::new();
        for (index, step) in steps.iter().enumerate() {
            if let Some(id) = step.id {
                by_id.entry(id).or_insert(index);
            }
        }
        let mut outline = Self { steps, by_id, running, base };
        outline.spread_background();
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

    /// The steps that stand beside the run.
    pub(super) fn beside(&self) -> impl Iterator<Item = &StepPlace<'a>> {
        self.steps.iter().filter(|step| step.spot.is_none())
    }

    /// The step with an id.
    pub(super) fn by_id(&self, id: &str) -> Option<&StepPlace<'a>> {
        self.by_id.get(id).map(|index| &self.steps[*index])
    }

    /// A step that runs.
    pub(super) fn step(&self, step: StepId) -> &StepPlace<'a> {
        &self.steps[self.running[self.place(step)]]
    }

    /// How many steps run.
    pub(super) fn count(&self) -> usize {
        self.running.len()
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
        self.running().filter(|(_, spot)| spot.parent.is_none()).map(|(_, spot)| spot.step).collect()
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
}

#[derive(Debug)]
struct Listed<'a> {
    parent: Option<&'a Node>,
    position: u32,
    in_else: bool,
}

impl<'a> Lists<'a> {
    fn add(&mut self, list: Option<&'a Node>, parent: Option<&'a Node>, in_else: bool) {
        for (node, position) in list.map_or(&[][..], Node::elements).iter().zip(0..) {
            self.places.insert(std::ptr::from_ref(node), Listed { parent, position, in_else });
            match node.get("type").and_then(Node::as_text) {
                Some("sequence" | "parallel") => self.add(node.get("steps"), Some(node), false),
                Some("loop") => self.add(body(node), Some(node), false),
                Some("conditional") => {
                    self.add(node.get("then"), Some(node), false);
                    self.add(node.get("else"), Some(node), true);
                }
                Some(_) | None => {}
            }
        }
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
