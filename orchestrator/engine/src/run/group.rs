//! What a step that holds others keeps of them: its turns, and how it will end.

use std::collections::{BTreeMap, VecDeque};

use schemas::{failure::Failure, json::Json};

use super::state::InstanceId;
use crate::plan::{Branch, StepId};

/// The children of one instance of a composite, or of the run itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Group {
    /// Of a loop one for each turn, of all others one.
    pub(super) turns: Vec<Turn>,
    /// Turns whose body is not through.
    pub(super) open_turns: u32,
    /// Children that have not settled: they run, or something in the background below them does.
    pub(super) unsettled: u32,
    /// Nothing new starts below, and this is why.
    pub(super) closing: Option<Closing>,
    /// The branch that a conditional took.
    pub(super) branch: Option<Branch>,
    /// The child that won.
    pub(super) winner: Option<InstanceId>,
    /// Items whose turn is still to come.
    pub(super) items: VecDeque<Json>,
    /// Why it fails, where that is not its children.
    pub(super) failure: Option<Box<Failure>>,
    /// Failures of its children.
    pub(super) causes: Vec<Failure>,
    /// Of a workflow: what its steps see.
    pub(super) frame: Option<Box<Frame>>,
    /// How often it began.
    pub(super) tries: u32,
    /// Of a step that began again: its children of tries before, by turn and step.
    pub(super) past: BTreeMap<(u32, StepId), Past>,
}

/// The values of a workflow that another one calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Frame {
    /// Its inputs, defaults filled in.
    pub(super) inputs: BTreeMap<String, Json>,
    /// Its mutable context: what it holds now.
    pub(super) mutable: BTreeMap<String, Json>,
    /// Environment of its steps, with that of the workflows around.
    pub(super) env: Vec<(String, String)>,
    /// Their working directory, where it is not that of the run.
    pub(super) cwd: Option<String>,
    /// How far it is with its end.
    pub(super) stage: Stage,
    /// Whether what it did is to be undone, or was.
    pub(super) rolls_back: bool,
    /// Its outputs, once its steps have ended well.
    pub(super) result: Option<Json>,
}

/// How far a workflow that another one calls is with its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its steps run, or are being ended.
    #[default]
    Steps,
    /// What it did is undone.
    RollingBack,
    /// Its last steps run, in this row.
    Last(InstanceId),
    /// Nothing of it follows.
    Over,
}

/// A child of a try before. It begins again where it stands, so that its attempts go on counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) child: InstanceId,
    /// Its place among those that started.
    pub(super) place: Option<usize>,
}

/// Why nothing new starts in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// A child won.
    Won,
    /// Its own part is over, and well; the last steps of a workflow may follow.
    Completed,
    /// It fails.
    Failed,
    /// Somebody above it ends it.
    Cancelled,
}

/// One turn: children by their position.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Turn {
    /// Those whose turn has come; they come in order.
    pub(super) children: Vec<InstanceId>,
    /// How many of them ended.
    pub(super) ended: u32,
    /// How many of them have not settled.
    pub(super) unsettled: u32,
    /// The loop's item, as long as somebody may read it.
    pub(super) item: Option<Json>,
    /// Whether the item is kept to the end: an undo step may read it.
    pub(super) keeps_item: bool,
    /// Whether the loop is through with it.
    pub(super) over: bool,
}

impl Group {
    /// A group with its one turn.
    pub(super) fn with_turn() -> Self {
        Self { turns: vec![Turn::default()], ..Self::default() }
    }

    /// Children that run or wait, in a turn.
    pub(super) fn active(&self, turn: u32) -> u32 {
        self.turn(turn).map_or(0, |turn| {
            let begun = u32::try_from(turn.children.len()).unwrap_or(u32::MAX);
            begun.saturating_sub(turn.ended)
        })
    }

    pub(super) fn turn(&self, turn: u32) -> Option<&Turn> {
        self.turns.get(turn as usize)
    }

    pub(super) fn turn_mut(&mut self, turn: u32) -> Option<&mut Turn> {
        self.turns.get_mut(turn as usize)
    }

    /// How many turns there were.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.turns.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn child_begins(&mut self, turn: u32, child: InstanceId) {
        self.unsettled += 1;
        if let Some(turn) = self.turn_mut(turn) {
            turn.children.push(child);
            turn.unsettled += 1;
        }
    }

    pub(super) fn child_ends(&mut self, turn: u32) {
        if let Some(turn) = self.turn_mut(turn) {
            turn.ended += 1;
        }
    }

    pub(super) fn child_settles(&mut self, turn: u32) {
        self.unsettled = self.unsettled.saturating_sub(1);
        if let Some(turn) = self.turn_mut(turn) {
            turn.unsettled = turn.unsettled.saturating_sub(1);
            turn.drop_item();
        }
    }

    /// The body of a turn is through.
    pub(super) fn turn_over(&mut self, turn: u32) {
        self.open_turns = self.open_turns.saturating_sub(1);
        if let Some(turn) = self.turn_mut(turn) {
            turn.over = true;
            turn.drop_item();
        }
    }
}

impl Turn {
    /// Nobody can read the item any more.
    fn drop_item(&mut self) {
        if self.over && self.unsettled == 0 && !self.keeps_item {
            self.item = None;
        }
    }
}
