//! Which records of runs go, and their removal: those that ended long ago and are not among the newest.

use std::{collections::HashSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
use schemas::{exit_code::ExitCode, view::RunStatus};

use crate::{
    config::Retention,
    errors::{CommandError, Result},
    fold,
    store::{
        home::Home,
        index::{Entry, Filter, Index},
        removal, run,
    },
};

/// So many rows that are dead at once are worth a new index.
const COMPACT_FROM: usize = 256;

/// What goes.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// How old, and how many stay all the same.
    pub retention: Retention,
    /// What becomes of interrupted runs.
    pub interrupted: Interrupted,
}

/// What becomes of interrupted runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupted {
    /// They stay, however old: somebody may want to resume them.
    Stay,
    /// They go like those that ended; their age is that of their creation.
    Go,
}

/// The runs that the rule removes, newest first. Nothing is removed.
pub fn doomed(home: &Home, rule: Rule, now: Timestamp) -> Result<Vec<Entry>> {
    let keep = |entry: &mut Entry| {
        fold::correct(home, entry);
        true
    };
    let listed =
        Index::new(home).list(usize::MAX, &Filter::default(), keep, |dir| fold::current_view(dir).ok());
    let listed = listed.map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
    Ok(choose(listed, rule, now))
}

/// Removes them; gives those that are gone. One that somebody has just taken over stays.
pub fn prune(home: &Home, rule: Rule, now: Timestamp) -> Result<Vec<Entry>> {
    let failed = |error: run::Error| CommandError::from_error(ExitCode::Engine, &error);
    let doomed = doomed(home, rule, now)?;
    let ids: Vec<_> = doomed.iter().map(|entry| entry.run_id).collect();
    let gone: HashSet<_> = removal::delete_all(home, &ids).map_err(failed)?.into_iter().collect();
    let removed: Vec<_> = doomed.into_iter().filter(|entry| gone.contains(&entry.run_id)).collect();
    removal::sweep(home).map_err(failed)?;
    if removed.len() >= COMPACT_FROM {
        // Their rows would be read by every list until the index has grown a few times over.
        let _next_time = Index::new(home).compact();
    }
    Ok(removed)
}

/// Of all runs, newest first, those that go.
fn choose(runs: Vec<Entry>, rule: Rule, now: Timestamp) -> Vec<Entry> {
    let Retention { older_than, keep } = rule.retention;
    let newest = usize::try_from(keep).unwrap_or(usize::MAX);
    let goes = |entry: &Entry| {
        let since = match entry.status {
            RunStatus::Completed
            | RunStatus::Failed
            | RunStatus::Cancelled
            | RunStatus::RolledBack
            | RunStatus::RollbackFailed => entry.finished_at.unwrap_or(entry.created_at),
            RunStatus::Interrupted if rule.interrupted == Interrupted::Go => entry.created_at,
            RunStatus::Interrupted
            | RunStatus::Queued
            | RunStatus::Running
            | RunStatus::Stopping
            | RunStatus::RollingBack => return false,
        };
        is_older(since, older_than, now)
    };
    runs.into_iter().skip(newest).filter(goes).collect()
}

fn is_older(since: Timestamp, age: Duration, now: Timestamp) -> bool {
    SignedDuration::try_from(age).is_ok_and(|age| now.duration_since(since) > age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::names::RunId;

    const DAY: Duration = Duration::from_hours(24);

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(days * 86_400).unwrap()
    }

    fn entry(status: RunStatus, day: i64) -> Entry {
        Entry {
            run_id: RunId::generate(),
            workflow: format!("{status}-{day}"),
            version: "1.0.0".into(),
            status,
            trigger: "manual".into(),
            created_at: at(day),
            started_at: None,
            finished_at: status.is_ended().then(|| at(day + 1)),
            duration_ms: None,
        }
    }

    #[track_caller]
    fn check(runs: &[(RunStatus, i64)], keep: u32, interrupted: Interrupted, expected: &[&str]) {
        let runs = runs.iter().map(|(status, day)| entry(*status, *day)).collect();
        let rule = Rule { retention: Retention { older_than: 10 * DAY, keep }, interrupted };
        let gone: Vec<_> = choose(runs, rule, at(100)).into_iter().map(|entry| entry.workflow).collect();
        assert_eq!(gone, expected);
    }

    #[test]
    fn old_ones_go_that_are_not_among_the_newest() {
        use RunStatus::{Cancelled, Completed, Failed};
        let runs = [(Completed, 95), (Failed, 90), (Cancelled, 80), (Completed, 5)];
        check(&runs, 0, Interrupted::Stay, &["cancelled-80", "completed-5"]);
        check(&runs, 3, Interrupted::Stay, &["completed-5"]);
        check(&runs, 4, Interrupted::Stay, &[]);
        // The age is that from the end, to the moment.
        check(&[(Completed, 89)], 0, Interrupted::Stay, &[]);
        check(&[(Completed, 88)], 0, Interrupted::Stay, &["completed-88"]);
    }

    #[test]
    fn what_has_not_ended_stays() {
        use RunStatus::{Interrupted as Broken, Queued, RollingBack, Running, Stopping};
        let runs = [(Queued, 1), (Running, 1), (Stopping, 1), (RollingBack, 1), (Broken, 1)];
        check(&runs, 0, Interrupted::Stay, &[]);
        check(&runs, 0, Interrupted::Go, &["interrupted-1"]);
    }
}
