//! What has ended when a step reads: the order that the structure of a file gives to its steps.

use super::outline::{Outline, Side};
use crate::{load::Node, plan::StepId};

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// The finished run.
    Outputs,
    /// A step, for its own values.
    Step(StepId),
    /// A loop, for the condition of its next turn.
    Condition(StepId),
    /// A step that has completed, for what it assigns: it and what it holds have ended.
    After(StepId),
}

/// How a step stands to who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// It has ended on every path (or is in the background, and is waited for).
    Before,
    /// It has ended if its branch was taken.
    InBranch,
    /// It comes later in the body of a loop: its value is that of the turn before.
    Previous,
    /// It comes later in the body of a loop, several turns of which run at once.
    Concurrent,
    /// It comes later.
    Later,
    /// It is the reader.
    Itself,
    /// It holds the reader.
    Around,
    /// It runs at the same time.
    Beside,
    /// It is in the other branch.
    OtherBranch,
    /// It stands beside the run.
    Aside,
    /// It is the step whose failure the reader, a handler, sees to.
    Handled,
    /// It has ended for some of the steps that the reader, a handler, sees to.
    Sometimes,
}

impl Relation {
    /// Whether it has ended on every path, if perhaps in the turn before.
    pub(super) fn has_ended(self) -> bool {
        matches!(self, Self::Before | Self::Previous)
    }

    /// Whether it can have ended on no path.
    fn is_never(self) -> bool {
        matches!(self, Self::Later | Self::Itself | Self::Around | Self::OtherBranch)
    }
}

impl Reader {
    /// The step that reads.
    pub(super) fn step(self) -> Option<StepId> {
        match self {
            Self::Outputs => None,
            Self::Step(step) | Self::Condition(step) | Self::After(step) => Some(step),
        }
    }
}

/// How `source` stands to `reader`.
pub(super) fn relation(outline: &Outline<'_>, reader: Reader, source: StepId) -> Relation {
    let row = |step| outline.spot(step).and_then(|spot| spot.row);
    let own = reader.step().and_then(row);
    if own == row(source) {
        return inside(outline, reader, source);
    }
    if row(source).is_some() {
        return Relation::Aside;
    }
    match reader.step().and_then(|step| Some((step, outline.side(step)?))) {
        // They run when everything of the run has ended.
        Some((_, Side::Rollback | Side::Finally)) | None => inside(outline, Reader::Outputs, source),
        Some((_, Side::Undo(of))) => after(outline, of, source, Relation::Before),
        Some((reader, Side::Handler)) => {
            let mut all = served(outline, reader, source).map(|(_, relation)| relation);
            match all.next() {
                Some(first) => all.fold(first, among),
                // Nobody names it.
                None => inside(outline, Reader::Outputs, source),
            }
        }
    }
}

/// How `source` stands to a handler in whose row `reader` stands, for each of those for whom it may run.
pub(super) fn served<'o>(
    outline: &'o Outline<'_>,
    reader: StepId,
    source: StepId,
) -> impl Iterator<Item = (Option<StepId>, Relation)> + 'o {
    outline.served(reader).iter().map(move |served| match *served {
        Reader::Step(of) if outline.spot(of).is_some_and(|spot| spot.row.is_some()) => {
            (Some(of), relation(outline, Reader::Step(of), source))
        }
        Reader::Step(of) => (Some(of), after(outline, of, source, Relation::Handled)),
        Reader::Outputs | Reader::Condition(_) | Reader::After(_) => (None, inside(outline, *served, source)),
    })
}

/// How `source` stands to what runs for the step `of` when that has ended: `itself`, if it is that step.
fn after(outline: &Outline<'_>, of: StepId, source: StepId, itself: Relation) -> Relation {
    let way: Vec<StepId> = outline.upwards(Some(source)).collect();
    match way.iter().position(|holder| *holder == of) {
        Some(0) => itself,
        Some(held) => ended(outline, &way[1..=held]),
        None => inside(outline, Reader::Step(of), source),
    }
}

/// What two relations say together that hold at different times.
fn among(one: Relation, other: Relation) -> Relation {
    let is_beside = |relation: &Relation| matches!(relation, Relation::Beside | Relation::Concurrent);
    if let Some(beside) = [one, other].into_iter().find(is_beside) {
        return beside;
    }
    if one == other || (one.is_never() && other.is_never()) {
        return one;
    }
    if one.has_ended() && other.has_ended() { Relation::Previous } else { Relation::Sometimes }
}

