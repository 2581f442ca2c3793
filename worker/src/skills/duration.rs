//! Durations as inputs: a whole number of seconds, or text such as `"250ms"`, `"1m30s"`.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// A duration as an input of a skill, at most a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl Span {
    /// A leap year: its sum with any clock's reading fits.
    const MAX: Duration = Duration::from_hours(366 * 24);

    fn new(duration: Option<Duration>) -> Option<Self> {
        duration.filter(|duration| *duration <= Self::MAX).map(Self)
    }
}

/// As a number for results; what is longer than half a billion years is cut.
pub(super) fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Why a text is no duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number of seconds or text like \"250ms\", \"30s\", \"1m30s\", at most 366 days")]
struct NotADuration;

fn parse(text: &str) -> Result<Span, NotADuration> {
    let mut rest = text.trim();
    let mut total = Some(Duration::ZERO);
    if rest.is_empty() {
        return Err(NotADuration);
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let unit_length = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(unit_length);
        let number: u64 = number.parse().map_err(|_| NotADuration)?;
        let milliseconds = number.checked_mul(milliseconds_of(unit).ok_or(NotADuration)?);
        total = total.zip(milliseconds).and_then(|(sum, more)| sum.checked_add(Duration::from_millis(more)));
        rest = tail;
    }
    Span::new(total).ok_or(NotADuration)
}

fn milliseconds_of(unit: &str) -> Option<u64> {
    match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        "w" => Some(604_800_000),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of seconds or text like \"250ms\"")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Span, E> {
        Span::new(Some(Duration::from_secs(seconds))).ok_or_else(|| E::custom(NotADuration))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        parse(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected_ms: Option<u64>) {
        let span = serde_json::from_str::<Span>(json).ok();
        assert_eq!(span, expected_ms.map(|ms| Span(Duration::from_millis(ms))), "{json}");
    }

    #[test]
    fn takes_seconds_and_text() {
        check("0", Some(0));
        check("30", Some(30_000));
        check("\"250ms\"", Some(250));
        check("\"30s\"", Some(30_000));
        check("\"1m30s\"", Some(90_000));
        check("\"1h30m\"", Some(5_400_000));
        check("\" 2d \"", Some(172_800_000));
        check("\"1w\"", Some(604_800_000));
    }

    #[test]
    fn refuses_the_rest() {
        for json in
            ["-1", "1.5", "null", "true", "[]", "\"\"", "\"5\"", "\"s\"", "\"1 s\"", "\"1.5s\"", "\"-1s\""]
        {
            check(json, None);
        }
        for json in
            ["\"1M\"", "\"1é\"", "\"99999999999999999999s\"", "\"9999999999999999999w\"", "99999999999"]
        {
            check(json, None);
        }
    }
}
