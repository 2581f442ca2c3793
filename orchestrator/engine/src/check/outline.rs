//! [`Outline`]: all steps of a file, wherever they stand.

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
    /// Its number among the steps at the top; `None` for steps inside others, handlers and final steps.
    pub(super) top: Option<usize>,
}

/// All steps of a file.
#[derive(Debug)]
pub(super) struct Outline<'a> {
    steps: Vec<StepPlace<'a>>,
    by_id: HashMap<&'a str, usize>,
}

impl<'a> Outline<'a> {
    pub(super) fn new(root: &'a Node) -> Self {
        let top: HashMap<*const Node, usize> = root
            .get("steps")
            .map_or(&[][..], Node::elements)
            .iter()
            .enumerate()
            .map(|(index, node)| (std::ptr::from_ref(node), index))
            .collect();
        let mut steps = Vec::new();
        each_step(root, &mut |node, _| {
            let id = node.get("id").and_then(Node::as_text);
            steps.push(StepPlace { node, id, top: top.get(&std::ptr::from_ref(node)).copied() });
        });
        let mut by_id = HashMap::new();
        for (index, step) in steps.iter().enumerate() {
            if let Some(id) = step.id {
                by_id.entry(id).or_insert(index);
            }
        }
        Self { steps, by_id }
    }

    /// Every step, in the order of the text.
    pub(super) fn all(&self) -> impl Iterator<Item = &StepPlace<'a>> {
        self.steps.iter()
    }

    /// The steps at the top, in order.
    pub(super) fn top(&self) -> impl Iterator<Item = &StepPlace<'a>> {
        self.steps.iter().filter(|step| step.top.is_some())
    }

    /// The other steps.
    pub(super) fn inner(&self) -> impl Iterator<Item = &StepPlace<'a>> {
        self.steps.iter().filter(|step| step.top.is_none())
    }

    /// The step with an id.
    pub(super) fn by_id(&self, id: &str) -> Option<&StepPlace<'a>> {
        self.by_id.get(id).map(|index| &self.steps[*index])
    }

    /// Numbers of the steps at the top.
    pub(super) fn top_ids(&self) -> Vec<StepId> {
        self.top().filter_map(|step| step.top.map(step_id)).collect()
    }
}

/// The number of a step at the top as an id; a file holds far fewer than 2^32.
pub(super) fn step_id(top: usize) -> StepId {
    StepId(u32::try_from(top).unwrap_or(u32::MAX))
}
