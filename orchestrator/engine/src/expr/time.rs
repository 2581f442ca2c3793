//! Moments and spans of time, as CEL has them: years 1 to 9999, spans of up to 292 years, nanoseconds. Zones come
//! from the table that is built in, so that an expression gives the same on every machine.

use std::fmt;

use jiff::{
    SignedDuration, Timestamp,
    civil::{DateTime, date},
    fmt::temporal::{Pieces, PiecesOffset},
    tz::TimeZone,
};

const BILLION: i128 = 1_000_000_000;
/// The first second of the year 1, and the first that is no longer in 9999.
const FIRST: i128 = -62_135_596_800 * BILLION;
const END: i128 = 253_402_300_800 * BILLION;

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    seconds: i64,
    nanos: u32,
}

/// A span of time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span(i64);

impl Moment {
    fn new(nanos: i128) -> Option<Self> {
        if !(FIRST..END).contains(&nanos) {
            return None;
        }
        let seconds = i64::try_from(nanos.div_euclid(BILLION)).ok()?;
        Some(Self { seconds, nanos: u32::try_from(nanos.rem_euclid(BILLION)).ok()? })
    }

    fn total(self) -> i128 {
        i128::from(self.seconds) * BILLION + i128::from(self.nanos)
    }

    /// A moment by its distance from 1970.
    pub(super) fn from_seconds(seconds: i64) -> Option<Self> {
        Self::new(i128::from(seconds) * BILLION)
    }

    /// Seconds since 1970.
    pub(super) fn seconds(self) -> i64 {
        self.seconds
    }

    /// A moment by RFC 3339: date, time and offset.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let pieces = Pieces::parse(text).ok()?;
        if pieces.time_zone_annotation().is_some() {
            return None;
        }
        let offset = match pieces.offset()? {
            PiecesOffset::Zulu => 0,
            PiecesOffset::Numeric(offset) => offset.offset().seconds(),
            _ => return None,
        };
        let local = pieces.date().to_datetime(pieces.time()?);
        let since = local.duration_since(epoch());
        Self::new(since.as_nanos() - i128::from(offset) * BILLION)
    }

    /// This much later.
    pub(super) fn plus(self, span: Span) -> Option<Self> {
        Self::new(self.total() + i128::from(span.0))
    }

    /// The span from an earlier moment on.
    pub(super) fn since(self, earlier: Self) -> Option<Span> {
        i64::try_from(self.total() - earlier.total()).ok().map(Span)
    }

    /// Date and time in a zone: a name, or an offset as `+05:30`; UTC without one. `None`: there is no such zone.
    pub(super) fn civil(self, zone: Option<&str>) -> Option<DateTime> {
        let offset = match zone {
            None => 0,
            Some(zone) => match fixed_offset(zone) {
                Some(offset) => offset,
                None => self.offset_in(&crate::zone::by_name(zone)?),
            },
        };
        let since = SignedDuration::new(self.seconds + offset, i32::try_from(self.nanos).ok()?);
        epoch().checked_add(since).ok()
    }

    fn offset_in(self, zone: &TimeZone) -> i64 {
        // The last hours of 9999 are beyond what a `Timestamp` holds; zones do not change in them.
        let seconds = self.seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let moment = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
        i64::from(zone.to_offset(moment).seconds())
    }
}

fn epoch() -> DateTime {
    date(1970, 1, 1).at(0, 0, 0, 0)
}

/// `+05:30`, `-02:30` or `02:00` in seconds.
fn fixed_offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = digits.split_once(':')?;
    let part = |text: &str, least: i64| {
        let all_digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|value| all_digits && *value < least)
    };
    Some(sign * (part(hours, 24)? * 3600 + part(minutes, 60)? * 60))
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.civil(None) {
            Some(civil) => write!(f, "{civil}Z"),
            None => write!(f, "{}s", self.seconds),
        }
    }
}

impl Span {
    /// A span of so many nanoseconds.
    fn new(nanos: i128) -> Option<Self> {
        i64::try_from(nanos).ok().map(Self)
    }

    /// A span such as `1h30m`, `1.5s`, `-250ms`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (sign, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Some(Self(0));
        }
        let mut total: i128 = 0;
        loop {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let (number, tail) = rest.split_at(end);
            let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_end);
            total = total.checked_add(part(number, unit)?)?;
            if tail.is_empty() {
                return Self::new(sign * total);
            }
            rest = tail;
        }
    }

    /// This and another one.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The other way.
    pub(super) fn negated(self) -> Option<Self> {
        self.0.checked_neg().map(Self)
    }

    /// In units of so many nanoseconds, what is over cut off.
    pub(super) fn whole(self, unit: i64) -> i64 {
        self.0 / unit
    }
}

/// A number with a unit in nanoseconds.
fn part(number: &str, unit: &str) -> Option<i128> {
    let unit: i128 = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => BILLION,
        "m" => 60 * BILLION,
        "h" => 3600 * BILLION,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || whole.len() > 18 || fraction.contains('.') {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(18)];
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    Some(digits(whole)? * unit + digits(fraction)? * unit / scale)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        if fraction == 0 {
            return write!(f, "{sign}{seconds}s");
        }
        let fraction = format!("{fraction:09}");
        write!(f, "{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
    }
}
