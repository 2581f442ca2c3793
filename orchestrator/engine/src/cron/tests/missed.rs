//! Missed fires, and delays.

use std::time::Duration;

use schemas::schedule::CatchUp;

use super::{at, timetable};
use crate::cron::{CATCH_UP_MAX, delay, missed};

#[track_caller]
fn check(cron: &str, since: &str, now: &str, catch_up: CatchUp, expected: &[&str]) {
    let found: Vec<_> = missed(&timetable(cron, "UTC"), at(since), at(now), catch_up);
    let expected: Vec<_> = expected.iter().map(|time| at(time)).collect();
    assert_eq!(found, expected, "{cron} since {since} at {now}, {catch_up:?}");
}

#[test]
fn none_latest_and_all() {
    let (since, now) = ("2026-01-01T00:00:00Z", "2026-01-03T12:00:00Z");
    check("0 9 * * *", since, now, CatchUp::None, &[]);
    check("0 9 * * *", since, now, CatchUp::Latest, &["2026-01-03T09:00:00Z"]);
    let all = ["2026-01-01T09:00:00Z", "2026-01-02T09:00:00Z", "2026-01-03T09:00:00Z"];
    check("0 9 * * *", since, now, CatchUp::All, &all);
}

#[test]
fn the_span_holds_its_end_and_not_its_beginning() {
    let nine = "2026-01-01T09:00:00Z";
    check("0 9 * * *", nine, nine, CatchUp::All, &[]);
    check("0 9 * * *", "2026-01-01T08:00:00Z", nine, CatchUp::Latest, &[nine]);
    check("0 9 * * *", nine, "2026-01-02T08:00:00Z", CatchUp::Latest, &[]);
    // A clock that was set back: nothing is missed.
    check("0 9 * * *", "2026-01-09T09:00:00Z", nine, CatchUp::All, &[]);
}

#[test]
fn all_is_the_newest_thousand_in_order() {
    let (since, now) = (at("2020-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"));
    let found = missed(&timetable("* * * * * *", "UTC"), since, now, CatchUp::All);
    assert_eq!(found.len(), CATCH_UP_MAX);
    assert_eq!(found.last(), Some(&now));
    assert!(found.windows(2).all(|pair| pair[1].as_second() == pair[0].as_second() + 1));
    let found = missed(&timetable("0 0 29 2 *", "UTC"), since, now, CatchUp::All);
    assert_eq!(found, [at("2020-02-29T00:00:00Z"), at("2024-02-29T00:00:00Z")]);
}

#[test]
fn a_delay_is_the_same_each_time_and_within_its_bound() {
    let jitter = Duration::from_secs(10);
    let moments = (0..200).map(|second| jiff::Timestamp::from_second(second * 60).unwrap());
    let delays: Vec<_> = moments.clone().map(|moment| delay("backup", moment, jitter)).collect();
    assert_eq!(delays, moments.clone().map(|moment| delay("backup", moment, jitter)).collect::<Vec<_>>());
    assert!(delays.iter().all(|delay| *delay <= jitter));
    assert!(delays.iter().filter(|delay| **delay < jitter / 2).count().abs_diff(100) < 40, "{delays:?}");
    assert_ne!(delays, moments.map(|moment| delay("other", moment, jitter)).collect::<Vec<_>>());
    assert_eq!(delay("backup", jiff::Timestamp::UNIX_EPOCH, Duration::ZERO), Duration::ZERO);
    assert!(delay("backup", jiff::Timestamp::UNIX_EPOCH, Duration::MAX) <= Duration::MAX);
}
