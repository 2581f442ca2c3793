//! Truth tables that other libraries compute: chrono-tz for zones, the `cron` crate for expressions.

use std::str::FromStr;

use chrono::{DateTime, Datelike, LocalResult, NaiveDate, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::{at, timetable};

/// The fires of `Timetable` in 2026, in seconds.
fn ours(cron: &str, zone: &str) -> Vec<i64> {
    let end = at("2027-01-01T00:00:00Z");
    let table = timetable(cron, zone);
    let fires = table.after(at("2026-01-01T00:00:00Z")).take_while(|fire| fire.at < end);
    fires.map(|fire| fire.at.as_second()).collect()
}

fn year() -> (DateTime<Utc>, DateTime<Utc>) {
    let start = |year| Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap();
    (start(2026), start(2027))
}

/// A named hour: each local time of each date by the rule of the page.
fn fixed(zone: Tz, hour: u32, minute: u32) -> Vec<i64> {
    let (start, end) = year();
    let mut fires = Vec::new();
    let mut date = NaiveDate::from_ymd_opt(2025, 12, 30).unwrap();
    while date.year() < 2027 || date.ordinal() < 4 {
        let mut local = date.and_hms_opt(hour, minute, 0).unwrap();
        let at = loop {
            match zone.from_local_datetime(&local) {
                LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => break at,
                LocalResult::None => local += TimeDelta::minutes(1),
            }
        };
        // The first time after a gap that exists is the end of the gap, for gaps of whole minutes.
        let at = at.with_timezone(&Utc);
        if at > start && at < end && fires.last() != Some(&at.timestamp()) {
            fires.push(at.timestamp());
        }
        date = date.succ_opt().unwrap();
    }
    fires
}

/// A wild hour: every moment whose local time matches.
fn elapsed(zone: Tz, matches: impl Fn(u32, u32) -> bool) -> Vec<i64> {
    let (start, end) = year();
    let mut fires = Vec::new();
    let mut at = start + TimeDelta::minutes(1);
    while at < end {
        let local = at.with_timezone(&zone);
        if matches(local.hour(), local.minute()) {
            fires.push(at.timestamp());
        }
        at += TimeDelta::minutes(1);
    }
    fires
}

#[track_caller]
fn check_zone(name: &str) {
    let zone = Tz::from_str(name).unwrap();
    for (hour, minute) in
        [(0, 0), (0, 30), (1, 30), (1, 45), (2, 0), (2, 15), (2, 30), (3, 0), (12, 0), (23, 59)]
    {
        let cron = format!("{minute} {hour} * * *");
        assert_eq!(ours(&cron, name), fixed(zone, hour, minute), "{cron} in {name}");
    }
    assert_eq!(ours("15 * * * *", name), elapsed(zone, |_, minute| minute == 15), "{name}");
    let half_past_odd = elapsed(zone, |hour, minute| hour % 3 == 0 && minute % 30 == 0);
    assert_eq!(ours("*/30 */3 * * *", name), half_past_odd, "{name}");
}

#[test]
fn new_york() {
    check_zone("America/New_York");
}

#[test]
fn berlin() {
    check_zone("Europe/Berlin");
}

#[test]
fn lord_howe() {
    check_zone("Australia/Lord_Howe");
}

/// Expressions that mean the same to both: no weekday by number, not both days, six fields.
#[track_caller]
fn check_cron(expression: &str) {
    let theirs = cron::Schedule::from_str(expression).unwrap();
    let (start, _) = year();
    let theirs: Vec<_> = theirs.after(&start).take(30).map(|at| at.timestamp()).collect();
    let found = timetable(expression, "UTC");
    let found: Vec<_> =
        found.after(at("2026-01-01T00:00:00Z")).take(30).map(|fire| fire.at.as_second()).collect();
    assert_eq!(found, theirs, "{expression}");
}

#[test]
fn expressions_as_the_cron_crate_has_them() {
    for second in ["0", "*/15", "5,50"] {
        for minute in ["*", "*/7", "10-20/5", "59"] {
            for hour in ["*", "0,12", "*/5", "22-23"] {
                for day in ["* * *", "31 * *", "29 2 *", "1-7 JAN,JUN *", "* * Mon", "* 3-5 Sat,Sun"] {
                    check_cron(&format!("{second} {minute} {hour} {day}"));
                }
            }
        }
    }
}
