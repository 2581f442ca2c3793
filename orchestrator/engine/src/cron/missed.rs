//! Fires that were missed, and which of them are made up for.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use schemas::schedule::CatchUp;

use super::Timetable;

/// The most missed fires that are made up for at once.
pub const CATCH_UP_MAX: usize = 1000;

/// The fires after `since` up to and with `now` that are made up for, in order.
pub fn missed(timetable: &Timetable, since: Timestamp, now: Timestamp, catch_up: CatchUp) -> Vec<Timestamp> {
    match catch_up {
        CatchUp::None => Vec::new(),
        CatchUp::Latest => newest(timetable, since, now, 1),
        CatchUp::All => newest(timetable, since, now, CATCH_UP_MAX),
    }
}

/// The newest `most` fires of a span. It is looked through from its end, in parts that double, so that years of
/// fires every second cost no more than the few that are wanted.
fn newest(timetable: &Timetable, since: Timestamp, now: Timestamp, most: usize) -> Vec<Timestamp> {
    let mut span = SignedDuration::from_mins(1);
    loop {
        let from = now.checked_sub(span).unwrap_or(Timestamp::MIN).max(since);
        let mut found = VecDeque::new();
        for fire in timetable.after(from).take_while(|fire| fire.at <= now) {
            if found.len() == most {
                found.pop_front();
            }
            found.push_back(fire.at);
        }
        if from == since || found.len() == most {
            return found.into();
        }
        span = span.saturating_mul(2);
    }
}
