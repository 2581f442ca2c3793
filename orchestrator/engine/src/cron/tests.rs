//! Tests of when schedules fire: what is written on the page, and truth tables made by other libraries.

mod days;
mod missed;
mod oracles;
mod words;

use jiff::{Timestamp, Zoned};

use super::{Expression, Timetable};
use crate::zone;

fn timetable(cron: &str, name: &str) -> Timetable {
    let expression = Expression::parse(cron).unwrap_or_else(|error| panic!("{cron}: {error}"));
    Timetable::new(expression, zone::by_name(name).expect("the zone exists"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The next fires as local times with their offsets, and notes.
fn fires(cron: &str, name: &str, from: &str, count: usize) -> Vec<String> {
    let timetable = timetable(cron, name);
    let shown = |fire: super::Fire| {
        let local = Zoned::new(fire.at, timetable.zone().clone()).strftime("%a %F %T%:z").to_string();
        fire.note.map_or_else(|| local.clone(), |note| format!("{local} ({note})"))
    };
    timetable.after(at(from)).take(count).map(shown).collect()
}

/// Each expected fire is a prefix.
#[track_caller]
fn check(cron: &str, name: &str, from: &str, expected: &[&str]) {
    let found = fires(cron, name, from, expected.len());
    let same = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| found.contains(expected));
    assert!(same, "{cron} in {name} from {from}\n   found {found:#?}\nexpected {expected:#?}");
}