/// How two steps of the run, or of one row beside it, stand to each other.
fn inside(outline: &Outline<'_>, reader: Reader, source: StepId) -> Relation {
    let to_source: Vec<StepId> = outline.upwards(Some(source)).collect();
    if let Reader::After(step) = reader
        && let Some(inside) = to_source.iter().position(|holder| *holder == step)
    {
        return own_part(outline, &to_source[..=inside]);
    }
    // The innermost step that holds both, and the reader's side below it.
    let (mut own, mut holder) = match reader {
        Reader::Outputs => (None, None),
        Reader::Step(step) | Reader::After(step) => {
            (Some(step), outline.spot(step).and_then(|spot| spot.parent))
        }
        Reader::Condition(step) => (None, Some(step)),
    };
    if own == Some(source) {
        return later(outline, holder, Relation::Itself);
    }
    while let Some(around) = holder {
        if around == source {
            return Relation::Around;
        }
        if to_source.contains(&around) {
            break;
        }
        own = Some(around);
        holder = outline.spot(around).and_then(|spot| spot.parent);
    }
    // The source's side below it.
    let Some(below) =
        to_source.iter().position(|step| Some(*step) == holder).unwrap_or(to_source.len()).checked_sub(1)
    else {
        return Relation::Around;
    };
    let side = outline.spot(to_source[below]);
    let own_side = own.and_then(|own| outline.spot(own));
    if let (Some(side), Some(own_side), Some(holder)) = (side, own_side, holder) {
        match outline.kind(holder) {
            "parallel" if side.step != own_side.step => return Relation::Beside,
            "conditional" if side.in_else != own_side.in_else => return Relation::OtherBranch,
            _ => {}
        }
    }
    let comes_before = match (reader, side, own_side) {
        (Reader::Outputs, ..) => true,
        (_, Some(side), Some(own)) => side.position < own.position,
        // The condition of a loop comes before its body.
        (_, _, None) | (_, None, _) => false,
    };
    if !comes_before {
        return later(outline, holder, Relation::Later);
    }
    ended(outline, &to_source[1..=below])
}

/// How a step stands to a reader after all of what holds it and not the reader.
fn ended(outline: &Outline<'_>, holders: &[StepId]) -> Relation {
    let branches = holders.iter().any(|step| outline.kind(*step) == "conditional");
    if branches { Relation::InBranch } else { Relation::Before }
}

/// How a step stands to one around it that has completed: `way` leads from it to that one.
fn own_part(outline: &Outline<'_>, way: &[StepId]) -> Relation {
    let inside = &way[..way.len() - 1];
    if inside.iter().any(|step| outline.spot(*step).is_some_and(|spot| spot.background)) {
        return Relation::Beside;
    }
    ended(outline, &way[1..])
}

/// What has not run in this turn may have in the turn before.
fn later(outline: &Outline<'_>, holder: Option<StepId>, otherwise: Relation) -> Relation {
    let around = outline.upwards(holder).find(|step| outline.kind(*step) == "loop");
    match around {
        Some(around) if is_concurrent(outline, around) => Relation::Concurrent,
        Some(_) => Relation::Previous,
        None => otherwise,
    }
}

/// Whether several turns of a loop run at once.
fn is_concurrent(outline: &Outline<'_>, of: StepId) -> bool {
    let node = outline.step(of).node;
    let limits = node.get("resource_limits").and_then(|limits| limits.get("max_concurrent_steps"));
    let count = |node: Option<&Node>| node.and_then(Node::as_number).and_then(|n| n.parse::<u32>().ok());
    let most = count(node.get("max_concurrent")).unwrap_or(1);
    most.min(count(limits).unwrap_or(u32::MAX)) > 1
}

/// The loops around a reader, from the inside out.
pub(super) fn loops_around<'o>(
    outline: &'o Outline<'_>,
    reader: Reader,
) -> impl Iterator<Item = StepId> + 'o {
    let start = match reader {
        Reader::Outputs => None,
        Reader::Condition(step) => Some(step),
        Reader::Step(step) | Reader::After(step) => outline.spot(step).and_then(|spot| spot.parent),
    };
    // An undo step sees the turns of what it undoes.
    let undone = match reader.step().and_then(|step| outline.side(step)) {
        Some(Side::Undo(of)) => outline.spot(of).and_then(|spot| spot.parent),
        Some(Side::Handler | Side::Rollback | Side::Finally) | None => None,
    };
    outline.upwards(start).chain(outline.upwards(undone)).filter(|step| outline.kind(*step) == "loop")
}
