//! The scheduler from its records: where the one before it stood.

use jiff::Timestamp;
use schemas::schedule::{Fire, FireRecord};

use super::{Running, Scheduler};

/// A run of the scheduler before, of which the end was not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The schedule.
    pub schedule: String,
    /// The moment for which it is meant.
    pub at: Timestamp,
    /// The run.
    pub run: String,
    /// Whether it existed. One that did not may exist all the same: started, and not recorded.
    pub started: bool,
}

impl Scheduler {
    /// Goes on from these records.
    pub fn restore(records: &[FireRecord]) -> Self {
        let mut scheduler = Self::default();
        for FireRecord { schedule, at, fire, .. } in records {
            let entry = scheduler.entries.entry(schedule.clone()).or_default();
            entry.last = entry.last.max(Some(*at));
            entry.waiting.retain(|waiting| waiting != at);
            match fire {
                Fire::Waiting => entry.waiting.push_back(*at),
                Fire::Starting { run } | Fire::Started { run } => {
                    entry.running.retain(|running| running.run != *run);
                    let started = matches!(fire, Fire::Started { .. });
                    entry.running.push(Running { run: run.clone(), at: *at, started, stopping: false });
                }
                Fire::Ended { run, .. } => entry.running.retain(|running| running.run != *run),
                Fire::Skipped { .. } => {}
            }
        }
        scheduler
    }

    /// The runs of which somebody must find out what became.
    pub fn unsettled(&self) -> Vec<Unsettled> {
        let each = self.entries.iter().flat_map(|(id, entry)| entry.running.iter().map(move |one| (id, one)));
        each.map(|(id, running)| Unsettled {
            schedule: id.clone(),
            at: running.at,
            run: running.run.clone(),
            started: running.started,
        })
        .collect()
    }
}
