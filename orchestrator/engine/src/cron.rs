//! When a schedule fires: cron expressions in time zones, over days on which the clock is moved; which fires were
//! missed. What is done about a fire is not decided here.

mod calendar;
mod missed;

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{
    SignedDuration, Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

pub use self::{
    calendar::{Error, Expression},
    missed::{CATCH_UP_MAX, missed},
};

/// More changes of the offset than this are not looked through for one fire.
const CHANGES_MAX: usize = 128;

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Timetable {
    expression: Expression,
    zone: TimeZone,
}

/// One fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fire {
    /// When.
    pub at: Timestamp,
    /// What is special about it.
    pub note: Option<Note>,
}

/// What moved clocks do to a fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// The time does not exist: it fires right after the gap.
    AfterGap(DateTime),
    /// The time comes twice on that day; this is the first.
    FirstOfTwo,
    /// The time comes twice on that day; this is the second.
    SecondOfTwo,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AfterGap(missing) => {
                write!(f, "{} does not exist on {}: right after the gap", missing.time(), missing.date())
            }
            Self::FirstOfTwo => f.write_str("the first of two such times: clocks go back"),
            Self::SecondOfTwo => f.write_str("the second of two such times: clocks go back"),
        }
    }
}

impl Timetable {
    /// The fires of an expression in a zone.
    pub fn new(expression: Expression, zone: TimeZone) -> Self {
        Self { expression, zone }
    }

    /// The zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first fire after a moment; `None` if there is none in the years that are looked through.
    pub fn next(&self, after: Timestamp) -> Option<Fire> {
        if self.expression.goes_by_elapsed_time() { self.elapsed(after) } else { self.fixed(after) }
    }

    /// The fires after a moment, without end for most expressions.
    pub fn after(&self, after: Timestamp) -> impl Iterator<Item = Fire> + '_ {
        std::iter::successors(self.next(after), |fire| self.next(fire.at))
    }

    /// The hour is named: each time of the wall clock fires once, whatever the clock does. A time in a gap becomes
    /// the end of the gap, and of a time that comes twice the first counts, so that the order stays.
    fn fixed(&self, after: Timestamp) -> Option<Fire> {
        let mut local = floor(self.zone.to_datetime(after));
        loop {
            local = self.expression.first(local)?;
            let fire = self.at(local)?;
            if fire.at > after {
                return Some(fire);
            }
            local = local.checked_add(SignedDuration::from_secs(1)).ok()?;
        }
    }

    /// The moment of a time of the wall clock.
    fn at(&self, local: DateTime) -> Option<Fire> {
        let (at, note) = match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => (offset.to_timestamp(local).ok()?, None),
            AmbiguousOffset::Fold { before, .. } => {
                (before.to_timestamp(local).ok()?, Some(Note::FirstOfTwo))
            }
            AmbiguousOffset::Gap { after, .. } => {
                // By the offset after the change, a time in the gap lies before the change.
                let before_change = after.to_timestamp(local).ok()?;
                let change = self.zone.following(before_change).next()?;
                (change.timestamp(), Some(Note::AfterGap(local)))
            }
        };
        Some(Fire { at, note })
    }

    /// The hour is `*` or `*/n`: every moment whose wall clock matches fires. Between two changes of the offset
    /// there is one moment for each time of the wall clock, and none for those in a gap.
    fn elapsed(&self, after: Timestamp) -> Option<Fire> {
        let mut from = ceiling(after)?;
        for _ in 0..CHANGES_MAX {
            let offset = self.zone.to_offset(from);
            let local = self.expression.first(offset.to_datetime(from))?;
            let at = offset.to_timestamp(local).ok()?;
            match self.zone.following(from).find(|change| change.offset() != offset) {
                Some(change) if change.timestamp() <= at => from = change.timestamp(),
                Some(_) | None => return Some(Fire { at, note: self.pass(local, at) }),
            }
        }
        None
    }

    fn pass(&self, local: DateTime, at: Timestamp) -> Option<Note> {
        match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Fold { before, .. } => {
                let first = before.to_timestamp(local).is_ok_and(|first| first == at);
                Some(if first { Note::FirstOfTwo } else { Note::SecondOfTwo })
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => None,
        }
    }
}

/// How much later than its time a fire begins: the same for the same fire, spread evenly over `jitter`.
pub fn delay(schedule: &str, at: Timestamp, jitter: Duration) -> Duration {
    let jitter = u64::try_from(jitter.as_millis()).unwrap_or(u64::MAX);
    let bytes = schedule.bytes().chain(at.as_second().to_le_bytes());
    // FNV-1a, and the finalizer of SplitMix64 to spread what differs in the last bytes only.
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Duration::from_millis((hash ^ (hash >> 31)) % jitter.saturating_add(1))
}

fn floor(local: DateTime) -> DateTime {
    local.with().subsec_nanosecond(0).build().unwrap_or(local)
}

/// The first whole second after a moment.
fn ceiling(after: Timestamp) -> Option<Timestamp> {
    let whole = after.as_nanosecond().div_euclid(1_000_000_000);
    Timestamp::from_second(i64::try_from(whole).ok()?.checked_add(1)?).ok()
}
