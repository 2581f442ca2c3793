//! The one kill ladder: SIGTERM and SIGCONT to every process of the leaf, the grace, then the kill of the
//! whole tree, then a bounded wait.

use std::time::Duration;

use schemas::view::StopReason;
use tokio::time::Instant;
use workflow_engine::plan::KillMode;

use super::Terminate;
use crate::{cgroup::Leaf, signal::Process};

/// How long a killed tree may need. A process in uninterruptible sleep does not end before its device
/// answers; it must not block the run.
const UNKILLABLE: Duration = Duration::from_secs(10);

/// Where the end of an attempt stands.
#[derive(Debug)]
pub(super) struct Ladder {
    grace: Duration,
    mode: KillMode,
    ordered: Option<Terminate>,
    rung: Rung,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    Ground,
    Terminated { kill_at: Instant },
    Killed { give_up_at: Instant },
    GaveUp,
}

impl Ladder {
    pub(super) fn new(grace: Duration, mode: KillMode) -> Self {
        Self { grace, mode, ordered: None, rung: Rung::Ground }
    }

    /// Takes an order. The first reason stands; a later order can only hurry.
    pub(super) fn order(&mut self, order: Terminate) {
        let ordered = self.ordered.get_or_insert(order);
        ordered.now |= order.now;
    }

    /// Why the attempt is being ended.
    pub(super) fn reason(&self) -> Option<StopReason> {
        self.ordered.map(|order| order.reason)
    }

    /// When the next rung is due.
    pub(super) fn next(&self) -> Option<Instant> {
        match self.rung {
            Rung::Ground | Rung::GaveUp => None,
            Rung::Terminated { kill_at } => Some(kill_at),
            Rung::Killed { give_up_at } => Some(give_up_at),
        }
    }

    /// Whether the tree did not end although it was killed.
    pub(super) fn gave_up(&self) -> bool {
        self.rung == Rung::GaveUp
    }

    /// Climbs as far as it is time to.
    pub(super) fn climb(&mut self, process: &Process, leaf: Option<&Leaf>) {
        let Some(order) = self.ordered else { return };
        let now = Instant::now();
        self.rung = match self.rung {
            Rung::Ground if order.now => kill(process, leaf, now),
            Rung::Ground => {
                terminate(process, leaf, self.mode);
                Rung::Terminated { kill_at: now + self.grace }
            }
            Rung::Terminated { kill_at } if order.now || kill_at <= now => kill(process, leaf, now),
            Rung::Killed { give_up_at } if give_up_at <= now => Rung::GaveUp,
            rung @ (Rung::Terminated { .. } | Rung::Killed { .. } | Rung::GaveUp) => rung,
        };
    }
}

/// SIGTERM to all processes of the leaf, or to the leader only. An error here means that a process is gone.
fn terminate(process: &Process, leaf: Option<&Leaf>, mode: KillMode) {
    let listed = || leaf.and_then(|leaf| leaf.processes().ok()).unwrap_or_default();
    // The namespace's init comes first and ignores it; the leader is its first child.
    let wanted = match mode {
        KillMode::Group => usize::MAX,
        KillMode::Leader => 2,
    };
    let members: Vec<_> =
        listed().into_iter().take(wanted).filter_map(|pid| Some((pid, Process::open(pid).ok()?))).collect();
    // A number that is listed still belongs to the leaf, so that no stranger was opened in between.
    let still_there = listed();
    for (_, member) in members.iter().filter(|(pid, _)| still_there.contains(pid)) {
        let _gone = member.terminate();
    }
    let _gone = process.terminate();
}

/// Kills the whole tree: by its leaf where there is one, and by its pidfd, which takes a pid namespace's
/// init and with it everything inside.
fn kill(process: &Process, leaf: Option<&Leaf>, now: Instant) -> Rung {
    if let Some(leaf) = leaf {
        let _gone = leaf.kill();
    }
    let _gone = process.kill();
    Rung::Killed { give_up_at: now + UNKILLABLE }
}

/// Ends what still lives in the leaf after the leader has gone, and says how many that were.
pub(super) async fn end_leftovers(leaf: Option<&Leaf>) -> Option<u64> {
    let leaf = leaf?;
    if !leaf.is_populated().ok()? {
        return Some(0);
    }
    let count = leaf.processes().map_or(0, |processes| processes.len());
    let _gone = leaf.kill();
    // What does not end in time stays in its leaf; the next sweep finds it.
    let _bounded = tokio::time::timeout(UNKILLABLE, leaf.emptied()).await;
    u64::try_from(count).ok()
}
